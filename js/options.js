// @ts-check
// Options are checked and made complete once, by `serve()` and `reload()`; nothing later looks at what was passed.
import { invalidArgument, outOfRange } from "./errors.js";
import { DISABLED, SHARED } from "./native.js";
import { compileRoutes } from "./routes.js";
import { environment } from "./runtime.js";
import { parseTls } from "./tls.js";

const MiB = 1024 * 1024;
const U32_MAX = 2 ** 32 - 1;

/** @typedef {import("./server-websocket.js").ServerWebSocket} ServerWebSocket */

/**
 * The websocket handlers and limits of a server; complete. A `reload()` replaces the record.
 * @typedef {object} WebSocketConfig
 * @property {((ws: ServerWebSocket) => unknown) | undefined} open
 * @property {((ws: ServerWebSocket, message: unknown) => unknown) | undefined} message
 * @property {((ws: ServerWebSocket, code: number, reason: string) => unknown) | undefined} close
 * @property {((ws: ServerWebSocket) => unknown) | undefined} drain
 * @property {((ws: ServerWebSocket, data: unknown) => unknown) | undefined} ping
 * @property {((ws: ServerWebSocket, data: unknown) => unknown) | undefined} pong
 * @property {((error: unknown, ws: ServerWebSocket) => unknown) | undefined} error
 * @property {number} maxPayloadLength bytes
 * @property {number} backpressureLimit bytes; 0 = none
 * @property {number} idleTimeout seconds; 0 = none
 * @property {boolean} closeOnBackpressureLimit
 * @property {boolean} sendPings
 * @property {boolean} publishToSelf
 * @property {number} compress of what is sent: 0 = nothing, 1 = a shared context, 9 to 15 = a socket's own, window bits
 * @property {number} decompress of what is received
 */

/**
 * @typedef {object} ListenConfig
 * @property {number} port
 * @property {string | undefined} hostname
 * @property {string | undefined} unix
 * @property {boolean} reusePort
 * @property {boolean} ipv6Only
 */

/** @typedef {(this: unknown, request: Request, server: unknown) => unknown} FetchHandler */
/** @typedef {(this: unknown, error: unknown) => unknown} ErrorHandler */

/**
 * What `reload()` can change; undefined = not given.
 * @typedef {object} HandlerConfig
 * @property {FetchHandler | undefined} fetch
 * @property {ErrorHandler | undefined} error
 * @property {import("./routes.js").Router | undefined} routes
 * @property {WebSocketConfig | undefined} websocket
 * @property {number | undefined} idleTimeout of HTTP connections in seconds; 0 = none
 * @property {number | undefined} maxRequestBodySize bytes
 * @property {import("../binding.js").TlsMaterial | undefined} tls
 */

/** @typedef {{ listen: ListenConfig, handlers: HandlerConfig, development: boolean, id: string }} ServeConfig */

/** @typedef {Record<PropertyKey, any>} Bag */

/** @param {unknown} value @returns {value is Bag} */
function isObject(value) {
  return (typeof value === "object" && value !== null) || typeof value === "function";
}

/**
 * @param {unknown} options
 * @returns {ServeConfig}
 */
export function parseServeOptions(options) {
  const handlers = parseHandlers(options);
  const bag = /** @type {Bag} */ (options);
  if (handlers.fetch === undefined && !handlers.routes?.size) throw invalidArgument(needsEither);
  refuseUnoffered(bag);
  const { development, id, hostname, unix, reusePort, ipv6Only } = bag;
  return {
    listen: {
      port: parsePort(bag.port),
      hostname: isGiven(hostname) ? String(hostname) : undefined,
      unix: isGiven(unix) ? String(unix) : undefined,
      reusePort: reusePort === true,
      ipv6Only: Boolean(ipv6Only),
    },
    handlers,
    development: isNil(development) ? environment("NODE_ENV") !== "production" : Boolean(development),
    id: isNil(id) ? "" : String(id),
  };
}

/**
 * The part of the options that `reload()` accepts too.
 * @param {unknown} options
 * @returns {HandlerConfig}
 */
