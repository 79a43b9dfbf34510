// @ts-check
// The `routes` option: which route a request gets, and what its handler sees (semantics 16).

import assert from "node:assert/strict";
import { argumentTypeError, plainError } from "../support/errors.js";
import { RawClient } from "../support/raw-client.js";
import { isBun, runtime, Response as SubjectResponse } from "../support/subject.js";
import { test } from "../support/test.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

const handler = () => new Response("handler");
const fetch = () => new Response("fetch");

/** A handler that says its name and the parameters it was given. @param {string} name */
const named = (name) => (/** @type {any} */ request) => Response.json([name, request.params]);

/** What answers each of these targets. @param {any} server @param {string[]} targets @param {string} [method] */
async function answers(server, targets, method = "GET") {
  const client = await RawClient.open(server);
  /** @type {any[]} */
  const all = [];
  try {
    for (const target of targets) {
      client.write(`${method} ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`);
      const text = (await client.response())?.text() ?? "nothing";
      all.push(text.startsWith("[") ? JSON.parse(text) : text);
    }
  } finally {
    client.destroy();
  }
  return all;
}

// Which route ---------------------------------------------------------------------------------------------------------

test("prefers exact paths to parameters, and parameters to wildcards", async (t) => {
  const server = t.serve({
    routes: {
      "/*": named("all"),
      "/a/*": named("a*"),
      "/a/:id": named("a:id"),
      "/a/me": named("a/me"),
      "/p/:x/lit": named("x/lit"),
      "/p/:x/:y": named("xy"),
      "/v/:a/b": named("vab"),
      "/v/x/:c": named("vxc"),
    },
    fetch,
  });
  assert.deepEqual(
    await answers(server, [
      "/a/me",
      "/a/5",
      "/a/5/6",
      "/a/",
      "/a",
      "/",
      "/p/1/lit",
      "/p/1/2",
      "/v/x/b",
      "/v/y/b",
    ]),
    [
      ["a/me", {}],
      ["a:id", { id: "5" }],
      ["a*", {}],
      ["a*", {}],
      ["all", {}],
      ["all", {}],
      ["x/lit", { x: "1" }],
      ["xy", { x: "1", y: "2" }],
      ["vxc", { c: "b" }],
      ["vab", { a: "y" }],
    ],
  );
});

test("compares the path as it was sent", async (t) => {
  const server = t.serve({ routes: { "/a": handler, "/slash/": handler, "/d//e": handler }, fetch });
  assert.deepEqual(
    await answers(server, ["/a", "/a?q=/b", "/d//e", "/slash/"]),
    Array.from({ length: 4 }, () => "handler"),
  );
  const others = ["/A", "/%61", "/a/", "//a", "/./a", "/b/../a", "/slash", "/d/e", "/a;x", "/a#x"];
  assert.deepEqual(
    await answers(server, others),
    others.map(() => "fetch"),
  );
});

test("takes targets in absolute form by their path", async (t) => {
  const server = t.serve({ routes: { "/a": handler }, fetch });
  assert.deepEqual(
    await answers(server, ["http://other/a", "http://other/a?b", "http://other", "http://other?/a"]),
    ["handler", "handler", "fetch", "fetch"],
  );
});

test("matches a wildcard with its slash, and never an empty parameter", async (t) => {
  const server = t.serve({ routes: { "/w/*": named("w"), "/p/:id": named("p") }, fetch });
  assert.deepEqual(await answers(server, ["/w", "/w/", "/w/x/y", "/p/", "/p/x/y"]), [
    "fetch",
    ["w", {}],
    ["w", {}],
    "fetch",
    "fetch",
  ]);
});

test("leaves a path to fetch with false, also below a wildcard, and passes undefined over", async (t) => {
  const server = t.serve({
    routes: { "/off": false, "/u": undefined, "/:p": named("p"), "/w/off": false, "/w/*": named("w") },
    fetch,
  });
  assert.deepEqual(await answers(server, ["/off", "/u", "/w/off", "/w/on"]), [
    "fetch",
    ["p", { p: "u" }],
    "fetch",
    ["w", {}],
  ]);
});

