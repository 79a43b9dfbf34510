// @ts-check
// Runs a list of suites in order and counts what ran. Used by test.mjs and lint.mjs.
import { mkdirSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { inRoot, run, time } from "./support.mjs";

/**
 * @typedef {object} Suite
 * @property {string} name what to type to run it alone
 * @property {string} what one line for the reader
 * @property {string[] | string[][] | (() => string[])} command one, or several that need each other; a function is
 *   asked when the suite's turn has come
 * @property {number} seconds time limit
 * @property {Record<string, string>} [env]
 * @property {() => string | undefined} [missing] why it can't run here, if it can't
 * @property {boolean} [required] nothing after it runs when it fails
 * @property {boolean} [single] counts as one test, whatever it prints
 * @property {boolean} [waits] leaves most of the machine idle: those that follow run beside it
 *
 * @typedef {{ passed: number, failed: number, skipped: number }} Counts
 * @typedef {Counts & { suite: Suite, ms: number, note: string }} Result
 */

/** A suite that finds out by itself that it can't run ends with this code, the reason on its last line. */
export const NOT_RUN = 77;

/**
 * Runs the suites named on the command line, or all. With `--verbose` their output is shown as it comes; without, only
 * that of a suite which fails. `--list` prints the names. The output is always kept in `.cache/logs`.
 *
 * @param {Suite[]} suites
 * @returns {Promise<never>}
 */
export async function main(suites) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { verbose: { type: "boolean", default: false }, list: { type: "boolean", default: false } },
  });
  if (values.list) {
    for (const { name, what } of suites) console.log(`${name.padEnd(12)} ${what}`);
    process.exit(0);
  }
  const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length) {
    console.error(
      `No such suite: ${unknown.join(", ")}. Suites: ${suites.map(({ name }) => name).join(", ")}.`,
    );
    process.exit(2);
  }
  const chosen = suites.filter(
    ({ name, required }) => !positionals.length || required || positionals.includes(name),
  );

  /** @type {string | undefined} */
  let stopped;
  const runOne = async (/** @type {Suite} */ suite) => {
    const result = stopped ? notRun(suite, `${stopped} failed`) : await runSuite(suite, values.verbose);
    console.log(line(result));
    if (result.failed && suite.required) stopped ??= suite.name;
    return result;
  };
  /** @type {Promise<Result>[]} */
  const running = [];
  for (const suite of chosen) {
    const result = runOne(suite);
    running.push(result);
    if (!suite.waits) await result;
  }
  const results = await Promise.all(running);

  const total = results.reduce(
    (sum, { passed, failed, skipped }) => ({
      passed: sum.passed + passed,
      failed: sum.failed + failed,
      skipped: sum.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
  const troubled = results.filter(({ failed }) => failed);
  console.log(`\nSummary (${time(results.reduce((sum, { ms }) => sum + ms, 0))})`);
  for (const result of results) console.log(line(result));
  if (troubled.length) console.log(`\nFailed: ${troubled.map(({ suite }) => suite.name).join(", ")}`);
  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exit(troubled.length ? 1 : 0);
}

/** @param {Suite} suite @param {string} reason @returns {Result} a suite that did not run counts as one skipped test */
function notRun(suite, reason) {
  return { suite, ms: 0, passed: 0, failed: 0, skipped: 1, note: `not run: ${reason}` };
}

/** @param {Suite} suite @param {boolean} verbose @returns {Promise<Result>} */
async function runSuite(suite, verbose) {
  const reason = suite.missing?.();
  if (reason) return notRun(suite, reason);

  console.log(`\n> ${suite.name}: ${suite.what}`);
  const { code, output, timedOut, ms } = await runAll(suite, verbose);
  const log = `.cache/logs/${suite.name}.log`;
  mkdirSync(inRoot(".cache", "logs"), { recursive: true });
  writeFileSync(inRoot(log), output);

  if (code === NOT_RUN) return { ...notRun(suite, lastLine(output)), ms };
  const counts = suite.single
    ? { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }
    : countTests(output);
  let note = "";
  if (timedOut) {
    note = `stopped at its limit of ${suite.seconds} s`;
    counts.failed ||= 1;
  } else if (code !== 0 && !counts.failed) {
    note = `exit code ${code}`;
    counts.failed = 1;
  } else if (code === 0 && !counts.failed && !counts.passed && !counts.skipped) {
    note = "ran no test";
    counts.failed = 1;
  }
  if (counts.failed) {
    if (!verbose) console.log(tail(output, 200));
    note = [note, `whole output in ${log}`].filter(Boolean).join("; ");
  }
  return { suite, ms, note, ...counts };
}

/** @param {Suite} suite @param {boolean} verbose */
async function runAll(suite, verbose) {
  const given = typeof suite.command === "function" ? suite.command() : suite.command;
  const commands = /** @type {string[][]} */ (Array.isArray(given[0]) ? given : [given]);
  const total = { code: 0, output: "", timedOut: false, ms: 0 };
  for (const [program, ...args] of commands) {
    const { code, output, timedOut, ms } = await run(program, args, {
      env: { ...suite.env, FERROWS_SUITE: suite.name },
      seconds: suite.seconds - total.ms / 1000,
      capture: true,
      quiet: !verbose,
    });
    total.code = code;
    total.output += output;
    total.timedOut = timedOut;
    total.ms += ms;
    if (code !== 0) break;
  }
  return total;
}

/**
 * Counts from the closing lines of cargo test, node's test runner, or a plain "N passed, N failed, N skipped", which
 * wins where it is printed.
 *
 * @param {string} output
 * @returns {Counts}
 */
export function countTests(output) {
  const text = output.replaceAll(/\u001b\[[\d;]*m/g, "");
  const plain = [...text.matchAll(/^(?:\S+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/gm)].at(-1);
  if (plain) {
    return { passed: Number(plain[1]), failed: Number(plain[2]), skipped: Number(plain[3] ?? 0) };
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const found of text.matchAll(/^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    counts.passed += Number(found[1]);
    counts.failed += Number(found[2]);
    counts.skipped += Number(found[3]);
  }
  const kinds = /** @type {const} */ ({
    pass: "passed",
    fail: "failed",
    cancelled: "failed",
    skipped: "skipped",
    todo: "skipped",
  });
  for (const found of text.matchAll(/^(?:#|ℹ) (pass|fail|cancelled|skipped|todo) (\d+)$/gm)) {
    counts[kinds[/** @type {keyof typeof kinds} */ (found[1])]] += Number(found[2]);
  }
  return counts;
}

/** @param {Result} result */
function line({ suite, ms, passed, failed, skipped, note }) {
  const state = failed ? "FAILED" : passed ? "passed" : "not run";
  const counts = state === "not run" ? "" : `${passed} passed, ${failed} failed, ${skipped} skipped`;
  return [
    state.padEnd(8),
    suite.name.padEnd(12),
    (ms ? time(ms) : "-").padStart(12),
    `  ${[counts, note].filter(Boolean).join("; ")}`,
  ].join(" ");
}

/** @param {string} output */
function lastLine(output) {
  return (
    output
      .trim()
      .split("\n")
      .at(-1)
      ?.replace(/^not run: /, "") ?? ""
  );
}

/** @param {string} output @param {number} lines */
function tail(output, lines) {
  const all = output.trimEnd().split("\n");
  return (all.length > lines ? ["[...]", ...all.slice(-lines)] : all).join("\n");
}