export function parseHandlers(options) {
  if (!isObject(options)) throw invalidArgument("Bun.serve expects an object");
  const { fetch, error, routes, websocket, idleTimeout, maxRequestBodySize, tls } = options;
  const router = routes === undefined ? undefined : compileRoutes(routes);
  if (!isNil(fetch) && typeof fetch !== "function") {
    throw invalidArgument("Expected fetch() to be a function");
  }
  if (!isNil(error) && typeof error !== "function") {
    throw invalidArgument("Expected error to be a function");
  }
  return {
    fetch: fetch ?? undefined,
    error: error ?? undefined,
    routes: router,
    websocket: isNil(websocket) ? undefined : parseWebSocket(websocket),
    idleTimeout: parseHttpIdleTimeout(idleTimeout),
    maxRequestBodySize: parseBodySize(maxRequestBodySize),
    tls: parseTls(tls),
  };
}

/** @param {unknown} value @returns {value is null | undefined} */
function isNil(value) {
  return value === undefined || value === null;
}

/** "" means "not given" for names, as null and undefined do. @param {unknown} value */
function isGiven(value) {
  return !isNil(value) && value !== "";
}

/** @param {unknown} port */
function parsePort(port) {
  if (!isGiven(port)) return defaultPort();
  const number = typeof port === "number" ? port : typeof port === "string" ? Number(port) : Number.NaN;
  if (!Number.isInteger(number)) {
    throw outOfRange(
      `The value of "options.port" is out of range. It must be an integer. Received ${number}`,
    );
  }
  if (number < 0 || number > 65535) {
    throw outOfRange(
      `The value of "options.port" is out of range. It must be >= 0 and <= 65535. Received ${number}`,
    );
  }
  return number;
}

function defaultPort() {
  for (const name of ["BUN_PORT", "PORT", "NODE_PORT"]) {
    const text = environment(name);
    const number = text ? Number(text) : Number.NaN;
    if (Number.isInteger(number) && number >= 0 && number <= 65535) return number;
  }
  return 3000;
}

/** @param {unknown} value */
function parseHttpIdleTimeout(value) {
  if (isNil(value)) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw invalidArgument("Bun.serve expects idleTimeout to be an integer");
  }
  if (value > 255) throw invalidArgument("Bun.serve expects idleTimeout to be 255 or less");
  return Math.max(0, value);
}

/** Bun takes anything here and uses the default for what is no number. @param {unknown} value */
function parseBodySize(value) {
  if (typeof value !== "number" || Number.isNaN(value)) return undefined;
  return Math.min(Math.max(0, Math.floor(value)), Number.MAX_SAFE_INTEGER);
}

/** @param {Bag} options */
function refuseUnoffered({ http2, http3, h2, h3 }) {
  if (http2 === true || h2 === true) throw invalidArgument("serve() does not offer http2.");
  if (http3 === true || h3 === true) throw invalidArgument("serve() does not offer http3.");
}

const handlerNames = /** @type {const} */ (["open", "message", "close", "drain", "ping", "pong", "error"]);

/**
 * @param {unknown} options
 * @returns {WebSocketConfig}
 */
function parseWebSocket(options) {
  if (!isObject(options)) throw invalidArgument("Expected websocket to be an object");
  /** @type {Bag} */
  const handlers = {};
  for (const name of handlerNames) {
    const handler = options[name] ?? undefined;
    if (handler !== undefined && typeof handler !== "function") {
      throw invalidArgument(`websocket expects a function for the '${name}' option`);
    }
    handlers[name] = handler;
  }
  const { open, message, close, drain, ping, pong, error } = handlers;
  return {
    open,
    message,
    close,
    drain,
    ping,
    pong,
    error,
    maxPayloadLength: byteLimit(options, "maxPayloadLength", 16 * MiB),
    backpressureLimit: byteLimit(options, "backpressureLimit", 16 * MiB),
    idleTimeout: socketIdleTimeout(options.idleTimeout),
    closeOnBackpressureLimit: flag(options, "closeOnBackpressureLimit", false),
    sendPings: flag(options, "sendPings", true),
    publishToSelf: flag(options, "publishToSelf", false),
    ...parseDeflate(options.perMessageDeflate),
  };
}

/** @param {Bag} options @param {string} name @param {number} fallback */
function byteLimit(options, name, fallback) {
  const value = options[name];
  if (isNil(value)) return fallback;
  if (!Number.isInteger(value)) throw invalidArgument(`websocket expects ${name} to be an integer`);
  return Math.min(Math.max(0, value), U32_MAX);
}

