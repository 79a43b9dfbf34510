// @ts-check
// Argument checks of the topic methods (semantics 7.3).

import assert from "node:assert/strict";
import { argumentTypeError, missingArgument, plainError } from "../support/errors.js";
import { test } from "../support/test.js";

const PUBLISHING = ["publish", "publishText", "publishBinary"];
const SUBSCRIBING = ["subscribe", "unsubscribe", "isSubscribed"];

test("requires an argument", async (t) => {
  const { ws } = await t.pair();
  for (const name of [...PUBLISHING, ...SUBSCRIBING]) {
    assert.throws(() => ws[name](), plainError(`${name} requires at least 1 argument`));
  }
});

test("requires the topic to be a string and names what it got", async (t) => {
  const { ws } = await t.pair();
  const received = /** @type {[any, string][]} */ ([
    [1, "type number (1)"],
    [null, "null"],
    [undefined, "undefined"],
    [true, "type boolean (true)"],
    [{}, "an instance of Object"],
    [[], "an instance of Array"],
  ]);
  for (const name of [...PUBLISHING, ...SUBSCRIBING]) {
    for (const [topic, text] of received) {
      assert.throws(
        () => ws[name](topic, "x"),
        argumentTypeError(`The "topic" argument must be of type string. Received ${text}`),
      );
    }
  }
});

test("requires a non-empty topic name", async (t) => {
  const { ws } = await t.pair();
  for (const name of ["publish", "publishBinary", ...SUBSCRIBING]) {
    assert.throws(
      () => ws[name]("", Buffer.from("x")),
      plainError(`${name} requires a non-empty topic name`),
    );
  }
  assert.equal(ws.publishText("", "x"), 0);
});

test("requires a message to publish", async (t) => {
  const { ws } = await t.pair();
  for (const args of [["t"], ["t", null], ["t", undefined]]) {
    assert.throws(() => ws.publish(...args), plainError("publish requires a non-empty message"));
  }
});

test("publishes other values as the text of String(value)", async (t) => {
  const { sockets, clients } = await t.room(2);
  sockets[1].subscribe("t");
  assert.equal(sockets[0].publish("t", 25), 2);
  assert.equal(sockets[0].publish("t", {}), 15);
  assert.deepEqual(await clients[1].received(2), ["text:25", "text:[object Object]"]);
});

test("publishText takes only strings, publishBinary only bytes", async (t) => {
  const { ws } = await t.pair();
  for (const value of [5, null, {}, Buffer.from("x")]) {
    assert.throws(() => ws.publishText("t", value), plainError("publishText expects a string"));
  }
  for (const value of ["x", 5, null, {}]) {
    assert.throws(
      () => ws.publishBinary("t", value),
      plainError("publishBinary expects a Blob or BufferSource"),
    );
  }
});

test("accepts only booleans and undefined as the compress flag of a socket's publish", async (t) => {
  const { sockets, clients } = await t.room(2);
  sockets[1].subscribe("t");
  for (const flag of [null, 1, "yes", {}]) {
    assert.throws(
      () => sockets[0].publish("t", "x", flag),
      plainError("publish expects compress to be a boolean"),
    );
  }
  assert.equal(sockets[0].publish("t", "x", true), 1);
  assert.equal(sockets[0].publish("t", "y", undefined), 1);
  assert.deepEqual(await clients[1].settled(), ["text:x", "text:y"]);
});

test("server.publish requires two arguments and a topic that is not empty", async (t) => {
  const { server } = await t.pair();
  assert.throws(() => server.publish(), argumentTypeError("Missing argument"));
  assert.throws(() => server.publish("t"), argumentTypeError("Missing argument"));
  assert.throws(() => server.publish("", "x"), plainError("publish requires a topic string"));
});

test("server.publish converts topic, message and flag", async (t) => {
  const { server, sockets, clients } = await t.room(1);
  for (const topic of ["1", "t"]) sockets[0].subscribe(topic);
  assert.equal(server.publish(1, "one"), 3);
  assert.equal(server.publish("t", null), 4);
  assert.equal(server.publish("t", 5), 1);
  assert.equal(server.publish("t", {}), 15);
  assert.equal(server.publish("t", "flag", 1), 4);
  const expected = ["text:one", "text:null", "text:5", "text:[object Object]", "text:flag"];
  assert.deepEqual(await clients[0].settled(), expected);
});

test("subscriberCount requires an argument", async (t) => {
  const { server } = await t.pair();
  assert.throws(
    () => server.subscriberCount(),
    missingArgument("Not enough arguments to 'subscriberCount'. Expected 1, got 0."),
  );
});

test("checks nothing when subscribing on a closed socket", async (t) => {
  const { ws } = await t.pair();
  ws.close();
  for (const name of SUBSCRIBING) assert.equal(ws[name](""), false, name);
});
