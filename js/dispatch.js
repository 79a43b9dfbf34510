// @ts-check
// What the addon calls. The first part is the hot path of incoming messages: small functions that always see the same
// shapes. Nothing here may throw: a handler's exception goes to the server's error handler or to the host.
import { Buffer } from "node:buffer";
import { cores } from "./core.js";
import { Exchange, exchanges } from "./exchange.js";
import { handlerFailed } from "./failures.js";
import { handle } from "./fetch.js";
import { binaryTypeIndex, closedByPeer, conns, openHandlers } from "./server-websocket.js";
import { takeArrayBuffer, takeBuffer } from "./small.js";

/** Text, binary data, or the length of binary data that is in the shared memory. @typedef {string | ArrayBuffer | number} Data */

/**
 * One message for one socket.
 * @param {number} id
 * @param {Data} data
 * @param {number} place of small data
 * @returns {boolean} the handler returned a thenable
 */
function deliver(id, data, place) {
  const ws = conns[id];
  if (ws === undefined) return false;
  // A handler that ran earlier in the same batch may have closed the socket.
  const handlers = openHandlers(ws);
  if (handlers === undefined) return false;
  const { message } = handlers;
  if (message === undefined) return false;
  try {
    const value =
      typeof data === "string" ? data : typeof data === "number" ? small(ws, place, data) : binary(ws, data);
    const result = /** @type {any} */ (message(ws, value));
    return typeof result === "object" && result !== null && typeof result.then === "function";
  } catch (error) {
    handlerFailed(handlers, ws, error);
    return false;
  }
}

/**
 * What the program sees of binary data; each message has a buffer of its own.
 * @param {import("./server-websocket.js").ServerWebSocket} ws
 * @param {ArrayBuffer} data
 */
function binary(ws, data) {
  const type = binaryTypeIndex(ws);
  if (type === 0) return Buffer.from(data);
  if (type === 1) return data;
  return type === 2 ? new Uint8Array(data) : new Blob([data]);
}

/**
 * The same for small data.
 * @param {import("./server-websocket.js").ServerWebSocket} ws
 * @param {number} place
 * @param {number} length
 */
function small(ws, place, length) {
  return binaryTypeIndex(ws) === 0 ? takeBuffer(place, length) : binary(ws, takeArrayBuffer(place, length));
}

/** @param {number} id @param {Data} data @returns {true | undefined} */
function message(id, data) {
  return deliver(id, data, 0) ? true : undefined;
}

/**
 * Two to eight messages in one crossing from native code. After a thenable the rest waits for the microtasks: the
 * result says how many messages were consumed then.
 * @type {(n: number, a: number, A: Data, b: number, B: Data, c: number, C: Data, d: number, D: Data, e: number, E: Data, f: number, F: Data, g: number, G: Data, h: number, H: Data) => number | undefined}
 */
function messages(n, a, A, b, B, c, C, d, D, e, E, f, F, g, G, h, H) {
  if (deliver(a, A, 0)) return 1;
  if (deliver(b, B, 1)) return 2;
  if (n === 2) return;
  if (deliver(c, C, 2)) return 3;
  if (n === 3) return;
  if (deliver(d, D, 3)) return 4;
  if (n === 4) return;
  if (deliver(e, E, 4)) return 5;
  if (n === 5) return;
  if (deliver(f, F, 5)) return 6;
  if (n === 6) return;
  if (deliver(g, G, 6)) return 7;
  if (n === 7) return;
  if (deliver(h, H, 7)) return 8;
}

/** @param {number} id @param {ArrayBuffer} data */
function ping(id, data) {
  control(id, "ping", data);
}

/** @param {number} id @param {ArrayBuffer} data */
function pong(id, data) {
  control(id, "pong", data);
}

/** @param {number} id @param {"ping" | "pong"} kind @param {ArrayBuffer} data */
function control(id, kind, data) {
  const ws = conns[id];
  if (ws === undefined) return;
  const handlers = openHandlers(ws);
  if (handlers === undefined) return;
  const handler = handlers[kind];
  if (handler === undefined) return;
  try {
    handler(ws, binary(ws, data));
  } catch (error) {
    handlerFailed(handlers, ws, error);
  }
}

/** @param {number} id */
function drained(id) {
  const ws = conns[id];
  if (ws === undefined) return;
  const handlers = openHandlers(ws);
  if (handlers === undefined) return;
  const { drain } = handlers;
  if (drain === undefined) return;
  try {
    drain(ws);
  } catch (error) {
    handlerFailed(handlers, ws, error);
  }
}

/** @param {number} id @param {number} code @param {string} reason */
function close(id, code, reason) {
  const ws = conns[id];
  if (ws === undefined) return;
  // Before the handler runs: it may upgrade another request, and the number is the addon's again.
  conns[id] = undefined;
  closedByPeer(ws, code, reason);
}

/** @param {number} id */
function gone(id) {
  conns[id] = undefined;
}

/**
 * @param {number} serverId
 * @param {number} rid
 * @param {string} method
 * @param {string} target
 * @param {string} headers
 * @param {number} handshake
 * @param {number} flags
 * @param {string} address
 * @param {number} port
 */
function request(serverId, rid, method, target, headers, handshake, flags, address, port) {
  const core = cores.get(serverId);
  if (core === undefined) return;
  handle(new Exchange(core, rid, method, target, headers, handshake, flags, address, port));
}

/** @type {Omit<import("../binding.js").Callbacks, "later">} */
export const callbacks = {
  message,
  // The tuple of arguments is fixed; the addon's declaration says "17".
  messages: /** @type {any} */ (messages),
  ping,
  pong,
  drain: drained,
  close,
  gone,
  request,
  body: (rid, chunk) => exchanges[rid]?.bodyArrived(chunk),
  responseWritable: (rid) => exchanges[rid]?.writable(),
  requestEnd: (rid, aborted) => exchanges[rid]?.ended(aborted),
  serverGone: (serverId) => cores.get(serverId)?.gone(),
};
