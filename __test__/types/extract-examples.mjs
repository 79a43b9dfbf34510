// Writes every code example of the API reference and the documents to .cache/types/, where
// `tsc -p __test__/types` compiles it. Run it first: `node __test__/types/extract-examples.mjs`.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

const root = new URL("../../", import.meta.url);
const target = new URL(".cache/types/", root);

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
let count = 0;
for (const file of sources()) {
  const text = readFileSync(new URL(file, root), "utf8");
  for (const { line, language, code } of examples(text)) {
    const name = `${basename(file).replaceAll(".", "-")}-${line}.${language}`;
    // an example that imports nothing is a module too: its names must not meet those of another
    writeFileSync(new URL(name, target), `// ${file}, line ${line}\n${code}\nexport {};\n`);
    count++;
  }
}
if (count === 0) throw new Error("no example found");
console.log(`${count} examples written to ${fileURLToPath(target)}`);

/** Files that show TypeScript or JavaScript code of a server. */
function sources() {
  const docs = readdirSync(new URL("docs/", root)).filter((name) => name.endsWith(".md"));
  return ["index.d.ts", "README.md", ...docs.map((name) => `docs/${name}`)];
}

/**
 * The fenced `ts` and `js` blocks of a Markdown text, also inside comments whose lines begin with an asterisk.
 * @param {string} text
 */
function* examples(text) {
  const lines = text.split("\n").map((line) => line.replace(/^\s*\* ?/, ""));
  for (let start = 0; start < lines.length; start++) {
    const language = /^```(ts|js)$/.exec(lines[start] ?? "")?.[1];
    if (language === undefined) continue;
    const end = lines.indexOf("```", start + 1);
    if (end < 0) throw new Error(`line ${start + 1}: the code block does not end`);
    yield { line: start + 1, language, code: lines.slice(start + 1, end).join("\n") };
    start = end;
  }
}
