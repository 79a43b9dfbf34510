// @ts-check
// Responses on the wire, of the platform's class and of the exported one (semantics 15).

import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { isBun, Response } from "../support/subject.js";
import { test } from "../support/test.js";
import { gate, turn, within } from "../support/wait.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */
/** @typedef {typeof globalThis.Response} Class */

const GET = "GET / HTTP/1.1";
const encoder = new TextEncoder();

/** @param {Fixture} t @param {() => any} make */
const answering = (t, make) => t.serve({ fetch: make });

/** @param {Fixture} t @param {() => any} make @param {string} [head] */
const ask = (t, make, head = GET) => t.request(answering(t, make), head);

/** @type {[string, Class][]} */
const classes = isBun
  ? [["Response", Response]]
  : [
      ["the platform's Response", globalThis.Response],
      ["ferrows' Response", Response],
    ];

for (const [name, Class] of classes) {
  const isOwn = Class === Response;

  test(`${name}: sends every kind of body at hand in one piece, with its length`, async (t) => {
    const form = new FormData();
    form.append("a", "b");
    /** @type {[any, RegExp | undefined, string | RegExp][]} */
    const bodies = [
      ["text \u00e9", /^text\/plain/, "text \u00e9"],
      [new Uint8Array([104, 105]), undefined, "hi"],
      [new DataView(new Uint8Array([104, 105]).buffer, 1), undefined, "i"],
      [new Blob(["<p>"], { type: "text/html" }), /^text\/html/, "<p>"],
      [new File(["a{}"], "a.css", { type: "text/css" }), /^text\/css/, "a{}"],
      [new URLSearchParams({ a: "b c" }), /^application\/x-www-form-urlencoded;charset=UTF-8$/, "a=b+c"],
      [form, /^multipart\/form-data; boundary=.{10}/, /name="a"\r\n\r\nb\r\n--/],
    ];
    for (const [body, type, text] of bodies) {
      const response = await ask(t, () => new Class(body));
      assert.equal(response.header("content-length"), String(response.body.length));
      if (type !== undefined) assert.match(response.header("content-type") ?? "", type);
      if (typeof text === "string") assert.equal(response.text(), text);
      else assert.match(response.text(), text);
    }
  });

  test(`${name}: sends a large Blob completely`, async (t) => {
    const bytes = Uint8Array.from({ length: 700_001 }, (_, i) => i % 251);
    const response = await ask(t, () => new Class(new Blob([bytes])));
    assert.ok(response.body.equals(bytes));
    // Nobody else can tell a Blob from a stream.
    if (isOwn) assert.equal(response.header("content-length"), "700001");
  });

  test(`${name}: sends text as UTF-8, also what is no valid text`, async (t) => {
    const response = await ask(t, () => new Class("\ufeffa\ud800\ud83d\ude00"));
    assert.deepEqual(response.body, Buffer.from("\ufeffa\ufffd\ud83d\ude00"));
  });

  test(`${name}: puts cookies first, Date and Content-Length last`, async (t) => {
    const headers = new Headers({ "x-b": "1", "content-type": "text/x" });
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    const response = await ask(t, () => new Class("x", { headers }));
    const names = response.headers.map(([name]) => name.toLowerCase());
    assert.deepEqual(names.slice(0, 2), ["set-cookie", "set-cookie"]);
    assert.deepEqual(names.slice(2, 4).sort(), ["content-type", "x-b"]);
    assert.deepEqual(names.slice(4), ["date", "content-length"]);
  });

  test(`${name}: sends headers in each form`, async (t) => {
    const pairs = /** @type {[string, string][]} */ ([
      ["X-A", "1"],
      ["x-a", "2"],
      ["Set-Cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    const fromPairs = await ask(t, () => new Class("x", { headers: pairs }));
    assert.equal(fromPairs.header("x-a"), "1, 2");
    const cookies = fromPairs.headers.filter(([name]) => name.toLowerCase() === "set-cookie");
    assert.deepEqual(
      cookies.map(([, value]) => value),
      ["a=1", "b=2"],
    );
    const plain = await ask(t, () => new Class("x", { headers: { "X-A": "\u00e9", "Content-Type": "a/b" } }));
    assert.deepEqual([plain.header("x-a"), plain.header("content-type")], ["\u00e9", "a/b"]);
  });

  test(`${name}: writes a date of the program's own instead of the server's`, async (t) => {
    const response = await ask(t, () => new Class("x", { headers: { Date: "long ago" } }));
    const dates = response.headers.filter(([name]) => name.toLowerCase() === "date");
    assert.deepEqual(
      dates.map(([, value]) => value),
      ["long ago"],
    );
  });

  test(`${name}: counts the body itself, whatever Content-Length says`, async (t) => {
    const response = await ask(t, () => new Class("xyz", { headers: { "Content-Length": "1" } }));
    assert.deepEqual([response.header("content-length"), response.text()], ["3", "xyz"]);
  });

  test(`${name}: tells HEAD the length that a response without a body says`, async (t) => {
    const make = () => new Class(null, { headers: { "Content-Length": "1234" } });
    assert.equal((await ask(t, make, "HEAD / HTTP/1.1")).header("content-length"), "1234");
    assert.equal((await ask(t, make)).header("content-length"), "0");
  });

  test(`${name}: sends the standard text of a status`, async (t) => {
    for (const [status, text] of /** @type {[number, string][]} */ ([
      [203, "Non-Authoritative Information"],
      [299, "HM"],
      [404, "Not Found"],
      [418, "I'm a Teapot"],
      [599, "HM"],
    ])) {
      const response = await ask(t, () => new Class(null, { status, statusText: "Mine" }));
      assert.deepEqual([response.status, response.statusText], [status, text]);
    }
  });

  test(`${name}: sends headers that were changed, and a body that was looked at`, async (t) => {
    const response = await ask(t, () => {
      const made = new Class("body", { headers: { "x-a": "1", "x-b": "1" } });
      made.headers.set("x-a", "2");
      made.headers.delete("x-b");
      made.headers.append("set-cookie", "c=d");
      assert.ok(made.body);
      return made;
    });
    assert.deepEqual(
      [response.header("x-a"), response.header("x-b"), response.header("set-cookie")],
      ["2", undefined, "c=d"],
    );
    assert.equal(response.text(), "body");
    if (isOwn) assert.equal(response.header("content-length"), "4");
  });

  test(`${name}: sends a clone and what it was cloned from`, async (t) => {
    const kept = new Class("kept", { status: 201, headers: { "x-a": "1" } });
    const server = answering(t, () => kept.clone());
    for (let i = 0; i < 3; i++) {
      const response = await t.request(server, GET);
      assert.deepEqual([response.status, response.text(), response.header("x-a")], [201, "kept", "1"]);
    }
    assert.equal(kept.bodyUsed, false);
  });

  test(`${name}: gives a response that was sent or read before to the error handler`, async (t) => {
    const errors = t.recorder();
    const sent = new Class("x");
    const read = new Class("x");
    await read.text();
    for (const response of [sent, read]) {
      const server = t.serve({
        fetch: () => response,
        error(/** @type {any} */ error) {
          errors.add([error.name, error.code, error.message]);
          return new Class("failed", { status: 500 });
        },
      });
      if (response === sent) {
        assert.equal((await t.request(server, GET)).text(), "x");
        assert.equal(sent.bodyUsed, true);
      }
      assert.equal((await t.request(server, GET)).text(), "failed");
    }
    const expected = [
      "TypeError",
      "ERR_BODY_ALREADY_USED",
      "Response body already used. A Response body can only be sent once; create a new Response for each request.",
    ];
    assert.deepEqual(errors.entries, [expected, expected]);
  });

  test(`${name}: gives Response.error() to the error handler`, async (t) => {
    const server = t.serve({
      fetch: () => Class.error(),
      error: (/** @type {any} */ error) => new Class(`${error.name}: ${error.message}`),
    });
    assert.equal(
      (await t.request(server, GET)).text(),
      "Error: Cannot send a Response with status 0. HTTP status codes must be between 100 and 999" +
        " (Response.error() returns status 0).",
    );
  });

  test(`${name}: sends events as they happen, and cancels the stream when the client leaves`, async (t) => {
    const cancelled = gate();
    /** @type {ReadableStreamDefaultController<Uint8Array> | undefined} */
    let events;
    const server = answering(
      t,
      () =>
        new Class(
          new ReadableStream({
            start(controller) {
              events = controller;
              controller.enqueue(encoder.encode("data: 1\n\n"));
            },
            cancel: () => cancelled.open(),
          }),
          { headers: { "Content-Type": "text/event-stream" } },
        ),
    );
    const client = await t.tcp(server);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until(() => client.leftover.includes("data: 1\n\n"), "the first event");
    assert.match(client.leftover.toString("latin1"), /content-type: text\/event-stream\r\n/i);
    assert.match(client.leftover.toString("latin1"), /transfer-encoding: chunked\r\n/i);
    events?.enqueue(encoder.encode("data: 2\n\n"));
    await client.until(() => client.leftover.includes("data: 2\n\n"), "the second event");
    client.destroy();
    await within(cancelled.passed, "the stream's cancel");
  });

  test(`${name}: asks a stream for no more than the client takes`, async (t) => {
    let pulled = 0;
    const cancelled = gate();
    const server = answering(
      t,
      () =>
        new Class(
          new ReadableStream({
            async pull(controller) {
              pulled++;
              await turn();
              controller.enqueue(new Uint8Array(65_536));
            },
            cancel: () => cancelled.open(),
          }),
        ),
    );
    const client = await t.tcp(server);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.until(() => client.bytesRead > 100_000, "the first chunks");
    client.pause();
    // What the kernel and the server keep for a client that has stopped reading.
    let before = -1;
    for (let same = 0; same < 200; same = pulled === before ? same + 1 : 0) {
      before = pulled;
      await turn();
    }
    assert.ok(pulled < 1000, `${pulled} chunks of 64 KiB`);
    client.destroy();
    await within(cancelled.passed, "the stream's cancel");
  });

  test(`${name}: sends the text of a stream, and what it holds although its buffer is used again`, async (t) => {
    const buffer = new Uint8Array(3);
    let step = 0;
    const response = await ask(
      t,
      () =>
        new Class(
          new ReadableStream(
            {
              pull(controller) {
                if (step === 3) controller.close();
                else controller.enqueue(buffer.fill(65 + step++));
              },
            },
            { highWaterMark: 0 },
          ),
        ),
    );
    assert.equal(response.text(), "AAABBBCCC");
    const strings = new ReadableStream({
      start(controller) {
        controller.enqueue("a\u00e9");
        controller.enqueue(encoder.encode("b"));
        controller.close();
      },
    });
    assert.equal((await ask(t, () => new Class(strings))).text(), "a\u00e9b");
  });

  test(`${name}: gives a stream that fails at once to the error handler`, { differs: 27 }, async (t) => {
    const server = t.serve({
      fetch: () =>
        new Class(new ReadableStream({ start: (controller) => controller.error(new Error("no")) })),
      error: (/** @type {any} */ error) => new Class(`caught ${error.message}`, { status: 503 }),
    });
    const response = await t.request(server, GET);
    assert.deepEqual([response.status, response.text()], [503, "caught no"]);
  });

  test(`${name}: sends async iterables where the platform takes them`, async (t) => {
    const make = () => {
      const chunks = async function* () {
        yield encoder.encode("one ");
        await turn();
        yield encoder.encode("two");
      };
      return new Class(/** @type {any} */ (chunks()));
    };
    const expected = await new globalThis.Response(make().body).text();
    assert.equal((await ask(t, make)).text(), expected);
  });

  test(`${name}: sends an instance of a subclass`, async (t) => {
    class Page extends Class {}
    const response = await ask(t, () => new Page("page", { status: 202 }));
    assert.deepEqual([response.status, response.text()], [202, "page"]);
  });
}

/** As other fetch implementations make them: not of any class that we know, with a body of Node's. */
class ForeignResponse {
  status = 201;
  bodyUsed = false;

  /** @param {any} body @param {[string, string][]} headers */
  constructor(body, headers) {
    this.body = body;
    this.headers = new Map(headers);
  }

  get [Symbol.toStringTag]() {
    return "Response";
  }
}

const foreign = { skip: isBun && "Bun takes only its own" };

test("says nothing of a client that leaves while its upload is echoed", async (t) => {
  const { emitted, stderr } = await t.child(async ({ serve, raw, emit, wait }) => {
    const begun = wait.gate();
    const ended = wait.gate();
    const server = serve({
      fetch(/** @type {Request} */ request) {
        request.signal.addEventListener("abort", () => ended.open());
        begun.open();
        return new Response(request.body);
      },
    });
    const client = await raw.RawClient.open(server);
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    await begun.passed;
    await client.until(() => client.leftover.includes("abc"), "the echo");
    client.destroy();
    await ended.passed;
    await server.stop(true);
    emit("stopped");
  });
  assert.deepEqual([emitted, stderr], [["stopped"], ""]);
});

test("sends a Response of another implementation", foreign, async (t) => {
  const response = await ask(
    t,
    () => new ForeignResponse(Readable.from([Buffer.from("one"), "two"]), [["x-a", "1"]]),
  );
  assert.deepEqual([response.status, response.text(), response.header("x-a")], [201, "onetwo", "1"]);
  const empty = await ask(t, () => new ForeignResponse(null, []));
  assert.deepEqual([empty.status, empty.header("content-length")], [201, "0"]);
});

test("lets no header of another implementation end its line", foreign, async (t) => {
  for (const [name, value] of [
    ["x-a", "1\r\nx-b: 2"],
    ["x-a: 1\r\nx-b", "2"],
    ["x-a", "\u010ax-b: 2"],
    ["", "1"],
  ]) {
    const server = t.serve({
      fetch: () => new ForeignResponse(null, [[name, value]]),
      error: (/** @type {any} */ error) => new Response(error.name, { status: 500 }),
    });
    const response = await t.request(server, GET);
    assert.deepEqual(
      [response.status, response.text(), response.header("x-b")],
      [500, "TypeError", undefined],
    );
  }
});
