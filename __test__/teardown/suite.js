// @ts-check
// Processes and workers that end while they serve, on every runtime that is installed: none may crash, hang or lose
// what it had sent. `FERROWS_TEARDOWN_COUNT` sets the number of exits and of terminations per runtime,
// `FERROWS_TEARDOWN_ONLY` limits the runtimes: `node20,deno`.
//
// Each test file is a process with clients of its own, so that those that flood a server keep nobody else waiting.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { within } from "../support/wait.js";
import { Client, request } from "./client.js";
import { EXITS } from "./exits.js";
import { PUBLISHED, REFUSED } from "./program.js";
import { findRuntimes } from "./runtimes.js";
import { keepBusy, OWN_ENDS, TERMINATIONS } from "./workers.js";

/** @typedef {import("./runtimes.js").Runtime} Runtime */

const COUNT = Number(process.env.FERROWS_TEARDOWN_COUNT ?? 200);
/** Rounds of the ways in which a worker ends itself; they come on top. */
const OWN_ENDS_COUNT = Math.ceil(COUNT / 20);
/** Children of a file at the same time: they wait for each other more than they compute. */
const PARALLEL = Number(process.env.FERROWS_TEARDOWN_PARALLEL ?? 2);
/** Milliseconds for anything to happen, on a busy machine. */
const LIMIT = 20_000;
/** Milliseconds from the decision to end to the end. An env waits half a second, twice at most, for its I/O threads. */
const END_LIMIT = 4000;

const only = process.env.FERROWS_TEARDOWN_ONLY?.split(",");
const runtimes = findRuntimes().filter(({ name }) => !only || only.includes(name));

/** Processes that end. */
export function exits() {
  suite(PARALLEL, (runtime, skip) => {
    for (const exit of EXITS) {
      const rounds = Math.ceil(COUNT / EXITS.length);
      test(`${runtime.name}: ${exit.title}, ${rounds} processes`, { skip }, async (t) => {
        let slowest = 0;
        for (let round = 0; round < rounds; round++) {
          slowest = Math.max(slowest, await inRound(round, runExit(runtime, exit, round)));
        }
        t.diagnostic(`the slowest took ${Math.round(slowest)} ms from its exit event to its end`);
      });
    }
  });
}

/** Workers that are terminated, but for those whose clients flood them. */
export function terminations() {
  suite(PARALLEL, (runtime, skip) => terminate(runtime, skip, ({ isFlood }) => !isFlood));
}

/** Workers that are terminated while their clients flood them. */
export function floods() {
  // One after another: each takes all that the machine has.
  suite(1, (runtime, skip) => terminate(runtime, skip, ({ isFlood }) => Boolean(isFlood)));
}

/** Workers that end by themselves. */
export function ownEnds() {
  suite(PARALLEL, (runtime, skip) => {
    for (const end of OWN_ENDS) {
      const title = `${runtime.name}: a worker's end, ${end.title}, ${OWN_ENDS_COUNT} workers`;
      test(title, { skip }, () => runWorkers(runtime, end, OWN_ENDS_COUNT));
    }
  });
}

/** @param {number} concurrency @param {(runtime: Runtime, skip: string | false) => void} declare */
function suite(concurrency, declare) {
  describe("teardown", { concurrency }, () => {
    for (const runtime of runtimes) {
      declare(runtime, runtime.binary ? false : "not installed in __test__/runtimes");
    }
  });
}

/** @param {Runtime} runtime @param {string | false} skip @param {(end: import("./workers.js").End) => boolean} isWanted */
function terminate(runtime, skip, isWanted) {
  const why = (/** @type {import("./workers.js").End} */ end) => (runtime.isDeno && end.notOnDeno) || false;
  const weight = (/** @type {import("./workers.js").End} */ end) => end.weight ?? 1;
  // All that this runtime can do make up its count, in whatever file they are.
  const weights = TERMINATIONS.filter((end) => !why(end)).reduce((sum, end) => sum + weight(end), 0);
  for (const end of TERMINATIONS.filter(isWanted)) {
    const { workers = 1 } = end;
    const rounds = Math.ceil((COUNT * weight(end)) / weights / workers);
    const title = `${runtime.name}: terminate() ${end.title}, ${rounds * workers} workers`;
    test(title, { skip: skip || why(end) }, () => runWorkers(runtime, end, rounds));
  }
}

/** @template T @param {number} round @param {Promise<T>} promise @returns {Promise<T>} */
async function inRound(round, promise) {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Error) error.message = `round ${round}: ${error.message}`;
    throw error;
  }
}

/**
 * @param {Runtime} runtime
 * @param {import("./exits.js").Exit} exit
 * @param {number} round
 * @returns {Promise<number>} milliseconds from the exit event to the end
 */
