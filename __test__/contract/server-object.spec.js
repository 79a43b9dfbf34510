// @ts-check
// The Server object and its life without TLS (semantics 1 and 13).

import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argumentTypeError, missingArgument, plainError } from "../support/errors.js";
import { RawClient } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { gate, within } from "../support/wait.js";

const fetch = () => new Response("ok");
let sockets = 0;
const socketPath = () => join(tmpdir(), `ferrows-contract-${process.pid}-${++sockets}.sock`);

test("has every member that Bun's has", (t) => {
  const server = t.serve({ fetch });
  const methods = [
    "closeIdleConnections",
    "fetch",
    "publish",
    "ref",
    "reload",
    "requestIP",
    "stop",
    "subscriberCount",
  ];
  for (const name of [...methods, "timeout", "unref", "upgrade"])
    assert.equal(typeof server[name], "function", name);
  const values = [
    "address",
    "development",
    "hostname",
    "id",
    "pendingRequests",
    "pendingWebSockets",
    "port",
    "protocol",
  ];
  for (const name of [...values, "url"]) assert.ok(name in server, name);
  if (Symbol.dispose) assert.equal(typeof server[Symbol.dispose], "function");
  if (Symbol.asyncDispose) assert.equal(server[Symbol.asyncDispose], undefined);
});

test("is called HTTPServer, with Debug in front in development", (t) => {
  assert.equal(Object.prototype.toString.call(t.serve({ fetch })), "[object HTTPServer]");
  const debug = t.serve({ fetch, development: true });
  assert.equal(Object.prototype.toString.call(debug), "[object DebugHTTPServer]");
});

test("throws ERR_INVALID_THIS when a method is taken off the server", (t) => {
  const server = t.serve({ fetch });
  for (const name of ["upgrade", "requestIP", "publish", "subscriberCount", "reload", "stop", "timeout"]) {
    const method = server[name];
    assert.throws(() => method(), {
      name: "TypeError",
      code: "ERR_INVALID_THIS",
      message: "Expected this to be instanceof HTTPServer",
    });
  }
});

test("has bound its port when serve() returns", async (t) => {
  const server = t.serve({ fetch });
  assert.ok(Number.isInteger(server.port) && server.port > 0);
  assert.deepEqual({ ...server.address }, { address: "127.0.0.1", family: "IPv4", port: server.port });
  assert.equal(server.hostname, "127.0.0.1");
  assert.equal(server.protocol, "http");
  assert.equal(server.id, "");
  assert.equal((await t.request(server, "GET / HTTP/1.1")).text(), "ok");
});

test("has its url as one URL object", (t) => {
  const server = t.serve({ fetch });
  assert.ok(server.url instanceof URL);
  assert.equal(server.url.href, `http://127.0.0.1:${server.port}/`);
  assert.equal(server.url, server.url);
});

test("keeps hostname, url and id after stop()", async (t) => {
  const server = t.serve({ fetch, id: "mine" });
  const facts = () => [server.hostname, server.url.href, server.id];
  const before = facts();
  await server.stop(true);
  assert.deepEqual(facts(), before);
});

test("reports development as it was given", (t) => {
  assert.equal(t.serve({ fetch }).development, false);
  assert.equal(t.serve({ fetch, development: true }).development, true);
});

test("listens on both families by default and calls itself localhost", async (t) => {
  for (const hostname of [undefined, ""]) {
    const server = t.serve({ fetch, hostname });
    assert.equal(server.hostname, "localhost");
    assert.equal(server.address.address, "::");
    assert.equal(server.address.family, "IPv6");
    for (const host of ["127.0.0.1", "::1"]) {
      const client = await t.tcp(server, { host });
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      assert.equal((await client.response())?.text(), "ok");
    }
  }
});

test("binds a hostname of IPv6 and writes it in brackets in the url", async (t) => {
  const server = t.serve({ fetch, hostname: "::1" });
  assert.equal(server.url.href, `http://[::1]:${server.port}/`);
  assert.equal(server.address.family, "IPv6");
  const client = await t.tcp(server, { host: "::1" });
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal((await client.response())?.text(), "ok");
});

test("throws EADDRINUSE at once for a taken port", async (t) => {
  const { port } = t.serve({ fetch });
  const error = await captured(() => t.serve({ fetch, port, reusePort: false }));
  assert.equal(error.name, "Error");
  assert.equal(error.message, `Failed to start server. Is port ${port} in use?`);
  assert.equal(error.code, "EADDRINUSE");
  assert.equal(error.syscall, "listen");
  assert.ok(t.expected(11, { bun: error.errno === 0, ours: error.errno < 0 }), String(error.errno));
  assert.deepEqual(Object.keys(error).sort(), ["code", "errno", "syscall"]);
});

