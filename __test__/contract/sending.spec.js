// @ts-check
// What send, sendText, sendBinary, ping and pong return, accept and throw (semantics 3.1 and 3.2).

import assert from "node:assert/strict";
import { plainError } from "../support/errors.js";
import { test } from "../support/test.js";
import { turn } from "../support/wait.js";

const bytes = (/** @type {number[]} */ ...values) => Uint8Array.from(values);

test("returns the payload's size in bytes, counted in UTF-8", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send("hello"), 5);
  assert.equal(ws.send("h\u00e9llo"), 6);
  assert.equal(ws.send("\u65e5\u672c"), 6);
  assert.equal(ws.send("\u{1f600}"), 4);
  assert.equal(ws.sendText("abc"), 3);
  assert.equal(ws.sendBinary(bytes(1, 2, 3, 4)), 4);
  assert.equal(ws.send(Buffer.alloc(70_000)), 70_000);
  assert.equal(ws.ping("ab"), 2);
  assert.equal(ws.pong(bytes(1, 2, 3)), 3);
  assert.deepEqual(await client.received(9), [
    "text:hello",
    "text:h\u00e9llo",
    "text:\u65e5\u672c",
    "text:\u{1f600}",
    "text:abc",
    "binary:01020304",
    "binary:70000 bytes",
    "ping:6162",
    "pong:010203",
  ]);
});

test("sends text of every width whole, whatever was sent before it", async (t) => {
  const { ws, client } = await t.pair();
  const units = [
    "a",
    "\u00e9",
    "\u0436",
    "\u65e5",
    "\u{1f600}",
    "\ud83d",
    "\ude00",
    "ab\u0436",
    "ab\u{1f600}\ud83d",
  ];
  /** @type {string[]} */
  const sent = [];
  for (const length of [1, 24, 47, 48, 49, 300, 5000]) {
    for (const unit of units) {
      for (const text of [unit.repeat(length), `${"x".repeat(length)}${unit}`, "x".repeat(length)]) {
        assert.equal(ws.send(text), Buffer.byteLength(text));
        sent.push(text);
        // So that nothing waits, and the size is what is returned.
        if (sent.length % 20 === 0) await client.received(sent.length);
      }
    }
  }
  await client.received(sent.length);
  for (const [i, text] of sent.entries()) {
    // A surrogate without its partner is replaced, as in every text.
    assert.ok(client.frames[i].payload.equals(Buffer.from(text)), JSON.stringify(text.slice(0, 60)));
  }
});

test("returns 0 for an empty payload, and sends it", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send(""), 0);
  assert.equal(ws.sendText(""), 0);
  assert.equal(ws.sendBinary(new Uint8Array(0)), 0);
  assert.equal(ws.send(new ArrayBuffer(0)), 0);
  assert.equal(ws.ping(), 0);
  assert.equal(ws.ping(""), 0);
  assert.equal(ws.pong(), 0);
  assert.deepEqual(await client.received(7), [
    "text:",
    "text:",
    "binary:",
    "binary:",
    "ping:",
    "ping:",
    "pong:",
  ]);
});

for (const place of ["open", "message", "cork", "a later turn"]) {
  test(`returns the same values in ${place}`, async (t) => {
    const results = t.recorder();
    const sendAll = (/** @type {any} */ ws) => {
      for (const result of [
        ws.send("four"),
        ws.sendText("\u00e9"),
        ws.sendBinary(bytes(1)),
        ws.ping("p"),
        ws.pong(),
      ]) {
        results.add(result);
      }
    };
    const { client, ws } = await t.pair({
      open: (ws) => place === "open" && sendAll(ws),
      message: (ws) => sendAll(ws),
    });
    if (place === "message") client.sendText("go");
    if (place === "cork") ws.cork(sendAll);
    if (place === "a later turn") {
      await turn();
      sendAll(ws);
    }
    assert.deepEqual(await results.atLeast(5), [4, 2, 1, 1, 0]);
    assert.deepEqual(await client.received(5), ["text:four", "text:\u00e9", "binary:01", "ping:70", "pong:"]);
  });
}

test("returns the uncompressed size when asked to compress without a negotiated extension", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send("x".repeat(1000), true), 1000);
  assert.equal(ws.sendText("y", false), 1);
  assert.equal(ws.sendBinary(bytes(1, 2), true), 2);
  assert.deepEqual(await client.received(3), ["text:1000 bytes", "text:y", "binary:0102"]);
});

