// @ts-check
// One total order per receiver, whatever the kind of message (semantics 7.2).

import assert from "node:assert/strict";
import { test } from "../support/test.js";

const inRoom = { open: (/** @type {any} */ ws) => ws.subscribe("room") };

test("sends, publishes, pings and close frames arrive in call order", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  const [a, b] = sockets;
  b.send("s1");
  a.publish("room", "p1");
  b.send("s2");
  server.publish("room", "p2");
  b.ping("k");
  b.publish("room", "p3");
  b.send("s3");
  b.close(4000, "end");
  assert.deepEqual(await clients[1].finished(), [
    "text:s1",
    "text:p1",
    "text:s2",
    "text:p2",
    "ping:6b",
    "text:s3",
    "close:4000:end",
  ]);
  assert.deepEqual(await clients[0].received(2), ["text:p2", "text:p3"]);
});

test("keeps call order inside a message handler", async (t) => {
  const room = await t.room(2, {
    ...inRoom,
    message(ws) {
      ws.send("s1");
      ws.publish("room", "p1");
      room.server.publish("room", "P2");
      ws.send("s2");
      room.server.publish("room", "P3");
      ws.send("s3");
    },
  });
  room.clients[0].sendText("go");
  assert.deepEqual(await room.clients[0].received(5), [
    "text:s1",
    "text:P2",
    "text:s2",
    "text:P3",
    "text:s3",
  ]);
  assert.deepEqual(await room.clients[1].received(3), ["text:p1", "text:P2", "text:P3"]);
});

test("keeps call order inside cork, for the corked and other sockets", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  const [a, b] = sockets;
  a.cork(() => {
    a.send("s1");
    server.publish("room", "P1");
    a.send("s2");
    b.send("b1");
    server.publish("room", "P2");
    a.send("s3");
  });
  assert.deepEqual(await clients[0].received(5), ["text:s1", "text:P1", "text:s2", "text:P2", "text:s3"]);
  assert.deepEqual(await clients[1].received(3), ["text:P1", "text:b1", "text:P2"]);
});

test("keeps the order of large and small publishes", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  assert.equal(server.publish("room", "x".repeat(100_000)), 100_000);
  assert.equal(server.publish("room", "small"), 5);
  sockets[0].send("y".repeat(300_000));
  assert.equal(server.publish("room", "z".repeat(70_000)), 70_000);
  server.publish("room", "end");
  const tail = ["text:70000 bytes", "text:end"];
  assert.deepEqual(await clients[0].received(5), [
    "text:100000 bytes",
    "text:small",
    "text:300000 bytes",
    ...tail,
  ]);
  assert.deepEqual(await clients[1].received(4), ["text:100000 bytes", "text:small", ...tail]);
});

test("a publish before unsubscribe in the same turn is delivered, one after it is not", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  assert.equal(server.publish("room", "1"), 1);
  sockets[1].unsubscribe("room");
  assert.equal(server.publish("room", "2"), 1);
  sockets[1].subscribe("room");
  assert.equal(server.publish("room", "3"), 1);
  assert.deepEqual(await clients[0].settled(), ["text:1", "text:2", "text:3"]);
  assert.deepEqual(await clients[1].settled(), ["text:1", "text:3"]);
});

test("a publish before close() arrives before the close frame", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  server.publish("room", "last");
  sockets[0].close(4000, "bye");
  assert.deepEqual(await clients[0].finished(), ["text:last", "close:4000:bye"]);
  assert.deepEqual(await clients[1].settled(), ["text:last"]);
});

test("a publish before terminate() is delivered", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  server.publish("room", "last");
  sockets[0].terminate();
  assert.deepEqual(await clients[0].finished(), ["text:last"]);
  assert.deepEqual(await clients[1].settled(), ["text:last"]);
});

test("a subscriber does not get what was published before it subscribed", async (t) => {
  const { server, sockets, clients } = await t.room(2);
  sockets[0].subscribe("room");
  server.publish("room", "early");
  sockets[1].subscribe("room");
  server.publish("room", "late");
  assert.deepEqual(await clients[1].settled(), ["text:late"]);
});

test("closing and unsubscribing others in a handler takes effect for the next publish", async (t) => {
  const room = await t.room(3, {
    ...inRoom,
    message() {
      room.server.publish("room", "one");
      room.sockets[2].unsubscribe("room");
      room.server.publish("room", "two");
      room.sockets[1].close(4000);
      room.server.publish("room", "three");
    },
  });
  room.clients[0].sendText("go");
  assert.deepEqual(await room.clients[0].received(3), ["text:one", "text:two", "text:three"]);
  assert.deepEqual(await room.clients[1].finished(), ["text:one", "text:two", "close:4000:"]);
  assert.deepEqual(await room.clients[2].settled(), ["text:one"]);
});

test("announces arrivals to those who were there before", async (t) => {
  const { clients, sockets } = await t.room(2, {
    open(ws) {
      ws.publish("room", "joined");
      ws.subscribe("room");
      ws.publish("room", "nobody else yet");
      ws.send("welcome");
    },
  });
  sockets[0].publish("room", "hi");
  assert.deepEqual(await clients[0].settled(), ["text:welcome", "text:joined", "text:nobody else yet"]);
  assert.deepEqual(await clients[1].settled(), ["text:welcome", "text:hi"]);
});

test("keeps the order of a thousand alternating sends and publishes", async (t) => {
  const { server, sockets, clients } = await t.room(3, inRoom);
  for (let i = 0; i < 1000; i++) {
    if (i % 3 === 0) server.publish("room", `${i}`);
    else if (i % 3 === 1) for (const ws of sockets) ws.send(`${i}`);
    else {
      sockets[0].publish("room", `${i}`);
      sockets[0].send(`${i}`);
    }
  }
  const expected = Array.from({ length: 1000 }, (_, index) => `text:${index}`);
  for (const client of clients) assert.deepEqual(await client.received(1000), expected);
});
