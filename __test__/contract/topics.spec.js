// @ts-check
// Results of subscribing and publishing (semantics 7.1).

import assert from "node:assert/strict";
import { test } from "../support/test.js";

const inRoom = { open: (/** @type {any} */ ws) => ws.subscribe("room") };

test("subscribe, isSubscribed and unsubscribe tell what changed", async (t) => {
  const { ws, server } = await t.pair();
  assert.equal(ws.isSubscribed("a"), false);
  assert.equal(ws.subscribe("a"), true);
  assert.equal(ws.subscribe("a"), true);
  assert.equal(ws.isSubscribed("a"), true);
  assert.equal(server.subscriberCount("a"), 1);
  assert.equal(ws.unsubscribe("a"), true);
  assert.equal(ws.unsubscribe("a"), false);
  assert.equal(ws.unsubscribe("never"), false);
  assert.equal(ws.isSubscribed("a"), false);
  assert.equal(server.subscriberCount("a"), 0);
});

test("lists subscriptions", async (t) => {
  const { ws } = await t.pair();
  assert.deepEqual(ws.subscriptions, []);
  for (const topic of ["zebra", "apple", "mango"]) ws.subscribe(topic);
  assert.deepEqual([...ws.subscriptions].sort(), ["apple", "mango", "zebra"]);
  ws.unsubscribe("mango");
  assert.deepEqual([...ws.subscriptions].sort(), ["apple", "zebra"]);
});

test("lists subscriptions in the order of subscribing", { differs: 3 }, async (t) => {
  const { ws } = await t.pair();
  for (const topic of ["zebra", "apple", "mango"]) ws.subscribe(topic);
  assert.deepEqual(ws.subscriptions, ["zebra", "apple", "mango"]);
});

test("returns false and an empty list on a closed socket", async (t) => {
  const { ws, server } = await t.pair();
  ws.subscribe("a");
  ws.close();
  assert.equal(ws.subscribe("a"), false);
  assert.equal(ws.unsubscribe("a"), false);
  assert.equal(ws.isSubscribed("a"), false);
  assert.deepEqual(ws.subscriptions, []);
  assert.equal(server.subscriberCount("a"), 0);
});

test("counts the subscribers of a topic", async (t) => {
  const { server, sockets } = await t.room(3, inRoom);
  assert.equal(server.subscriberCount("room"), 3);
  assert.equal(server.subscriberCount("unknown"), 0);
  assert.equal(server.subscriberCount(""), 0);
  sockets[0].unsubscribe("room");
  assert.equal(server.subscriberCount("room"), 2);
  sockets[1].terminate();
  assert.equal(server.subscriberCount("room"), 1);
});

test("ws.publish reaches everybody but the socket and returns the payload's size", async (t) => {
  const { sockets, clients } = await t.room(3, inRoom);
  assert.equal(sockets[0].publish("room", "h\u00e9llo"), 6);
  assert.equal(sockets[0].publishText("room", "text"), 4);
  assert.equal(sockets[0].publishBinary("room", Uint8Array.from([1, 2])), 2);
  assert.equal(sockets[0].publish("room", Buffer.from([3])), 1);
  const expected = ["text:h\u00e9llo", "text:text", "binary:0102", "binary:03"];
  assert.deepEqual(await clients[1].received(4), expected);
  assert.deepEqual(await clients[2].received(4), expected);
  assert.deepEqual(await clients[0].settled(), []);
});

test("ws.publish returns 0 when nobody else is there", async (t) => {
  const { sockets } = await t.room(1, inRoom);
  assert.equal(sockets[0].publish("room", "x"), 0);
  assert.equal(sockets[0].publish("nobody", "x"), 0);
});

test("a socket may publish to a topic it is not subscribed to", async (t) => {
  const { sockets, clients } = await t.room(2);
  sockets[1].subscribe("news");
  assert.equal(sockets[0].publish("news", "outsider"), 8);
  assert.deepEqual(await clients[1].received(1), ["text:outsider"]);
});

test("publishToSelf makes the publisher a receiver, if it is subscribed", async (t) => {
  const { sockets, clients } = await t.room(2, { publishToSelf: true });
  sockets[0].subscribe("room");
  assert.equal(sockets[0].publish("room", "alone"), 5);
  assert.equal(sockets[0].publishText("room", "text"), 4);
  assert.equal(sockets[0].publishBinary("room", Buffer.from([1])), 1);
  assert.equal(sockets[1].publish("room", "from b"), 6);
  assert.deepEqual(await clients[0].settled(), ["text:alone", "text:text", "binary:01", "text:from b"]);
  assert.deepEqual(await clients[1].settled(), []);
});

test("server.publish reaches every subscriber and nobody else", async (t) => {
  const { server, sockets, clients } = await t.room(3);
  assert.equal(server.publish("room", "nobody"), 0);
  sockets[0].subscribe("room");
  sockets[2].subscribe("room");
  assert.equal(server.publish("room", "text"), 4);
  assert.equal(server.publish("room", Uint8Array.from([1]).buffer), 1);
  assert.equal(server.publish("room", new DataView(new ArrayBuffer(2))), 2);
  for (const index of [0, 2]) {
    assert.deepEqual(await clients[index].received(3), ["text:text", "binary:01", "binary:0000"]);
  }
  assert.deepEqual(await clients[1].settled(), []);
});