for (const how of ["close", "terminate", "peer"]) {
  test(`returns 0 and checks nothing after ${how === "peer" ? "the peer left" : `${how}()`}`, async (t) => {
    const closed = t.recorder();
    const { ws, client } = await t.pair({ close: () => closed.add("close") });
    if (how === "peer") client.destroy();
    else ws[how]();
    await closed.atLeast(1);
    assert.equal(ws.send("x"), 0);
    assert.equal(ws.send(), 0);
    assert.equal(ws.send({}), 0);
    assert.equal(ws.send("x", "yes"), 0);
    assert.equal(ws.sendText(bytes(1)), 0);
    assert.equal(ws.sendBinary("text"), 0);
    assert.equal(ws.ping("x".repeat(200)), 0);
    assert.equal(ws.pong({}), 0);
    assert.equal(ws.getBufferedAmount(), 0);
  });
}

/** Values that are sent as bytes, and the bytes. @type {[string, () => any, string][]} */
const BINARY = [
  ["a Buffer", () => Buffer.from([1, 2, 3]), "010203"],
  ["a Uint8Array", () => bytes(1, 2, 3), "010203"],
  ["a Uint16Array", () => Uint16Array.from([0x0201, 0x0403]), "01020304"],
  ["a Float64Array", () => Float64Array.from([1]), "000000000000f03f"],
  ["a BigInt64Array", () => BigInt64Array.from([1n]), "0100000000000000"],
  ["a typed array with an offset", () => new Uint8Array(bytes(9, 1, 2, 9).buffer, 1, 2), "0102"],
  [
    "a Uint32Array with an offset",
    () => new Uint32Array(bytes(9, 9, 9, 9, 1, 0, 0, 0).buffer, 4, 1),
    "01000000",
  ],
  ["a DataView with an offset", () => new DataView(bytes(9, 1, 2, 9).buffer, 1, 2), "0102"],
  ["an ArrayBuffer", () => bytes(4, 5).buffer, "0405"],
  ["a Buffer out of the pool", () => Buffer.from("pooled"), Buffer.from("pooled").toString("hex")],
  [
    "a SharedArrayBuffer",
    () => {
      const shared = new SharedArrayBuffer(2);
      new Uint8Array(shared).set([6, 7]);
      return shared;
    },
    "0607",
  ],
  [
    "a view on shared memory",
    () => {
      const view = new Uint8Array(new SharedArrayBuffer(4), 1, 2);
      view.set([6, 7]);
      return view;
    },
    "0607",
  ],
  [
    "a resizable ArrayBuffer",
    () => {
      const Resizable = /** @type {any} */ (ArrayBuffer);
      const buffer = new Resizable(2, { maxByteLength: 8 });
      new Uint8Array(buffer).set([8, 9]);
      return buffer;
    },
    "0809",
  ],
  [
    "a detached ArrayBuffer",
    () => {
      const buffer = new ArrayBuffer(4);
      structuredClone(buffer, { transfer: [buffer] });
      return buffer;
    },
    "",
  ],
];

for (const [name, make, hex] of BINARY) {
  test(`sends the bytes of ${name}`, async (t) => {
    const { ws, client } = await t.pair();
    const size = hex.length / 2;
    assert.equal(ws.send(make()), size);
    assert.equal(ws.sendBinary(make()), size);
    assert.equal(ws.ping(make()), size);
    assert.equal(ws.pong(make()), size);
    assert.throws(() => ws.sendText(make()), { name: "Error", message: "sendText expects a string" });
    assert.deepEqual(await client.settled(), [
      `binary:${hex}`,
      `binary:${hex}`,
      `ping:${hex}`,
      `pong:${hex}`,
    ]);
  });
}

test("sends the bytes of a Blob, with its size as the result, in the order of the calls", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send("before"), 6);
  assert.equal(ws.send(new Blob(["bl\u00f6b"])), 5);
  assert.equal(ws.sendBinary(new Blob([bytes(1, 2)])), 2);
  assert.equal(ws.ping(new Blob(["p"])), 1);
  assert.equal(ws.send("after"), 5);
  assert.deepEqual(await client.received(5), [
    "text:before",
    "binary:626cc3b662",
    "binary:0102",
    "ping:70",
    "text:after",
  ]);
});

test("sends a String object as text", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.send(new String("boxed")), 5);
  assert.equal(ws.sendText(new String("boxed")), 5);
  assert.equal(ws.ping(new String("b")), 1);
  assert.deepEqual(await client.received(3), ["text:boxed", "text:boxed", "ping:62"]);
});

