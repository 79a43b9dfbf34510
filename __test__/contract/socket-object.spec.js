// @ts-check
// The ServerWebSocket as an object (semantics 1).

import assert from "node:assert/strict";
import { test } from "../support/test.js";

const METHODS = {
  send: 2,
  sendText: 2,
  sendBinary: 2,
  ping: 1,
  pong: 1,
  publish: 3,
  publishText: 2,
  publishBinary: 2,
  subscribe: 1,
  unsubscribe: 1,
  isSubscribed: 1,
  cork: 1,
  close: 3,
  terminate: 0,
  getBufferedAmount: 0,
  pause: 0,
  resume: 0,
};

test("has every method, on the prototype, with Bun's parameter counts", async (t) => {
  const { ws } = await t.pair();
  const prototype = Object.getPrototypeOf(ws);
  for (const [name, length] of Object.entries(METHODS)) {
    assert.equal(typeof ws[name], "function", name);
    assert.equal(ws[name].length, length, `${name}.length`);
    assert.equal(Object.hasOwn(ws, name), false, `${name} is not an own property`);
    assert.ok(name in prototype, `${name} is on the prototype`);
  }
});

test("has its state in accessors of the prototype", async (t) => {
  const { ws } = await t.pair();
  const prototype = Object.getPrototypeOf(ws);
  for (const name of ["readyState", "remoteAddress", "subscriptions", "isPaused", "binaryType", "data"]) {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, name);
    assert.equal(typeof descriptor?.get, "function", name);
  }
});

test("has no own keys and no state constants, and accepts properties of the user", async (t) => {
  const { ws } = await t.pair();
  assert.deepEqual(Object.keys(ws), []);
  assert.equal(ws.OPEN, undefined);
  assert.equal(ws.CLOSED, undefined);
  ws.nickname = "ada";
  assert.equal(ws.nickname, "ada");
  assert.deepEqual(Object.keys(ws), ["nickname"]);
});

test("is called ServerWebSocket and cannot be constructed", async (t) => {
  const { ws } = await t.pair();
  assert.equal(Object.prototype.toString.call(ws), "[object ServerWebSocket]");
  assert.equal(ws.constructor.name, "ServerWebSocket");
  assert.throws(() => new ws.constructor(), {
    name: "Error",
    message: "Cannot construct ServerWebSocket",
  });
});

test("throws ERR_INVALID_THIS when a method is taken off its socket", async (t) => {
  const { ws } = await t.pair();
  for (const name of Object.keys(METHODS)) {
    const method = ws[name];
    assert.throws(() => method(), {
      name: "TypeError",
      code: "ERR_INVALID_THIS",
      message: "Expected this to be instanceof ServerWebSocket",
    });
    assert.throws(() => method.call({}), {
      name: "TypeError",
      code: "ERR_INVALID_THIS",
      message: "Expected this to be instanceof ServerWebSocket, but received an instance of Object",
    });
  }
});

test("is the same object in every handler call of a connection", async (t) => {
  const calls = t.recorder();
  const { client, ws } = await t.pair({
    message: (socket) => calls.add(socket),
    ping: (socket) => calls.add(socket),
    pong: (socket) => calls.add(socket),
    close: (socket) => calls.add(socket),
  });
  client.sendText("a").sendPing("b").sendPong("c").sendClose(1000);
  for (const socket of await calls.atLeast(4)) assert.equal(socket, ws);
});

test("reads readyState 1 while open and 3 from close() on, never 0 or 2", async (t) => {
  const states = t.recorder();
  const { ws } = await t.pair({
    open: (socket) => states.add(socket.readyState),
    close: (socket) => states.add(socket.readyState),
  });
  assert.equal(ws.readyState, 1);
  ws.close();
  assert.equal(ws.readyState, 3);
  assert.deepEqual(states.entries, [1, 3]);
});

test("ignores or refuses an assignment to readyState", async (t) => {
  const { ws } = await t.pair();
  // Strict mode may throw for a property without a setter; what matters is that the value stays.
  try {
    ws.readyState = 3;
  } catch {}
  assert.equal(ws.readyState, 1);
});

test("keeps data with its identity and lets it be replaced", async (t) => {
  const data = { user: 7 };
  const { ws } = await t.pair({}, { upgrade: { data } });
  assert.equal(ws.data, data);
  const other = new Map();
  ws.data = other;
  assert.equal(ws.data, other);
});

test("has undefined as data when upgrade() was given none", async (t) => {
  const { ws } = await t.pair();
  assert.equal(ws.data, undefined);
});

test("knows the address of its peer", async (t) => {
  const { ws, server } = await t.pair();
  assert.equal(ws.remoteAddress, "127.0.0.1");
  assert.equal(server.hostname, "127.0.0.1");
});

test("reports the peer's address as IPv6 on a dual-stack server", async (t) => {
  const server = t.sockets({ open: (ws) => ws.send(ws.remoteAddress) }, { hostname: undefined });
  const client = await t.connect(server);
  assert.deepEqual(await client.received(1), ["text:::ffff:127.0.0.1"]);
});

test("still knows the address of its peer when first asked after the close", async (t) => {
  const closed = t.recorder();
  const { client } = await t.pair({ close: (ws) => closed.add(ws.remoteAddress) });
  client.sendClose(1000);
  const after = t.expected(2, { bun: undefined, ours: "127.0.0.1" });
  assert.deepEqual(await closed.atLeast(1), [after]);
});

test("returns a new subscriptions array on every read", async (t) => {
  const { ws } = await t.pair();
  ws.subscribe("a");
  assert.notEqual(ws.subscriptions, ws.subscriptions);
  ws.subscriptions.push("b");
  assert.deepEqual(ws.subscriptions, ["a"]);
});
