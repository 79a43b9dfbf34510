// @ts-check
// Builds the addon, the files that are generated around it, and the one file of the modules below js/.
//   node scripts/build.mjs [--if-stale] [--debug] [--target <rust target>]
// Needs cargo and Node; installs the rest.
import { spawnSync } from "node:child_process";
import { copyFileSync, renameSync } from "node:fs";
import { parseArgs } from "node:util";
import { buildBundle } from "./bundle.mjs";
import { platformOf } from "./platforms.mjs";
import { answers, fail, filesBelow, inRoot, isMain, modified, requireNode, root } from "./support.mjs";
import { writeGenerated } from "./write-binding.mjs";

/**
 * Builds `ferrows.<platform>.node` in the root of the repository.
 *
 * @param {{ ifStale?: boolean, debug?: boolean, target?: string }} [options]
 *   `ifStale`: only when the file is missing or older than a source
 * @returns {{ file: string, built: boolean }}
 */
export function buildAddon({ ifStale = false, debug = false, target } = {}) {
  if (!answers("cargo")) {
    fail(
      "cargo was not found. The addon is written in Rust: install a stable toolchain with rustup (https://rustup.rs), " +
        "open a new shell and try again.",
    );
  }
  const triple = target ?? hostTriple();
  const file = `ferrows.${platformOf(triple).name}.node`;
  if (ifStale && modified(inRoot(file)) > newestSource()) {
    return { file, built: false };
  }
  console.log(`Building ${file} (the first build takes some minutes).`);
  const args = ["build", "--lib", "--message-format=json-render-diagnostics"];
  if (!debug) args.push("--release");
  if (target) args.push("--target", target);
  const cargo = spawnSync("cargo", args, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (cargo.status !== 0) {
    fail("The build of the addon failed; cargo's messages are above.");
  }
  const library = libraryIn(cargo.stdout);
  if (!library) {
    fail("cargo built no dynamic library: does Cargo.toml still list the crate type cdylib?");
  }
  // A running process may have the old file mapped: writing into it would crash that process, so replace it whole.
  const fresh = inRoot(`.${file}.${process.pid}`);
  copyFileSync(library, fresh);
  renameSync(fresh, inRoot(file));
  return { file, built: true };
}

function hostTriple() {
  const rustc = spawnSync("rustc", ["-vV"], { encoding: "utf8" });
  const host = /^host: (.+)$/m.exec(rustc.stdout ?? "")?.[1];
  return host ?? fail("`rustc -vV` did not answer: install a stable Rust toolchain with rustup.");
}

function newestSource() {
  const sources = ["Cargo.toml", "Cargo.lock", "build.rs", ...filesBelow(".cargo"), ...filesBelow("src")];
  return Math.max(...sources.map((file) => modified(inRoot(file))));
}

/**
 * The dynamic library among the artifacts that cargo lists, one JSON object a line.
 *
 * @param {string} messages
 * @returns {string | undefined}
 */
function libraryIn(messages) {
  for (const line of messages.split("\n")) {
    if (!line.startsWith("{")) continue;
    const message = JSON.parse(line);
    if (message.reason !== "compiler-artifact" || message.target?.name !== "ferrows") continue;
    const library = message.filenames.find((/** @type {string} */ name) => /\.(so|dylib|dll)$/.test(name));
    if (library) return library;
  }
  return undefined;
}

/** @param {string} file @param {boolean} built */
function say(file, built) {
  console.log(built ? `Built ${file}.` : `${file} is up to date.`);
}

if (isMain(import.meta.url)) {
  requireNode();
  const { values } = parseArgs({
    options: {
      "if-stale": { type: "boolean", default: false },
      debug: { type: "boolean", default: false },
      target: { type: "string" },
    },
  });
  const { file, built } = buildAddon({
    ifStale: values["if-stale"],
    debug: values.debug,
    target: values.target,
  });
  say(file, built);
  const written = writeGenerated();
  if (written.length) console.log(`Wrote ${written.join(", ")}.`);
  const bundle = await buildBundle({ ifStale: values["if-stale"] });
  say(bundle.file, bundle.built);
}
