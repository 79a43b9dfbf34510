// @ts-check
// How, when and in which order handlers are called (semantics 2).

import assert from "node:assert/strict";
import { pingFrame, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { gate, turn } from "../support/wait.js";

test("calls each handler with exactly its arguments", async (t) => {
  const calls = t.recorder();
  const note =
    (/** @type {string} */ name) =>
    (/** @type {any[]} */ ...args) =>
      calls.add([name, ...args.slice(1).map(String), args.length]);
  const client = await t.connect(
    t.sockets({
      open: note("open"),
      message: note("message"),
      ping: note("ping"),
      pong: note("pong"),
      close: note("close"),
    }),
  );
  client.sendText("hi").sendPing("p").sendPong("q").sendClose(4000, "bye");
  assert.deepEqual(await calls.atLeast(5), [
    ["open", 1],
    ["message", "hi", 2],
    ["ping", "p", 2],
    ["pong", "q", 2],
    ["close", "4000", "bye", 3],
  ]);
});

test("calls websocket handlers with undefined as receiver", async (t) => {
  const { client } = await t.pair({
    /** @this {unknown} */
    message(ws) {
      ws.send(typeof this);
    },
  });
  client.sendText("x");
  assert.deepEqual(await client.received(1), ["text:undefined"]);
});

test("calls fetch with the server as receiver", async (t) => {
  const receivers = t.recorder();
  const server = t.serve({
    /** @this {unknown} */
    fetch() {
      receivers.add(this);
      return new Response("ok");
    },
  });
  await t.request(server, "GET / HTTP/1.1");
  assert.equal(receivers.entries[0], server);
});

test("reads handlers once: later changes to the object are not seen", async (t) => {
  const websocket = {
    message(/** @type {any} */ ws) {
      ws.send("old");
    },
  };
  const server = t.serve({
    fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
    websocket,
  });
  websocket.message = (ws) => ws.send("new");
  const client = await t.connect(server);
  client.sendText("x");
  assert.deepEqual(await client.received(1), ["text:old"]);
});

test("finds handlers that a class instance inherits", async (t) => {
  class Chat {
    message(/** @type {any} */ ws, /** @type {string} */ text) {
      ws.send(`inherited ${text}`);
    }
  }
  const server = t.serve({
    fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
    websocket: new Chat(),
  });
  const client = await t.connect(server);
  client.sendText("x");
  assert.deepEqual(await client.received(1), ["text:inherited x"]);
});

test("runs open inside upgrade(), before it returns", async (t) => {
  const order = t.recorder();
  const server = t.serve({
    fetch(/** @type {any} */ request, /** @type {any} */ self) {
      order.add("before");
      order.add(self.upgrade(request));
      order.add("after");
    },
    websocket: { open: () => order.add("open"), message() {} },
  });
  await t.connect(server);
  assert.deepEqual(order.entries, ["before", "open", true, "after"]);
});

test("runs open inside upgrade() after an await, too", async (t) => {
  const order = t.recorder();
  const server = t.serve({
    async fetch(/** @type {any} */ request, /** @type {any} */ self) {
      await turn();
      order.add("before");
      order.add(self.upgrade(request));
    },
    websocket: { open: () => order.add("open"), message() {} },
  });
  await t.connect(server);
  assert.deepEqual(order.entries, ["before", "open", true]);
});

test("runs open before the first message when both arrive in one segment", async (t) => {
  const order = t.recorder();
  const server = t.sockets({ open: () => order.add("open"), message: (_, data) => order.add(data) });
  await t.connect(server, { behind: Buffer.concat([textFrame("a"), textFrame("b")]) });
  assert.deepEqual(await order.atLeast(3), ["open", "a", "b"]);
});

test("does not hold messages back while an async open is pending", async (t) => {
  const order = t.recorder();
  const release = gate();
  const client = await t.connect(
    t.sockets({
      async open() {
        order.add("open starts");
        await release.passed;
        order.add("open ends");
      },
      message: (_, data) => order.add(data),
    }),
  );
  client.sendText("a");
  await order.has("a");
  release.open();
  assert.deepEqual(await order.atLeast(3), ["open starts", "a", "open ends"]);
});

test("does not queue messages behind an async message handler", async (t) => {
  const first = gate();
  const { client } = await t.pair({
    async message(ws, data) {
      if (data === "a") await first.passed;
      ws.send(data);
      if (data === "b") first.open();
    },
  });
  client.sendText("a").sendText("b");
  assert.deepEqual(await client.received(2), ["text:b", "text:a"]);
});

test("calls the handler once for each frame of one read, in order", async (t) => {
  const order = t.recorder();
  const { client } = await t.pair({ message: (_, data) => order.add(data) });
  const words = Array.from({ length: 50 }, (_, index) => `message ${index}`);
  client.write(Buffer.concat(words.map((word) => textFrame(word))));
  assert.deepEqual(await order.atLeast(50), words);
});

test("interleaves messages, pings and pongs of one read in the order of the wire", async (t) => {
  const order = t.recorder();
  const { client } = await t.pair({
    message: (_, data) => order.add(data),
    ping: (_, data) => order.add(`ping ${data}`),
  });
  const frames = ["a", "b"].flatMap((word) => [textFrame(word), pingFrame(word)]);
  client.write(Buffer.concat([...frames, textFrame("c")]));
  assert.deepEqual(await order.atLeast(5), ["a", "ping a", "b", "ping b", "c"]);
});

test("runs microtasks between messages of one read when handlers are async", async (t) => {
  const order = t.recorder();
  const { client } = await t.pair({
    async message(_, data) {
      order.add(data);
      await undefined;
      order.add(`after ${data}`);
    },
  });
  client.write(Buffer.concat(["a", "b", "c"].map((word) => textFrame(word))));
  assert.deepEqual(await order.atLeast(6), ["a", "after a", "b", "after b", "c", "after c"]);
});

test("keeps the order of synchronous handlers and the microtasks they start", async (t) => {
  const order = t.recorder();
  const { client } = await t.pair({
    message(_, data) {
      order.add(data);
      queueMicrotask(() => order.add(`after ${data}`));
    },
  });
  client.write(Buffer.concat(["a", "b"].map((word) => textFrame(word))));
  const entries = await order.atLeast(4);
  const bun = ["a", "after a", "b", "after b"];
  const ours = ["a", "b", "after a", "after b"];
  // One read may arrive as two, so that ours sometimes does as Bun does.
  const expected = t.expected(20, { bun: [bun], ours: [bun, ours] });
  assert.ok(
    expected.some((order) => order.join() === entries.join()),
    entries.join(),
  );
});

test("drops messages that follow a close() in the same read", async (t) => {
  const order = t.recorder();
  const { client } = await t.pair({
    message(ws, data) {
      order.add(data);
      if (data === "stop") ws.close(4001, "s");
    },
    close: () => order.add("close"),
  });
  client.write(Buffer.concat(["a", "stop", "b", "c"].map((word) => textFrame(word))));
  assert.deepEqual(await client.finished(), ["close:4001:s"]);
  assert.deepEqual(order.entries, ["a", "stop", "close"]);
});

test("answers pings and drops messages when there is no message handler", async (t) => {
  const server = t.serve({
    fetch: (/** @type {any} */ request, /** @type {any} */ self) => void self.upgrade(request),
    websocket: { open() {} },
  });
  const client = await t.connect(server);
  client.sendText("nobody listens").sendBinary(Buffer.alloc(70_000));
  assert.deepEqual(await client.settled(), []);
  assert.equal(client.state, "open");
});

test("runs the close handler synchronously inside close()", async (t) => {
  const order = t.recorder();
  const { ws } = await t.pair({
    close: (_, code, reason) => order.add(`close ${code} ${reason}`),
  });
  order.add("before");
  ws.close(4000, "x");
  order.add("after");
  assert.deepEqual(order.entries, ["before", "close 4000 x", "after"]);
});

test("runs the close handler synchronously inside terminate()", async (t) => {
  const order = t.recorder();
  const { ws } = await t.pair({ close: (_, code, reason) => order.add(`close ${code} ${reason}`) });
  ws.terminate();
  order.add("after");
  assert.deepEqual(order.entries, ["close 1006 ", "after"]);
});

test("runs the close handler of another socket nested in the call that closes it", async (t) => {
  const order = t.recorder();
  const room = await t.room(2, {
    message() {
      order.add("message");
      room.sockets[1].close(4000, "kicked");
      order.add("after");
    },
    close: (ws, code) => order.add(`close of ${room.sockets.indexOf(ws)} with ${code}`),
  });
  room.clients[0].sendText("kick");
  assert.deepEqual(await room.clients[1].finished(), ["close:4000:kicked"]);
  assert.deepEqual(order.entries, ["message", "close of 1 with 4000", "after"]);
});

test("calls the close handler exactly once, however often a socket is closed", async (t) => {
  const order = t.recorder();
  const { ws, client } = await t.pair({ close: (_, code) => order.add(code) });
  ws.close(4001);
  ws.close(4002);
  ws.terminate();
  client.sendClose(4003).end();
  await client.finished();
  await turn();
  assert.deepEqual(order.entries, [4001]);
});

test("calls open and close once for each of many sockets", async (t) => {
  const order = t.recorder();
  const server = t.sockets({ open: () => order.add("open"), close: () => order.add("close") });
  const clients = await Promise.all(Array.from({ length: 20 }, () => t.connect(server)));
  await order.atLeast(20);
  for (const [index, client] of clients.entries()) index % 2 ? client.sendClose(1000) : client.destroy();
  const entries = await order.atLeast(40);
  assert.equal(entries.filter((entry) => entry === "close").length, 20);
});

test("delivers messages that were sent right before the peer's close frame", async (t) => {
  const order = t.recorder();
  const { client } = await t.pair({
    message: (_, data) => order.add(data),
    close: (_, code) => order.add(code),
  });
  client.write(Buffer.concat([textFrame("a"), textFrame("b")])).sendClose(1000);
  assert.deepEqual(await order.atLeast(3), ["a", "b", 1000]);
});
