// @ts-check
// What fails a connection, with which code and text (semantics 6), and what must not.

import assert from "node:assert/strict";
import { encodeFrame, OPCODE, textFrame } from "../support/raw-client.js";
import { test } from "../support/test.js";

const hex = (/** @type {string} */ digits) => Buffer.from(digits, "hex");
const unfinished = { fin: false };

/** Each input, the wire's code and the text of both sides. @type {[string, Buffer, number, string][]} */
const FAULTS = [
  [
    "an unmasked text frame",
    encodeFrame(1, "x", { masked: false }),
    1002,
    "Received an incorrectly masked frame",
  ],
  [
    "an unmasked empty frame",
    encodeFrame(1, "", { masked: false }),
    1002,
    "Received an incorrectly masked frame",
  ],
  ["an unmasked ping", encodeFrame(9, "x", { masked: false }), 1002, "Received an incorrectly masked frame"],
  [
    "an unmasked close frame",
    encodeFrame(8, hex("03e8"), { masked: false }),
    1002,
    "Received an incorrectly masked frame",
  ],
  ["RSV1 without compression", encodeFrame(1, "x", { rsv: 4 }), 1002, "Received unexpected RSV1 bit"],
  ["RSV1 on a ping", encodeFrame(9, "x", { rsv: 4 }), 1002, "Received unexpected RSV1 bit"],
  [
    "RSV1 on a continuation",
    Buffer.concat([encodeFrame(1, "x", unfinished), encodeFrame(0, "y", { rsv: 4 })]),
    1002,
    "Received unexpected RSV1 bit",
  ],
  ["RSV2", encodeFrame(1, "x", { rsv: 2 }), 1002, "Received unexpected RSV2 or RSV3 bit"],
  ["RSV3", encodeFrame(2, "x", { rsv: 1 }), 1002, "Received unexpected RSV2 or RSV3 bit"],
  ["RSV3 on a close frame", encodeFrame(8, "", { rsv: 1 }), 1002, "Received unexpected RSV2 or RSV3 bit"],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode) =>
      /** @type {[string, Buffer, number, string]} */ ([
        `opcode ${opcode}`,
        encodeFrame(opcode, "x"),
        1002,
        "Received invalid opcode",
      ]),
  ),
  ["a ping without FIN", encodeFrame(9, "x", unfinished), 1002, "Received fragmented control frame"],
  ["a pong without FIN", encodeFrame(10, "", unfinished), 1002, "Received fragmented control frame"],
  ["a close frame without FIN", encodeFrame(8, "", unfinished), 1002, "Received fragmented control frame"],
  ["a ping of 126 bytes", encodeFrame(9, Buffer.alloc(126)), 1002, "Received too big control frame"],
  ["a pong of 70000 bytes", encodeFrame(10, Buffer.alloc(70_000)), 1002, "Received too big control frame"],
  ["a close frame of 126 bytes", encodeFrame(8, Buffer.alloc(126)), 1002, "Received too big control frame"],
  [
    "a continuation with no message open",
    encodeFrame(0, "x"),
    1002,
    "Received continuation frame outside a fragmented message",
  ],
  [
    "a continuation after a complete message",
    Buffer.concat([encodeFrame(1, "a", unfinished), encodeFrame(0, "b"), encodeFrame(0, "c")]),
    1002,
    "Received continuation frame outside a fragmented message",
  ],
  [
    "a text frame inside a fragmented message",
    Buffer.concat([encodeFrame(1, "a", unfinished), encodeFrame(1, "b")]),
    1002,
    "Received new message inside a fragmented message",
  ],
  [
    "an unfinished binary frame inside a fragmented message",
    Buffer.concat([encodeFrame(2, "a", unfinished), encodeFrame(2, "b", unfinished)]),
    1002,
    "Received new message inside a fragmented message",
  ],
  ...["ff", "c0af", "eda080", "f4908080", "f880808080", "61c3", "e282", "f09f98", "80"].map(
    (bytes) =>
      /** @type {[string, Buffer, number, string]} */ ([
        `the bytes ${bytes} as text`,
        encodeFrame(1, hex(bytes)),
        1007,
        "Received invalid UTF-8",
      ]),
  ),
  [
    "bad UTF-8 across fragments",
    Buffer.concat([encodeFrame(1, hex("e282"), unfinished), encodeFrame(0, hex("28"))]),
    1007,
    "Received invalid UTF-8",
  ],
  [
    "a character cut off by the end of a fragmented message",
    Buffer.concat([encodeFrame(1, "a", unfinished), encodeFrame(0, hex("c3"))]),
    1007,
    "Received invalid UTF-8",
  ],
  [
    "a message over maxPayloadLength, from its header alone",
    encodeFrame(2, "", { length: 1001 }),
    1009,
    "Received too big message",
  ],
  [
    "a message of 2^40 bytes, from its header alone",
    encodeFrame(2, "", { length: 1n << 40n }),
    1009,
    "Received too big message",
  ],
  [
    "a length with the top bit set",
    encodeFrame(2, "", { length: 1n << 63n }),
    1009,
    "Received too big message",
  ],
  [
    "the largest length there is",
    encodeFrame(1, "", { length: (1n << 64n) - 1n }),
    1009,
    "Received too big message",
  ],
  [
    "fragments whose sum is over maxPayloadLength",
    Buffer.concat([encodeFrame(2, Buffer.alloc(600), unfinished), encodeFrame(0, Buffer.alloc(401))]),
    1009,
    "Received too big message",
  ],
];