test("answers 404 without a body where neither a route nor fetch is there", async (t) => {
  const response = await t.request(t.serve({ routes: { "/a": handler } }), "GET /b HTTP/1.1");
  assert.equal(response.status, 404);
  assert.equal(response.body.length, 0);
});

// Methods -------------------------------------------------------------------------------------------------------------

test("chooses by method; what a table lacks goes to a less exact route or to fetch", async (t) => {
  const server = t.serve({
    routes: {
      "/m": { GET: named("get"), POST: named("post") },
      "/x/lit": { GET: named("lit get") },
      "/x/:id": { POST: named("id post") },
      "/x/*": { PUT: named("all put") },
    },
    fetch,
  });
  /** @param {string} method @param {string} target */
  const one = async (method, target) => (await answers(server, [target], method))[0];
  assert.deepEqual(await one("GET", "/m"), ["get", {}]);
  assert.deepEqual(await one("POST", "/m"), ["post", {}]);
  for (const method of ["PUT", "DELETE", "OPTIONS", "PATCH"]) assert.equal(await one(method, "/m"), "fetch");
  assert.deepEqual(await one("GET", "/x/lit"), ["lit get", {}]);
  assert.deepEqual(await one("POST", "/x/lit"), ["id post", { id: "lit" }]);
  assert.deepEqual(await one("PUT", "/x/lit"), ["all put", {}]);
  assert.equal(await one("DELETE", "/x/lit"), "fetch");
});

test("answers HEAD with the GET handler unless there is one for HEAD", async (t) => {
  const server = t.serve({
    routes: {
      "/get": { GET: () => new Response("12345") },
      "/both": { GET: () => new Response("12345"), HEAD: () => new Response("1") },
      "/post": { POST: handler },
    },
    fetch: () => new Response("123"),
  });
  for (const [path, length] of [
    ["/get", "5"],
    ["/both", "1"],
    ["/post", "3"],
  ]) {
    const response = await t.request(server, `HEAD ${path} HTTP/1.1`);
    assert.equal(response.status, 200);
    assert.equal(response.header("content-length"), length, path);
    assert.equal(response.body.length, 0);
  }
});

test("calls a plain handler for every method", async (t) => {
  const server = t.serve({
    routes: { "/a": (/** @type {Request} */ request) => new Response(request.method) },
    fetch,
  });
  for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"]) {
    assert.deepEqual(await answers(server, ["/a"], method), [method]);
  }
});

test("passes over methods that cannot answer and names that are no methods", async (t) => {
  const server = t.serve({
    routes: { "/a": { GET: handler, POST: "x", DELETE: false, PUT: undefined, foo: 5 }, "/b": { GET: 5 } },
    fetch,
  });
  assert.deepEqual(await answers(server, ["/a", "/b"]), ["handler", "fetch"]);
  assert.deepEqual(await answers(server, ["/a"], "POST"), ["fetch"]);
  assert.deepEqual(await answers(server, ["/a"], "DELETE"), ["fetch"]);
});

// What a handler sees -------------------------------------------------------------------------------------------------

test("decodes parameters", async (t) => {
  const server = t.serve({ routes: { "/:v": named("v"), "/two/:a/:b": named("two") }, fetch });
  /** @type {[string, string][]} */
  const cases = [
    ["a%20b", "a b"],
    ["a%2Fb", "a/b"],
    ["a+b", "a+b"],
    ["%E2%82%AC", "\u20ac"],
    ["%F0%9F%98%80", "\u{1f600}"],
    ["\xc3\xa9", "\u00e9"],
    ["%25", "%"],
    ["a%00b", "a\0b"],
    ["%zz", "\ufffd"],
    ["%zzb", "\ufffdb"],
    ["%4g", "\ufffd"],
    ["%", "\ufffd"],
    ["a%4", "a\ufffd4"],
    ["%ff", "\ufffd"],
    ["%E2%82x", "\ufffdx"],
    ["x;y=1", "x;y=1"],
    ["x#y", "x#y"],
  ];
  assert.deepEqual(
    await answers(
      server,
      cases.map(([sent]) => `/${sent}`),
    ),
    cases.map(([, v]) => ["v", { v }]),
  );
  assert.deepEqual(await answers(server, ["/two/%41/b%2F?c"]), [["two", { a: "A", b: "b/" }]]);
});

