// @ts-check
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { callbacks, functions } from "../scripts/binding-interface.mjs";
import { platforms } from "../scripts/platforms.mjs";

const loader = fileURLToPath(new URL("../binding.js", import.meta.url));

describe("the loader", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "ferrows-"));
  after(() => rmSync(folder, { recursive: true, force: true }));
  copyFileSync(loader, path.join(folder, "binding.mjs"));

  /**
   * Imports a copy of the loader, with no binary beside it, in a process of its own.
   *
   * @param {string} [before] code that runs first
   */
  function load(before = "") {
    const url = JSON.stringify(pathToFileURL(path.join(folder, "binding.mjs")).href);
    const code = `${before}
      import(${url}).then(
        () => console.log(JSON.stringify({})),
        ({ name, code, message }) => console.log(JSON.stringify({ name, code, message })));`;
    const child = spawnSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" });
    return JSON.parse(child.stdout);
  }

  it("names the platforms there are where there is none", () => {
    const { name, code, message } = load(`Object.defineProperty(process, "arch", { value: "mips" });`);
    assert.equal(name, "Error");
    assert.equal(code, "ERR_FERROWS_PLATFORM");
    assert.match(message, /no binary for \w+-mips; .*linux-x64.*darwin-arm64/);
  });

  it("names the places it looked at and the remedy", () => {
    const { code, message } = load();
    assert.equal(code, "ERR_FERROWS_BINARY");
    assert.match(message, /looked for \.\/ferrows\.\S+\.node, @ferrows\/\S+/);
    assert.match(message, /--omit=optional.*npm run build/);
  });

  it("says why a binary does not load", () => {
    const files = platforms.map(({ name }) => path.join(folder, `ferrows.${name}.node`));
    for (const file of files) writeFileSync(file, "not a binary");
    const { code, message } = load();
    for (const file of files) rmSync(file);
    assert.equal(code, "ERR_FERROWS_BINARY");
    assert.match(message, /could not load its binary \.\/ferrows\.\S+\.node on \S+: .+\. Install/);
  });

  it("reads no environment variable, which would need a permission in Deno", () => {
    assert.doesNotMatch(readFileSync(loader, "utf8"), /\benv\b/);
  });
});

it("the addon offers exactly the functions that binding.d.ts lists", async () => {
  const { native } = await import("../binding.js");
  const names = callbacks.map(({ name }) => name);
  const offered = native.attach(
    /** @type {any} */ (Object.fromEntries(names.map((name) => [name, () => undefined]))),
    { deno: false },
  );
  assert.deepEqual(Object.keys(offered).sort(), functions.map(({ name }) => name).sort());
});
