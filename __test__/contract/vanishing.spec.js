// @ts-check
// Peers that vanish at every point of a connection's life, and handlers that re-enter the server.

import assert from "node:assert/strict";
import { closeFrame, handshake, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { eventually, gate, turn, within } from "../support/wait.js";

/** The ways of a peer to go. */
const EXITS = ["end", "destroy", "reset"];

/** A server still does its work. @param {any} t @param {any} server */
async function assertAlive(t, server) {
  const client = await t.connect(server);
  client.sendPing("alive");
  assert.ok((await client.received(1)).includes("pong:616c697665"));
}

for (const how of EXITS) {
  test(`survives peers that ${how} before, inside and right after the handshake's head`, async (t) => {
    const events = t.recorder();
    const server = t.sockets({ open: () => events.add("open"), close: () => events.add("close") });
    const head = handshake();
    for (const length of [0, 1, 10, head.length - 2]) {
      const client = await t.tcp(server);
      client.write(head.subarray(0, length));
      await turn();
      /** @type {any} */ (client)[how]();
    }
    for (let i = 0; i < 5; i++) {
      const client = await t.tcp(server);
      client.write(head);
      /** @type {any} */ (client)[how]();
    }
    await assertAlive(t, server);
    await eventually(
      () =>
        events.entries.filter((e) => e === "open").length -
          events.entries.filter((e) => e === "close").length ===
        1,
      "every open to have its close",
    );
  });

  test(`survives peers that ${how} while the handler of their message runs`, async (t) => {
    const events = t.recorder();
    const { server, client } = await t.pair({
      async message(ws) {
        /** @type {any} */ (client)[how]();
        events.add(typeof ws.send("into the void"));
        await within(gone.passed, "the close handler");
        events.add([ws.readyState, ws.send("later"), ws.publish("t", "x")]);
      },
      close: (_, code) => {
        gone.open();
        events.add(code);
      },
    });
    const gone = gate();
    client.sendText("x");
    assert.deepEqual(await events.atLeast(3), ["number", 1006, [3, 0, 0]]);
    await assertAlive(t, server);
  });

  test(`survives subscribers that ${how} in the middle of publishing`, async (t) => {
    const { server, clients } = await t.room(10, { open: (ws) => ws.subscribe("room") });
    for (let i = 0; i < 200; i++) {
      server.publish("room", `message ${i}`);
      if (i % 20 === 10) /** @type {any} */ (clients[Math.floor(i / 20)])[how]();
      if (i % 5 === 0) await turn();
    }
    await eventually(() => server.subscriberCount("room") === 0, "all subscribers to be gone");
    assert.equal(server.publish("room", "nobody"), 0);
    await assertAlive(t, server);
  });
}

test("survives a peer that leaves in the middle of a large message in either direction", async (t) => {
  const closed = t.recorder();
  const { server, client, ws } = await t.pair({ close: (_, code) => closed.add(code) });
  ws.send(Buffer.alloc(10_000_000));
  client.write(textFrame("x".repeat(100_000)).subarray(0, 50_000));
  await client.until(() => client.bytesRead > 0, "the first bytes");
  client.reset();
  assert.deepEqual(await closed.atLeast(1), [1006]);
  await assertAlive(t, server);
});

test("survives a client that leaves while its response is being streamed or its body read", async (t) => {
  const outcomes = t.recorder();
  const server = t.serve({
    async fetch(/** @type {Request} */ request) {
      if (request.method === "GET") return new Response(new Blob(["x".repeat(5_000_000)]).stream());
      const outcome = await request.text().then(
        () => "read",
        () => "failed",
      );
      outcomes.add(outcome);
      return new Response(outcome);
    },
  });
  const reader = await t.tcp(server);
  reader.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await reader.until(() => reader.bytesRead > 0, "the first bytes");
  reader.reset();
  const writer = await t.tcp(server);
  writer.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\npartial");
  await turn();
  writer.destroy();
  assert.deepEqual(await outcomes.atLeast(1), ["failed"]);
  const last = await t.request(server, "POST / HTTP/1.1\nContent-Length: 1", { body: "x" });
  assert.equal(last.text(), "read");
});

test("counts nobody once hundreds of short connections have come and gone", async (t) => {
  const events = t.recorder();
  const server = t.sockets({
    open: (ws) => ws.subscribe("room"),
    close: () => events.add("close"),
  });
  for (let round = 0; round < 6; round++) {
    const clients = await Promise.all(Array.from({ length: 50 }, () => t.connect(server)));
    for (const [index, client] of clients.entries()) {
      if (index % 3 === 0) client.sendClose(1000);
      else if (index % 3 === 1) client.destroy();
      else client.reset();
    }
  }
  await events.atLeast(300);
  await eventually(() => server.pendingWebSockets === 0, "pendingWebSockets to be 0");
  assert.equal(server.subscriberCount("room"), 0);
  assert.equal(events.entries.length, 300);
});

// Re-entrancy ----------------------------------------------------------------------------------------------------------

test("upgrades inside a getter of its own options", async (t) => {
  const results = t.recorder();
  const server = t.serve({
    fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      const options = {
        get data() {
          results.add(["inner", self.upgrade(request, { data: "inner" })]);
          return "outer";
        },
      };
      results.add(["outer", self.upgrade(request, options)]);
    },
    websocket: { open: (/** @type {any} */ ws) => results.add(["open", ws.data]), message() {} },
  });
  const client = await t.connect(server);
  assert.equal(client.status, 101);
  const opens = (await results.atLeast(3)).filter(([name]) => name === "open");
  assert.equal(opens.length, 1, "one connection, one open");
  assert.equal(server.pendingWebSockets, 1);
});