test("takes parameters of any name", async (t) => {
  const server = t.serve({
    routes: { "/1/:__proto__": named("1"), "/2/:constructor/:$x/:_y": named("2"), "/3/:a-b": named("3") },
    fetch,
  });
  const [first, second, third] = await answers(server, ["/1/a", "/2/a/b/c", "/3/d"]);
  assert.deepEqual(Object.entries(first[1]), [["__proto__", "a"]]);
  assert.deepEqual(Object.entries(second[1]), [
    ["constructor", "a"],
    ["$x", "b"],
    ["_y", "c"],
  ]);
  assert.deepEqual(third[1], { "a-b": "d" });
});

test("gives params to handlers of routes only", async (t) => {
  /** @type {any[]} */
  const seen = [];
  const see = (/** @type {any} */ request) => {
    seen.push(typeof request.params, typeof request.cookies, request instanceof Request);
    return new Response("");
  };
  const server = t.serve({ routes: { "/a": see }, fetch: see });
  await answers(server, ["/a", "/b"]);
  assert.deepEqual(seen, ["object", "object", true, "undefined", "undefined", true]);
});

test("calls handlers with the server, and awaits them", async (t) => {
  const server = t.serve({
    routes: {
      async "/"(/** @type {Request} */ _request, /** @type {any} */ self) {
        await Promise.resolve();
        return new Response(String(self === server));
      },
    },
  });
  assert.deepEqual(await answers(server, ["/"]), ["true"]);
});

test("gives the exceptions of handlers to the error handler", async (t) => {
  const server = t.serve({
    routes: {
      "/sync": () => {
        throw new Error("sync");
      },
      "/async": { GET: async () => Promise.reject(new Error("async")) },
    },
    error: (/** @type {Error} */ error) => new Response(`error ${error.message}`, { status: 500 }),
  });
  assert.deepEqual(await answers(server, ["/sync", "/async"]), ["error sync", "error async"]);
});

test("upgrades in handlers of routes", async (t) => {
  const server = t.serve({
    routes: {
      "/plain": (/** @type {any} */ request, /** @type {any} */ self) =>
        self.upgrade(request) ? undefined : new Response("no"),
      "/:room": {
        GET: (/** @type {any} */ request, /** @type {any} */ self) =>
          self.upgrade(request, { data: request.params.room }) ? undefined : new Response("no"),
      },
    },
    websocket: {
      message(/** @type {any} */ ws) {
        ws.send(String(ws.data));
      },
    },
  });
  const client = await t.connect(server, { target: "/room%201" });
  client.sendText("?");
  assert.deepEqual(await client.received(1), ["text:room 1"]);
  assert.equal((await t.connect(server, { target: "/plain" })).status, 101);
});

test("does not ask routes in server.fetch()", async (t) => {
  const server = t.serve({ routes: { "/": handler, "/s": new Response("s") }, fetch });
  for (const path of ["/", "/s"]) assert.equal(await (await server.fetch(path)).text(), "fetch");
  const bare = t.serve({ routes: { "/": handler } });
  for (const call of [() => bare.fetch("/"), () => bare.fetch()]) {
    await assert.rejects(
      async () => call(),
      plainError("fetch() requires the server to have a fetch handler"),
    );
  }
  await assert.rejects(
    async () => server.fetch(),
    plainError("fetch() expects a string but received no arguments."),
  );
});

// Static routes -------------------------------------------------------------------------------------------------------

test("sends a static Response with its status, headers and body, to every method", async (t) => {
  const server = t.serve({
    routes: { "/a": new Response("made", { status: 201, headers: { "X-A": "1", "Set-Cookie": "a=1" } }) },
    fetch,
  });
  for (const method of ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"]) {
    const response = await t.request(server, `${method} /a?q HTTP/1.1\nContent-Length: 0`);
    assert.equal(response.status, 201);
    assert.equal(response.statusText, "Created");
    assert.equal(response.text(), "made");
    assert.equal(response.header("x-a"), "1");
    assert.equal(response.header("set-cookie"), "a=1");
    assert.equal(response.header("content-length"), "4");
    assert.match(response.header("content-type") ?? "", /^text\/plain/);
    assert.ok(response.header("date"));
  }
});

