// @ts-check
// Checks that every crate which ends up in the binary has a licence that MIT software may ship.
import { spawnSync } from "node:child_process";
import { fail, root } from "./support.mjs";

const allowed = new Set([
  "MIT",
  "MIT-0",
  "Apache-2.0",
  "Apache-2.0 WITH LLVM-exception",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BSL-1.0",
  "CC0-1.0",
  "ISC",
  "Unicode-3.0",
  "Unlicense",
  "Zlib",
]);

const metadata = spawnSync("cargo", ["metadata", "--format-version", "1"], {
  cwd: root,
  encoding: "utf8",
  maxBuffer: 1 << 28,
});
if (metadata.status !== 0) fail(metadata.stderr);
/** @type {{ packages: { id: string, name: string, version: string, license: string | null }[], resolve: { root: string, nodes: { id: string, deps: { pkg: string, dep_kinds: { kind: string | null }[] }[] }[] } }} */
const { packages, resolve } = JSON.parse(metadata.stdout);

// Only what is linked: no dev-dependencies.
const shipped = new Set([resolve.root]);
for (const id of shipped) {
  for (const { pkg, dep_kinds } of resolve.nodes.find((node) => node.id === id)?.deps ?? []) {
    if (dep_kinds.some(({ kind }) => kind === null)) shipped.add(pkg);
  }
}

const bad = packages.filter(({ id, license }) => shipped.has(id) && !permits(license));
for (const { name, version, license } of bad)
  console.log(`${name} ${version}: ${license ?? "no licence named"}`);
if (bad.length) fail(`${bad.length} crates have a licence that scripts/licences.mjs does not allow.`);
console.log(`${shipped.size} crates, all with an allowed licence.`);

/**
 * Whether an SPDX expression can be met with allowed licences.
 *
 * @param {string | null} expression
 * @returns {boolean}
 */
function permits(expression) {
  if (!expression) return false;
  // Crates from before SPDX expressions write "MIT/Apache-2.0" for OR.
  const tokens = expression.replaceAll("/", " OR ").match(/\(|\)|[^\s()]+/g) ?? [];
  let at = 0;
  const either = () => {
    let good = both();
    while (tokens[at] === "OR") {
      at++;
      good = both() || good;
    }
    return good;
  };
  const both = () => {
    let good = one();
    while (tokens[at] === "AND") {
      at++;
      good = one() && good;
    }
    return good;
  };
  /** @returns {boolean} */
  const one = () => {
    if (tokens[at] === "(") {
      at++;
      const good = either();
      at++;
      return good;
    }
    let name = tokens[at++];
    if (tokens[at] === "WITH") {
      name += ` WITH ${tokens[at + 1]}`;
      at += 2;
    }
    return allowed.has(name);
  };
  return either();
}
