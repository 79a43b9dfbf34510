// @ts-check
// Runs the Autobahn cases 1-7, 9, 10, 12 and 13 with kosoku against an echo server and compares with the committed result.
//   node scripts/autobahn.mjs [--runtime <program>] [--write]
// --runtime: what runs the server (default: this Node); a path whose name is "deno" gets `run -A`, "bun" uses Bun's serve.
// --write: stores what was seen as __test__/autobahn/expected.json (every case must be OK or INFORMATIONAL).
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { NOT_RUN } from "./runner.mjs";
import { answers, fail, inRoot, requireNode, run, TEST_ENV, time } from "./support.mjs";

requireNode();
const KOSOKU = "kosoku==0.1.0";
// Two clients side by side, which take about as long as each other: one alone leaves half a core idle.
const CASES = [
  [
    ...["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"],
    ...["13.1.*", "13.2.*", "13.3.*", "13.4.*", "13.5.*", "13.6.*"],
  ],
  ["12.*", "13.7.*"],
];
const expectedFile = inRoot("__test__", "autobahn", "expected.json");
const reports = inRoot(".cache", "autobahn");

const { values: options } = parseArgs({
  options: {
    runtime: { type: "string", default: process.execPath },
    write: { type: "boolean", default: false },
  },
});

const kosoku = await install();
const server = await startServer(options.runtime);
rmSync(reports, { recursive: true, force: true });
const started = performance.now();
const seen = Object.assign({}, ...(await Promise.all(CASES.map(drive))));
const ms = performance.now() - started;
server.stop();

const verdicts = Object.fromEntries(
  Object.entries(seen).map(([id, { behavior, behaviorClose }]) => [
    id,
    behavior === behaviorClose ? behavior : `${behavior}, close ${behaviorClose}`,
  ]),
);

if (options.write) {
  const bad = Object.entries(verdicts).filter(([, verdict]) => !allowed(verdict));
  if (bad.length) fail(`Not written: ${bad.map(([id, verdict]) => `${id} ${verdict}`).join("; ")}.`);
  writeFileSync(expectedFile, `${JSON.stringify(verdicts, null, 2)}\n`);
  console.log(`Wrote ${Object.keys(verdicts).length} verdicts.`);
}

/** @type {Record<string, string>} */
const expected = JSON.parse(readFileSync(expectedFile, "utf8"));
let passed = 0;
const deviations = [];
for (const id of new Set([...Object.keys(expected), ...Object.keys(verdicts)])) {
  const verdict = verdicts[id] ?? "did not run";
  if (verdict === expected[id] && allowed(verdict)) {
    passed++;
  } else {
    deviations.push(`${id}: expected ${expected[id] ?? "no such case"}, got ${verdict}`);
  }
}
for (const deviation of deviations) console.log(deviation);
if (deviations.length) console.log(`Reports: ${path.join(reports, "*", "index.html")}`);
console.log(`kosoku took ${time(ms)}.`);
console.log(`${passed} passed, ${deviations.length} failed, 0 skipped`);
process.exit(deviations.length ? 1 : 0);

/**
 * Runs one client.
 *
 * @param {string[]} cases
 * @param {number} number
 * @returns {Promise<Record<string, { behavior: string, behaviorClose: string }>>}
 */
async function drive(cases, number) {
  const folder = path.join(reports, `client-${number + 1}`);
  const { code, output, timedOut } = await run(
    kosoku,
    // Some cases only wait.
    [`127.0.0.1:${server.port}`, "-p", "12", ...cases.flatMap((some) => ["-i", some]), "-o", folder],
    { seconds: 480, capture: true, quiet: true },
  );
  const index = path.join(folder, "index.json");
  if (timedOut || !existsSync(index)) {
    fail(
      `${output}\nkosoku ${timedOut ? "did not finish in 480 s" : `wrote no report (exit code ${code})`}.`,
    );
  }
  return /** @type {any} */ (Object.values(JSON.parse(readFileSync(index, "utf8")))[0]);
}

/** @param {string} verdict */
function allowed(verdict) {
  return verdict === "OK" || verdict === "INFORMATIONAL";
}

/** Installs kosoku into a virtual environment of its own. @returns {Promise<string>} its program */
async function install() {
  const venv = inRoot(".cache", "venv");
  const bin = path.join(venv, process.platform === "win32" ? "Scripts" : "bin");
  const program = path.join(bin, "kosoku");
  const mark = path.join(venv, KOSOKU);
  if (existsSync(mark) && answers(program, ["--help"])) return program;

  const python = ["python3", "python"].find((name) => answers(name));
  if (!python) notRun("Python 3 was not found");
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(inRoot(".cache"), { recursive: true });
  for (const [command, args] of /** @type {const} */ ([
    [python, ["-m", "venv", venv]],
    [path.join(bin, "python"), ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", KOSOKU]],
  ])) {
    const { code, output } = await run(command, [...args], { seconds: 300, capture: true, quiet: true });
    if (code !== 0) notRun(`${KOSOKU} could not be installed: ${output.trim().split("\n").at(-1)}`);
  }
  writeFileSync(mark, "");
  return program;
}

/** @param {string} reason @returns {never} */
function notRun(reason) {
  console.log(`not run: ${reason}`);
  process.exit(NOT_RUN);
}

/** @param {string} runtime @returns {Promise<{ port: number, stop: () => void }>} */
async function startServer(runtime) {
  const flags = path.basename(runtime).startsWith("deno") ? ["run", "-A"] : [];
  const child = spawn(runtime, [...flags, inRoot("__test__", "autobahn", "server.js")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, ...TEST_ENV, FERROWS_IO_THREADS: "2" },
  });
  let stopping = false;
  child.once("error", (error) => fail(`${runtime}: ${error.message}`));
  child.once("exit", (code, signal) => {
    // A server that died fails the run even if every case had been judged by then.
    if (!stopping) fail(`The echo server ended during the run (${signal ?? `exit code ${code}`}).`);
  });
  for await (const text of createInterface({ input: child.stdout })) {
    return {
      port: Number(text),
      stop: () => {
        stopping = true;
        child.stdin.end();
      },
    };
  }
  return fail("The echo server printed no port.");
}