test("sends static bodies of every kind", async (t) => {
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  const server = t.serve({
    routes: {
      "/string": new Response("h\u00e9"),
      "/bytes": new Response(bytes),
      "/buffer": new Response(bytes.buffer),
      "/blob": new Response(new Blob([bytes])),
      "/json": Response.json({ a: 1 }),
      "/pairs": new Response(new URLSearchParams({ a: "b" })),
      "/null": new Response(null),
      "/204": new Response(null, { status: 204 }),
      "/302": Response.redirect("http://a/b", 302),
      "/large": new Response("x".repeat(3_000_000)),
    },
  });
  /** @param {string} path */
  const get = (path) => t.request(server, `GET ${path} HTTP/1.1`);
  assert.equal((await get("/string")).text(), "h\u00e9");
  for (const path of ["/bytes", "/buffer", "/blob"])
    assert.deepEqual([...(await get(path)).body], [...bytes]);
  assert.equal((await get("/json")).text(), '{"a":1}');
  assert.equal((await get("/pairs")).text(), "a=b");
  assert.equal((await get("/null")).header("content-length"), "0");
  assert.equal((await get("/204")).header("content-length"), undefined);
  assert.equal((await get("/302")).header("location"), "http://a/b");
  assert.equal((await get("/large")).body.length, 3_000_000);
});

test("takes the exported Response for static routes", async (t) => {
  const blob = new SubjectResponse(new Blob(["blob"]));
  const server = t.serve({
    routes: {
      "/text": new SubjectResponse("h\u00e9", { status: 201, headers: { "x-a": "1" } }),
      "/bytes": { GET: new SubjectResponse(new Uint8Array([1, 2, 3])) },
      "/blob": blob,
      "/json": SubjectResponse.json({ a: 1 }),
      "/none": new SubjectResponse(null, { status: 204 }),
    },
  });
  /** @param {string} path */
  const get = (path) => t.request(server, `GET ${path} HTTP/1.1`);
  const text = await get("/text");
  assert.deepEqual([text.status, text.text(), text.header("x-a")], [201, "h\u00e9", "1"]);
  assert.match(text.header("content-type") ?? "", /^text\/plain/);
  assert.deepEqual([...(await get("/bytes")).body], [1, 2, 3]);
  assert.equal((await get("/blob")).text(), "blob");
  assert.equal((await get("/json")).text(), '{"a":1}');
  assert.equal((await get("/none")).status, 204);
  assert.equal(await blob.text(), "blob");
});

test("answers HEAD on a static route with the length and without the body", async (t) => {
  const server = t.serve({
    routes: { "/a": new Response("12345"), "/t": { GET: new Response("123") } },
    fetch,
  });
  for (const [path, length] of [
    ["/a", "5"],
    ["/t", "3"],
  ]) {
    const response = await t.request(server, `HEAD ${path} HTTP/1.1`);
    assert.equal(response.header("content-length"), length);
    assert.equal(response.body.length, 0);
    assert.ok(response.header("etag"));
  }
});

test("takes static Responses for single methods, parameters and wildcards", async (t) => {
  const server = t.serve({
    routes: {
      "/m": { GET: new Response("static get"), POST: named("post") },
      "/p/:id": new Response("any id"),
      "/p/own": named("own"),
      "/p/*": new Response("below"),
      "/*": new Response("everything else"),
    },
    fetch,
  });
  assert.deepEqual(await answers(server, ["/m", "/p/1", "/p/own", "/p/1/2", "/p/", "/q"]), [
    "static get",
    "any id",
    ["own", {}],
    "below",
    "below",
    "everything else",
  ]);
  assert.deepEqual(await answers(server, ["/m"], "POST"), [["post", {}]]);
  assert.deepEqual(await answers(server, ["/m"], "PUT"), ["everything else"]);
});

