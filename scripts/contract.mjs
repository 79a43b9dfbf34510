// @ts-check
// Runs the contract suite (__test__/contract) on every runtime:
//
//   node scripts/contract.mjs [--only node20,node24,deno,bun,current] [--files topics,http] [--no-install]
//
// The runtimes come from __test__/runtimes, installed on demand. One that cannot be installed here is reported as
// NOT RUN and never as passed; with CI=true on linux-x64 that is a failure. Results are counted from what the tests
// themselves report, so that a file that dies, hangs or ends early cannot look like success.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { root, TEST_ENV } from "./support.mjs";

const runtimesFolder = join(root, "__test__", "runtimes");
const specFolder = join(root, "__test__", "contract");
const modules = join(runtimesFolder, "node_modules");

/** Files that run at the same time. Most of their time is spent waiting. */
const PARALLEL_FILES = 3;
/** Files that do nothing but wait for seconds: they run beside all others. */
const WAITING = /^timers/;
/** Milliseconds after which a file is killed. */
const FILE_LIMIT = 180_000;
/** Lines of output shown of a file that failed without saying which test. */
const OUTPUT_LINES = 25;

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {() => string | undefined} binary   path of the executable, if it is there
 * @property {(file: string) => string[]} args   of the process that runs one file
 *
 * @typedef {object} Report   one line written by __test__/support/test.js
 * @property {"declared" | "skipped" | "passed" | "failed"} event
 * @property {string} title
 * @property {number} [row]
 * @property {string} [reason]
 * @property {string} [error]
 *
 * @typedef {object} FileResult
 * @property {string} file
 * @property {Report[]} reports
 * @property {string | undefined} trouble   what was wrong with the process as a whole
 */

/** @param {string[]} paths */
const firstThatRuns = (...paths) =>
  paths.find((path) => existsSync(path) && spawnSync(path, ["--version"], { timeout: 20_000 }).status === 0);

/** @param {string} scope @param {string} file   inside each package of the scope */
function inScope(scope, file) {
  const folder = join(modules, scope);
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  return names.flatMap((name) => [join(folder, name, file), join(folder, name, `${file}.exe`)]);
}

/** @type {Runtime[]} */
const RUNTIMES = [
  ...["node20", "node22", "node24", "node26"].map((name) => ({
    name,
    binary: () => firstThatRuns(join(modules, name, "bin", "node")),
    args: (/** @type {string} */ file) => [file],
  })),
  {
    name: "deno",
    binary: () => firstThatRuns(...inScope("@deno", "deno")),
    args: (file) => ["test", "-A", "--quiet", "--no-check", "--no-lock", file],
  },
  {
    name: "bun",
    binary: () => firstThatRuns(...inScope("@oven", join("bin", "bun"))),
    args: (file) => ["test", `./${relative(root, file)}`],
  },
];

/** The Node that runs this script; only on demand, since it is usually one of the others. @type {Runtime} */
const CURRENT = { name: "current", binary: () => process.execPath, args: (file) => [file] };

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    files: { type: "string" },
    "no-install": { type: "boolean", default: false },
  },
});

process.exitCode = await main();

