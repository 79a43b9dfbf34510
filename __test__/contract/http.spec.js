// @ts-check
// Ordinary requests: what `fetch` returns and what the wire carries (semantics 15, as far as the core needs it).

import assert from "node:assert/strict";
import { requestBytes } from "../support/harness.js";
import { test } from "../support/test.js";
import { gate, turn, within } from "../support/wait.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

const answering = (/** @type {Fixture} */ t, /** @type {() => any} */ make) => t.serve({ fetch: make });

test("answers a string body with its length and type", async (t) => {
  const response = await t.request(
    answering(t, () => new Response("h\u00e9llo")),
    "GET / HTTP/1.1",
  );
  assert.equal(response.version, "HTTP/1.1");
  assert.equal(response.status, 200);
  assert.equal(response.statusText, "OK");
  assert.equal(response.text(), "h\u00e9llo");
  assert.equal(response.header("content-length"), "6");
  assert.equal(response.header("content-type")?.toLowerCase(), "text/plain;charset=utf-8");
  assert.ok(response.header("date"));
  assert.equal(response.header("server"), undefined);
  assert.equal(response.header("connection"), undefined);
});

test("answers bytes of every kind", async (t) => {
  const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
  for (const body of [
    bytes,
    bytes.buffer,
    Buffer.from(bytes),
    new DataView(bytes.buffer),
    new Blob([bytes]),
  ]) {
    const response = await t.request(
      answering(t, () => new Response(body)),
      "GET / HTTP/1.1",
    );
    assert.deepEqual([...response.body], [...bytes]);
    assert.equal(response.header("content-length"), "256");
  }
});

test("answers a large body completely", async (t) => {
  const body = Buffer.alloc(8 * 1024 * 1024, 3);
  const response = await t.request(
    answering(t, () => new Response(body)),
    "GET / HTTP/1.1",
  );
  assert.ok(response.body.equals(body));
});

test("sends status, status text and headers", async (t) => {
  const headers = new Headers({ "x-a": "1" });
  headers.append("set-cookie", "a=1");
  headers.append("set-cookie", "b=2");
  const server = answering(t, () => new Response("made", { status: 201, statusText: "Made", headers }));
  const response = await t.request(server, "GET / HTTP/1.1");
  assert.equal(response.status, 201);
  assert.equal(response.header("x-a"), "1");
  const cookies = response.headers.filter(([name]) => name.toLowerCase() === "set-cookie");
  assert.deepEqual(
    cookies.map(([, value]) => value),
    ["a=1", "b=2"],
  );
});

test("answers Response.json and redirects", async (t) => {
  const json = await t.request(
    answering(t, () => Response.json({ a: 1 })),
    "GET / HTTP/1.1",
  );
  assert.equal(json.text(), '{"a":1}');
  assert.match(json.header("content-type") ?? "", /^application\/json/);
  const redirect = await t.request(
    answering(t, () => Response.redirect("http://a/b", 302)),
    "GET / HTTP/1.1",
  );
  assert.equal(redirect.status, 302);
  assert.equal(redirect.header("location"), "http://a/b");
});

test("sends no body and no length with 204 and 304, a length of 0 with others", async (t) => {
  for (const status of [204, 304, 200, 205]) {
    const { header, body } = await t.request(
      answering(t, () => new Response(null, { status })),
      "GET / HTTP/1.1",
    );
    assert.equal(body.length, 0);
    assert.equal(
      header("content-length"),
      status === 204 || status === 304 ? undefined : "0",
      String(status),
    );
  }
});

test("answers HEAD with the headers of the body and without the body", async (t) => {
  const { client, ...response } = await t.request(
    answering(t, () => new Response("12345")),
    "HEAD / HTTP/1.1",
  );
  assert.equal(response.header("content-length"), "5");
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal((await client.response())?.text(), "12345");
});

// Streams -------------------------------------------------------------------------------------------------------------

/**
 * A client of a server whose answer is a stream of two pieces: the second comes when the gate is opened.
 * @param {import("../support/harness.js").Fixture} t
 */
async function readingPieces(t) {
  const second = gate();
  const server = answering(t, () => {
    const encoder = new TextEncoder();
    return new Response(
      new ReadableStream({
        async start(controller) {
          controller.enqueue(encoder.encode("first "));
          await second.passed;
          controller.enqueue(encoder.encode("second"));
          controller.close();
        },
      }),
    );
  });
  return { client: await t.tcp(server), second };
}

