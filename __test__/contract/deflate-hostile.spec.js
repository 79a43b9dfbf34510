// @ts-check
// permessage-deflate and peers that send what they must not: broken streams, wrong flags, bombs (semantics 6 and 11).

import assert from "node:assert/strict";
import zlib from "node:zlib";
import {
  COMPRESSED,
  DEDICATED,
  noise,
  offering,
  Packer,
  pack,
  storedBlock,
  TAIL,
  unpack,
} from "../support/deflate.js";
import { OPCODE } from "../support/raw-client.js";
import { isBun } from "../support/subject.js";
import { test } from "../support/test.js";
import { eventually, gate, within } from "../support/wait.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */
/** @typedef {import("../support/raw-client.js").RawClient} RawClient */

const INVALID = "1007 Received invalid compressed data";
const NOT_UTF8 = "1007 Received invalid UTF-8";
const TOO_BIG = "1009 Received too big message";
const RSV1 = "1002 Received unexpected RSV1 bit";
const OTHER_RSV = "1002 Received unexpected RSV2 or RSV3 bit";

/**
 * What becomes of what `send` writes: the messages that arrived, and the code and reason that the server closed with.
 *
 * @param {Fixture} t
 * @param {(client: RawClient) => void} send
 * @param {{ perMessageDeflate?: any, maxPayloadLength?: number, offer?: any }} [options]
 */
async function outcome(t, send, { offer = offering(), ...options } = {}) {
  const events = t.recorder();
  const { client } = await t.pair(
    {
      perMessageDeflate: true,
      ...options,
      message: (_, data) => events.add(typeof data === "string" ? data : data.length),
      close: (_, code, reason) => events.add(`${code} ${reason}`),
    },
    undefined,
    offer,
  );
  send(client);
  await client.settled().catch(() => {});
  if (client.state === "open") {
    return { messages: events.entries, closed: undefined };
  }
  await eventually(() => String(events.entries.at(-1)).startsWith("1006"), "the close handler");
  const last = client.frames.at(-1);
  assert.equal(last?.opcode, OPCODE.close);
  const closed = `${last?.payload.readUInt16BE(0)} ${last?.payload.subarray(2)}`;
  const messages = events.entries.slice(0, -1);
  // The handler gets 1006 and the same reason.
  assert.equal(events.entries.at(-1), `1006 ${closed.slice(5)}`);
  assert.equal(client.state, "fin");
  return { messages, closed };
}

// RSV bits --------------------------------------------------------------------------------------------------------

const HELLO = pack("hello");

/** @type {[string, (client: RawClient) => void, string][]} */
const FLAGS = [
  [
    "RSV1 on a continuation of a compressed message",
    (client) => {
      client.sendText(HELLO.subarray(0, 3), { rsv: 4, fin: false });
      client.sendFrame(OPCODE.continuation, HELLO.subarray(3), COMPRESSED);
    },
    RSV1,
  ],
  [
    "RSV1 on a continuation of a plain message",
    (client) => {
      client.sendText("a", { fin: false });
      client.sendFrame(OPCODE.continuation, "b", COMPRESSED);
    },
    RSV1,
  ],
  ["RSV1 on a ping", (client) => client.sendFrame(OPCODE.ping, HELLO, COMPRESSED), RSV1],
  ["RSV1 on a pong", (client) => client.sendFrame(OPCODE.pong, "", COMPRESSED), RSV1],
  ["RSV1 on a close frame", (client) => client.sendFrame(OPCODE.close, "", COMPRESSED), RSV1],
  ["RSV2", (client) => client.sendText("x", { rsv: 2 }), OTHER_RSV],
  ["RSV3", (client) => client.sendText("x", { rsv: 1 }), OTHER_RSV],
  ["RSV1 and RSV2", (client) => client.sendText(HELLO, { rsv: 6 }), OTHER_RSV],
  ["RSV1 and RSV3", (client) => client.sendText(HELLO, { rsv: 5 }), OTHER_RSV],
];
for (const [what, send, closed] of FLAGS) {
  test(`${what} ends the connection with 1002`, async (t) => {
    assert.deepEqual(await outcome(t, send), { messages: [], closed });
  });
}