async function runExit(runtime, exit, round) {
  const { title, clients: count = 4, drive = keepBusy } = exit;
  const child = new Child(runtime, "exit-child.js", { title, round, clients: count });
  /** @type {Client[]} */
  const clients = [];
  try {
    const port = await child.port;
    if (exit.endsWithHandshake) {
      // The last one's own handshake ends the process.
      for (let id = 0; id < count - 1; id++) clients.push(await Client.connect(port, id));
      keepBusy({ clients });
      clients.push(await within(Client.connect(port, count - 1), "the last handshake", LIMIT));
    } else {
      const all = Array.from({ length: count }, (_, id) => Client.connect(port, id));
      clients.push(...(await within(Promise.all(all), "the handshakes", LIMIT)));
    }
    await drive({
      clients,
      request: (target) => request(port, target),
      round,
      kill: (signal) => child.kill(signal),
    });
    const ended = await child.ended(exit.code ?? 3, exit.signal);
    if (exit.expectsError) assert.match(ended.stderr, new RegExp(exit.expectsError));
    else assert.equal(ended.stderr, "");
    for (const client of clients) if (exit.isUnheard) client.destroy();
    await within(Promise.all(clients.map((client) => client.ended)), "the clients' ends", LIMIT);
    if (!exit.signal) {
      assert.ok(ended.counters, "the process ended without its exit event");
      if (!exit.isUnheard) checkReceived(clients, ended.counters);
    }
    for (const { wrong, closeCode } of clients) {
      assert.deepEqual(wrong, []);
      if (exit.closeCode) assert.equal(closeCode, exit.closeCode);
    }
    if (exit.binary) for (const { binary } of clients) assert.equal(binary, exit.binary);
    return ended.ms;
  } finally {
    for (const client of clients) client.destroy();
    child.kill("SIGKILL");
  }
}

/** @param {Client[]} clients @param {number[]} counters */
function checkReceived(clients, counters) {
  assert.equal(counters[REFUSED], 0, "a send was refused: the test asks too much");
  for (const [id, { own, common = 0, wrong, isCutShort }] of clients.entries()) {
    assert.deepEqual(wrong, []);
    if (isCutShort) continue; // One in some ten thousand.
    // A worker may have been stopped between a send and its being counted.
    const lost = counters[id] - own;
    assert.ok(lost === 0 || lost === -1, `client ${id} received ${own} of ${counters[id]} messages`);
    if (common === 0 && counters[PUBLISHED] === 0) continue;
    const unheard = counters[PUBLISHED] - common;
    assert.ok(unheard === 0 || unheard === -1, `client ${id}: ${common} of ${counters[PUBLISHED]} published`);
  }
}

/** @param {Runtime} runtime @param {import("./workers.js").End} end @param {number} rounds */
async function runWorkers(runtime, end, rounds) {
  const { title, workers = 1, clients: count = 4 } = end;
  const host = new Child(runtime, "worker-host.js", {});
  /** @type {Client[]} */
  const all = [];
  try {
    const hostPort = await host.port;
    const control = await Client.connect(hostPort, "control");
    // Served by the parent all the time.
    const bystander = await Client.connect(hostPort, "echo");
    all.push(control, bystander);
    bystander.tick();
    const order = (/** @type {Record<string, any>} */ command) => {
      const answer = new Promise((resolve) => {
        control.onText = (text) => resolve(JSON.parse(text));
      });
      control.sendText(JSON.stringify({ title, workers, clients: count, ...command }));
      return within(Promise.race([answer, host.failed]), `"${command.name}"`, LIMIT);
    };
    const sockets = host.openSockets();
    for (let round = 0; round < rounds; round++) {
      await inRound(round, runRound(round));
    }
    // The last connections may still be closing. Deno opens two for itself.
    const left = () => `${sockets} open sockets, ${host.openSockets()} after ${rounds} rounds`;
    await within(
      until(() => host.openSockets() <= sockets + 2),
      left,
      END_LIMIT,
    );
    const echoes = bystander.own;
    await order({ name: "start", title: OWN_ENDS[0].title, workers: 0 });
    await within(
      until(() => bystander.own > echoes),
      "an echo of the parent's server",
      LIMIT,
    );
    assert.equal(bystander.common, undefined, "a worker's publish came to a client of the parent");
    control.sendText(JSON.stringify({ name: "stop" }));
    const ended = await host.ended(0);
    await within(bystander.ended, "the bystander's end", LIMIT);
    // Deno also prints what it hands to the parent.
    if (!end.error) assert.equal(ended.stderr, "");
    assert.deepEqual(bystander.wrong, []);
    assert.equal(bystander.closeCode, 1001);
    assert.equal(bystander.own, ended.counters?.[0]);

    /** @param {number} round */
    async function runRound(round) {
      const ms = (round * 7) % 60;
      if (end.isEarly) {
        checkEnd(await order({ name: "startAndTerminate", round, ms }));
        return;
      }
      const { ports } = await order({ name: "start", round });
      /** @type {Client[][]} */
      const groups = await Promise.all(
        ports.map((/** @type {number} */ port) =>
          Promise.all(Array.from({ length: count }, (_, id) => Client.connect(port, id))),
        ),
      );
      all.push(...groups.flat());
      const served = Promise.all(
        groups.map((clients, i) =>
          (end.drive ?? keepBusy)({ clients, request: (target) => request(ports[i], target) }),
        ),
      );
      if (!end.endsItself) await new Promise((resolve) => setTimeout(resolve, ms / 3));
      checkEnd(await order({ name: end.endsItself ? "wait" : "terminate" }));
      const clients = groups.flat();
      if (end.isUnheard) for (const client of clients) client.destroy();
      const ends = Promise.all([served, ...clients.map((client) => client.ended)]);
      await within(ends, "the end of every connection", END_LIMIT);
      // Not before: on Deno a worker still runs for a moment when terminate() is through.
      const { counters } = await order({ name: "count" });
      for (const [i, group] of groups.entries()) {
        if (!end.isUnheard) checkReceived(group, counters[i]);
        for (const { wrong } of group) assert.deepEqual(wrong, []);
      }
      all.length = 2;
    }

    /** @param {{ ms: number, workers: { code: number, errors: string[] }[] }} outcome */
    function checkEnd({ ms, workers: ended }) {
      assert.ok(ms < END_LIMIT, `terminate() took ${Math.round(ms)} ms`);
      for (const { code, errors } of ended) {
        assert.deepEqual(errors, end.error ? [end.error] : []);
        // Deno has a code of its own for what was terminated.
        if (end.endsItself) assert.equal(code, end.code);
        else if (!runtime.isDeno && !end.isEarly) assert.equal(code, 1);
      }
    }
  } finally {
    for (const client of all) client.destroy();
    host.kill("SIGKILL");
  }
}