test("sends a stream chunked, as it comes", async (t) => {
  const { client, second } = await readingPieces(t);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(() => client.leftover.includes("first "), "the first chunk");
  assert.ok(!client.leftover.includes("second"));
  second.open();
  const response = await client.response();
  assert.equal(response?.header("transfer-encoding"), "chunked");
  assert.equal(response?.header("content-length"), undefined);
  assert.equal(response?.text(), "first second");
});

test("sends a stream to a client of HTTP/1.0 as it is, and ends the connection behind it", async (t) => {
  const { client, second } = await readingPieces(t);
  client.write("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
  await client.until(() => client.leftover.includes("first "), "the first piece");
  second.open();
  await client.finished();
  const response = await client.response();
  assert.equal(response?.header("transfer-encoding"), undefined);
  assert.equal(response?.header("content-length"), undefined);
  assert.equal(response?.text(), "first second");
});

test("sends a stream of 5 MiB to a slow reader without holding it all", async (t) => {
  const total = 80;
  let pulled = 0;
  const server = answering(
    t,
    () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (pulled === total) controller.close();
            else controller.enqueue(new Uint8Array(65_536).fill(pulled++));
          },
        }),
      ),
  );
  const client = await t.tcp(server);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  const response = await client.response();
  assert.equal(response?.body.length, total * 65_536);
  for (let i = 0; i < total; i++) assert.equal(response?.body[i * 65_536], i);
});

test("cuts the connection when a stream fails, so that nobody takes it for complete", async (t) => {
  const fail = gate();
  const server = answering(
    t,
    () =>
      new Response(
        new ReadableStream({
          async start(controller) {
            controller.enqueue(new TextEncoder().encode("partial"));
            await fail.passed;
            controller.error(new Error("stream failed"));
          },
        }),
      ),
  );
  const client = await t.tcp(server);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(() => client.leftover.includes("partial"), "the first chunk");
  fail.open();
  await client.finished();
  assert.ok(!client.leftover.toString("latin1").endsWith("\r\n0\r\n\r\n"));
});

test("cancels a response stream when the client leaves", async (t) => {
  const cancelled = gate();
  const server = answering(
    t,
    () =>
      new Response(
        new ReadableStream({
          async pull(controller) {
            await turn();
            controller.enqueue(new Uint8Array(65_536));
          },
          cancel: () => cancelled.open(),
        }),
      ),
  );
  const client = await t.tcp(server);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await client.until(() => client.bytesRead > 65_536, "the first chunk");
  client.destroy();
  await within(cancelled.passed, "the stream's cancel");
});

// Request bodies --------------------------------------------------------------------------------------------------------

test("reads bodies with a length as text, JSON and bytes", async (t) => {
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/text") return new Response(await request.text());
      if (pathname === "/json") return Response.json(await request.json());
      return new Response(await request.arrayBuffer());
    },
  });
  for (const [path, body] of [
    ["/text", "h\u00e9llo"],
    ["/json", '{"a":[1,2]}'],
    ["/bytes", Buffer.alloc(300_000, 7)],
  ]) {
    const length = Buffer.byteLength(body);
    const response = await t.request(server, `POST ${path} HTTP/1.1\nContent-Length: ${length}`, { body });
    assert.ok(response.body.equals(Buffer.from(body)), String(path));
  }
});

test("reads a chunked body", async (t) => {
  const server = t.serve({
    fetch: async (/** @type {Request} */ request) => new Response(await request.text()),
  });
  const client = await t.tcp(server);
  client.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  await turn();
  client.write("7;ext=1\r\n, world\r\n0\r\n\r\n");
  assert.equal((await client.response())?.text(), "hello, world");
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nnext");
  assert.equal((await client.response())?.text(), "next");
});

test("streams a request body while it arrives", async (t) => {
  const events = t.recorder();
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      const decoder = new TextDecoder();
      for await (const chunk of /** @type {any} */ (request.body)) events.add(decoder.decode(chunk));
      return new Response(events.entries.join(""));
    },
  });
  const client = await t.tcp(server);
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\none");
  await events.atLeast(1);
  assert.equal(events.entries.join(""), "one");
  client.write("two");
  assert.equal((await client.response())?.text(), "onetwo");
});