test("tags static bodies, and keeps a tag that the program has given", async (t) => {
  const server = t.serve({
    routes: {
      "/a": new Response("one"),
      "/b": new Response("one"),
      "/c": new Response("two"),
      "/own": new Response("one", { headers: { ETag: 'W/"mine"' } }),
      "/404": new Response("none", { status: 404 }),
      "/empty": new Response(null),
    },
  });
  /** @param {string} path */
  const tag = async (path) => (await t.request(server, `GET ${path} HTTP/1.1`)).header("etag");
  assert.match((await tag("/a")) ?? "", /^"[0-9a-f]{16}"$/);
  assert.equal(await tag("/a"), await tag("/b"));
  assert.notEqual(await tag("/a"), await tag("/c"));
  assert.equal(await tag("/own"), 'W/"mine"');
  assert.match((await tag("/404")) ?? "", /^"[0-9a-f]{16}"$/);
  assert.equal(await tag("/empty"), undefined);
});

test("answers 304 to a client that knows the tag", async (t) => {
  const server = t.serve({
    routes: {
      "/a": new Response("body", { headers: { "x-a": "1", "set-cookie": "a=1" } }),
      "/weak": new Response("body", { headers: { etag: 'W/"mine"' } }),
      "/404": new Response("none", { status: 404 }),
      "/201": new Response("made", { status: 201 }),
    },
    fetch,
  });
  const tag = (await t.request(server, "GET /a HTTP/1.1")).header("etag");
  /** @param {string} path @param {string} value @param {string} [method] */
  const ask = (path, value, method = "GET") =>
    t.request(server, `${method} ${path} HTTP/1.1\nContent-Length: 0\nIf-None-Match: ${value}`);
  for (const value of [`${tag}`, `W/${tag}`, `"x", ${tag}`, `"x",W/${tag} , "y"`, "*"]) {
    for (const method of ["GET", "HEAD"]) {
      const response = await ask("/a", value, method);
      assert.equal(response.status, 304, `${method} ${value}`);
      assert.equal(response.body.length, 0);
      assert.equal(response.header("content-length"), undefined);
      assert.equal(response.header("etag"), tag);
      assert.equal(response.header("x-a"), "1");
      assert.equal(response.header("set-cookie"), "a=1");
    }
  }
  for (const value of ['"x"', '"x", "y"', "W/*"]) assert.equal((await ask("/a", value)).status, 200, value);
  for (const method of ["POST", "PUT", "DELETE"]) assert.equal((await ask("/a", "*", method)).status, 200);
  for (const value of ['"mine"', 'W/"mine"']) assert.equal((await ask("/weak", value)).status, 304);
  assert.equal((await ask("/404", "*")).status, 404);
  assert.equal((await ask("/201", "*")).status, 201);
});

test("takes the Response as it is when serve() is called, and leaves it to the program", async (t) => {
  const response = new Response("first", { headers: { "x-a": "1" } });
  const server = t.serve({ routes: { "/a": response, "/b": response } });
  response.headers.set("x-a", "2");
  assert.equal(response.bodyUsed, false);
  assert.equal(await response.text(), "first");
  for (const path of ["/a", "/b", "/a"]) {
    const sent = await t.request(server, `GET ${path} HTTP/1.1`);
    assert.equal(sent.text(), "first");
    assert.equal(sent.header("x-a"), "1");
  }
});

test("answers static routes in order with others on one connection", async (t) => {
  const server = t.serve({
    routes: { "/s": new Response("static"), "/l": new Response("x".repeat(500_000)), "/h": handler },
    fetch,
  });
  assert.deepEqual(
    (await answers(server, ["/s", "/h", "/l", "/s", "/x", "/s"])).map((text) => text.slice(0, 8)),
    ["static", "handler", "xxxxxxxx", "static", "fetch", "static"],
  );
  const client = await t.tcp(server);
  client.write(
    "/s /l /s /l /s"
      .split(" ")
      .map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
      .join(""),
  );
  const lengths = [];
  for (let i = 0; i < 5; i++) lengths.push((await client.response())?.body.length);
  assert.deepEqual(lengths, [6, 500_000, 6, 500_000, 6]);
});