test("shares a port only with reusePort: true", async (t) => {
  const { port } = t.serve({ fetch, reusePort: true });
  assert.equal(t.serve({ fetch, port, reusePort: true }).port, port);
});

test("throws for an address that is not of this machine", async (t) => {
  const error = await captured(() => t.serve({ fetch, hostname: "192.0.2.1" }));
  assert.equal(error.code, "EADDRNOTAVAIL");
  assert.equal(error.syscall, "listen");
  assert.equal(error.message, "EADDRNOTAVAIL: address not available, listen");
});

test("throws for a name that does not resolve", { differs: 11 }, async (t) => {
  const error = await captured(() => t.serve({ fetch, hostname: "does-not-exist.invalid" }));
  assert.equal(error.code, "ENOTFOUND");
});

test("listens on a unix socket", { skip: process.platform === "win32" && "no unix sockets" }, async (t) => {
  const path = socketPath();
  const seen = t.recorder();
  const server = t.serve({
    unix: path,
    port: undefined,
    hostname: undefined,
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      seen.add([request.url, self.requestIP(request)]);
      return self.upgrade(request) ? undefined : new Response("over unix");
    },
    websocket: { open: (/** @type {any} */ ws) => seen.add(ws.remoteAddress), message() {} },
  });
  assert.deepEqual([server.port, server.hostname, server.address], [undefined, undefined, path]);
  assert.equal(server.url.href, `unix://${path}`);
  assert.equal((statSync(path).mode & 0o777).toString(8), "755");
  const client = await t.tcp(path);
  client.write("GET /x?y HTTP/1.1\r\nHost: localhost\r\n\r\n");
  assert.equal((await client.response())?.text(), "over unix");
  await t.connect(path);
  assert.deepEqual(seen.entries, [["http://localhost/x?y", null], ["http://localhost/", null], undefined]);
  const error = await captured(() => t.serve({ fetch, unix: path, port: undefined, hostname: undefined }));
  assert.equal(error.code, "EADDRINUSE");
  await server.stop(true);
  assert.equal(existsSync(path), false);
});

test("throws ENOENT for a unix path in a directory that does not exist", async (t) => {
  const path = "/does/not/exist/ferrows.sock";
  const error = await captured(() => t.serve({ fetch, unix: path, port: undefined, hostname: undefined }));
  assert.equal(error.code, "ENOENT");
  assert.equal(error.message, `ENOENT: no such file or directory, listen '${path}'`);
});

test("requestIP answers during the request, also after an await, and null afterwards", async (t) => {
  const seen = t.recorder();
  /** @type {any} */
  let kept;
  const server = t.serve({
    async fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      kept = request;
      seen.add({ ...self.requestIP(request) });
      await Promise.resolve();
      seen.add({ ...self.requestIP(request) });
      return new Response("ok");
    },
  });
  const { client } = await t.request(server, "GET / HTTP/1.1");
  const [first, second] = seen.entries;
  assert.equal(first.address, "127.0.0.1");
  assert.equal(first.family, "IPv4");
  assert.ok(Number.isInteger(first.port) && first.port !== server.port);
  assert.deepEqual(second, first);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const old = kept;
  await client.response();
  assert.equal(server.requestIP(old), null);
});

test("requestIP checks its argument", (t) => {
  const server = t.serve({ fetch });
  assert.throws(() => server.requestIP(), { name: "TypeError", message: "Missing Request object" });
  assert.throws(() => server.requestIP({}), { name: "TypeError", message: "Expected Request object" });
  assert.equal(server.requestIP(new Request("http://localhost/")), null);
});

test("timeout checks its arguments", async (t) => {
  const errors = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      for (const args of [
        [request, "5"],
        [{}, 5],
      ]) {
        try {
          self.timeout(...args);
        } catch (error) {
          errors.add([/** @type {any} */ (error).name, /** @type {any} */ (error).message]);
        }
      }
      for (const seconds of [0, -1, 100_000]) self.timeout(request, seconds);
      return new Response("ok");
    },
  });
  assert.equal((await t.request(server, "GET / HTTP/1.1")).status, 200);
  assert.deepEqual(errors.entries, [
    ["Error", "timeout() requires a number"],
    ["TypeError", "timeout() requires a Request object"],
  ]);
  assert.throws(() => server.timeout(), { code: "ERR_MISSING_ARGS" });
});