test("echoes a stream through a stream", async (t) => {
  const server = t.serve({ fetch: (/** @type {Request} */ request) => new Response(request.body) });
  const body = Buffer.from(Uint8Array.from({ length: 500_000 }, (_, index) => (index * 7) & 0xff));
  const response = await t.request(server, `POST / HTTP/1.1\nContent-Length: ${body.length}`, { body });
  assert.ok(response.body.equals(body));
});

test("goes on with the next request when a body was not read", async (t) => {
  const server = t.serve({ fetch: (/** @type {Request} */ request) => new Response(request.method) });
  const client = await t.tcp(server);
  client.write(requestBytes("POST / HTTP/1.1\nContent-Length: 5", "12345"));
  assert.equal((await client.response())?.text(), "POST");
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal((await client.response())?.text(), "GET");
});

test("answers 413 to a body over maxRequestBodySize, and takes one of exactly that size", async (t) => {
  const server = t.serve({
    maxRequestBodySize: 100,
    fetch: async (/** @type {Request} */ request) => new Response(String((await request.text()).length)),
  });
  const fits = await t.request(server, "POST / HTTP/1.1\nContent-Length: 100", { body: "x".repeat(100) });
  assert.equal(fits.text(), "100");
  const long = await t.request(server, "POST / HTTP/1.1\nContent-Length: 101", { body: "x".repeat(101) });
  assert.equal(long.status, 413);
  await long.client.finished();
  const chunk = `65\r\n${"x".repeat(101)}\r\n0\r\n\r\n`;
  const chunked = await t.request(server, "POST / HTTP/1.1\nTransfer-Encoding: chunked", { body: chunk });
  assert.equal(chunked.status, 413);
});

test("answers Expect: 100-continue before the body comes", async (t) => {
  const server = t.serve({
    fetch: async (/** @type {Request} */ request) => new Response(await request.text()),
  });
  const client = await t.tcp(server);
  client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  assert.equal((await client.response())?.status, 100);
  client.write("body");
  assert.equal((await client.response())?.text(), "body");
});

// The Request object ------------------------------------------------------------------------------------------------------

test("gives fetch a real Request with url, method and headers", async (t) => {
  const seen = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      seen.add(request instanceof Request);
      seen.add([request.method, request.url, self === server]);
      seen.add([request.headers.get("X-Two"), request.headers.get("cookie"), request.headers.has("x-none")]);
      return new Response("ok");
    },
  });
  const head =
    "PUT /p%20q?a=1&b=%C3%A9 HTTP/1.1\nHost: example.com:81\nX-Two: 1\nx-two: 2\nCookie: a=1\nCookie: b=2";
  await t.request(server, `${head}\nContent-Length: 0`);
  assert.deepEqual(seen.entries, [
    true,
    ["PUT", "http://example.com:81/p%20q?a=1&b=%C3%A9", true],
    ["1, 2", "a=1; b=2", false],
  ]);
});

test("passes every common method to fetch", async (t) => {
  const server = t.serve({ fetch: (/** @type {Request} */ request) => new Response(request.method) });
  for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
    const response = await t.request(server, `${method} / HTTP/1.1\nContent-Length: 0`);
    assert.equal(response.text(), method);
  }
});

test("aborts the request's signal when the client leaves", async (t) => {
  const begun = gate();
  const aborted = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request) {
      request.signal.addEventListener("abort", () => aborted.add(request.signal.reason?.name));
      begun.open();
      return new Promise(() => {});
    },
  });
  const client = await t.tcp(server);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await within(begun.passed, "fetch");
  client.destroy();
  assert.deepEqual(await aborted.atLeast(1), ["AbortError"]);
});

// Connections and limits ----------------------------------------------------------------------------------------------------

test("keeps an HTTP/1.1 connection alive over many requests", async (t) => {
  let count = 0;
  const server = t.serve({ fetch: () => new Response(String(++count)) });
  const client = await t.tcp(server);
  for (let i = 1; i <= 50; i++) {
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal((await client.response())?.text(), String(i));
  }
  assert.equal(client.state, "open");
});

test("ends the connection after Connection: close and after HTTP/1.0", async (t) => {
  const server = t.serve({ fetch: () => new Response("ok") });
  for (const head of [
    "GET / HTTP/1.1\nConnection: close",
    "GET / HTTP/1.0",
    "GET / HTTP/1.0\nConnection: keep-alive",
  ]) {
    const { client, ...response } = await t.request(server, head);
    assert.equal(response.text(), "ok");
    await client.finished();
    assert.equal(client.state, "fin");
  }
});