test("passes over the body of a request for a static route", async (t) => {
  const server = t.serve({ routes: { "/s": new Response("static") }, fetch });
  const client = await t.tcp(server);
  for (let i = 0; i < 3; i++) {
    client.write(`POST /s HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n${"x".repeat(200_000)}`);
    assert.equal((await client.response())?.text(), "static");
    client.write("POST /s HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert.equal((await client.response())?.text(), "static");
  }
});

test("ends the connection behind a static answer when the client wants it", async (t) => {
  const server = t.serve({ routes: { "/s": new Response("static") } });
  for (const bytes of [
    "GET /s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /s HTTP/1.0\r\n\r\n",
  ]) {
    const client = await t.tcp(server);
    client.write(bytes);
    const response = await client.response();
    assert.equal(response?.version, "HTTP/1.1");
    assert.equal(response?.text(), "static");
    await client.finished();
  }
});

test("counts no pending request for a static route", async (t) => {
  const server = t.serve({ routes: { "/s": new Response("static") } });
  const { client } = await t.request(server, "GET /s HTTP/1.1");
  assert.equal(server.pendingRequests, 0);
  assert.equal(server.closeIdleConnections(), 1);
  await client.finished();
});

test("skips static routes for handshakes where there are websocket handlers", async (t) => {
  const websocket = { message() {} };
  const upgrade = (/** @type {any} */ request, /** @type {any} */ server) =>
    server.upgrade(request) ? undefined : new Response("not upgraded");
  const server = t.serve({
    routes: {
      "/s": new Response("static"),
      "/t": { GET: new Response("static") },
      "/u/*": upgrade,
      "/u/s": new Response("static"),
    },
    fetch: upgrade,
    websocket,
  });
  for (const target of ["/s", "/t", "/u/s"]) {
    assert.equal((await t.connect(server, { target })).status, 101);
    assert.deepEqual(await answers(server, [target]), ["static"]);
  }
  const old = await t.connect(server, { target: "/s", headers: { "Sec-WebSocket-Version": "8" } });
  assert.equal(old.status, 426);
  // Not quite a handshake.
  assert.equal((await t.request(server, "GET /s HTTP/1.1\nUpgrade: websocket")).text(), "static");
  const bare = t.serve({ routes: { "/s": new Response("static") }, fetch: upgrade });
  assert.equal((await t.connect(bare, { target: "/s" })).status, 200);
});

test("does not disturb the program with requests for static routes", {
  skip: isBun && "Bun has one thread",
}, async (t) => {
  const { emitted } = await t.child(async ({ serve, emit, raw }) => {
    const server = serve({
      port: 0,
      hostname: "127.0.0.1",
      routes: { "/s": new Response("static") },
      fetch: () => new Response("fetch"),
    });
    const ready = await raw.RawClient.open(server);
    ready.write("GET /s HTTP/1.1\r\nHost: a\r\n\r\n");
    await ready.response();
    ready.destroy();
    // A client of another thread is answered while this one is busy.
    const { Worker } = await import("node:worker_threads");
    const shared = new Int32Array(new SharedArrayBuffer(4));
    const code = `
        const { workerData } = require("node:worker_threads");
        const socket = require("node:net").connect(workerData.port, "127.0.0.1", () => {
          socket.write("GET /s HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
        });
        socket.once("data", (data) => {
          Atomics.store(workerData.shared, 0, String(data).endsWith("static") ? 1 : 2);
          Atomics.notify(workerData.shared, 0);
          socket.destroy();
        });`;
    const worker = new Worker(code, { eval: true, workerData: { port: server.port, shared } });
    Atomics.wait(shared, 0, 0, 10_000);
    emit(shared[0]);
    await worker.terminate();
    await server.stop(true);
  });
  assert.deepEqual(emitted, [1]);
});

// reload() ------------------------------------------------------------------------------------------------------------

test("replaces all routes with those of reload(), also for open connections", async (t) => {
  const server = t.serve({
    routes: { "/s": new Response("old"), "/h": handler, "/gone": new Response("gone") },
    fetch,
  });
  const client = await t.tcp(server);
  /** @param {string} path */
  const ask = async (path) => {
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return (await client.response())?.text();
  };
  assert.equal(await ask("/s"), "old");
  server.reload({ routes: { "/s": new Response("new"), "/h": () => new Response("new handler") } });
  assert.deepEqual([await ask("/s"), await ask("/h"), await ask("/gone")], ["new", "new handler", "fetch"]);
  server.reload({ routes: { "/s": () => new Response("handler now") } });
  assert.deepEqual([await ask("/s"), await ask("/h")], ["handler now", "fetch"]);
  server.reload({ routes: {} });
  assert.equal(await ask("/s"), "fetch");
});

test("keeps the routes when reload() has none", async (t) => {
  const server = t.serve({ routes: { "/s": new Response("static"), "/h": handler }, fetch });
  server.reload({ fetch: () => new Response("new") });
  const first = t.expected(32, { bun: "new", ours: "static" });
  assert.deepEqual(await answers(server, ["/s", "/h", "/x"]), [first, "handler", "new"]);
});

test("keeps the routes when reload() throws", async (t) => {
  const server = t.serve({ routes: { "/s": new Response("old") }, fetch });
  assert.throws(() => server.reload({ routes: { "/s": 5 } }), { name: "TypeError" });
  assert.throws(() => server.reload({ routes: { "/s": new Response("new") }, fetch: 5 }), {
    name: "TypeError",
  });
  assert.deepEqual(await answers(server, ["/s"]), ["old"]);
});

test("lets handshakes pass by static routes once reload() has brought websocket handlers", async (t) => {
  const upgrade = (/** @type {any} */ request, /** @type {any} */ server) =>
    server.upgrade(request) ? undefined : new Response("not upgraded");
  const routes = { "/s": new Response("static") };
  const server = t.serve({ routes, fetch: upgrade });
  server.reload({ routes, fetch: upgrade, websocket: { message() {} } });
  assert.equal((await t.connect(server, { target: "/s" })).status, 101);
});

// What is refused -----------------------------------------------------------------------------------------------------

/** The text begins with this; the rest is an example. */
const WRONG_VALUE =
  "'routes' expects a Record<string, Response | HTMLBundle | " +
  "{[method: string]: (req: BunRequest) => Response|Promise<Response>}>\n\nTo bundle frontend apps on-demand";

test("refuses what is no route", (t) => {
  for (const value of [
    5,
    0,
    "x",
    null,
    true,
    [],
    {},
    Symbol("x"),
    5n,
    new Date(),
    { get: handler },
    { FOO: handler },
  ]) {
    assert.throws(
      () => t.serve({ routes: { "/a": value }, fetch }),
      (/** @type {any} */ error) => {
        assert.equal(error.name, "TypeError");
        assert.equal(error.code, "ERR_INVALID_ARG_TYPE");
        assert.ok(error.message.startsWith(WRONG_VALUE));
        assert.ok(error.message.endsWith("See https://bun.com/docs/api/http for more information."));
        return true;
      },
    );
  }
});

test("refuses routes that are no object, and a server with nothing to serve", (t) => {
  for (const routes of [5, "x", null, true]) {
    assert.throws(
      () => t.serve({ routes, fetch }),
      (/** @type {any} */ error) => {
        assert.equal(error.code, "ERR_INVALID_ARG_TYPE");
        return error.message.startsWith("Bun.serve() expects 'routes' to be an object shaped like:\n\n  {\n");
      },
    );
  }
  for (const routes of [{}, [], undefined, { "/a": false }, { "/a": undefined }]) {
    assert.throws(
      () => t.serve({ routes }),
      (/** @type {any} */ error) => error.message.startsWith("Bun.serve() needs either:"),
    );
    t.serve({ routes, fetch });
  }
});

test("refuses paths that do not begin with a slash, or go beyond ASCII", (t) => {
  for (const path of ["a", "*", ":id", "http://a/"]) {
    assert.throws(
      () => t.serve({ routes: { [path]: handler }, fetch }),
      argumentTypeError(`Invalid route "${path}". Path must start with '/'`),
    );
  }
  for (const path of ["/\u00e9", "/:\u00e9"]) {
    assert.throws(
      () => t.serve({ routes: { [path]: handler }, fetch }),
      argumentTypeError(`Invalid route "${path}". Please encode all non-ASCII characters in the path.`),
    );
  }
});

test("refuses parameters that are called alike, or begin with a digit", (t) => {
  const tail = "\n\nIf you run into this, please file an issue and we will add support for it.";
  for (const [path, message] of [
    ["/:a/:a", "Support for duplicate route parameter names is not yet implemented."],
    ["/:1a", "Route parameter names cannot start with a number."],
  ]) {
    assert.throws(() => t.serve({ routes: { [path]: handler }, fetch }), {
      name: "TODOError",
      message: `${message}${tail}`,
    });
  }
});

test("refuses a static Response that has no status or whose body is used", async (t) => {
  const used = new Response("x");
  await used.text();
  assert.throws(
    () => t.serve({ routes: { "/": used }, fetch }),
    argumentTypeError("Response body has already been used"),
  );
  assert.throws(
    () => t.serve({ routes: { "/": { GET: Response.error() } }, fetch }),
    argumentTypeError(
      "Cannot use a Response with status 0 as a static route. HTTP status codes must be between 100 and 999 " +
        "(Response.error() returns status 0).",
    ),
  );
});

test("takes every static Response whose body is there as a whole", async (t) => {
  const form = new FormData();
  form.append("a", "b");
  const odd = { "X-A": "1", "x-a": "2" };
  const many = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`x-${i}`, "1"]));
  /** @type {[any, any, RegExp][]} */
  const made = [
    ["many fields", { headers: many }, /^many fields$/],
    ["joined fields", { headers: odd }, /^joined fields$/],
    ["a status", { status: "201" }, /^a status$/],
    [new Uint8Array([65]), { headers: odd }, /^A$/],
    [new Blob(["blob"]), { headers: odd }, /^blob$/],
    [form, undefined, /name="a"\r\n\r\nb\r\n/],
    [5, undefined, /^5$/],
  ];
  const routes = Object.fromEntries(
    made.flatMap(([body, init], i) => [
      [`/${i}`, new SubjectResponse(body, init)],
      [`/clone/${i}`, new SubjectResponse(body, init).clone()],
    ]),
  );
  const server = t.serve({ routes });
  for (const [i, [, , text]] of made.entries()) {
    for (const path of [`/${i}`, `/clone/${i}`]) {
      const response = await t.request(server, `GET ${path} HTTP/1.1`);
      assert.match(response.text(), text);
      assert.equal(response.header("content-length"), String(response.body.length));
    }
  }
});