test("pendingRequests counts requests whose response is not finished", async (t) => {
  const release = gate();
  const begun = t.recorder();
  const server = t.serve({
    async fetch() {
      begun.add("begun");
      await release.passed;
      return new Response("ok");
    },
  });
  assert.equal(server.pendingRequests, 0);
  const clients = await Promise.all([t.tcp(server), t.tcp(server)]);
  for (const client of clients) client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await begun.atLeast(2);
  assert.equal(server.pendingRequests, 2);
  release.open();
  for (const client of clients) await client.response();
  const last = await t.request(server, "GET / HTTP/1.1");
  assert.equal(last.status, 200);
  assert.ok(server.pendingRequests <= 1);
});

test("fetch() runs the handler without the network", async (t) => {
  const server = t.serve({
    fetch: (/** @type {Request} */ request) =>
      new Response(`${request.method} ${new URL(request.url).pathname}`),
  });
  const post = new Request(new URL("/a", server.url), { method: "POST", body: "x" });
  assert.equal(await (await server.fetch(post)).text(), "POST /a");
  assert.equal(await (await server.fetch("/b")).text(), "GET /b");
  assert.equal(await (await server.fetch(`${server.url}c`)).text(), "GET /c");
  assert.ok(server.fetch("/d") instanceof Promise);
  await assert.rejects(server.fetch(), plainError("fetch() expects a string but received no arguments."));
});

/** A `fetch()` that fails, and whose promise nobody looks at. @param {import("../support/harness.js").ChildTools} tools */
const neglect = ({ serve, emit, wait, input }) => {
  if (input.listens) {
    process.on("unhandledRejection", async (error) => {
      emit(/** @type {any} */ (error).message);
      // A second one would have come by then.
      await wait.turn();
      await wait.turn();
      process.exit();
    });
  }
  const server = serve({
    fetch() {
      throw new Error("thrown");
    },
  });
  const bare = serve({ routes: { "/": () => new Response() } });
  const calls = {
    "no argument": () => server.fetch(),
    "a wrong argument": () => server.fetch({}),
    "no handler": () => bare.fetch("/"),
    "a handler that throws": () => server.fetch("/"),
  };
  calls[/** @type {keyof typeof calls} */ (input.name)]();
};

for (const [name, message] of [
  ["no argument", "fetch() expects a string but received no arguments."],
  ["a wrong argument", "fetch() expects a string, but received Object"],
  ["no handler", "fetch() requires the server to have a fetch handler"],
  ["a handler that throws", "thrown"],
]) {
  test(`fetch(), ${name}: the rejection is the caller's, and unhandled when he does not look`, async (t) => {
    const heard = await t.child(neglect, { input: { name, listens: true } });
    assert.deepEqual([heard.emitted, heard.code], [[message], 0]);
    const ended = await t.child(neglect, { input: { name, listens: false } });
    assert.equal(ended.code, 1);
    assert.ok(ended.stderr.includes(message), ended.stderr);
  });
}

test("ref() and unref() return the server", (t) => {
  const server = t.serve({ fetch });
  assert.equal(server.unref(), server);
  assert.equal(server.ref(), server);
});

test("closeIdleConnections() closes idle keep-alive connections and counts them", async (t) => {
  const release = gate();
  const begun = gate();
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      if (request.url.endsWith("/slow")) {
        begun.open();
        await release.passed;
      }
      return new Response("ok");
    },
  });
  const idle = (await t.request(server, "GET / HTTP/1.1")).client;
  const busy = await t.tcp(server);
  busy.write("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  await within(begun.passed, "the slow request");
  assert.equal(server.closeIdleConnections(), 1);
  await idle.finished();
  release.open();
  assert.equal((await busy.response())?.text(), "ok");
});

test("dispose stops the server", { skip: !Symbol.dispose && "no Symbol.dispose" }, async (t) => {
  const server = t.serve({ fetch });
  server[Symbol.dispose]();
  await assert.rejects(RawClient.open(server));
});

test("reload checks its argument", (t) => {
  const server = t.serve({ fetch });
  assert.throws(
    () => server.reload(),
    missingArgument("Not enough arguments to 'reload'. Expected 1, got 0."),
  );
  assert.throws(() => server.reload(5), argumentTypeError("Bun.serve expects an object"));
});

/** What the call throws. @param {() => unknown} call @returns {Promise<any>} */
async function captured(call) {
  try {
    call();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}
