// @ts-check
// The runtimes to end: the Node that runs the suite and those installed in __test__/runtimes.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Runtime
 * @property {string} name
 * @property {boolean} isDeno
 * @property {string | undefined} binary   undefined when it is not installed
 * @property {string[]} args   in front of the script
 */

const modules = fileURLToPath(new URL("../runtimes/node_modules", import.meta.url));

/** What `--version` says, or undefined where nothing runs. @param {string} path */
function version(path) {
  if (!existsSync(path)) return undefined;
  const { status, stdout } = spawnSync(path, ["--version"], { encoding: "utf8", timeout: 20_000 });
  return status === 0 ? stdout.trim() : undefined;
}

/** Deno's executables, one a platform package. */
function denoPaths() {
  const scope = join(modules, "@deno");
  const packages = existsSync(scope) ? readdirSync(scope).sort() : [];
  return packages.flatMap((name) => [join(scope, name, "deno"), join(scope, name, "deno.exe")]);
}

/** All of them, also those that are not there. @returns {Runtime[]} */
export function findRuntimes() {
  const names = ["node20", "node22", "node24", "node26"];
  const nodes = names.map((name) => {
    const path = join(modules, name, "bin", process.platform === "win32" ? "node.exe" : "node");
    return { name, isDeno: false, path, version: version(path), args: [] };
  });
  // The very same version a second time would show nothing new.
  const isListed = nodes.some((node) => node.version === process.version);
  const current = {
    name: "current",
    isDeno: false,
    path: process.execPath,
    version: process.version,
    args: [],
  };
  const path = denoPaths().find(version);
  const args = ["run", "-A", "--quiet", "--no-lock", "--no-check"];
  const deno = { name: "deno", isDeno: true, path, version: path, args };
  return [...(isListed ? [] : [current]), ...nodes, deno].map((found) => ({
    name: found.name,
    isDeno: found.isDeno,
    binary: found.version ? found.path : undefined,
    args: found.args,
  }));
}
