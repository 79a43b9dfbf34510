// @ts-check
// What is answered when a handler fails, gives nothing, or its error handler fails too (semantics 12.3 and 15).

import assert from "node:assert/strict";
import { isBun } from "../support/subject.js";
import { test } from "../support/test.js";

test("answers 500 when the error handler gives nothing, throws, rejects or gives a used Response", async (t) => {
  const { emitted, stderr } = await t.child(async ({ serve, raw, emit }) => {
    const used = new Response("used");
    await used.text();
    /** @type {((error: any) => any)[]} */
    const handlers = [
      () => undefined,
      () => "text",
      () => {
        throw new Error("second of throwing");
      },
      async () => {
        throw new Error("second of rejecting");
      },
      async () => undefined,
      () => used,
      () => Response.error(),
    ];
    for (const error of handlers) {
      const server = serve({
        fetch() {
          throw new Error("first");
        },
        error,
      });
      const client = await raw.RawClient.open(server);
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const response = await client.response();
      emit([response?.status, response?.header("content-type"), response?.text()]);
      client.destroy();
      await server.stop(true);
    }
  });
  assert.equal(emitted.length, 7);
  for (const answer of emitted) assert.deepEqual(answer, [500, "text/plain", "Something went wrong!"]);
  for (const lost of ["first", "second of throwing", "second of rejecting"]) {
    assert.ok(stderr.includes(lost), `stderr has no ${lost}`);
  }
});

test("answers a page with message and stack in development", async (t) => {
  const { emitted, stderr } = await t.child(async ({ serve, raw, emit }) => {
    const server = serve({
      development: true,
      fetch() {
        throw new TypeError("secret message");
      },
    });
    const client = await raw.RawClient.open(server);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await client.response();
    emit([response?.status, response?.header("content-type"), response?.text().includes("secret message")]);
    process.exit(0);
  });
  assert.deepEqual(emitted, [[500, "text/html;charset=utf-8", true]]);
  assert.ok(stderr.includes("secret message"));
});

test("escapes what it shows, and shows whatever was thrown", {
  skip: isBun && "Bun has a page of its own",
}, async (t) => {
  const { emitted } = await t.child(async ({ serve, raw, emit }) => {
    const hostile = {
      get stack() {
        throw new Error("stack");
      },
      toString() {
        throw new Error("toString");
      },
    };
    let thrown;
    const server = serve({
      development: true,
      fetch() {
        throw thrown;
      },
    });
    for (thrown of [
      new Error("<script>alert('\"&')</script>"),
      "<b>text",
      5,
      undefined,
      null,
      Symbol("s"),
      hostile,
    ]) {
      const client = await raw.RawClient.open(server);
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      const response = await client.response();
      const text = response?.text() ?? "";
      emit([response?.status, /<script|<b>/.test(text), /<h1[^>]*>([^<]*)/.exec(text)?.[1]]);
      client.destroy();
    }
    process.exit(0);
  });
  assert.deepEqual(emitted, [
    [500, false, "Error: &#60;script&#62;alert(&#39;&#34;&#38;&#39;)&#60;/script&#62;"],
    [500, false, "&#60;b&#62;text"],
    [500, false, "5"],
    [500, false, "undefined"],
    [500, false, "null"],
    [500, false, "Symbol(s)"],
    [500, false, ""],
  ]);
});

test("shows no message and no stack outside of development", async (t) => {
  const { emitted } = await t.child(async ({ serve, raw, emit }) => {
    const server = serve({
      fetch() {
        throw new Error("secret message");
      },
    });
    const client = await raw.RawClient.open(server);
    client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    const response = await client.response();
    emit([response?.status, response?.header("content-type"), response?.text()]);
    process.exit(0);
  });
  assert.deepEqual(emitted, [[500, "text/plain", "Something went wrong!"]]);
});

test("answers 204 when a handler gives no Response, and says what it gave", async (t) => {
  const { emitted, stderr } = await t.child(async ({ serve, raw, emit }) => {
    /** @type {any[]} */
    const values = [undefined, null, "text", 5, {}, [1]];
    for (const value of values) {
      for (const fetch of [() => value, async () => value]) {
        const server = serve({ fetch });
        const client = await raw.RawClient.open(server);
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        const response = await client.response();
        emit([response?.status, response?.body.length, response?.header("content-type")]);
        client.destroy();
        await server.stop(true);
      }
    }
  });
  assert.equal(emitted.length, 12);
  for (const answer of emitted)
    assert.deepEqual(
      answer,
      [204, 0, undefined].map((value) => value ?? null),
    );
  for (const shown of ["undefined", "null", '"text"', "5", "{}", "[ 1 ]"]) {
    assert.ok(stderr.includes(`Expected a Response object, but received '${shown}'`), shown);
  }
});

test("says so once for each handler", { differs: 10 }, async (t) => {
  const { stderr } = await t.child(async ({ serve, raw }) => {
    const server = serve({ routes: { "/route": () => undefined }, fetch: () => undefined });
    for (const path of ["/a", "/b", "/route", "/route"]) {
      const client = await raw.RawClient.open(server);
      client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await client.response();
      client.destroy();
    }
    await server.stop(true);
  });
  assert.equal(stderr.match(/Expected a Response object/g)?.length, 2);
});