/** The targets of a folder's links; none where there is no such folder. @param {string} folder */
function linksIn(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder).map((name) => {
    try {
      return readlinkSync(`${folder}/${name}`);
    } catch {
      return ""; // Closed meanwhile.
    }
  });
}

/** @param {() => boolean} condition */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** A process of a runtime that serves. */
class Child {
  /** @type {Promise<number>} */
  port;
  /** Rejected when the process ends. @type {Promise<never>} */
  failed;

  #process;
  #stdout = "";
  #stderr = "";
  /** When the last line came, which says that the end has begun. */
  #reported = 0;
  /** @type {Promise<{ code: number | null, signal: NodeJS.Signals | null, ms: number }>} */
  #closed;

  /** @param {Runtime} runtime @param {string} file @param {Record<string, any>} input */
  constructor({ binary, args }, file, input) {
    const script = fileURLToPath(new URL(file, import.meta.url));
    this.#process = spawn(String(binary), [...args, script, JSON.stringify(input)], {
      env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const { stdout, stderr } = this.#process;
    stderr.on("data", (data) => {
      this.#stderr += data;
    });
    const port = new Promise((resolve) => {
      stdout.on("data", (data) => {
        this.#stdout += data;
        if (this.#lines().length > 0) resolve(this.#lines()[0].port);
        if (this.#lines().length > 1 && this.#reported === 0) this.#reported = performance.now();
      });
    });
    this.#closed = new Promise((resolve) => {
      this.#process.once("error", (error) => {
        this.#stderr += error.message;
      });
      this.#process.once("close", (code, signal) => {
        resolve({ code, signal, ms: this.#reported && performance.now() - this.#reported });
      });
    });
    this.failed = this.#closed.then(({ code, signal }) => {
      throw new Error(`the process ended with ${signal ?? code}\n${this.#stderr}`);
    });
    this.failed.catch(() => {});
    this.port = within(Promise.race([port, this.failed]), "the server's port", LIMIT);
  }

  /** @param {NodeJS.Signals} signal */
  kill(signal) {
    this.#process.kill(signal);
  }

  /**
   * How many sockets it has open; 0 where that can't be seen. Other files don't count: Node itself keeps modules open
   * that a terminated worker was reading.
   */
  openSockets() {
    const folder = `/proc/${this.#process.pid}/fd`;
    return linksIn(folder).filter((target) => target.startsWith("socket:")).length;
  }

  /**
   * Waits for the end, which must be the expected one and in time.
   *
   * @param {number} code
   * @param {NodeJS.Signals} [signal]
   * @returns {Promise<{ counters: number[] | undefined, stderr: string, ms: number }>}
   */
  async ended(code, signal) {
    const end = await within(this.#closed, () => `the end of the process\n${this.#stderr}`, LIMIT);
    const expected = signal ?? `code ${code}`;
    assert.equal(end.signal ?? `code ${end.code}`, expected, this.#stderr);
    assert.ok(end.ms < END_LIMIT, `${Math.round(end.ms)} ms from the exit event to the end`);
    return { counters: this.#lines()[1]?.counters, stderr: this.#stderr, ms: end.ms };
  }

  #lines() {
    const lines = this.#stdout.split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }
}