test("closes itself from every handler", async (t) => {
  for (const kind of ["open", "message", "ping", "pong"]) {
    const events = t.recorder();
    const server = t.sockets({
      [kind]: (/** @type {any} */ ws) => ws.close(4000, kind),
      close: (_, code, reason) => events.add([code, reason]),
    });
    const client = await t.connect(server);
    client.sendPing().sendPong().sendText("x");
    const seen = await client.finished();
    assert.equal(seen.at(-1), `close:4000:${kind}`);
    assert.deepEqual(events.entries, [[4000, kind]]);
  }
});

test("closes all others from a close handler, without calling any twice", async (t) => {
  const closed = t.recorder();
  const room = await t.room(5, {
    close(ws) {
      closed.add(room.sockets.indexOf(ws));
      for (const other of room.sockets) other.close(4001, "cascade");
    },
  });
  room.sockets[2].close(4000);
  assert.deepEqual([...closed.entries].sort(), [0, 1, 2, 3, 4]);
  for (const [index, client] of room.clients.entries()) {
    assert.deepEqual(await client.finished(), [index === 2 ? "close:4000:" : "close:4001:cascade"]);
  }
});

test("publishes and subscribes from handlers while a publish is under way", async (t) => {
  const room = await t.room(3, {
    open: (ws) => ws.subscribe("room"),
    message(ws, data) {
      ws.unsubscribe("room");
      room.server.publish("room", `${data} without me`);
      ws.subscribe("room");
      room.server.publish("room", `${data} with me`);
    },
  });
  room.clients[0].sendText("a");
  assert.deepEqual(await room.clients[1].received(2), ["text:a without me", "text:a with me"]);
  assert.deepEqual(await room.clients[0].settled(), ["text:a with me"]);
});

test("starts and stops another server inside a message handler", async (t) => {
  const { client } = await t.pair({
    message(ws) {
      const inner = t.sockets();
      ws.send(`port ${inner.port > 0}`);
      inner.stop(true);
      ws.send("stopped");
    },
  });
  client.sendText("go");
  assert.deepEqual(await client.received(2), ["text:port true", "text:stopped"]);
});

test("stops its own server from open, close and fetch", async (t) => {
  for (const kind of ["open", "close", "fetch"]) {
    const server = t.serve({
      fetch(/** @type {Request} */ request, /** @type {any} */ self) {
        self.upgrade(request);
        if (kind === "fetch") self.stop(true);
      },
      websocket: {
        message() {},
        open: () => void (kind === "open" && server.stop(true)),
        close: () => void (kind === "close" && server.stop(true)),
      },
    });
    const client = await t.connect(server);
    if (kind === "close") client.write(closeFrame(1000));
    const expected = kind === "close" ? ["close:1000:"] : ["close:1001:Server closed"];
    assert.deepEqual(await client.finished(), expected, kind);
    assert.equal(server.pendingWebSockets, 0);
  }
});

test("sends from timers and promises between messages without losing order", async (t) => {
  const { client } = await t.pair({
    message(ws, data) {
      ws.send(`${data} now`);
      queueMicrotask(() => ws.send(`${data} microtask`));
      setTimeout(() => ws.send(`${data} timer`), 0);
    },
  });
  client.sendText("a");
  assert.deepEqual(await client.received(3), ["text:a now", "text:a microtask", "text:a timer"]);
});
