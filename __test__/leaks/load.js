// @ts-check
// The clients of the leak tests, in a process of their own so that their memory is not counted.

import { Buffer } from "node:buffer";
import net from "node:net";
import process from "node:process";
import tls from "node:tls";
import { COMPRESSED, noise, offering, pack } from "../support/deflate.js";
import { binaryFrame, closeFrame, handshake, textFrame } from "../support/raw-client.js";

/** Connections at the same time. */
const PARALLEL = 64;
/** Ports of one address run out: a closed connection keeps its pair for a minute. */
const ADDRESSES = 8;

const HANDSHAKE = handshake();
const TEXT = textFrame("a message of a few bytes");
const BINARY = binaryFrame(Buffer.alloc(500, 7));
const CLOSE = closeFrame(1000, "done");

/** Parameters of the offers of those who compress. */
const OWN_CONTEXTS = handshake(offering("client_max_window_bits"));
const SHARED_CONTEXTS = handshake(offering("server_no_context_takeover; client_no_context_takeover"));
const PACKED_TEXT = textFrame(pack("a message of a few bytes"), COMPRESSED);
const PACKED_BINARY = binaryFrame(pack(Buffer.alloc(500, "seven by seven ")), COMPRESSED);
/** Fills windows of so many bytes; half of it cannot be compressed. @param {number} size */
const filling = (size) =>
  binaryFrame(pack(Buffer.concat([noise(size / 2), Buffer.alloc(size / 2 + 100, "again and ")])), COMPRESSED);

const [port, securePort] = process.argv.slice(2).map(Number);
let opened = 0;

/** @typedef {(socket: net.Socket, index: number) => void} Behaviour   what a client does once it is connected */

/** @type {Record<string, (count: number) => Promise<unknown>>} */
const orders = {
  connections: (count) => connections(count, visit),
  secure: (count) => connections(count, visitSecurely, securePort),
  broken: (count) => connections(count, breakOff),
  aborted: (count) => connections(count, abort),
  requests: (count) => requests(count),
  messages: (count) => messages(count),
  compressedConnections: (count) => connections(count, visitCompressed),
  compressedMessages: (count) => compressedMessages(count),
  holdPlain: (count) => hold(count, HANDSHAKE, undefined),
  holdCompressed: (count) => hold(count, OWN_CONTEXTS, undefined),
  holdUsed256KB: (count) => hold(count, OWN_CONTEXTS, filling(32 << 10)),
  holdUsed16KB: (count) => hold(count, OWN_CONTEXTS, filling(16 << 10)),
  holdUsed3KB: (count) => hold(count, OWN_CONTEXTS, filling(2 << 10)),
  release,
};

process.on("message", async (/** @type {{ order: string, count: number }} */ { order, count }) => {
  await orders[order](count);
  process.send?.({ answer: "done" });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ port });

/** @param {number} [to] */
function connect(to = port) {
  const host = process.platform === "linux" ? `127.0.0.${1 + (opened++ % ADDRESSES)}` : "127.0.0.1";
  const socket = net.connect({ port: to, host, noDelay: true, autoSelectFamily: false });
  socket.on("error", () => {}); // Resets are part of the plan.
  return socket;
}

/** Opens and closes connections, some at a time. @param {number} count @param {Behaviour} behaviour @param {number} [to] */
function connections(count, behaviour, to) {
  let started = 0;
  return lanes(PARALLEL, async () => {
    while (started < count) {
      const index = started++;
      await new Promise((resolve) => {
        const socket = connect(to);
        socket.once("close", resolve);
        behaviour(socket, index);
      });
    }
  });
}

/** @param {number} width @param {() => Promise<void>} lane */
const lanes = (width, lane) => Promise.all(Array.from({ length: width }, lane));