for (const [what, options] of /** @type {[string, any][]} */ ([
  ["that was not offered", { offer: {} }],
  ["that the server has switched off", { perMessageDeflate: false }],
  ["that was declined", { offer: offering("foo") }],
])) {
  test(`RSV1 without an extension, ${what}, ends the connection with 1002`, async (t) => {
    const result = await outcome(t, (client) => client.sendText(HELLO, COMPRESSED), options);
    assert.deepEqual(result, { messages: [], closed: RSV1 });
  });
}

// Streams ---------------------------------------------------------------------------------------------------------

const FINAL = zlib.deflateRawSync("final");
const LONG = pack(Buffer.from(Array.from({ length: 2000 }, (_, i) => i.toString(36)).join("")));
const bytes = (/** @type {number[]} */ ...values) => Buffer.from(values);

/** Payloads of a text message, and the message that they are. @type {[string, Buffer, string][]} */
const GOOD = [
  ["a message that kept its 00 00 ff ff", Buffer.concat([HELLO, TAIL]), "hello"],
  ["a stream that ends with a final block", FINAL, "final"],
  ["a final block and the 00 of RFC 7692, 7.2.3.4", Buffer.concat([FINAL, bytes(0)]), "final"],
  ["an empty stored block in front", Buffer.concat([storedBlock(bytes()), HELLO]), "hello"],
  ["an empty stored block and nothing else", Buffer.concat([storedBlock(bytes()), bytes(0)]), ""],
  [
    "a hundred empty stored blocks",
    Buffer.concat([...Array(100).fill(storedBlock(bytes())), HELLO]),
    "hello",
  ],
  ["a stored block", Buffer.concat([storedBlock(Buffer.from("ab")), bytes(0)]), "ab"],
  ["a final stored block", storedBlock(Buffer.from("ab"), 1), "ab"],
  ["a final stored block and 00", Buffer.concat([storedBlock(Buffer.from("ab"), 1), bytes(0)]), "ab"],
  ["the single byte 00", bytes(0), ""],
  ["the final empty block of zlib", bytes(3, 0), ""],
  ["no bytes at all", bytes(), ""],
];
for (const [what, payload, message] of GOOD) {
  test(`reads ${what}`, async (t) => {
    const send = (/** @type {RawClient} */ client) => {
      client.sendText(payload, COMPRESSED);
      client.sendText(pack("after"), COMPRESSED);
    };
    assert.deepEqual(await outcome(t, send), { messages: [message, "after"], closed: undefined });
  });
}

/** @type {[string, Buffer][]} */
const BROKEN = [
  ["a block of the reserved type", bytes(7)],
  ["bytes of all ones", bytes(0xff, 0xff, 0xff, 0xff)],
  ["a stored block whose length contradicts itself", bytes(0, 2, 0, 0, 0, 0x61, 0x62, 0)],
  ["a stored block that ends in the tail", storedBlock(Buffer.from("abcde")).subarray(0, 7)],
  ["text that nobody has compressed", Buffer.from("hello")],
  ["the zlib format", zlib.deflateSync("hello")],
  ["the gzip format", zlib.gzipSync("hello")],
  ["a whole message and garbage", Buffer.concat([HELLO, bytes(0xff, 0xff, 0xff)])],
  ["a whole message and one byte more", Buffer.concat([HELLO, bytes(0)])],
  ["a whole message and two bytes more", Buffer.concat([HELLO, bytes(0, 0)])],
];
for (const [what, payload] of BROKEN) {
  test(`${what}: 1007`, async (t) => {
    for (const perMessageDeflate of [true, DEDICATED]) {
      const whole = await outcome(t, (client) => client.sendText(payload, COMPRESSED), { perMessageDeflate });
      assert.deepEqual(whole, { messages: [], closed: INVALID });
      const cut = Math.ceil(payload.length / 2);
      const inFragments = await outcome(
        t,
        (client) => {
          client.sendBinary(payload.subarray(0, cut), { rsv: 4, fin: false });
          client.sendFrame(OPCODE.continuation, payload.subarray(cut));
        },
        { perMessageDeflate },
      );
      assert.deepEqual(inFragments, { messages: [], closed: INVALID });
    }
  });
}