/** @param {unknown} value seconds */
function socketIdleTimeout(value) {
  if (isNil(value)) return 120;
  if (typeof value !== "number" || !Number.isInteger(value)) {
    throw invalidArgument("websocket expects idleTimeout to be an integer");
  }
  if (value > 960) throw invalidArgument("websocket expects idleTimeout to be 960 or less");
  // Bun's shortest timeout; smaller values act as 8.
  return value <= 0 ? 0 : Math.max(8, value);
}

/** @param {Bag} options @param {string} name @param {boolean} fallback */
function flag(options, name, fallback) {
  const value = options[name];
  if (isNil(value)) return fallback;
  if (typeof value !== "boolean") throw invalidArgument(`websocket expects ${name} to be a boolean`);
  return value;
}

/**
 * The names of contexts, with the window bits of those that a socket has for itself. A compressor's size counts all of
 * its memory as zlib has it, a decompressor's the window: so the same name stands for different windows.
 * @type {Record<string, { compress: number, decompress: number }>}
 */
const contexts = {
  disable: { compress: DISABLED, decompress: DISABLED },
  shared: { compress: SHARED, decompress: SHARED },
  dedicated: { compress: 15, decompress: 15 },
  "3KB": { compress: 9, decompress: 11 },
  "4KB": { compress: 9, decompress: 12 },
  "8KB": { compress: 10, decompress: 13 },
  "16KB": { compress: 11, decompress: 14 },
  "32KB": { compress: 12, decompress: 15 },
  "64KB": { compress: 13, decompress: 15 },
  "128KB": { compress: 14, decompress: 15 },
  "256KB": { compress: 15, decompress: 15 },
};

/** @param {unknown} value of `perMessageDeflate` @returns {{ compress: number, decompress: number }} */
function parseDeflate(value) {
  if (isNil(value) || typeof value === "boolean") {
    const both = value ? SHARED : DISABLED;
    return { compress: both, decompress: both };
  }
  if (!isObject(value)) {
    throw invalidArgument("websocket expects perMessageDeflate to be a boolean or an object");
  }
  const compress = contextOf(value.compress, "compress");
  const decompress = contextOf(value.decompress, "decompress");
  return {
    // The extension is for both directions: what is sent is compressed too unless that was disabled in so many words.
    compress: compress ?? (decompress ? SHARED : DISABLED),
    decompress: decompress ?? DISABLED,
  };
}

/** undefined = not given. @param {unknown} choice @param {"compress" | "decompress"} direction */
function contextOf(choice, direction) {
  if (!isGiven(choice)) return undefined;
  if (choice === false) return DISABLED;
  if (choice === true) return SHARED;
  const name = choice instanceof String ? String(choice) : choice;
  if (typeof name === "string" && Object.hasOwn(contexts, name)) return contexts[name][direction];
  const known = Object.keys(contexts).map((name) => `"${name}"`);
  throw invalidArgument(
    `websocket expects a valid ${direction} option, either ${known.slice(0, -1).join(" ")} or ${known.at(-1)}`,
  );
}

/** Stands for the `websocket` option of a server without one; no socket will use it. */
export const noWebSocket = parseWebSocket({});

/**
 * The settings the addon wants, from what is in force.
 * @param {WebSocketConfig} config
 * @param {number} httpIdleTimeout
 * @param {number} maxRequestBodySize
 * @returns {import("../binding.js").Settings}
 */
export function nativeSettings(config, httpIdleTimeout, maxRequestBodySize) {
  return {
    maxPayloadLength: config.maxPayloadLength,
    idleTimeout: config.idleTimeout,
    sendPings: config.sendPings,
    backpressureLimit: config.backpressureLimit,
    closeOnBackpressureLimit: config.closeOnBackpressureLimit,
    compress: config.compress,
    decompress: config.decompress,
    hasPing: config.ping !== undefined,
    hasPong: config.pong !== undefined,
    hasDrain: config.drain !== undefined,
    hasMessage: config.message !== undefined,
    httpIdleTimeout,
    maxRequestBodySize,
  };
}

export const HTTP_IDLE_TIMEOUT = 10;
export const MAX_REQUEST_BODY_SIZE = 128 * MiB;

const needsEither = `Bun.serve() needs either:

  - A routes object:
     routes: {
       "/path": {
         GET: (req) => new Response("Hello")
       }
     }

  - Or a fetch handler:
     fetch: (req) => {
       return new Response("Hello")
     }

Learn more at https://bun.com/docs/api/http`;
