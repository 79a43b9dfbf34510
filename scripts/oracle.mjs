// @ts-check
// Compares ferrows with Bun's recorded answers. Needs the oracle probe beside the repository (../shared/oracle).
//   npm run oracle                      under this Node, without the scenarios that wait for timers
//   npm run oracle -- --slow --deno     with them, and under Deno as well
//   npm run oracle -- --only '^send/'   some scenarios
// --runtime <program> and --impl <module that exports serve> put something else in the place of this Node and ferrows.
// A difference must be listed in __test__/oracle/allow.json with the row that wants it: of section 19 of the probe's
// description, whose numbers docs/parity.md continues.
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { NOT_RUN } from "./runner.mjs";
import { answers, fail, inRoot, requireNode, run, TEST_ENV, time } from "./support.mjs";

requireNode();
const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    slow: { type: "boolean", default: false },
    deno: { type: "boolean", default: false },
    impl: { type: "string", default: inRoot("__test__", "oracle", "subject.mjs") },
    runtime: { type: "string", default: process.execPath },
  },
});

const probe = inRoot("..", "shared", "oracle");
if (!existsSync(path.join(probe, "probe.mjs"))) {
  console.log("not run: ../shared/oracle is not there");
  process.exit(NOT_RUN);
}
const FILES = /^(10|20|30|40|50|60|70|80|90|95|97|99)-/;
/** Asks for the default port. */
const NEEDS_PORT_3000 = "server/ports";
const work = inRoot(".cache", "oracle");
mkdirSync(work, { recursive: true });
const allowFile = inRoot("__test__", "oracle", "allow.json");

/** @type {Record<string, unknown>} */
const bun = JSON.parse(readFileSync(path.join(probe, "bun-1.4.4.json"), "utf8"));
const listed = await listScenarios();
checkAllowances(listed);

/** @type {{ name: string, program: string, flags: string[] }[]} */
const hosts = [{ name: path.basename(options.runtime), program: options.runtime, flags: [] }];
let skipped = 0;
if (options.deno) {
  const local = inRoot("__test__", "runtimes", "node_modules", ".bin", "deno");
  const deno = [local, "deno"].find((program) => answers(program));
  if (deno) hosts.push({ name: "deno", program: deno, flags: ["run", "-A"] });
  else {
    console.log("Deno: not run, it is neither in __test__/runtimes nor on the path.");
    skipped++;
  }
}

// Somebody may have the chat open: `npm start` serves it there.
const isBusy = await isInUse(3000);
const scenarios = listed.filter(({ id }) => !(isBusy && id === NEEDS_PORT_3000));
if (scenarios.length < listed.length) {
  console.log(`${NEEDS_PORT_3000}: not run, port 3000 is in use.`);
  skipped += hosts.length;
}

let passed = 0;
let failed = 0;
// Scenarios that wait for timers use no processor: they run beside the others.
const slow = scenarios.filter((scenario) => scenario.slow).map(({ id }) => id);
const quick = scenarios.filter((scenario) => !scenario.slow);
const waiting =
  options.slow || options.only ? hosts.map((host) => askSlow(host, slow)) : hosts.map(() => undefined);
const started = performance.now();
// The hosts side by side: the scenarios wait most of their time.
const asking = hosts.map(async (host, i) => {
  const ours = {};
  // A process for each file: one that crashes or hangs takes no other answers with it.
  for (const file of new Set(quick.map((scenario) => scenario.file))) {
    const ids = quick.filter((scenario) => scenario.file === file).map(({ id }) => id);
    Object.assign(ours, await ask(host, ids, path.parse(file).name));
  }
  return Object.assign(ours, await waiting[i]);
});
// Judged one after another, when all have answered: what differs is asked once more, alone.
const answered = await Promise.all(asking);
for (const [i, host] of hosts.entries()) await judge(host, answered[i], started);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exit(failed ? 1 : 0);

/**
 * Prints the differences of one host and counts its scenarios. Differing scenarios are asked once more, alone: a
 * machine under load can disturb the client side of the probe. Such a second success is reported.
 *
 * @param {{ name: string, program: string, flags: string[] }} host
 * @param {Record<string, unknown>} ours
 * @param {number} started
 */
async function judge(host, ours, started) {
  const first = await differing(host, ours);
  const again = first.bad.filter((id) => id in ours);
  let result = first;
  if (again.length && again.length <= 40) {
    result = await differing(host, { ...ours, ...(await ask(host, again, "again")) });
  }
  const flickered = first.bad.filter((id) => !result.bad.includes(id));
  console.log(`\n${host.name}:`);
  if (result.bad.length) console.log(result.text);
  if (flickered.length) console.log(`Right only at the second try: ${flickered.join(", ")}`);
  const total = Object.keys(reference()).length;
  console.log(
    `${host.name}: ${total - result.bad.length} of ${total} scenarios agree with Bun ` +
      `(${result.allowed} with an allowed difference), ${time(performance.now() - started)}`,
  );
  passed += total - result.bad.length;
  failed += result.bad.length;
}

/**
 * What diff.mjs says about a host's answers.
 *
 * @param {{ name: string }} host
 * @param {Record<string, unknown>} ours
 * @returns {Promise<{ bad: string[], allowed: number, text: string }>}
 */