/** Deno does not let a stream be told from other bodies of its own Response. */
const cannotTell = runtime === "deno" && "Deno's own Response hides what its body is made of";

/** @param {typeof Response} Class */
const refusesStreams = (Class) => (/** @type {Fixture} */ t) => {
  for (const response of [new Class(new ReadableStream()), new Class(new ReadableStream()).clone()]) {
    assert.throws(
      () => t.serve({ routes: { "/": response }, fetch }),
      argumentTypeError(
        "Body must be fully buffered before it can be used in a static route. " +
          "Consider calling new Response(await response.blob()) to buffer the body.",
      ),
    );
  }
};

test("refuses a static Response whose body is a stream", { skip: cannotTell }, refusesStreams(Response));
test("refuses an exported Response whose body is a stream", refusesStreams(SubjectResponse));

test("refuses directories and HTML bundles", { differs: 17 }, (t) => {
  for (const [value, pattern] of [
    [{ dir: "/tmp" }, /^TypeError: The route "\/a\/\*" is a directory, which serve\(\) does not offer\./],
    [
      { index: "./index.html" },
      /^TypeError: The route "\/a\/\*" is an HTML bundle, which serve\(\) does not offer\./,
    ],
  ]) {
    assert.throws(() => t.serve({ routes: { "/a/*": value }, fetch }), /** @type {RegExp} */ (pattern));
  }
});
