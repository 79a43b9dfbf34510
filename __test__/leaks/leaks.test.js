// @ts-check
// What much use leaves behind: after a warm-up of the same kind, memory and open files must come back to where they
// were. `FERROWS_LEAKS_SCALE` makes the tests smaller or larger.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** @typedef {import("./server.js").Memory} Memory */

const MIB = 1 << 20;
/** What may stay, of resident memory. */
const ALLOWED = 5 * MIB;
const SCALE = Number(process.env.FERROWS_LEAKS_SCALE ?? 1);
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

const skip = existsSync("/proc/self/fd") ? false : "resident memory and open files are read from /proc";

test("100,000 connections leave nothing behind", { skip }, () =>
  measure("closes", 75_000, ({ load }, part) => load.order("connections", part(100_000))),
);

test("5,000 TLS connections leave nothing behind", { skip }, () =>
  measure("closes", 2000, ({ load }, part) => load.order("secure", part(5000))),
);

// One in five is a whole handshake, given up before its answer.
test("10,000 broken handshakes and requests leave nothing behind", { skip }, () =>
  measure("requests", 2000, ({ load }, part) => load.order("broken", part(10_000))),
);

test("1,000,000 messages leave nothing behind", { skip }, () =>
  measure("messages", 1_000_000, ({ load }, part) => load.order("messages", part(1_000_000))),
);

test("20,000 requests leave nothing behind", { skip }, () =>
  measure("requests", 20_000, ({ load }, part) => load.order("requests", part(20_000))),
);

test("600 reloads leave nothing behind", { skip }, () =>
  measure("reloads", 600, async ({ load, server }, part) => {
    // With connections in between that the handlers of that moment serve.
    for (let left = part(600); left > 0; left -= 20) {
      await server.order("reload", Math.min(left, 20));
      await load.order("connections", 64);
    }
  }),
);

/**
 * @param {keyof Memory["counts"]} unit   what the server must have counted ...
 * @param {number} least   ... and how often
 * @param {(processes: { server: Peer, load: Peer }, part: (count: number) => number) => Promise<unknown>} use
 */
async function measure(unit, least, use) {
  const server = new Peer("server.js", []);
  const load = new Peer("load.js", [String(await server.port), String(await server.securePort)]);
  try {
    await load.port;
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
  } finally {
    load.end();
    server.end();
  }
}

/** @param {number} bytes */
const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;

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

  /** @param {string} file @param {string[]} args */
  constructor(file, args) {
    const script = fileURLToPath(new URL(file, import.meta.url));
    this.#process = fork(script, args, { execArgv: FLAGS });
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
