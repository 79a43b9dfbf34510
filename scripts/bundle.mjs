// @ts-check
// Makes one file of the modules below js/: loading thirty takes Node three times as long as loading one.
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fail, filesBelow, inRoot, installTools, modified } from "./support.mjs";

/** What `index.js` and `register.js` import, relative to the root. */
const BUNDLE = "dist/ferrows.js";
/** Beside it for the type check, which looks at the modules themselves. Not published. */
const TYPES = "dist/ferrows.d.ts";

/**
 * Writes the bundle. The code stays readable, as it is seen in stacks: nothing is renamed but what two modules call
 * alike, and comments stay.
 *
 * @param {{ ifStale?: boolean }} [options] `ifStale`: only when it is missing or older than a source
 * @returns {Promise<{ file: string, built: boolean }>}
 */
export async function buildBundle({ ifStale = false } = {}) {
  const sources = [...filesBelow("js"), "scripts/bundle.mjs", "package-lock.json"];
  const newest = Math.max(...sources.map((file) => modified(inRoot(file))));
  if (ifStale && modified(inRoot(BUNDLE)) > newest) return { file: BUNDLE, built: false };

  await installTools();
  const { rollup } = await import("rollup");
  const bundle = await rollup({
    input: inRoot("js", "index.js"),
    external: [/^node:/, inRoot("binding.js")],
    // A circle of imports, or one that is not there: each is a mistake.
    onwarn: ({ message }) => fail(`${BUNDLE}: ${message}`),
  });
  const { output } = await bundle.generate({
    format: "es",
    banner: "// Made of the modules below js/ by scripts/bundle.mjs; do not edit.",
    // Where it will be: its imports are relative to that.
    file: inRoot(BUNDLE),
  });
  await bundle.close();
  mkdirSync(path.dirname(inRoot(BUNDLE)), { recursive: true });
  writeFileSync(inRoot(TYPES), 'export * from "../js/index.js";\n');
  // Last and whole, for its time says that all of it is there.
  const fresh = inRoot(`${BUNDLE}.${process.pid}`);
  writeFileSync(fresh, output[0].code);
  renameSync(fresh, inRoot(BUNDLE));
  return { file: BUNDLE, built: true };
}
