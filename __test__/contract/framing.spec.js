// @ts-check
// Bytes on the wire (semantics 3.3) and cork (3.4).

import assert from "node:assert/strict";
import { test } from "../support/test.js";
import { turn } from "../support/wait.js";

test("uses the shortest length form, never masks and never fragments", async (t) => {
  const { ws, client } = await t.pair();
  const sizes = /** @type {[number, number][]} */ ([
    [0, 2],
    [125, 2],
    [126, 4],
    [65_535, 4],
    [65_536, 10],
    [5 * 1024 * 1024, 10],
  ]);
  for (const [size] of sizes) ws.send(Buffer.alloc(size, 7));
  await client.received(sizes.length);
  for (const [index, [size, headerLength]] of sizes.entries()) {
    const frame = client.frames[index];
    assert.equal(frame.payload.length, size);
    assert.equal(frame.headerLength, headerLength, `header of ${size} bytes`);
    assert.deepEqual([frame.fin, frame.masked, frame.rsv], [true, false, 0]);
    assert.ok(frame.payload.every((byte) => byte === 7));
  }
});

test("sends strings of every internal form as the same UTF-8", async (t) => {
  const { ws, client } = await t.pair();
  const latin = "\u00e9".repeat(75);
  const wide = "\u65e5".repeat(50);
  const rope = `${"ab".repeat(100)}${latin}${wide}`;
  const sliced = `${"x".repeat(100)}${"y".repeat(100)}`.slice(50, 150);
  const texts = [latin, wide, rope, sliced, "\u00e9".repeat(135_000)];
  for (const text of texts) assert.equal(ws.send(text), Buffer.byteLength(text));
  await client.received(texts.length);
  for (const [index, text] of texts.entries()) assert.equal(client.frames[index].payload.toString(), text);
});

test("replaces each lone surrogate by U+FFFD", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send("a\ud800b\udc00"), 8);
  assert.equal(ws.sendText("\udfff\ud800"), 6);
  await client.received(2);
  assert.equal(client.frames[0].payload.toString("hex"), "61efbfbd62efbfbd");
  assert.equal(client.frames[1].payload.toString("hex"), "efbfbdefbfbd");
});

test("sends NUL and BOM as they are", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send("\0a\0"), 3);
  assert.equal(ws.send("\ufeffb"), 4);
  await client.received(2);
  assert.equal(client.frames[0].payload.toString("hex"), "006100");
  assert.equal(client.frames[1].payload.toString("hex"), "efbbbf62");
});

test("is not disturbed when the caller reuses its buffer after send returned", async (t) => {
  const { ws, client } = await t.pair();
  const small = Buffer.alloc(100, 1);
  const large = Buffer.alloc(3_000_000, 1);
  ws.send(small);
  ws.send(large);
  small.fill(2);
  large.fill(2);
  await client.received(2);
  assert.ok(client.frames.every((frame) => frame.payload.every((byte) => byte === 1)));
});

test("keeps the order of large and small messages, text, binary and control frames", async (t) => {
  const { ws, client } = await t.pair();
  ws.send("1");
  ws.send(Buffer.alloc(200_000));
  ws.ping("2");
  ws.send("x".repeat(100_000));
  ws.pong("3");
  ws.send("4");
  ws.close(4000, "5");
  assert.deepEqual(await client.finished(), [
    "text:1",
    "binary:200000 bytes",
    "ping:32",
    "text:100000 bytes",
    "pong:33",
    "text:4",
    "close:4000:5",
  ]);
});

test("delivers ten thousand small messages in order", async (t) => {
  const { ws, client } = await t.pair();
  for (let i = 0; i < 10_000; i++) ws.send(String(i));
  await client.received(10_000);
  assert.ok(client.frames.every((frame, index) => frame.payload.toString() === String(index)));
  assert.equal(client.frames.length, 10_000);
});

test("echoes payloads of every size around the boundaries of the length forms", async (t) => {
  const { client } = await t.pair({ message: (ws, data) => ws.send(data) });
  const sizes = [
    0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 124, 125, 126, 127, 128, 255, 256, 65_534,
  ];
  sizes.push(65_535, 65_536, 65_537, 131_071, 1_000_003);
  const payloads = sizes.map((size) =>
    Buffer.from(Uint8Array.from({ length: size }, (_, i) => (i * 31 + size) & 0xff)),
  );
  for (const payload of payloads) client.sendBinary(payload);
  await client.received(sizes.length);
  for (const [index, payload] of payloads.entries()) {
    assert.ok(client.frames[index].payload.equals(payload), `${payload.length} bytes`);
  }
});

