// @ts-check
// The clients of the leak tests, in a process of their own so that their memory is not counted.

import { Buffer } from "node:buffer";
import net from "node:net";
import process from "node:process";
import tls from "node:tls";
import { binaryFrame, closeFrame, handshake, textFrame } from "../support/raw-client.js";

/** Connections at the same time. */
const PARALLEL = 64;
/** Ports of one address run out: a closed connection keeps its pair for a minute. */
const ADDRESSES = 8;

const HANDSHAKE = handshake();
const TEXT = textFrame("a message of a few bytes");
const BINARY = binaryFrame(Buffer.alloc(500, 7));
const CLOSE = closeFrame(1000, "done");

const [port, securePort] = process.argv.slice(2).map(Number);
let opened = 0;

/** @typedef {(socket: net.Socket, index: number) => void} Behaviour   what a client does once it is connected */

/** @type {Record<string, (count: number) => Promise<unknown>>} */
const orders = {
  connections: (count) => connections(count, visit),
  secure: (count) => connections(count, visitSecurely, securePort),
  broken: (count) => connections(count, breakOff),
  requests: (count) => requests(count),
  messages: (count) => messages(count),
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