for (const [name, bytes, code, text] of FAULTS) {
  test(`closes with ${code} on ${name}`, async (t) => {
    const events = t.recorder();
    const { client, ws } = await t.pair({
      maxPayloadLength: 1000,
      message: (_, data) => events.add(data),
      close: (_, code, reason) => events.add([code, reason]),
    });
    client.write(Buffer.concat([textFrame("before"), bytes, textFrame("after")]));
    const wire = await client.finished();
    assert.equal(wire.at(-1), `close:${code}:${text}`);
    const complete = name.includes("after a complete message") ? ["ab"] : [];
    assert.deepEqual(events.entries, ["before", ...complete, [1006, text]]);
    assert.equal(ws.readyState, 3);
  });
}

// Row 18 --------------------------------------------------------------------------------------------------------

test("fails bad UTF-8 inside a frame as soon as the byte is read", { differs: 18 }, async (t) => {
  const closed = t.recorder();
  const { client } = await t.pair({ close: (_, code, reason) => closed.add([code, reason]) });
  const frame = encodeFrame(
    OPCODE.text,
    Buffer.concat([Buffer.from("good"), hex("ff"), Buffer.alloc(100, 0x61)]),
  );
  client.write(frame.subarray(0, 20));
  assert.deepEqual(await client.finished(), ["close:1007:Received invalid UTF-8"]);
  assert.deepEqual(closed.entries, [[1006, "Received invalid UTF-8"]]);
});

test("fails bad UTF-8 in a fragment that is not the last one", { differs: 18 }, async (t) => {
  const { client } = await t.pair();
  client.sendText(hex("6180"), unfinished);
  assert.deepEqual(await client.finished(), ["close:1007:Received invalid UTF-8"]);
});

test("fails a surrogate at its second byte, in the middle of a large frame", { differs: 18 }, async (t) => {
  const { client } = await t.pair();
  const frame = encodeFrame(
    OPCODE.text,
    Buffer.concat([Buffer.alloc(70_000, 0x61), hex("eda0"), Buffer.alloc(9)]),
  );
  client.write(frame.subarray(0, frame.length - 9));
  assert.deepEqual(await client.finished(), ["close:1007:Received invalid UTF-8"]);
});

// What is allowed -----------------------------------------------------------------------------------------------

test("accepts a payload of exactly maxPayloadLength, whole or in fragments", async (t) => {
  const sizes = t.recorder();
  const { client } = await t.pair({ maxPayloadLength: 1000, message: (_, data) => sizes.add(data.length) });
  client.sendBinary(Buffer.alloc(1000));
  client.sendFrame(2, Buffer.alloc(600), unfinished).sendFrame(0, Buffer.alloc(400));
  client.sendText("x".repeat(1000));
  assert.deepEqual(await sizes.atLeast(3), [1000, 1000, 1000]);
});

test("accepts lengths that are not in their shortest form", async (t) => {
  const { client } = await t.pair({ message: (ws, data) => ws.send(data) });
  client.sendText("sixteen", { lengthForm: 16 }).sendText("sixty-four", { lengthForm: 64 });
  client.sendText("", { lengthForm: 64 });
  assert.deepEqual(await client.received(3), ["text:sixteen", "text:sixty-four", "text:"]);
});

test("accepts control frames between fragments and answers them at once", async (t) => {
  const { client } = await t.pair({ message: (ws, data) => ws.send(data) });
  client.sendText("Hel", unfinished).sendPing("now");
  assert.deepEqual(await client.received(1), ["pong:6e6f77"]);
  client.sendFrame(0, "l", unfinished).sendPong("").sendFrame(0, "o");
  assert.deepEqual(await client.received(2), ["pong:6e6f77", "text:Hello"]);
});

test("accepts empty fragments and messages made of nothing else", async (t) => {
  const { client } = await t.pair({ message: (ws, data) => ws.send(data) });
  client.sendText("", unfinished).sendFrame(0, "", unfinished).sendFrame(0, "a", unfinished).sendFrame(0, "");
  client.sendFrame(2, "", unfinished).sendFrame(0, "");
  assert.deepEqual(await client.received(2), ["text:a", "binary:"]);
});

test("accepts a character split between fragments at every byte", async (t) => {
  const { client } = await t.pair({ message: (ws, data) => ws.send(data) });
  const bytes = Buffer.from("\u{1f600}\u00e9");
  for (let cut = 0; cut <= bytes.length; cut++) {
    client.sendText(bytes.subarray(0, cut), unfinished).sendFrame(0, bytes.subarray(cut));
  }
  const echoes = await client.received(bytes.length + 1);
  assert.deepEqual(
    echoes,
    echoes.map(() => "text:\u{1f600}\u00e9"),
  );
});

test("treats a close frame inside an unfinished message as a normal close", async (t) => {
  const events = t.recorder();
  const { client } = await t.pair({
    message: () => events.add("message"),
    close: (_, code, reason) => events.add([code, reason]),
  });
  client.sendText("never finished", unfinished).sendClose(1000, "bye");
  assert.deepEqual(await client.finished(), ["close:1000:bye"]);
  assert.deepEqual(events.entries, [[1000, "bye"]]);
});

test("takes a limit of 0 or less to allow only empty messages", async (t) => {
  for (const maxPayloadLength of [0, -1]) {
    const events = t.recorder();
    const { client } = await t.pair({
      maxPayloadLength,
      message: (_, data) => events.add(data.length),
      close: (_, code, reason) => events.add([code, reason]),
    });
    client.sendText("").sendText("x");
    assert.deepEqual(await client.finished(), ["close:1009:Received too big message"]);
    assert.deepEqual(events.entries, [0, [1006, "Received too big message"]]);
  }
});

test("still answers pings of 125 bytes when maxPayloadLength is smaller", async (t) => {
  const { client } = await t.pair({ maxPayloadLength: 10 });
  client.sendPing("p".repeat(125));
  assert.deepEqual(await client.received(1), [`pong:${"70".repeat(125)}`]);
});
