// @ts-check
// server.upgrade(): from a request to an open WebSocket, within one call.
import { invalidArgument } from "./errors.js";
import { ANSWERED, headerKey, NOT_A_HANDSHAKE, PENDING, WRONG_VERSION } from "./exchange.js";
import { handlerFailed } from "./failures.js";
import { COOKIE, fieldName, UNKNOWN } from "./header-names.js";
import { N } from "./native.js";
import { exchangeOf } from "./request.js";
import { CLOSE, NO_LENGTH } from "./response.js";
import { createSocket, openHandlers, terminateSocket } from "./server-websocket.js";

const PROTOCOL = headerKey("sec-websocket-protocol");

/** @typedef {import("./core.js").ServerCore} ServerCore */
/** @typedef {import("./exchange.js").Exchange} Exchange */

/**
 * @param {ServerCore} core
 * @param {unknown} request
 * @param {any} options
 * @returns {boolean}
 */
export function upgrade(core, request, options) {
  if (!core.hasWebSocket) {
    throw invalidArgument('To enable websocket support, set the "websocket" object in Bun.serve({})');
  }
  if (core.terminated) return false;
  const exchange = exchangeOf(request);
  if (exchange === undefined) {
    if (request instanceof Request) return false;
    throw invalidArgument("upgrade requires a Request object");
  }
  if (exchange.core !== core) {
    throw invalidArgument("upgrade() must be called on the same server that received the request");
  }
  if (!isUndecided(exchange) || exchange.handshake === NOT_A_HANDSHAKE) return false;
  if (exchange.handshake === WRONG_VERSION) {
    refuseVersion(exchange);
    return false;
  }
  if (
    options !== undefined &&
    options !== null &&
    typeof options !== "object" &&
    typeof options !== "function"
  ) {
    throw invalidArgument("upgrade options must be an object");
  }
  const data = options?.data;
  const { lines, protocol } = handshakeHeaders(exchange, options?.headers);
  // Reading the options ran the program's code, which may have upgraded, answered or stopped meanwhile.
  if (!isUndecided(exchange) || core.terminated) return false;

  // The 101 leaves together with what the open handler sends.
  N.hold();
  try {
    const id = N.upgrade(exchange.rid, lines, protocol);
    const ws = createSocket(id, core, data, core.isUnix ? undefined : exchange.address);
    exchange.becameSocket(ws);
    callOpen(ws);
  } finally {
    N.release();
  }
  return true;
}

/** @param {import("./server-websocket.js").ServerWebSocket} ws */
function callOpen(ws) {
  const handlers = openHandlers(ws);
  // Called as a plain function: handlers have no `this`.
  if (handlers?.open === undefined) return;
  const { open } = handlers;
  try {
    open(ws);
  } catch (error) {
    if (ws.readyState === 1) terminateSocket(ws);
    handlerFailed(handlers, ws, error);
  }
}

/** @param {Exchange} exchange */
function isUndecided({ state, isDecided }) {
  return state === PENDING && !isDecided;
}

/** @param {Exchange} exchange */
function refuseVersion(exchange) {
  exchange.state = ANSWERED;
  N.respond(exchange.rid, 426, "", "Sec-WebSocket-Version: 13\r\n", null, CLOSE | NO_LENGTH);
}

/** Decided by the handshake itself. */
const ownHeaders = new Set([
  "upgrade",
  "connection",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "content-length",
  "transfer-encoding",
]);

/**
 * The program's headers for the 101, and the subprotocol.
 * @param {Exchange} exchange
 * @param {unknown} headers
 */
function handshakeHeaders(exchange, headers) {
  let protocol = firstOffered(exchange.header(PROTOCOL));
  if (headers === undefined || headers === null) return { lines: exchange.cookieLines, protocol };
  // The platform's class checks, trims and joins; the names as they are written are kept beside it.
  const checked = new Headers();
  /** @type {Map<string, import("./header-names.js").FieldName>} */
  const names = new Map();
  for (const [name, value] of pairs(headers)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      checked.append(name, one);
      const field = fieldName(String(name));
      if (field !== undefined && !names.has(field.key)) names.set(field.key, field);
    }
  }
  let known = "";
  for (const cookie of checked.getSetCookie()) known += `set-cookie: ${cookie}\r\n`;
  let others = "";
  for (const { key, name, kind } of names.values()) {
    if (kind === COOKIE || ownHeaders.has(key)) continue;
    const value = checked.get(key) ?? "";
    if (key === "sec-websocket-protocol") protocol = value === "" ? null : value;
    else if (kind === UNKNOWN) others += `${name}: ${value}\r\n`;
    else known += `${name}: ${value}\r\n`;
  }
  const lines = known + others + exchange.cookieLines;
  return { lines, protocol };
}

/** @param {unknown} headers @returns {Iterable<[any, any]>} */
function pairs(headers) {
  if (typeof headers !== "object" || headers === null) {
    throw invalidArgument("upgrade options.headers must be a Headers or an object");
  }
  if (Symbol.iterator in headers) return /** @type {Iterable<[any, any]>} */ (headers);
  return Object.entries(headers);
}

/** @param {string | undefined} offer */
function firstOffered(offer) {
  return offer?.split(",", 1)[0].trim() || null;
}