/** One connection after its handshake, closed in one of four ways. @type {Behaviour} */
function visit(socket, index) {
  const style = index % 4;
  let bytes = 0;
  // Handshake, message and close in one write: what arrives behind the handshake is part of the case.
  socket.write(style === 0 ? Buffer.concat([HANDSHAKE, TEXT, CLOSE]) : HANDSHAKE);
  socket.on("data", (data) => {
    const isFirst = bytes === 0;
    bytes += data.length;
    if (!isFirst) return;
    if (style === 1) socket.end(Buffer.concat([TEXT, BINARY, CLOSE]));
    if (style === 2) socket.destroy();
    if (style === 3) socket.resetAndDestroy();
  });
}

/** One connection that compresses, with contexts of its own, and is closed in one of three ways. @type {Behaviour} */
function visitCompressed(socket, index) {
  const style = index % 3;
  socket.write(style === 0 ? Buffer.concat([OWN_CONTEXTS, PACKED_TEXT, PACKED_BINARY, CLOSE]) : OWN_CONTEXTS);
  let isFirst = true;
  socket.on("data", () => {
    if (style === 0) return;
    if (isFirst) socket.write(Buffer.concat([PACKED_TEXT, PACKED_BINARY]));
    else if (style === 1) socket.end(CLOSE);
    else socket.destroy();
    isFirst = false;
  });
}

/** The same over TLS; one in six gives up within the handshake. @type {Behaviour} */
function visitSecurely(socket, index) {
  if (index % 6 === 4) return void socket.end(Buffer.from([22, 3, 1, 2, 0, 1]));
  if (index % 6 === 5) return void socket.write(HANDSHAKE, () => socket.resetAndDestroy());
  // Full handshakes and resumed ones.
  const session = index % 3 === 0 ? ticket : undefined;
  const secure = tls.connect({ socket, rejectUnauthorized: false, session });
  secure.on("error", () => {});
  secure.on("session", (data) => {
    ticket = data;
  });
  secure.on("close", () => socket.destroy());
  visit(secure, index % 3);
}

/** What the last server's session can be resumed with. @type {Buffer | undefined} */
let ticket;

/** One connection that never becomes a WebSocket. @type {Behaviour} */
function breakOff(socket, index) {
  const style = index % 5;
  if (style === 0) socket.end(HANDSHAKE.subarray(0, 20 + (index % 100)));
  else if (style === 1) socket.write(HANDSHAKE, () => socket.resetAndDestroy());
  else if (style === 2) socket.write(HANDSHAKE.subarray(0, 60), () => socket.destroy());
  else if (style === 3) {
    socket.write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nnot all of it", () => {
      socket.destroy();
    });
  } else socket.end("nonsense\r\n\r\n");
  socket.resume();
}

const UPLOAD = Buffer.concat([
  Buffer.from("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"),
  Buffer.alloc(50_000, 120),
]);
const CHUNKED_UPLOAD = Buffer.from(
  `POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4000\r\n${"x".repeat(0x4000)}\r\n4000\r\nxx`,
);
const UNREAD_UPLOAD = Buffer.from(`${UPLOAD.toString("latin1").replace("POST /", "POST /unread")}`, "latin1");

/** An upload or a download, given up in the middle. @type {Behaviour} */
function abort(socket, index) {
  const style = index % 6;
  if (style < 3) {
    socket.write([UPLOAD, CHUNKED_UPLOAD, UNREAD_UPLOAD][style], () => {
      if (index % 2) socket.destroy();
      else socket.resetAndDestroy();
    });
    socket.resume();
    return;
  }
  const path = ["/endless", "/large", "/static"][style - 3];
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  socket.once("data", () => {
    if (index % 2) socket.destroy();
    else socket.resetAndDestroy();
  });
}

/** HTTP requests over connections that are kept, half of them with a body. @param {number} count */
function requests(count) {
  const get = Buffer.from("GET /?query HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
  const post = Buffer.from("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\nhello hello");
  let started = 0;
  return lanes(16, async () => {
    const socket = connect();
    let text = "";
    let answered = () => {};
    socket.on("data", (data) => {
      text += data;
      const head = text.indexOf("\r\n\r\n");
      if (head < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1]);
      if (text.length < head + 4 + length) return;
      text = "";
      answered();
    });
    while (started < count) {
      const bytes = started++ % 2 ? post : get;
      await new Promise((resolve) => {
        answered = () => resolve(undefined);
        socket.write(bytes);
      });
    }
    await new Promise((resolve) => socket.once("close", resolve).destroy());
  });
}

