// @ts-check
// Ordinary HTTP clients: the runtime's own fetch (undici in Node) and curl.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { Response } from "../support/subject.js";
import { test } from "../support/test.js";
import { gate, turn, within } from "../support/wait.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

const hasCurl = spawnSync("curl", ["--version"]).status === 0;
const curlOnly = { skip: !hasCurl && "no curl here" };

/** @param {Fixture} t */
const application = (t) =>
  t.serve({
    /** @param {Request} request */
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      switch (pathname) {
        case "/echo":
          return new Response(request.body, { headers: { "X-Method": request.method } });
        case "/text":
          return new Response(`${request.method} ${search} ${await request.text()}`);
        case "/form":
          return Response.json([...(await request.formData())].map(([name, value]) => [name, String(value)]));
        case "/cookies": {
          const response = new Response("x");
          response.headers.append("Set-Cookie", "a=1; Path=/");
          response.headers.append("Set-Cookie", "b=2");
          return response;
        }
        case "/redirect":
          return Response.redirect(new URL("/text?to", request.url), 307);
        case "/empty":
          return new Response(null, { status: 204 });
        case "/blob":
          return new Response(new Blob(["x".repeat(300_000)]));
        default:
          return new Response("not found", { status: 404 });
      }
    },
  });

test("serves the runtime's fetch: texts, redirects, forms, cookies, statuses", async (t) => {
  const server = application(t);
  const at = (/** @type {string} */ path) => new URL(path, server.url);
  const text = await fetch(at("/text?q=%C3%A9"), { method: "POST", body: "h\u00e9" });
  assert.equal(await text.text(), "POST ?q=%C3%A9 h\u00e9");
  const redirected = await fetch(at("/redirect"), { method: "POST", body: "again" });
  assert.deepEqual([redirected.redirected, await redirected.text()], [true, "POST ?to again"]);
  const form = new FormData();
  form.append("a", "1");
  form.append("b", "\u00e9");
  assert.deepEqual(await (await fetch(at("/form"), { method: "POST", body: form })).json(), [
    ["a", "1"],
    ["b", "\u00e9"],
  ]);
  assert.deepEqual((await fetch(at("/cookies"))).headers.getSetCookie(), ["a=1; Path=/", "b=2"]);
  assert.deepEqual([(await fetch(at("/empty"))).status, (await fetch(at("/none"))).status], [204, 404]);
  const head = await fetch(at("/blob"), { method: "HEAD" });
  assert.deepEqual([head.headers.get("content-length"), await head.text()], ["300000", ""]);
  assert.equal((await (await fetch(at("/blob"))).text()).length, 300_000);
});

test("echoes a megabyte through streams in both directions", async (t) => {
  const server = application(t);
  const body = new Uint8Array(1024 * 1024).map((_, i) => (i * 31) & 0xff);
  const response = await fetch(new URL("/echo", server.url), { method: "PUT", body });
  assert.equal(response.headers.get("x-method"), "PUT");
  assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body);
});

test("many requests at once over fetch's own connections", async (t) => {
  const server = application(t);
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const response = await fetch(new URL(`/text?${i}`, server.url), { method: "POST", body: `body ${i}` });
      return response.text();
    }),
  );
  for (const [i, answer] of answers.entries()) assert.equal(answer, `POST ?${i} body ${i}`);
});

test("a fetch that is given up aborts the handler's signal and cancels its stream", async (t) => {
  const aborted = gate();
  const cancelled = gate();
  const server = t.serve({
    fetch(/** @type {Request} */ request) {
      request.signal.addEventListener("abort", () => aborted.open());
      const stream = new ReadableStream({
        async pull(controller) {
          await turn();
          controller.enqueue(new TextEncoder().encode("data: x\n\n"));
        },
        cancel: () => cancelled.open(),
      });
      return new Response(stream, { headers: { "Content-Type": "text/event-stream" } });
    },
  });
  const controller = new AbortController();
  const response = await fetch(server.url, { signal: controller.signal });
  await response.body?.getReader().read();
  controller.abort();
  await within(aborted.passed, "the signal");
  await within(cancelled.passed, "the stream's cancel");
});

test("serves curl", curlOnly, async (t) => {
  const server = application(t);
  const at = (/** @type {string} */ path) => `http://127.0.0.1:${server.port}${path}`;
  assert.equal(await curl(t, ["-X", "POST", "--data-binary", "body", at("/text?a")]), "POST ?a body");
  // Waits for "100 Continue" before it sends that much.
  const large = "z".repeat(2_000_000);
  const echoed = await curl(t, ["-H", "Expect: 100-continue", "--data-binary", "@-", at("/echo")], large);
  assert.ok(echoed === large);
  assert.equal(
    await curl(t, ["-H", "Transfer-Encoding: chunked", "-T", "-", at("/text")], "chunked"),
    "PUT  chunked",
  );
  assert.equal(await curl(t, ["-F", "a=1", "-F", "b=two", at("/form")]), '[["a","1"],["b","two"]]');
  assert.equal(await curl(t, ["-L", at("/redirect")]), "GET ?to ");
  assert.equal(await curl(t, ["--http1.0", at("/text")]), "GET  ");
  const head = await curl(t, ["-I", at("/blob")]);
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, /content-length: 300000\r\n/i);
  const cookies = await curl(t, ["-i", at("/cookies")]);
  assert.deepEqual(
    cookies.match(/^set-cookie: .*$/gim)?.map((line) => line.slice(12).trim()),
    ["a=1; Path=/", "b=2"],
  );
  // Two requests on one connection.
  assert.equal(await curl(t, [at("/text?1"), at("/text?2")]), "GET ?1 GET ?2 ");
});

/** @param {Fixture} t @param {string[]} args @param {string} [input] @returns {Promise<string>} */
async function curl(t, args, input) {
  const child = spawn("curl", ["-s", "--max-time", "8", ...args], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  child.stdout.setEncoding("latin1").on("data", (data) => {
    output += data;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input ?? "");
  const ended = new Promise((resolve) => child.on("close", resolve));
  assert.equal(await within(ended, "curl"), 0);
  return output;
}
