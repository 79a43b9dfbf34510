// @ts-check
// A server and its clients, each in a process of its own, and what use of the one leaves in the memory of the other.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** @typedef {import("./server.js").Memory} Memory */

const MIB = 1 << 20;
/** What may stay, of resident memory. */
const ALLOWED = 5 * MIB;
export const SCALE = Number(process.env.FERROWS_LEAKS_SCALE ?? 1);
/** Part of the whole that comes first, to fill caches and pools. */
const WARM_UP = 0.2;
/** How often the whole is repeated at most, until nothing is left behind. */
const ROUNDS = 3;
/** Milliseconds for one order. */
const LIMIT = 240_000;

/**
 * V8 lets the space for young objects grow with use, by some 30 MiB, and never gives it back: kept small, so that what
 * is measured is what is left.
 */
const FLAGS = ["--expose-gc", "--max-semi-space-size=1"];

/** glibc keeps what was freed between two blocks in use: blocks of some size are given back one by one instead. */
const MALLOC = { MALLOC_ARENA_MAX: "2", MALLOC_MMAP_THRESHOLD_: "32768", MALLOC_TRIM_THRESHOLD_: "65536" };

/** Of the process whose memory counts. */
const MEASURED = { execArgv: FLAGS, env: { ...process.env, ...MALLOC } };

export const skip = existsSync("/proc/self/fd")
  ? false
  : "resident memory and open files are read from /proc";

/**
 * Fails if `use` leaves memory or open files behind.
 *
 * @param {keyof Memory["counts"]} unit   what the server must have counted ...
 * @param {number} least   ... and how often
 * @param {(processes: Processes, part: (count: number) => number) => Promise<unknown>} use
 */
export async function measure(unit, least, use) {
  await withPeers(async ({ server, load }) => {
    const run = (/** @type {number} */ share) =>
      use({ server, load }, (count) => Math.ceil(count * share * SCALE));
    await run(WARM_UP);
    /** @type {Memory[]} */
    const states = [await server.order("memory")];
    let before = states[0];
    let after = before;
    // Compilers and allocators take a few MiB for good, sometimes late: then the round that met them was a warm-up too,
    // and another one follows. What leaks grows in each.
    do {
      before = after;
      await run(1);
      after = await server.order("memory");
      states.push(after);
    } while (after.rss - before.rss > ALLOWED && states.length <= ROUNDS);
    const growth = states.slice(1).map(({ rss }, i) => mib(rss - states[i].rss));
    const report = `grew by ${growth.join(", then ")}\n${states.map(describe).join("\n")}`;
    assert.ok(after.rss - before.rss <= ALLOWED, report);
    console.log(report);
    const counted = after.counts[unit] - before.counts[unit];
    assert.ok(counted >= least * SCALE, `${counted} ${unit} counted`);
    assert.equal(after.open, 0, "open sockets and requests");
    assert.ok(after.files <= states[0].files, `${after.files} open files, ${states[0].files} before`);
  });
}

/** @typedef {{ server: Peer, load: Peer }} Processes */

/** @param {(processes: Processes) => Promise<unknown>} use */
export async function withPeers(use) {
  const server = new Peer("server.js", [], MEASURED);
  const load = new Peer("load.js", [String(await server.port), String(await server.securePort)]);
  try {
    await load.port;
    await use({ server, load });
  } finally {
    load.end();
    server.end();
  }
}

/** @param {number} bytes */
export const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;

/** @param {Memory} memory */
function describe({ rss, anonymous, heap, heapTotal, external, files }) {
  const javascript = `JavaScript ${mib(heap)} of ${mib(heapTotal)}, external ${mib(external)}`;
  return `resident ${mib(rss)} (anonymous ${mib(anonymous)}; ${javascript}), ${files} files`;
}

/** A process that takes orders. */
class Peer {
  /** @type {Promise<number>} */
  port;
  /** @type {Promise<number>} */
  securePort;

  #process;
  /** @type {Promise<never>} */
  #failed;

  /** @param {string} file @param {string[]} args @param {import("node:child_process").ForkOptions} [options] */
  constructor(file, args, options = {}) {
    const script = fileURLToPath(new URL(file, import.meta.url));
    this.#process = fork(script, args, options);
    this.#failed = new Promise((_, reject) => {
      this.#process.once("exit", (code, signal) => reject(new Error(`${file} ended with ${signal ?? code}`)));
    });
    this.#failed.catch(() => {});
    const ports = this.#next();
    this.port = ports.then(({ port }) => port);
    this.securePort = ports.then(({ securePort }) => securePort);
  }

  /** @param {string} order @param {number} [count] @returns {Promise<any>} */
  async order(order, count = 0) {
    const next = this.#next();
    this.#process.send({ order, count });
    return (await next).answer;
  }

  end() {
    this.#process.kill("SIGKILL");
  }

  /** @returns {Promise<any>} */
  #next() {
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer in time")), LIMIT);
    });
    const message = new Promise((resolve) => this.#process.once("message", resolve));
    return Promise.race([message, late, this.#failed]).finally(() => clearTimeout(timer));
  }
}
