// @ts-check
// Bytes that arrive behind a request whose answer is still pending (semantics 12.2 and 15; row 1).

import assert from "node:assert/strict";
import { closeFrame, encodeFrame, handshake, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { gate, within } from "../support/wait.js";

/**
 * A server that upgrades when `release` opens.
 *
 * @param {import("../support/harness.js").Fixture} t
 * @param {import("../support/harness.js").Handlers} [handlers]
 */
function upgradesLater(t, handlers = {}) {
  const begun = gate();
  const release = gate();
  const results = t.recorder();
  const server = t.serve({
    async fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      begun.open();
      await release.passed;
      const upgraded = self.upgrade(request);
      results.add(upgraded);
      return upgraded ? undefined : new Response("not upgraded");
    },
    websocket: {
      message: (/** @type {any} */ ws, /** @type {any} */ data) => void ws.send(data),
      ...handlers,
    },
  });
  return { server, begun, release, results };
}

test("delivers frames that share a segment with the handshake after open, in order", async (t) => {
  const events = t.recorder();
  const server = t.sockets({
    open: () => events.add("open"),
    message: (_, data) => events.add(String(data)),
    ping: (_, data) => events.add(`ping ${data}`),
    close: (_, code) => events.add(code),
  });
  const behind = Buffer.concat([
    textFrame("1"),
    encodeFrame(9, "p"),
    encodeFrame(2, Buffer.alloc(3000, 0x61)),
    textFrame("2"),
    closeFrame(4000),
  ]);
  const client = await t.connect(server, { behind });
  assert.deepEqual(await events.atLeast(6), ["open", "1", "ping p", "a".repeat(3000), "2", 4000]);
  assert.deepEqual(await client.finished(), ["pong:70", "close:4000:"]);
});

test("delivers a frame of which only a part shares the handshake's segment", async (t) => {
  const frame = textFrame("split over two segments");
  for (const cut of [1, 2, 6, frame.length - 1]) {
    const server = t.sockets({ message: (ws, data) => ws.send(data) });
    const client = await t.connect(server, { behind: frame.subarray(0, cut) });
    client.write(frame.subarray(cut));
    assert.deepEqual(await client.received(1), ["text:split over two segments"]);
  }
});

test("upgrades when frames arrived while an async fetch was pending", { differs: 1 }, async (t) => {
  const { server, begun, release, results } = upgradesLater(t);
  const client = await t.tcp(server);
  client.write(Buffer.concat([handshake(), textFrame("in the same segment")]));
  await within(begun.passed, "fetch");
  client.write(textFrame("while pending"));
  const other = await t.connect(t.sockets());
  await other.settled();
  release.open();
  assert.equal((await client.response())?.status, 101);
  client.sendText("after");
  assert.deepEqual(await client.received(3), [
    "text:in the same segment",
    "text:while pending",
    "text:after",
  ]);
  assert.deepEqual(results.entries, [true]);
});

test("hands over a large message that began while the fetch was pending", { differs: 1 }, async (t) => {
  const { server, begun, release } = upgradesLater(t, {
    message: (ws, data) => ws.send(String(data.length)),
  });
  const client = await t.tcp(server);
  client.write(handshake());
  await within(begun.passed, "fetch");
  client.sendBinary(Buffer.alloc(3_000_000, 1)).sendText("tail");
  const other = await t.connect(t.sockets());
  await other.settled();
  release.open();
  assert.equal((await client.response())?.status, 101);
  assert.deepEqual(await client.received(2, 9000), ["text:3000000", "text:4"]);
});

test("reports the close of a client that left its frames behind", { differs: 1 }, async (t) => {
  const events = t.recorder();
  const { server, begun, release } = upgradesLater(t, {
    message: (_, data) => void events.add(data),
    close: (_, code, reason) => void events.add([code, reason]),
  });
  const client = await t.tcp(server);
  client.write(Buffer.concat([handshake(), textFrame("last words"), closeFrame(1000, "bye")]));
  await within(begun.passed, "fetch");
  release.open();
  assert.deepEqual(await events.atLeast(2), ["last words", [1000, "bye"]]);
  assert.equal((await client.response())?.status, 101);
  assert.deepEqual(await client.finished(), ["close:1000:bye"]);
});

test("answers a second request after the first one's pending response", { differs: 1 }, async (t) => {
  const release = gate();
  const paths = t.recorder();
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      const { pathname } = new URL(request.url);
      paths.add(pathname);
      if (pathname === "/1") await release.passed;
      return new Response(pathname);
    },
  });
  const client = await t.tcp(server);
  client.write("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  await paths.atLeast(1);
  client.write("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
  release.open();
  for (const path of ["/1", "/2", "/3"]) assert.equal((await client.response())?.text(), path);
  assert.deepEqual(paths.entries, ["/1", "/2", "/3"]);
});

test("answers pipelined requests of synchronous handlers in order", async (t) => {
  const server = t.serve({
    fetch: (/** @type {Request} */ request) => new Response(new URL(request.url).pathname),
  });
  const client = await t.tcp(server);
  client.write(Array.from({ length: 10 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(""));
  for (let i = 0; i < 10; i++) assert.equal((await client.response())?.text(), `/${i}`);
});

test("treats bytes behind a refused handshake as the next request", async (t) => {
  const server = t.serve({
    fetch: (/** @type {Request} */ request) => new Response(new URL(request.url).pathname),
    websocket: { message() {} },
  });
  const client = await t.tcp(server);
  client.write(handshake({ target: "/refused" }));
  assert.equal((await client.response())?.text(), "/refused");
  client.write("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  assert.equal((await client.response())?.text(), "/next");
});