async function differing(host, ours) {
  const files = { bun: path.join(work, "bun.json"), ours: path.join(work, `${host.name}.json`) };
  writeFileSync(files.bun, JSON.stringify(reference()));
  writeFileSync(files.ours, JSON.stringify(ours));
  const { output } = await run(
    process.execPath,
    [path.join(probe, "diff.mjs"), files.bun, files.ours, "--allow", allowFile],
    { capture: true, quiet: true },
  );
  const allowed = /^same \d+ {2}different \d+ {2}allowed (\d+)/m.exec(output);
  if (!allowed) fail(`diff.mjs gave no summary:\n${output}`);
  const bad = [...output.matchAll(/^[✗?] (\S+)/gm)].map((found) => found[1]);
  return { bad, allowed: Number(allowed[1]), text: output.trim() };
}

/** @param {number} port @returns {Promise<boolean>} */
function isInUse(port) {
  const server = net.createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(true));
    server.listen(port, () => server.close(() => resolve(false)));
  });
}

/** Bun's answers to the scenarios of this run. */
function reference() {
  const asked = scenarios.filter((scenario) => !scenario.slow || options.slow || options.only);
  return Object.fromEntries(asked.filter(({ id }) => id in bun).map(({ id }) => [id, bun[id]]));
}

/**
 * The chosen scenarios. The files only register scenarios when they are loaded, so a function that takes notes stands
 * in for the probe's.
 *
 * @returns {Promise<{ id: string, slow: boolean, file: string }[]>}
 */
async function listScenarios() {
  /** @type {{ id: string, slow: boolean, file: string }[]} */
  const found = [];
  let loading = "";
  const globals = /** @type {any} */ (globalThis);
  globals.scenario = (/** @type {string} */ id, /** @type {unknown} */ _run, /** @type {any} */ how) =>
    found.push({ id, slow: Boolean(how?.slow), file: loading });
  for (const file of readdirSync(path.join(probe, "scenarios")).sort()) {
    if (!FILES.test(file)) continue;
    loading = file;
    await import(pathToFileURL(path.join(probe, "scenarios", file)).href);
  }
  delete globals.scenario;
  const only = options.only ? new RegExp(options.only) : undefined;
  const chosen = found.filter(({ id }) => !only || only.test(id));
  if (!chosen.length) fail("No scenario matches.");
  return chosen;
}

/**
 * Every allowance must name a scenario that exists and a row that exists.
 *
 * @param {{ id: string }[]} known
 */
function checkAllowances(known) {
  /** @type {Record<string, string>} */
  const allowances = JSON.parse(readFileSync(allowFile, "utf8"));
  const parity = readFileSync(inRoot("docs", "parity.md"), "utf8");
  const differences = new Set([...parity.matchAll(/^\| (\d+) \|/gm)].map(([, row]) => Number(row)));
  const problems = [];
  for (const [where, reason] of Object.entries(allowances)) {
    const rows = [...reason.matchAll(/\brow (\d+)\b/g)].map((found) => Number(found[1]));
    if (!rows.length) problems.push(`${where}: cites no row of docs/parity.md`);
    if (rows.some((row) => !differences.has(row))) problems.push(`${where}: there is no such row`);
    const exists = Object.keys(bun).some(
      (id) => where === id || where.startsWith(`${id}/`) || id.startsWith(`${where}/`),
    );
    if (!exists && !known.some(({ id }) => id === where)) problems.push(`${where}: no such scenario`);
  }
  if (problems.length) fail(`__test__/oracle/allow.json:\n  ${problems.join("\n  ")}`);
}

/**
 * Scenarios that wait, each in a process of its own: together they take as long as the longest.
 *
 * @param {{ name: string, program: string, flags: string[] }} host
 * @param {string[]} ids
 */
async function askSlow(host, ids) {
  const answered = await Promise.all(ids.map((id) => ask(host, [id], id.replaceAll("/", "-"))));
  return Object.assign({}, ...answered);
}

/**
 * Answers of a host to some scenarios.
 *
 * @param {{ name: string, program: string, flags: string[] }} host
 * @param {string[]} ids
 * @param {string} label
 * @returns {Promise<Record<string, unknown>>}
 */
async function ask({ name, program, flags }, ids, label) {
  if (!ids.length) return {};
  const only = `^(?:${ids.map((id) => id.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})$`;
  const { code, output, stdout, timedOut } = await run(
    program,
    [...flags, path.join(probe, "probe.mjs"), "--impl", options.impl, "--only", only],
    // The probe's own limits are 8 to 50 s a scenario; this one is for a process that hangs.
    { env: TEST_ENV, seconds: 240, capture: true, quiet: true },
  );
  writeFileSync(path.join(work, `${name}-${label}.log`), output);
  try {
    return JSON.parse(stdout.slice(stdout.search(/^\{$/m)));
  } catch {
    const how = timedOut ? "did not finish" : `ended with code ${code}`;
    console.log(`${name}: the probe ${how} without an answer (${label}):\n${output.trim().slice(-3000)}`);
    return {};
  }
}
