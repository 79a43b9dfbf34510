// @ts-check
// stop() and stop(true) (semantics 14 and 5.2).

import assert from "node:assert/strict";
import { handshake, RawClient } from "../support/raw-client.js";
import { test } from "../support/test.js";
import { gate, turn, within } from "../support/wait.js";

for (const args of [[], [false]]) {
  test(`stop(${args}) refuses new connections and leaves websockets open and usable`, async (t) => {
    const order = t.recorder();
    const { server, client, ws } = await t.pair({
      message: (ws, data) => ws.send(data),
      close: () => order.add("close"),
    });
    const stopped = server.stop(...args);
    assert.ok(stopped instanceof Promise);
    stopped.then((/** @type {any} */ value) => order.add(["stopped", value]));
    await assert.rejects(RawClient.open(server), { code: "ECONNREFUSED" });
    client.sendText("still here");
    assert.deepEqual(await client.received(1), ["text:still here"]);
    assert.equal(server.pendingWebSockets, 1);
    assert.deepEqual(order.entries, []);
    ws.close();
    assert.deepEqual(await order.atLeast(2), ["close", ["stopped", undefined]]);
  });
}

test("stop() closes idle keep-alive connections at once", async (t) => {
  const server = t.serve({ fetch: () => new Response("ok") });
  const { client } = await t.request(server, "GET / HTTP/1.1");
  const stopped = server.stop();
  await client.finished();
  assert.equal(await within(stopped, "stop()"), undefined);
});

test("stop() lets pending requests finish, then ends their connections", async (t) => {
  const begun = gate();
  const release = gate();
  const order = t.recorder();
  const server = t.serve({
    async fetch() {
      begun.open();
      await release.passed;
      return new Response("finished");
    },
  });
  const client = await t.tcp(server);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await within(begun.passed, "fetch");
  const stopped = server.stop().then(() => order.add("stopped"));
  await turn();
  assert.deepEqual(order.entries, []);
  release.open();
  const response = await client.response();
  assert.equal(response?.text(), "finished");
  await client.finished();
  await within(stopped, "stop()");
});

test("stop() lets a pending request upgrade, and the socket lives on", async (t) => {
  const begun = gate();
  const release = gate();
  const server = t.serve({
    async fetch(/** @type {Request} */ request, /** @type {any} */ self) {
      begun.open();
      await release.passed;
      return self.upgrade(request) ? undefined : new Response("no");
    },
    websocket: { message: (/** @type {any} */ ws, /** @type {any} */ data) => ws.send(data) },
  });
  const client = await t.tcp(server);
  client.write(handshake());
  await within(begun.passed, "fetch");
  server.stop();
  release.open();
  assert.equal((await client.response())?.status, 101);
  client.sendText("alive");
  assert.deepEqual(await client.received(1), ["text:alive"]);
});

test("stop(true) closes websockets with 1001 inside the call", async (t) => {
  const order = t.recorder();
  const { server, clients, sockets } = await t.room(3, {
    close: (ws, code, reason) => order.add([code, reason, ws.readyState]),
  });
  const stopped = server.stop(true);
  order.add("returned");
  const closed = [1001, "Server closed", 3];
  assert.deepEqual(order.entries, [closed, closed, closed, "returned"]);
  assert.equal(sockets[0].send("late"), 0);
  for (const client of clients) assert.deepEqual(await client.finished(), ["close:1001:Server closed"]);
  assert.equal(await within(stopped, "stop(true)"), undefined);
  assert.equal(server.pendingWebSockets, 0);
});

test("stop(true) delivers what was sent before", async (t) => {
  const { server, ws, client } = await t.pair();
  ws.send("last words");
  server.stop(true);
  assert.deepEqual(await client.finished(), ["text:last words", "close:1001:Server closed"]);
});

test("stop(true) ends pending requests without a response and aborts their signals", async (t) => {
  const begun = gate();
  const aborted = gate();
  const server = t.serve({
    fetch(/** @type {Request} */ request) {
      request.signal.addEventListener("abort", () => aborted.open());
      begun.open();
      return new Promise(() => {});
    },
  });
  const client = await t.tcp(server);
  client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await within(begun.passed, "fetch");
  const stopped = server.stop(true);
  await within(aborted.passed, "the abort event");
  await client.finished();
  assert.equal(client.bytesRead, 0);
  await within(stopped, "stop(true)");
});

test("stop(true) inside a message handler closes that very socket", async (t) => {
  const order = t.recorder();
  const { client, server } = await t.pair({
    message(ws) {
      server.stop(true);
      order.add([ws.readyState, ws.send("x")]);
    },
    close: (_, code, reason) => order.add([code, reason]),
  });
  client.sendText("stop");
  assert.deepEqual(await client.finished(), ["close:1001:Server closed"]);
  assert.deepEqual(order.entries, [
    [1001, "Server closed"],
    [3, 0],
  ]);
});

test("may be called twice and escalate", async (t) => {
  const closed = t.recorder();
  const { server, client } = await t.pair({ close: (_, code) => closed.add(code) });
  const first = server.stop();
  const second = server.stop();
  assert.deepEqual(closed.entries, []);
  const forced = server.stop(true);
  assert.deepEqual(closed.entries, [1001]);
  await client.finished();
  await within(Promise.all([first, second, forced]), "every stop()");
});

test("frees the port for a new server", async (t) => {
  const first = t.serve({ fetch: () => new Response("first") });
  const { port } = first;
  await first.stop(true);
  const second = t.serve({ fetch: () => new Response("second"), port });
  assert.equal((await t.request(second, "GET / HTTP/1.1")).text(), "second");
});

test("starts and stops a hundred servers", async (t) => {
  for (let i = 0; i < 100; i++) {
    const server = t.sockets({ open: (ws) => ws.send(`${i}`) });
    if (i % 10 === 0) assert.deepEqual(await (await t.connect(server)).received(1), [`text:${i}`]);
    await within(server.stop(true), "stop(true)");
  }
});