test("sends other values as the text of String(value)", async (t) => {
  const { ws, client } = await t.pair();
  const values = [5, 0, true, false, 10n, [1, 2], {}, new URLSearchParams("a=1")];
  for (const value of values) assert.equal(ws.send(value), String(value).length);
  const texts = ["5", "0", "true", "false", "10", "1,2", "[object Object]", "a=1"];
  assert.deepEqual(
    await client.received(values.length),
    texts.map((text) => `text:${text}`),
  );
});

test("refuses to send nothing, undefined or null", async (t) => {
  const { ws, client } = await t.pair();
  for (const name of ["send", "sendText", "sendBinary"]) {
    assert.throws(() => ws[name](), plainError(`${name} requires at least 1 argument`));
  }
  for (const value of [undefined, null]) {
    assert.throws(() => ws.send(value), plainError("send requires a non-empty message"));
    assert.throws(() => ws.sendText(value), plainError("sendText expects a string"));
    assert.throws(() => ws.sendBinary(value), plainError("sendBinary expects a Blob or BufferSource"));
  }
  assert.deepEqual(await client.settled(), []);
});

test("treats undefined and null as no payload in ping and pong", async (t) => {
  const { ws, client } = await t.pair();
  for (const value of [undefined, null]) {
    assert.equal(ws.ping(value), 0);
    assert.equal(ws.pong(value), 0);
  }
  assert.deepEqual(await client.received(4), ["ping:", "pong:", "ping:", "pong:"]);
});

test("refuses values that are neither text nor bytes in sendText, sendBinary, ping and pong", async (t) => {
  const { ws, client } = await t.pair();
  const values = [5, true, 1n, new Date(0), () => {}, [1], {}, new URLSearchParams(), Symbol("s")];
  for (const value of values) {
    assert.throws(() => ws.sendText(value), plainError("sendText expects a string"));
    assert.throws(() => ws.sendBinary(value), plainError("sendBinary expects a Blob or BufferSource"));
    assert.throws(() => ws.ping(value), plainError("ping expects a string, Blob, or BufferSource"));
    assert.throws(() => ws.pong(value), plainError("pong expects a string, Blob, or BufferSource"));
  }
  assert.throws(() => ws.sendBinary("text"), plainError("sendBinary expects a Blob or BufferSource"));
  assert.throws(
    () => ws.sendBinary(new String("text")),
    plainError("sendBinary expects a Blob or BufferSource"),
  );
  assert.deepEqual(await client.settled(), []);
});

test("throws a TypeError for a symbol", async (t) => {
  const { ws } = await t.pair();
  assert.throws(() => ws.send(Symbol("s")), {
    name: "TypeError",
    message: "Cannot convert a symbol to a string",
  });
});

test("passes on what a value's toString throws", async (t) => {
  const { ws, client } = await t.pair();
  const failure = new Error("no text");
  const value = {
    toString() {
      throw failure;
    },
  };
  assert.throws(() => ws.send(value), failure);
  assert.deepEqual(await client.settled(), []);
});

test("accepts only booleans and undefined as the compress flag", async (t) => {
  const { ws, client } = await t.pair();
  for (const flag of [null, 1, "yes", {}]) {
    assert.throws(() => ws.send("x", flag), plainError("send expects compress to be a boolean"));
    assert.throws(() => ws.sendText("x", flag), plainError("sendText expects compress to be a boolean"));
    assert.throws(
      () => ws.sendBinary(bytes(1), flag),
      plainError("sendBinary expects compress to be a boolean"),
    );
  }
  assert.equal(ws.send("x", undefined), 1);
  assert.deepEqual(await client.settled(), ["text:x"]);
});

test("refuses ping and pong payloads over 125 bytes of UTF-8", async (t) => {
  const { ws, client } = await t.pair();
  const tooLong = (/** @type {number} */ size) => ({
    name: "RangeError",
    message: `The data size must not be greater than 125 bytes. Received ${size} bytes.`,
  });
  assert.throws(() => ws.ping("x".repeat(126)), tooLong(126));
  assert.throws(() => ws.pong(Buffer.alloc(200)), tooLong(200));
  assert.throws(() => ws.ping("\u00e9".repeat(63)), tooLong(126));
  assert.equal(ws.ping("x".repeat(125)), 125);
  assert.equal(ws.pong("\u00e9".repeat(62)), 124);
  const [ping, pong] = await client.received(2);
  assert.equal(ping, `ping:${"78".repeat(125)}`);
  assert.equal(pong, `pong:${"c3a9".repeat(62)}`);
});

test("ignores a second argument of ping and pong", async (t) => {
  const { ws, client } = await t.pair();
  assert.equal(ws.ping("a", "not a boolean"), 1);
  assert.equal(ws.pong("b", 5), 1);
  assert.deepEqual(await client.received(2), ["ping:61", "pong:62"]);
});