// Cork ----------------------------------------------------------------------------------------------------------

test("calls the cork callback synchronously with the socket and returns its value", async (t) => {
  const { ws } = await t.pair();
  /** @type {any[]} */
  let seen = [];
  const result = ws.cork((/** @type {any[]} */ ...args) => {
    seen = args;
    return "result";
  });
  assert.equal(result, "result");
  assert.equal(seen.length, 1);
  assert.equal(seen[0], ws);
});

test("returns the promise of an async cork callback", async (t) => {
  const { ws, client } = await t.pair();
  const result = ws.cork(async () => {
    ws.send("now");
    await turn();
    ws.send("later");
    return "done";
  });
  assert.ok(result instanceof Promise);
  assert.equal(await result, "done");
  assert.deepEqual(await client.received(2), ["text:now", "text:later"]);
});

for (const place of ["message", "cork"]) {
  test(`lets twenty sends inside ${place} leave as one write`, async (t) => {
    const sendTwenty = (/** @type {any} */ ws) => {
      for (let i = 0; i < 20; i++) ws.send(`message ${i}`);
    };
    const { ws, client } = await t.pair({ message: sendTwenty });
    client.recordReads = true;
    if (place === "cork") ws.cork(sendTwenty);
    else client.sendText("go");
    await client.received(20);
    assert.equal(client.reads.length, 1);
  });
}

test("lets an exception of the cork callback through and keeps what was sent before", async (t) => {
  const { ws, client } = await t.pair();
  const failure = new Error("inside cork");
  assert.throws(
    () =>
      ws.cork(() => {
        ws.send("kept");
        throw failure;
      }),
    failure,
  );
  ws.send("next");
  assert.deepEqual(await client.received(2), ["text:kept", "text:next"]);
});

test("runs the cork callback on a closed socket", async (t) => {
  const { ws } = await t.pair();
  ws.close();
  assert.equal(
    ws.cork(() => ws.send("x")),
    0,
  );
  assert.equal(
    ws.cork(() => "ran"),
    "ran",
  );
});

test("checks the argument of cork", async (t) => {
  const { ws } = await t.pair();
  assert.throws(() => ws.cork(), {
    name: "TypeError",
    code: "ERR_MISSING_ARGS",
    message: "Not enough arguments to 'cork'. Expected 1, got 0.",
  });
  assert.throws(() => ws.cork(1), {
    name: "TypeError",
    code: "ERR_INVALID_ARG_TYPE",
    message: 'The "callback" argument must be of type function. Received type number (1)',
  });
});

test("keeps the order of calls per socket when corks nest and touch other sockets", async (t) => {
  const { sockets, clients } = await t.room(2);
  const [a, b] = sockets;
  a.cork(() => {
    a.send("1");
    b.send("b1");
    b.cork(() => {
      b.send("b2");
      a.send("2");
      a.cork(() => a.send("3"));
    });
    a.send("4");
    b.send("b3");
  });
  a.send("5");
  assert.deepEqual(await clients[0].received(5), ["text:1", "text:2", "text:3", "text:4", "text:5"]);
  assert.deepEqual(await clients[1].received(3), ["text:b1", "text:b2", "text:b3"]);
});

test("delivers what was sent in a cork before close() and returns 0 afterwards", async (t) => {
  const { ws, client } = await t.pair();
  ws.cork(() => {
    assert.equal(ws.send("1"), 1);
    ws.close(4003, "c");
    assert.equal(ws.send("2"), 0);
  });
  assert.deepEqual(await client.finished(), ["text:1", "close:4003:c"]);
});

test("delivers what was sent in a cork before terminate()", async (t) => {
  const { ws, client } = await t.pair();
  ws.cork(() => {
    assert.equal(ws.send("1"), 1);
    ws.terminate();
    assert.equal(ws.send("2"), 0);
  });
  assert.deepEqual(await client.finished(), ["text:1"]);
  assert.equal(client.state, "fin");
});

test("does not count corked bytes in getBufferedAmount", async (t) => {
  const { ws } = await t.pair();
  ws.cork(() => {
    ws.send("x".repeat(1000));
    assert.equal(ws.getBufferedAmount(), 0);
  });
});
