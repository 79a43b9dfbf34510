// @ts-check
// `npm test`: builds the addon and runs every suite.
//   npm test                     all of them
//   npm test -- unit contract    some
//   npm test -- --list           their names
//   npm test -- --verbose        with their output
import { existsSync } from "node:fs";
import { main } from "./runner.mjs";
import { answers, filesBelow, inRoot, installTools, requireNode, TEST_ENV } from "./support.mjs";

requireNode();
if (!process.argv.includes("--list")) await installTools("\n0 passed, 1 failed, 0 skipped");

const cargo = ["cargo", "test", ...(process.env.CI ? ["--locked"] : [])];

/** @type {import("./runner.mjs").Suite[]} */
const suites = [
  {
    name: "build",
    what: "what is missing or older than its sources",
    command: ["node", "scripts/build.mjs", "--if-stale"],
    seconds: 1200,
    required: true,
    single: true,
  },
  {
    name: "rust",
    what: "unit tests, with Node-API",
    // The tests over sockets need the host's functions to link: they are the next suite's.
    command: [...cargo, "--lib"],
    seconds: 1200,
  },
  {
    name: "loom",
    what: "the hand-over between threads, every interleaving",
    command: [
      ...[...cargo, "--release", "--manifest-path", "tests/model/Cargo.toml"],
      // mailbox.rs brings its unit tests along, which run without loom elsewhere.
      ...["--target-dir", "target/model", "--", "--skip", "mailbox::"],
    ],
    seconds: 900,
    waits: true,
  },
  {
    name: "unit",
    what: "JavaScript modules",
    ...nodeTests("__test__", { test: (file) => !/[\\/]/.test(file.slice("__test__/".length)) }),
    seconds: 180,
  },
  {
    name: "contract",
    what: "Bun's behaviour, on every installed runtime and on Bun",
    ...script("scripts/contract.mjs"),
    seconds: 1200,
  },
  {
    name: "openssl",
    what: "TLS, judged by openssl s_client",
    ...nodeTests("__test__/openssl"),
    seconds: 180,
    waits: true,
    missing: () => (answers("openssl", ["version"]) ? undefined : "openssl is not installed"),
  },
  {
    name: "oracle",
    what: "the probe's answers against Bun's",
    ...script("scripts/oracle.mjs", "--slow", "--deno"),
    seconds: 900,
    waits: true,
  },
  {
    name: "rust-core",
    what: "cargo test without Node-API",
    command: [...cargo, "--no-default-features"],
    seconds: 1200,
  },
  {
    name: "load",
    what: "the benchmark's load generator",
    command: [...cargo, "--manifest-path", "benchmark/load/Cargo.toml"],
    seconds: 600,
  },
  { name: "autobahn", what: "RFC 6455 cases", ...script("scripts/autobahn.mjs"), seconds: 600 },
  {
    name: "teardown",
    what: "exits and terminated workers",
    ...nodeTests("__test__/teardown", { parallel: 3 }),
    seconds: 900,
  },
  {
    name: "examples",
    what: "every example runs",
    ...nodeTests("__test__/examples"),
    seconds: 300,
    waits: true,
  },
  {
    name: "browser",
    what: "the chat page and compression in Chromium",
    ...nodeTests("__test__/browser"),
    seconds: 180,
    waits: true,
  },
  {
    name: "leaks",
    what: "memory after much use",
    ...nodeTests("__test__/leaks", { parallel: 2 }),
    seconds: 600,
  },
  {
    name: "benchmark",
    what: "the load runs start and measure something",
    ...script("benchmark/run.mjs", "--smoke"),
    seconds: 600,
    single: true,
  },
];

await main(suites);

/**
 * A suite of node:test files below a folder; not run when there are none.
 *
 * @param {string} folder
 * @param {{ test?: (file: string) => boolean, parallel?: number }} [options]   `parallel`: files at the same time
 */
function nodeTests(folder, { test = () => true, parallel = 1 } = {}) {
  const files = () => filesBelow(folder, (file) => /\.(test|spec)\.m?js$/.test(file) && test(file));
  return {
    // The files are named one by one: what a folder means to `node --test` depends on Node's version.
    command: () => ["node", "--test", `--test-concurrency=${parallel}`, "--test-reporter=spec", ...files()],
    env: TEST_ENV,
    missing: () => (files().length ? undefined : `no test file in ${folder}`),
  };
}

/** A suite that is a script of its own. @param {string} file @param {...string} args */
function script(file, ...args) {
  return {
    command: ["node", file, ...args],
    missing: () => (existsSync(inRoot(file)) ? undefined : `${file} is not there`),
  };
}