test("a reference to what a peer without context takeover has sent before: 1007", async (t) => {
  const packer = new Packer();
  const [first, second] = [await packer.pack(noise(500)), await packer.pack(noise(500))];
  const send = (/** @type {RawClient} */ client) => {
    client.sendBinary(first, COMPRESSED);
    client.sendBinary(second, COMPRESSED);
  };
  assert.deepEqual(await outcome(t, send), { messages: [500], closed: INVALID });
  const kept = await outcome(t, send, { perMessageDeflate: DEDICATED });
  assert.deepEqual(kept, { messages: [500, 500], closed: undefined });
});

/** Bun takes what there is of such a message, or fails a later one. */
const laxer = isBun && "Bun does not notice streams that break off or go on behind their end";

test("a stream that breaks off: 1007", { skip: laxer }, async (t) => {
  const cuts = [1, 2, 3, LONG.length >> 1, LONG.length - 2, LONG.length - 1];
  for (const payload of [...cuts.map((end) => LONG.subarray(0, end)), HELLO.subarray(0, -1), bytes(2)]) {
    const result = await outcome(t, (client) => client.sendText(payload, COMPRESSED));
    assert.deepEqual(result, { messages: [], closed: INVALID }, payload.toString("hex", 0, 20));
  }
});

test("garbage behind a final block: 1007", { skip: laxer }, async (t) => {
  const send = (/** @type {RawClient} */ client) =>
    client.sendText(Buffer.concat([FINAL, bytes(0xff, 0xff, 0xff)]), COMPRESSED);
  assert.deepEqual(await outcome(t, send), { messages: [], closed: INVALID });
});

test("another stream behind a final block belongs to the message", { skip: laxer }, async (t) => {
  for (const perMessageDeflate of [true, DEDICATED]) {
    const send = (/** @type {RawClient} */ client) => {
      client.sendText(Buffer.concat([FINAL, HELLO]), COMPRESSED);
      client.sendText(Buffer.concat([FINAL, FINAL]), COMPRESSED);
    };
    const result = await outcome(t, send, { perMessageDeflate });
    assert.deepEqual(result, { messages: ["finalhello", "finalfinal"], closed: undefined });
  }
});

test("a kept 00 00 ff ff and RSV1 on an empty message do no harm to a kept window", {
  skip: laxer,
}, async (t) => {
  const packer = new Packer();
  const send = (/** @type {RawClient} */ client, /** @type {Buffer[]} */ packed) => {
    client.sendText(Buffer.concat([packed[0], TAIL]), COMPRESSED);
    client.sendText("", COMPRESSED);
    client.sendText(packed[1], COMPRESSED);
  };
  const packed = [await packer.pack("a message"), await packer.pack("a message")];
  const result = await outcome(t, (client) => send(client, packed), { perMessageDeflate: DEDICATED });
  assert.deepEqual(result, { messages: ["a message", "", "a message"], closed: undefined });
});

test("invalid UTF-8 after inflation: 1007", async (t) => {
  for (const wrong of [
    bytes(0xff, 0xfe),
    bytes(0xe2, 0x82),
    bytes(0xed, 0xa0, 0x80),
    Buffer.from("a\xc0b", "latin1"),
  ]) {
    for (const perMessageDeflate of [true, DEDICATED]) {
      const text = await outcome(t, (client) => client.sendText(pack(wrong), COMPRESSED), {
        perMessageDeflate,
      });
      assert.deepEqual(text, { messages: [], closed: NOT_UTF8 });
      const binary = await outcome(t, (client) => client.sendBinary(pack(wrong), COMPRESSED), {
        perMessageDeflate,
      });
      assert.deepEqual(binary, { messages: [wrong.length], closed: undefined });
    }
  }
});