test("delivers an empty message and returns 0", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  assert.equal(server.publish("room", ""), 0);
  assert.equal(sockets[0].publish("room", ""), 0);
  assert.equal(sockets[0].publishBinary("room", new Uint8Array(0)), 0);
  assert.deepEqual(await clients[1].received(3), ["text:", "text:", "binary:"]);
});

test("publishes a Blob in the order of the calls", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  assert.equal(server.publish("room", "first"), 5);
  assert.equal(server.publish("room", new Blob(["blob"])), 4);
  assert.equal(sockets[0].publish("room", new Blob(["b"])), 1);
  assert.equal(server.publish("room", "last"), 4);
  const expected = ["text:first", "binary:626c6f62", "binary:62", "text:last"];
  assert.deepEqual(await clients[1].received(4), expected);
});

test("takes wildcard characters literally", async (t) => {
  const { server, sockets, clients } = await t.room(1);
  for (const topic of ["n/+", "n/#", "*"]) sockets[0].subscribe(topic);
  assert.equal(server.publish("n/a", "x"), 0);
  assert.equal(server.publish("n/+", "plus"), 4);
  assert.equal(server.publish("*", "star"), 4);
  assert.deepEqual(await clients[0].settled(), ["text:plus", "text:star"]);
});

test("accepts long and non-ASCII topics and tells similar ones apart", async (t) => {
  const { server, sockets, clients } = await t.room(1);
  const long = "t".repeat(10_000);
  sockets[0].subscribe(long);
  sockets[0].subscribe("caf\u00e9");
  assert.equal(server.publish(`${long}t`, "x"), 0);
  assert.equal(server.publish("cafe\u0301", "x"), 0);
  assert.equal(server.publish(long, "long"), 4);
  assert.equal(server.publish("caf\u00e9", "coffee"), 6);
  assert.deepEqual(await clients[0].settled(), ["text:long", "text:coffee"]);
});

test("treats lone surrogates in topics as U+FFFD", async (t) => {
  const { server, sockets, clients } = await t.room(1);
  sockets[0].subscribe("a\ud800");
  assert.equal(sockets[0].isSubscribed("a\ufffd"), true);
  assert.equal(server.subscriberCount("a\udc00"), 1);
  assert.equal(server.publish("a\ufffd", "x"), 1);
  assert.deepEqual(await clients[0].received(1), ["text:x"]);
});

test("keeps the topics of two servers apart", async (t) => {
  const one = await t.room(1, inRoom);
  const two = await t.room(1, inRoom);
  assert.equal(one.server.publish("room", "one"), 3);
  assert.equal(two.server.publish("room", "two"), 3);
  assert.equal(one.sockets[0].publish("room", "x"), 0);
  assert.deepEqual(await one.clients[0].settled(), ["text:one"]);
  assert.deepEqual(await two.clients[0].settled(), ["text:two"]);
});

test("goes on publishing to open sockets after stop()", async (t) => {
  const { server, sockets, clients } = await t.room(2, inRoom);
  server.stop();
  assert.equal(server.publish("room", "still"), 5);
  assert.equal(sockets[0].publish("room", "here"), 4);
  assert.equal(server.subscriberCount("room"), 2);
  assert.deepEqual(await clients[1].received(2), ["text:still", "text:here"]);
  for (const ws of sockets) ws.close();
  assert.equal(server.publish("room", "gone"), 0);
  assert.equal(server.subscriberCount("room"), 0);
});

test("a server without websocket has no subscribers", async (t) => {
  const server = t.serve({ fetch: () => new Response("ok") });
  assert.equal(server.publish("room", "x"), 0);
  assert.equal(server.subscriberCount("room"), 0);
  assert.equal(server.pendingWebSockets, 0);
});

test("delivers messages of several topics to one socket once each", async (t) => {
  const { server, sockets, clients } = await t.room(1);
  for (const topic of ["a", "b", "c"]) sockets[0].subscribe(topic);
  sockets[0].subscribe("a");
  for (const topic of ["a", "b", "c"]) server.publish(topic, topic);
  assert.deepEqual(await clients[0].settled(), ["text:a", "text:b", "text:c"]);
});

test("survives a thousand topics on one socket and forgets them at its close", async (t) => {
  const { server, sockets, clients } = await t.room(2);
  for (let i = 0; i < 1000; i++) sockets[0].subscribe(`topic ${i}`);
  assert.equal(sockets[0].subscriptions.length, 1000);
  for (let i = 0; i < 1000; i += 2) sockets[0].unsubscribe(`topic ${i}`);
  assert.equal(server.publish("topic 500", "x"), 0);
  assert.equal(server.publish("topic 501", "x"), 1);
  assert.deepEqual(await clients[0].received(1), ["text:x"]);
  sockets[0].close();
  assert.equal(server.publish("topic 501", "x"), 0);
  sockets[1].subscribe("topic 501");
  assert.equal(server.publish("topic 501", "y"), 1);
  assert.deepEqual(await clients[1].received(1), ["text:y"]);
});

test("reaches a hundred subscribers with text, bytes and a large message", async (t) => {
  const { server, clients } = await t.room(100, inRoom);
  server.publish("room", "small");
  server.publish("room", Buffer.alloc(100_000, 5));
  server.publish("room", "end");
  for (const client of clients) {
    assert.deepEqual(await client.received(3), ["text:small", "binary:100000 bytes", "text:end"]);
    assert.ok(client.frames[1].payload.every((byte) => byte === 5));
  }
});