/** Messages over a few connections, text and binary in turns, many under way. @param {number} count */
function messages(count) {
  const width = 16;
  const burst = 100;
  const each = Math.ceil(count / width / burst);
  const bytes = Buffer.concat(Array.from({ length: burst }, (_, i) => (i % 2 ? BINARY : TEXT)));
  // A server's frames carry no masking key.
  const size = bytes.length - 4 * burst;
  return lanes(width, async () => {
    const socket = connect();
    await new Promise((resolve) => socket.once("data", resolve).write(HANDSHAKE));
    let got = 0;
    let answered = () => {};
    socket.on("data", (data) => {
      got += data.length;
      if (got === size) answered();
    });
    for (let i = 0; i < each; i++) {
      await new Promise((resolve) => {
        got = 0;
        answered = () => resolve(undefined);
        socket.write(bytes);
      });
    }
    await new Promise((resolve) => socket.once("close", resolve).end(CLOSE));
  });
}

/** Compressed messages both ways; half of the connections share their contexts. @param {number} count */
function compressedMessages(count) {
  const width = 16;
  const burst = 100;
  const each = Math.ceil(count / width / burst);
  const bytes = Buffer.concat(Array.from({ length: burst }, (_, i) => (i % 2 ? PACKED_BINARY : PACKED_TEXT)));
  let lane = 0;
  return lanes(width, async () => {
    const socket = connect();
    const offer = lane++ % 2 ? OWN_CONTEXTS : SHARED_CONTEXTS;
    await new Promise((resolve) => socket.once("data", resolve).write(offer));
    const counter = new FrameCounter();
    let answered = () => {};
    socket.on("data", (data) => {
      counter.take(data);
      if (counter.frames === burst) answered();
    });
    for (let i = 0; i < each; i++) {
      await new Promise((resolve) => {
        counter.frames = 0;
        answered = () => resolve(undefined);
        socket.write(bytes);
      });
    }
    await new Promise((resolve) => socket.once("close", resolve).end(CLOSE));
  });
}

/** Counts the server's frames, which are of fewer than 126 bytes or of fewer than 64 KiB. */
class FrameCounter {
  frames = 0;
  /** @type {Buffer} */
  #rest = Buffer.alloc(0);

  /** @param {Buffer} data */
  take(data) {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, data]) : data;
    let at = 0;
    while (bytes.length - at >= 4) {
      const short = bytes[at + 1];
      const next = at + (short < 126 ? 2 + short : 4 + bytes.readUInt16BE(at + 2));
      if (next > bytes.length) break;
      at = next;
      this.frames++;
    }
    this.#rest = bytes.subarray(at);
  }
}

/** Connections that stay until `release`. @type {net.Socket[]} */
const held = [];

/**
 * Opens connections, some at a time; with a message, waits for a frame that answers it.
 *
 * @param {number} count @param {Buffer} offer @param {Buffer | undefined} message
 */
function hold(count, offer, message) {
  let started = 0;
  return lanes(PARALLEL, async () => {
    while (started < count) {
      started++;
      const socket = connect();
      held.push(socket);
      await new Promise((resolve) => socket.once("data", resolve).write(offer));
      if (message) {
        const counter = new FrameCounter();
        await new Promise((resolve) => {
          socket.on("data", (data) => {
            counter.take(data);
            if (counter.frames === 1) resolve(undefined);
          });
          socket.write(message);
        });
        socket.removeAllListeners("data");
      }
    }
  });
}

function release() {
  const closed = held.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
  for (const socket of held.splice(0)) socket.end(CLOSE);
  return Promise.all(closed);
}
