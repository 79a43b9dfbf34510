// @ts-check
// `npm run lint`: formatters, linters and type checks, each one counted as a test. Options as for test.mjs.
import { existsSync } from "node:fs";
import { main } from "./runner.mjs";
import { inRoot, requireNode } from "./support.mjs";

requireNode();

const locked = process.env.CI ? ["--locked"] : [];
const bin = (/** @type {string} */ name) => ["node", inRoot("node_modules", ...name.split("/"))];
const tools = () =>
  existsSync(inRoot("node_modules", "typescript")) ? undefined : "node_modules is missing: run `npm ci`";
const clippy = (/** @type {string[]} */ ...flags) => [
  ...["cargo", "clippy", "--all-targets", ...locked, ...flags],
  ...["--", "-D", "warnings"],
];
const manifest = (/** @type {string} */ crate) => ["--manifest-path", `${crate}/Cargo.toml`];

await main(
  /** @type {import("./runner.mjs").Suite[]} */ ([
    {
      name: "rustfmt",
      what: "cargo fmt --check",
      command: [".", "benchmark/load", "tests/model", "fuzz"].map((crate) => [
        "cargo",
        "fmt",
        "--check",
        ...manifest(crate),
      ]),
      seconds: 60,
    },
    { name: "clippy", what: "cargo clippy", command: clippy(), seconds: 900 },
    {
      name: "clippy-core",
      what: "cargo clippy without Node-API",
      command: clippy("--no-default-features"),
      seconds: 900,
    },
    {
      name: "clippy-tools",
      what: "cargo clippy of the load generator and the loom model",
      command: [
        clippy(...manifest("benchmark/load")),
        clippy(...manifest("tests/model"), "--target-dir", "target/model"),
      ],
      seconds: 900,
    },
    {
      name: "rustdoc",
      what: "cargo doc with warnings denied",
      command: ["cargo", "doc", "--no-deps", "--document-private-items", ...locked],
      env: { RUSTDOCFLAGS: "-D warnings" },
      seconds: 600,
    },
    {
      name: "biome",
      what: "format and lint of JavaScript",
      command: [...bin("@biomejs/biome/bin/biome"), "ci", "--error-on-warnings", "--colors=off"],
      seconds: 120,
      missing: tools,
    },
    {
      name: "types",
      what: "tsc over the JavaScript and the examples",
      command: [
        [...bin("typescript/bin/tsc"), "-p", "tsconfig.json"],
        [...bin("typescript/bin/tsc"), "-p", "examples"],
      ],
      seconds: 300,
      missing: () =>
        tools() ?? (existsSync(inRoot("dist")) ? undefined : "dist/ is missing: run `npm run build`"),
    },
    {
      name: "type-tests",
      what: "type tests, and the code in the documents",
      command: [
        ["node", "__test__/types/extract-examples.mjs"],
        [...bin("typescript/bin/tsc"), "-p", "__test__/types"],
      ],
      seconds: 300,
      missing: tools,
    },
    {
      name: "generated",
      what: "binding.js, binding.d.ts and npm/ are up to date",
      command: ["node", "scripts/write-binding.mjs", "--check"],
      seconds: 60,
    },
    {
      name: "licences",
      what: "licences of the crates in the binary",
      command: ["node", "scripts/licences.mjs"],
      seconds: 120,
    },
  ]).map((suite) => ({ ...suite, single: true })),
);
