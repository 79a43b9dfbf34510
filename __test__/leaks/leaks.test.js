// @ts-check
// What much use leaves behind: after a warm-up of the same kind, memory and open files must come back to where they
// were. `FERROWS_LEAKS_SCALE` makes the tests smaller or larger.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

/** @typedef {import("./server.js").Memory & { open: number, messages: number, closes: number }} Memory */

const MIB = 1 << 20;
/** What may stay, of resident memory. */
const ALLOWED = 5 * MIB;
const SCALE = Number(process.env.FERROWS_LEAKS_SCALE ?? 1);
/** Part of the whole that comes first, to fill caches and pools. */
const WARM_UP = 0.2;
/** Milliseconds for one order. */
const LIMIT = 240_000;

const skip = existsSync("/proc/self/fd") ? false : "resident memory and open files are read from /proc";

test("100,000 connections leave nothing behind", { skip }, async () => {
  await measure(({ load }, part) => load.order("connections", part(100_000)));
});

test("10,000 broken handshakes and requests leave nothing behind", { skip }, async () => {
  await measure(({ load }, part) => load.order("broken", part(10_000)));
});

test("1,000,000 messages leave nothing behind", { skip }, async () => {
  await measure(({ load }, part) => load.order("messages", part(1_000_000)));
});

test("20,000 requests leave nothing behind", { skip }, async () => {
  await measure(({ load }, part) => load.order("requests", part(20_000)));
});

test("600 reloads leave nothing behind", { skip }, async () => {
  await measure(async ({ load, server }, part) => {
    // In between connections that the handlers of each reload serve.
    for (let left = part(600); left > 0; left -= 20) {
      await server.order("reload", Math.min(left, 20));
      await load.order("connections", 64);
    }
  });
});

/**
 * @param {(processes: { server: Peer, load: Peer }, part: (count: number) => number) => Promise<unknown>} use
 */
async function measure(use) {
  const server = new Peer("server.js", []);
  const load = new Peer("load.js", [String(await server.port)]);
  try {
    await load.port;
    const run = (/** @type {number} */ share) =>
      use({ server, load }, (count) => Math.ceil(count * share * SCALE));
    await run(WARM_UP);
    const before = await server.order("memory");
    await run(1);
    const after = await server.order("memory");
    const growth = after.rss - before.rss;
    if (growth > ALLOWED) {
      // A cache has filled up for good; a leak grows as much again.
      await run(1);
      const again = await server.order("memory");
      assert.fail(
        `grew by ${mib(growth)}, then by ${mib(again.rss - after.rss)}\n${[before, after, again].map(describe).join("\n")}`,
      );
    }
    assert.equal(after.open, 0, "open sockets and requests");
    assert.ok(after.files <= before.files, `${after.files} open files, ${before.files} before`);
    console.log(`before: ${describe(before)}\nafter:  ${describe(after)}`);
  } finally {
    load.end();
    server.end();
  }
}

/** @param {number} bytes */
const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;

/** @param {Memory} memory */
function describe({ rss, anonymous, heap, external, files, open, messages, closes }) {
  const of = `anonymous ${mib(anonymous)}, JavaScript heap ${mib(heap)}, external ${mib(external)}`;
  return `resident ${mib(rss)} (${of}), ${files} files, ${open} open; ${messages} messages, ${closes} closes so far`;
}

/** A process that takes orders. */
class Peer {
  /** @type {Promise<number>} */
  port;

  #process;
  /** @type {Promise<never>} */
  #failed;

  /** @param {string} file @param {string[]} args */
  constructor(file, args) {
    this.#process = fork(fileURLToPath(new URL(file, import.meta.url)), args, { execArgv: ["--expose-gc"] });
    this.#failed = new Promise((_, reject) => {
      this.#process.once("exit", (code, signal) => reject(new Error(`${file} ended with ${signal ?? code}`)));
    });
    this.#failed.catch(() => {});
    this.port = this.#next().then(({ port }) => port);
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
