// @ts-check
// The machine: what it is, which cores to use, and whether they are close to each other right now.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import os from "node:os";
import process from "node:process";
import { run } from "./load.js";

export function describeMachine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() || "unknown",
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
  };
}

/** "0-2,5" to [0, 1, 2, 5]. @param {string} list */
export function parseCpuList(list) {
  return list
    .trim()
    .split(",")
    .filter(Boolean)
    .flatMap((range) => {
      const [first, last = first] = range.split("-").map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}

/** @param {string} file */
function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/**
 * A core for the server and one for the load, not two halves of one core where there is a choice. Undefined where
 * processes cannot be bound to a core.
 *
 * @returns {{ server: number, load: number } | undefined}
 */
export function chooseCores() {
  if (process.platform !== "linux" || spawnSync("taskset", ["--version"]).status !== 0) return undefined;
  const allowed = parseCpuList(/^Cpus_allowed_list:\s*(.*)$/m.exec(read("/proc/self/status"))?.[1] ?? "");
  const [server, ...others] = allowed;
  if (others.length === 0) return undefined;
  const topology = `/sys/devices/system/cpu/cpu${server}/topology/thread_siblings_list`;
  const siblings = parseCpuList(read(topology));
  return { server, load: others.find((cpu) => !siblings.includes(cpu)) ?? others[0] };
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Watches how far the two cores are from each other: a virtual machine may move them. */
export class Distance {
  #patience = 10_000;

  /**
   * @param {string} generator
   * @param {{ server: number, load: number } | undefined} cores
   * @param {number} nearNs
   */
  constructor(generator, cores, nearNs) {
    this.generator = generator;
    this.cores = cores;
    this.nearNs = nearNs;
  }

  /** Nanoseconds of one hand-over between the cores; undefined where that cannot be measured. */
  async measure() {
    if (!this.cores) return undefined;
    const command = [this.generator, "distance", "--cpus", `${this.cores.server},${this.cores.load}`];
    try {
      return /** @type {number} */ ((await run(command, 10_000)).ns);
    } catch {
      return undefined;
    }
  }

  /** @param {number | undefined} ns */
  isNear(ns) {
    return ns === undefined || ns <= this.nearNs;
  }

  /** Waits a while for the cores to be near; shorter, the more often that was in vain. */
  async waitUntilNear() {
    const end = Date.now() + this.#patience;
    let ns = await this.measure();
    while (!this.isNear(ns) && Date.now() < end) {
      await sleep(250);
      ns = await this.measure();
    }
    this.#patience = this.isNear(ns) ? 10_000 : Math.max(500, this.#patience / 2);
    return ns;
  }
}
