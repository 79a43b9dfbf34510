// @ts-check
// A page whose WebSocket has agreed on compression with the server.

import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { serve } from "../../index.js";
import { findChromium, launch } from "./chromium.js";
import { TcpProxy } from "./tcp-proxy.js";

const program = findChromium();
const missing = "not run: no Chromium on this machine (install it or set CHROMIUM_PATH)";
const skip = program === undefined && !process.env.CI ? missing : false; // CI must not go without

/** @type {[string, any, string][]} */
const SETTINGS = [
  ["shared", true, "permessage-deflate; client_no_context_takeover; server_no_context_takeover"],
  ["dedicated", { compress: "dedicated", decompress: "dedicated" }, "permessage-deflate"],
  [
    "small",
    { compress: "16KB", decompress: "16KB" },
    "permessage-deflate; client_max_window_bits=14; server_max_window_bits=11",
  ],
];

for (const [name, perMessageDeflate, extensions] of SETTINGS) {
  test(`Chromium exchanges compressed messages (${name})`, { skip, timeout: 60_000 }, async (t) => {
    if (program === undefined) assert.fail(missing);
    const server = serve({
      port: 0,
      hostname: "localhost",
      development: false,
      fetch: (request, self) => {
        if (self.upgrade(request, { data: undefined })) return undefined;
        return new Response("<!doctype html><title>compression</title>", {
          headers: { "Content-Type": "text/html" },
        });
      },
      websocket: {
        perMessageDeflate,
        message: (ws, data) => void ws.send(data, true),
      },
    });
    t.after(() => server.stop(true));
    const wire = await TcpProxy.start(Number(server.port));
    t.after(() => wire.end());
    const browser = await launch(program);
    t.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`http://localhost:${wire.port}/`);
    const seen = await page.evaluate(exchange, COUNT);
    assert.equal(seen.extensions, extensions);
    assert.equal(seen.equal, 2 * COUNT);

    const recording = wire.recordings.find(({ sent }) => Buffer.concat(sent).includes("Sec-WebSocket-Key"));
    assert.ok(recording, "a handshake went over the wire");
    const [offer, sent] = parted(recording.sent);
    const [answer, received] = parted(recording.received);
    assert.match(offer, /^sec-websocket-extensions: permessage-deflate; client_max_window_bits\r$/im);
    assert.ok(answer.includes(`Sec-WebSocket-Extensions: ${extensions}\r\n`), answer);
    for (const [direction, bytes] of /** @type {[string, Buffer][]} */ ([
      ["browser", sent],
      ["server", received],
    ])) {
      const messages = dataFrames(bytes);
      const compressed = messages.filter(({ rsv1 }) => rsv1);
      assert.equal(messages.length, 2 * COUNT, direction);
      assert.equal(compressed.length, 2 * COUNT, direction);
      assert.ok(bytes.length < (2 * COUNT * LEAST) / 5, `${bytes.length} bytes from the ${direction}`);
    }
  });
}

/** Messages of each kind. */
const COUNT = 50;
/** Bytes of each of them, at least. */
const LEAST = 500;

/**
 * Sends text and bytes in turns and waits for their echoes; runs in the page.
 *
 * @param {number} count
 * @returns {Promise<{ extensions: string, equal: number }>}
 */
function exchange(count) {
  const text = (/** @type {number} */ i) => `message ${i}: h\u00e9llo \u{1f600} `.repeat(20 + i);
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${location.host}/`);
    socket.binaryType = "arraybuffer";
    let echoes = 0;
    let equal = 0;
    socket.onopen = () => {
      for (let i = 0; i < count; i++) {
        socket.send(text(i));
        socket.send(new TextEncoder().encode(text(i)));
      }
    };
    socket.onmessage = ({ data }) => {
      const expected = text(echoes >> 1);
      const isText = typeof data === "string";
      if (isText === (echoes % 2 === 0) && (isText ? data : new TextDecoder().decode(data)) === expected)
        equal++;
      if (++echoes < 2 * count) return;
      const { extensions } = socket;
      socket.onclose = () => resolve({ extensions, equal });
      socket.close();
    };
    socket.onerror = () => reject(new Error("the connection failed"));
  });
}

/** The head and what follows it. @param {Buffer[]} pieces @returns {[string, Buffer]} */
function parted(pieces) {
  const all = Buffer.concat(pieces);
  const end = all.indexOf("\r\n\r\n") + 4;
  return [all.toString("latin1", 0, end), all.subarray(end)];
}

/** @param {Buffer} bytes @returns {{ rsv1: boolean }[]} */
function dataFrames(bytes) {
  const frames = [];
  for (let at = 0; at < bytes.length; ) {
    const [first, second] = [bytes[at], bytes[at + 1]];
    let length = second & 0x7f;
    at += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    at += length + (second & 0x80 ? 4 : 0);
    if ((first & 0x0f) < 8) frames.push({ rsv1: (first & 0x40) !== 0 });
  }
  return frames;
}