test("takes a head of 15 KB and answers 431 to one of 17 KB", async (t) => {
  const server = t.serve({ fetch: () => new Response("ok") });
  const fits = await t.request(server, `GET / HTTP/1.1\nX-Long: ${"a".repeat(15_000)}`);
  assert.equal(fits.status, 200);
  const longHeader = await t.request(server, `GET / HTTP/1.1\nX-Long: ${"a".repeat(17_000)}`);
  assert.equal(longHeader.status, 431);
  await longHeader.client.finished();
  const longTarget = await t.request(server, `GET /${"a".repeat(17_000)} HTTP/1.1`);
  assert.equal(longTarget.status, 431);
  await longTarget.client.finished();
});

test("takes 150 headers and answers 431 to 250", async (t) => {
  const server = t.serve({ fetch: () => new Response("ok") });
  const head = (/** @type {number} */ count) =>
    ["GET / HTTP/1.1", ...Array.from({ length: count }, (_, i) => `X-${i}: ${i}`)].join("\n");
  assert.equal((await t.request(server, head(150))).status, 200);
  assert.equal((await t.request(server, head(250))).status, 431);
});

/** @type {[string, string][]} */
const MALFORMED = [
  ["no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n"],
  ["garbage", "not http at all\r\n\r\n"],
  ["a blank in a header name", "GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n"],
  ["a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n folded\r\n\r\n"],
  [
    "Content-Length with Transfer-Encoding",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["two different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
  ["a negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"],
];

for (const [what, bytes] of MALFORMED) {
  test(`answers 400 to ${what} and ends the connection, without calling fetch`, async (t) => {
    const calls = t.recorder();
    const server = t.serve({
      fetch() {
        calls.add("fetch");
        return new Response("ok");
      },
    });
    const client = await t.tcp(server);
    client.write(bytes);
    assert.equal((await client.response())?.status, 400);
    await client.finished();
    assert.deepEqual(calls.entries, []);
  });
}

// Outcomes of fetch -----------------------------------------------------------------------------------------------------------

test("answers 500 when fetch throws or rejects and there is no error handler", async (t) => {
  const fail = () => {
    throw new Error("expected by this test");
  };
  for (const fetch of [fail, async () => fail()]) {
    const result = await t.child(
      async ({ serve, raw, emit, input }) => {
        process.on("uncaughtException", () => emit("uncaught"));
        process.on("unhandledRejection", () => emit("unhandled"));
        const failing = () => {
          throw new Error("expected by this test");
        };
        const server = serve({ fetch: input ? async () => failing() : failing });
        const client = await raw.RawClient.open(server);
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const response = await client.response();
        emit([response?.status, response?.text(), response?.header("content-type")]);
        process.exit(0);
      },
      { input: fetch !== fail },
    );
    assert.deepEqual(result.emitted, [[500, "Something went wrong!", "text/plain"]]);
  }
});

test("gives exceptions, rejections and other values to the error handler", async (t) => {
  const errors = t.recorder();
  for (const thrown of [new Error("x"), "a string", 5]) {
    for (const asynchronous of [false, true]) {
      const server = t.serve({
        fetch() {
          if (asynchronous) return Promise.reject(thrown);
          throw thrown;
        },
        error(/** @type {any} */ error) {
          errors.add(error);
          return new Response("handled", { status: 502 });
        },
      });
      const response = await t.request(server, "GET / HTTP/1.1");
      assert.deepEqual([response.status, response.text()], [502, "handled"]);
      assert.equal(errors.entries.at(-1), thrown);
    }
  }
});

test("answers a promise of a Response", async (t) => {
  const server = t.serve({
    async fetch() {
      await turn();
      return new Response("later");
    },
  });
  assert.equal((await t.request(server, "GET / HTTP/1.1")).text(), "later");
});

test("serves requests of many connections at once", async (t) => {
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      await turn();
      return new Response(new URL(request.url).pathname);
    },
  });
  const paths = Array.from({ length: 60 }, (_, index) => `/${index}`);
  const responses = await Promise.all(paths.map((path) => t.request(server, `GET ${path} HTTP/1.1`)));
  assert.deepEqual(
    responses.map((response) => response.text()),
    paths,
  );
});