test("a character may be cut by fragments of a compressed message", async (t) => {
  const packed = pack("\u{1f600}\u{1f600}", { level: 0 });
  const send = (/** @type {RawClient} */ client) => {
    for (const [index, byte] of packed.entries()) {
      client.sendFrame(index ? OPCODE.continuation : OPCODE.text, bytes(byte), {
        rsv: index ? 0 : 4,
        fin: index === packed.length - 1,
      });
    }
  };
  assert.deepEqual(await outcome(t, send), { messages: ["\u{1f600}\u{1f600}"], closed: undefined });
});

test("a failed connection leaves the shared contexts of others in order", async (t) => {
  const server = t.sockets({ perMessageDeflate: DEDICATED, message: (ws, data) => ws.send(data, true) });
  const good = await t.connect(server, offering("server_no_context_takeover"));
  const packer = new Packer();
  for (let round = 0; round < 20; round++) {
    const bad = await t.connect(server, offering());
    bad.sendText(LONG.subarray(0, 50 + round), { rsv: 4, fin: round % 2 === 0 });
    bad.sendText(bytes(0xff, 0xff), COMPRESSED);
    good.sendText(await packer.pack(`round ${round}`), COMPRESSED);
    await good.received(round + 1);
    assert.equal(unpack(good.frames[round].payload).toString(), `round ${round}`);
    bad.destroy();
  }
});

// Limits ----------------------------------------------------------------------------------------------------------

const MAX = 1000;

test("a compressed message of exactly maxPayloadLength passes, one byte more does not", async (t) => {
  for (const perMessageDeflate of [true, DEDICATED]) {
    for (const fill of ["zeros", "noise of few values"]) {
      const message = (/** @type {number} */ length) =>
        fill === "zeros" ? Buffer.alloc(length) : noise(length).map((byte) => byte & 3);
      const options = { perMessageDeflate, maxPayloadLength: MAX };
      const exact = await outcome(t, (client) => client.sendBinary(pack(message(MAX)), COMPRESSED), options);
      assert.deepEqual(exact, { messages: [MAX], closed: undefined });
      const over = await outcome(
        t,
        (client) => client.sendBinary(pack(message(MAX + 1)), COMPRESSED),
        options,
      );
      assert.deepEqual(over, { messages: [], closed: TOO_BIG });
      const packed = pack(message(MAX + 1));
      const inFragments = await outcome(
        t,
        (client) => {
          client.sendBinary(packed.subarray(0, 5), { rsv: 4, fin: false });
          client.sendFrame(OPCODE.continuation, packed.subarray(5));
        },
        options,
      );
      assert.deepEqual(inFragments, { messages: [], closed: TOO_BIG });
    }
  }
});

const countsFrames = isBun && "Bun holds the limit against the compressed bytes too";
test("an incompressible message of exactly maxPayloadLength passes", { skip: countsFrames }, async (t) => {
  const packed = pack(noise(MAX));
  assert.ok(packed.length > MAX);
  const options = { maxPayloadLength: MAX };
  const whole = await outcome(t, (client) => client.sendBinary(packed, COMPRESSED), options);
  assert.deepEqual(whole, { messages: [MAX], closed: undefined });
  const inFragments = await outcome(
    t,
    (client) => {
      client.sendBinary(packed.subarray(0, 500), { rsv: 4, fin: false });
      client.sendFrame(OPCODE.continuation, packed.subarray(500));
    },
    options,
  );
  assert.deepEqual(inFragments, { messages: [MAX], closed: undefined });
  const over = await outcome(t, (client) => client.sendBinary(pack(noise(MAX + 1)), COMPRESSED), options);
  assert.deepEqual(over, { messages: [], closed: TOO_BIG });
});

test("a compressed frame that claims far more than maxPayloadLength is refused on its header", async (t) => {
  for (const length of [100_000, 2 ** 40]) {
    const send = (/** @type {RawClient} */ client) => {
      client.sendBinary("x", { rsv: 4, length, lengthForm: 64 });
    };
    assert.deepEqual(await outcome(t, send, { maxPayloadLength: MAX }), { messages: [], closed: TOO_BIG });
  }
});