async function main() {
  const chosen = choose(options.only);
  const files = specFiles(options.files);
  if (!chosen || files.length === 0) return 2;

  const installProblem = chosen.every((runtime) => runtime === CURRENT) ? undefined : install();
  // Whoever can have none of the Nodes, for want of a package or a network, still learns about his own.
  const nodes = chosen.filter((runtime) => runtime.name.startsWith("node"));
  if (nodes.length > 0 && !chosen.includes(CURRENT) && nodes.every((runtime) => !runtime.binary())) {
    chosen.push(CURRENT);
  }
  const mandatory = process.env.CI === "true" && `${process.platform}-${process.arch}` === "linux-x64";
  const lines = [];
  const total = { passed: 0, failed: 0, skipped: 0 };
  let failed = false;
  const found = chosen.map((runtime) => ({ runtime, binary: runtime.binary() }));
  const results = await runAll(found, files);
  for (const { runtime, binary } of found) {
    if (!binary) {
      const why = installProblem ?? `no package for ${process.platform}-${process.arch}`;
      lines.push(`${runtime.name.padEnd(8)} NOT RUN: ${why}`);
      failed ||= mandatory;
      total[mandatory ? "failed" : "skipped"]++;
      continue;
    }
    const outcome = judge(runtime, results.get(runtime) ?? []);
    failed ||= !outcome.ok;
    total.passed += outcome.passed;
    total.failed += outcome.failed;
    total.skipped += outcome.skipped;
    lines.push(`${runtime.name.padEnd(8)} ${outcome.text}`);
  }
  console.log(`\nContract suite, ${files.length} files\n${lines.join("\n")}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  return failed ? 1 : 0;
}

/** @param {string | undefined} names @returns {Runtime[] | undefined} */
function choose(names) {
  if (names === undefined) return [...RUNTIMES];
  const known = [...RUNTIMES, CURRENT];
  const chosen = names.split(",").map((name) => known.find((runtime) => runtime.name === name));
  if (chosen.every((runtime) => runtime !== undefined)) return /** @type {Runtime[]} */ (chosen);
  console.error(`--only takes names out of: ${known.map((runtime) => runtime.name).join(", ")}`);
  return undefined;
}

/** @param {string | undefined} names */
function specFiles(names) {
  const wanted = names?.split(",");
  const files = readdirSync(specFolder).filter((file) => file.endsWith(".spec.js"));
  const chosen = files.filter((file) => !wanted || wanted.includes(file.replace(".spec.js", "")));
  if (chosen.length === 0) console.error(`no spec files in ${specFolder} match`);
  return chosen.sort().map((file) => join(specFolder, file));
}

/** Installs the runtimes unless what is there belongs to the lock file. @returns {string | undefined} the problem */
function install() {
  const lock = readFileSync(join(runtimesFolder, "package-lock.json"));
  const wanted = createHash("sha256").update(lock).digest("hex");
  const marker = join(modules, ".contract-lock");
  const installed = existsSync(marker) && readFileSync(marker, "utf8") === wanted;
  if (installed) return undefined;
  if (options["no-install"]) return existsSync(modules) ? undefined : "not installed (--no-install)";

  console.log("installing the runtimes of __test__/runtimes ...");
  const npm = process.platform === "win32" ? "npm.cmd" : "npm";
  const result = spawnSync(npm, ["ci", "--prefix", runtimesFolder], {
    cwd: runtimesFolder,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (result.status !== 0) {
    console.error(result.stderr || String(result.error));
    return "npm ci failed in __test__/runtimes";
  }
  writeFileSync(marker, wanted);
  return undefined;
}

/**
 * Runs every file on every runtime that is there. The files that wait are started at once, on all of them.
 *
 * @param {{ runtime: Runtime, binary: string | undefined }[]} runtimes
 * @param {string[]} files
 * @returns {Promise<Map<Runtime, FileResult[]>>}
 */
async function runAll(runtimes, files) {
  const reports = mkdtempSync(join(tmpdir(), "ferrows-contract-"));
  const results = new Map(runtimes.map(({ runtime }) => [runtime, /** @type {FileResult[]} */ ([])]));
  const jobs = runtimes.flatMap(({ runtime, binary }) =>
    files.flatMap((file) => (binary ? [{ runtime, binary, file }] : [])),
  );
  const start = async (/** @type {typeof jobs[0]} */ { runtime, binary, file }) => {
    const report = join(reports, `${runtime.name}-${basename(file)}.jsonl`);
    results.get(runtime)?.push(await runFile(file, binary, runtime.args(file), report));
  };
  const isWaiting = (/** @type {typeof jobs[0]} */ { file }) => WAITING.test(basename(file));
  const queue = jobs.filter((job) => !isWaiting(job));
  const worker = async () => {
    for (let job = queue.shift(); job; job = queue.shift()) await start(job);
  };
  await Promise.all([
    ...jobs.filter(isWaiting).map(start),
    ...Array.from({ length: PARALLEL_FILES }, worker),
  ]);
  rmSync(reports, { recursive: true, force: true });
  return results;
}

/** @param {string} file @param {string} binary @param {string[]} args @param {string} report @returns {Promise<FileResult>} */
function runFile(file, binary, args, report) {
  return new Promise((resolve) => {
    const child = spawn(binary, args, {
      cwd: root,
      env: {
        ...process.env,
        ...TEST_ENV,
        FERROWS_CONTRACT_REPORT: report,
        NO_COLOR: "1",
        DENO_NO_UPDATE_CHECK: "1",
      },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (/** @type {Buffer} */ data) => {
      output += data;
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    const timer = setTimeout(() => child.kill("SIGKILL"), FILE_LIMIT);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const lines = existsSync(report) ? readFileSync(report, "utf8").trim().split("\n") : [];
      /** @type {Report[]} */
      const reports = lines.filter(Boolean).map((line) => JSON.parse(line));
      const end = signal ? `killed by ${signal}` : `exit code ${code}`;
      const tail = output.trim().split("\n").slice(-OUTPUT_LINES).join("\n");
      resolve({ file, reports, trouble: code === 0 ? undefined : `${end}\n${tail}` });
    });
  });
}

/** @param {Runtime} runtime @param {FileResult[]} results */
function judge(runtime, results) {
  const all = results.flatMap(({ reports }) => reports);
  const count = (/** @type {(report: Report) => boolean} */ is) => all.filter(is).length;
  const passed = count(({ event }) => event === "passed");
  const failures = results.flatMap(troubles);
  for (const failure of failures) console.error(`${runtime.name}: ${failure}\n`);

  const parts = [`${passed} passed`, `${failures.length} failed`];
  const skipped = count(({ event, row }) => event === "skipped" && row === undefined);
  if (skipped > 0) parts.push(`${skipped} skipped (${reasons(all)})`);
  if (runtime.name === "bun") {
    const byRow = count(({ event, row }) => event === "passed" && row !== undefined);
    const left = all.filter(({ event, row }) => event === "skipped" && row !== undefined);
    const rows = [...new Set(left.map(({ row }) => Number(row)))].sort((a, b) => a - b);
    if (byRow > 0) parts.push(`${byRow} of the passed state Bun's side of a documented difference`);
    if (left.length > 0) parts.push(`${left.length} left out for rows ${rows.join(", ")}`);
  }
  if (passed === 0) parts.push("no test ran");
  // A runtime without a single test is a failure too.
  const failed = failures.length + (passed === 0 ? 1 : 0);
  return {
    ok: failed === 0,
    passed,
    failed,
    skipped: count(({ event }) => event === "skipped"),
    text: parts.join(", "),
  };
}

/** @param {Report[]} reports */
function reasons(reports) {
  const skipped = reports.filter(({ event, row }) => event === "skipped" && row === undefined);
  return [...new Set(skipped.map(({ reason }) => reason))].join("; ");
}

/** Everything that went wrong in one file. @param {FileResult} result @returns {string[]} */
function troubles({ file, reports, trouble }) {
  const name = relative(specFolder, file);
  const failed = reports.filter(({ event }) => event === "failed");
  const finished = reports.filter(({ event }) => event !== "declared").length;
  const declared = reports.length - finished;
  const found = failed.map(({ title, error }) => `${name}: ${title}\n${indent(error ?? "")}`);
  if (declared === 0) found.push(`${name}: declared no test\n${indent(trouble ?? "")}`);
  else if (finished < declared) {
    found.push(
      `${name}: ${declared - finished} of ${declared} tests gave no result\n${indent(trouble ?? "")}`,
    );
  } else if (trouble && failed.length === 0) found.push(`${name}: ${indent(trouble)}`);
  return found;
}

/** @param {string} text */
function indent(text) {
  return text
    .split("\n")
    .slice(0, OUTPUT_LINES)
    .map((line) => `    ${line}`)
    .join("\n");
}
