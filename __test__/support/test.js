// @ts-check
// node:test with what the suite needs on every runtime: a fixture, a deadline, and a report that counts alike
// on all of them (scripts/contract.mjs reads it).

import { appendFileSync } from "node:fs";
import { test as hostTest } from "node:test";
import { Fixture } from "./harness.js";
import { isBun, runtime } from "./subject.js";
import { within } from "./wait.js";

/** Milliseconds a test may take. */
const TEST_LIMIT = 10_000;

const report = process.env.FERROWS_CONTRACT_REPORT;

/**
 * @typedef {object} TestOptions
 * @property {number} [differs]   row of bun-semantics section 19: not run on Bun, which does something else
 * @property {string | false} [skip]   why this runtime cannot run the test
 * @property {number} [limit]   milliseconds, instead of 10 s
 *
 * @typedef {(t: Fixture) => any} Body
 */

/**
 * Declares one test.
 *
 * @type {{ (title: string, body: Body): void, (title: string, options: TestOptions, body: Body): void }}
 */
export const test = (
  /** @type {string} */ title,
  /** @type {any} */ second,
  /** @type {any} */ third = undefined,
) => {
  /** @type {Body} */
  const body = third ?? second;
  /** @type {TestOptions} */
  const options = third ? second : {};
  const limit = options.limit ?? TEST_LIMIT;
  const reason = isBun && options.differs ? `Bun differs: row ${options.differs}` : options.skip;
  write({ event: "declared", title });
  if (reason) {
    write({ event: "skipped", title, reason, row: isBun ? options.differs : undefined });
    hostTest(title, { skip: reason }, () => {});
    return;
  }
  // The host's own limit stands behind ours, which can name what was waited for.
  hostTest(title, { timeout: limit + 10_000 }, async () => {
    const fixture = new Fixture();
    try {
      await settle(fixture, body, limit);
      write({ event: "passed", title, row: fixture.row });
    } catch (error) {
      write({ event: "failed", title, row: fixture.row, error: describe(error) });
      throw error;
    }
  });
};

/**
 * Declares tests that wait for time to pass: they run all at once, when the first one is due.
 *
 * @param {[title: string, body: Body][]} tests
 * @param {TestOptions} [options]
 */
export function together(tests, options = {}) {
  /** @type {Map<Body, Promise<number | undefined>>} */
  const running = new Map();
  const start = () => {
    for (const [, body] of tests) {
      const run = async () => {
        const fixture = new Fixture();
        await settle(fixture, body, options.limit ?? TEST_LIMIT);
        return fixture.row;
      };
      const result = run();
      result.catch(() => {}); // Reported by the test itself, when its turn comes.
      running.set(body, result);
    }
  };
  for (const [title, body] of tests) {
    test(title, { limit: TEST_LIMIT, ...options }, async (t) => {
      if (running.size === 0) start();
      t.row = await running.get(body);
    });
  }
}

/** @param {Fixture} fixture @param {Body} body @param {number} limit */
async function settle(fixture, body, limit) {
  try {
    await within((async () => body(fixture))(), "the test to end", limit);
  } finally {
    await fixture.close();
  }
}

/** @param {any} error */
function describe(error) {
  return String(error?.stack ?? error);
}

/** @param {Record<string, any>} entry */
function write(entry) {
  if (report) appendFileSync(report, `${JSON.stringify({ runtime, ...entry })}\n`);
}