test("maxPayloadLength 0 passes an empty compressed message only", async (t) => {
  const options = { maxPayloadLength: 0 };
  const empty = await outcome(t, (client) => client.sendBinary("", COMPRESSED), options);
  assert.deepEqual(empty, { messages: [0], closed: undefined });
  const one = await outcome(t, (client) => client.sendBinary(pack("a"), COMPRESSED), options);
  assert.deepEqual(one, { messages: [], closed: TOO_BIG });
});

// Bombs -----------------------------------------------------------------------------------------------------------

const MEBIBYTE = 1 << 20;

/** 1 GiB of zeros in 1 MiB. */
function bomb() {
  const packed = pack(Buffer.alloc(16 * MEBIBYTE), { level: 9 });
  return Buffer.concat(Array(64).fill(Buffer.concat([packed, TAIL])));
}

const ATTACKS = 8;

for (const fragments of [1, 300]) {
  const how = fragments === 1 ? "one frame" : `${fragments} fragments`;
  test(`a bomb of 1 GiB in ${how} is answered with 1009 and takes next to no memory`, {
    limit: 30_000,
  }, async (t) => {
    const packed = bomb();
    const size = Math.ceil(packed.length / fragments);
    const port = gate();
    /** @type {{ rss: number, closed: [number, string] }[]} */
    const reports = [];
    const child = t.child(
      ({ serve, emit, input }) => {
        let left = input.attacks;
        const server = serve({
          fetch: (/** @type {any} */ request, /** @type {any} */ self) => {
            if (!self.upgrade(request)) return new Response("no");
          },
          websocket: {
            perMessageDeflate: true,
            message() {},
            close(/** @type {any} */ _, /** @type {number} */ code, /** @type {string} */ reason) {
              emit({ rss: process.memoryUsage().rss, closed: [code, reason] });
              if (--left === 0) server.stop();
            },
          },
        });
        emit({ port: server.port });
      },
      {
        input: { attacks: ATTACKS },
        onEmit: (value) => (value.port ? port.open(value.port) : reports.push(value)),
      },
    );
    const target = await within(port.passed, "the server's port");
    for (let attack = 0; attack < ATTACKS; attack++) {
      const client = await t.connect(target, offering());
      for (let at = 0; at < packed.length; at += size) {
        client.sendFrame(at === 0 ? OPCODE.binary : OPCODE.continuation, packed.subarray(at, at + size), {
          rsv: at === 0 ? 4 : 0,
          fin: at + size >= packed.length,
        });
      }
      assert.deepEqual(await client.finished(), [`close:${TOO_BIG.replace(" ", ":")}`]);
      client.destroy();
    }
    assert.equal((await child).code, 0);
    assert.deepEqual(
      reports.map(({ closed }) => closed),
      Array(ATTACKS).fill([1006, TOO_BIG.slice(5)]),
    );
    // A message at its limit at most, 16 MiB, and what the runtime itself takes for the first of anything.
    const grown = reports[ATTACKS - 1].rss - reports[0].rss;
    assert.ok(grown < 32 * MEBIBYTE, `grew by ${grown / MEBIBYTE} MiB`);
    const peak = Math.max(...reports.map(({ rss }) => rss));
    assert.ok(peak < 256 * MEBIBYTE, `took ${peak / MEBIBYTE} MiB`);
  });
}

test("a bomb holds up nobody else for long", { limit: 30_000 }, async (t) => {
  const packed = bomb();
  const server = t.sockets({ perMessageDeflate: true, message: (ws, data) => ws.send(data) });
  const neighbour = await t.connect(server);
  const attackers = [];
  for (let i = 0; i < 8; i++) attackers.push(await t.connect(server, offering()));
  for (const attacker of attackers) attacker.sendBinary(packed, COMPRESSED);
  for (let i = 0; i < 20; i++) {
    neighbour.sendText(`${i}`);
    await neighbour.received(i + 1);
  }
  for (const attacker of attackers) {
    assert.deepEqual(await attacker.finished(10_000), [`close:${TOO_BIG.replace(" ", ":")}`]);
  }
});
