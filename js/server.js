// @ts-check
// biome-ignore-all lint/complexity/noArguments: a missing argument has its own error text
// The Server object that `serve()` returns.
import { invalidArgument, invalidThis, missingArguments, stringOf } from "./errors.js";
import { ENDED, UPGRADED } from "./exchange.js";
import { N } from "./native.js";
import { parseHandlers } from "./options.js";
import { loosePayload } from "./payload.js";
import { exchangeOf } from "./request.js";
import { closeAll, publishTo } from "./server-websocket.js";
import { upgrade } from "./upgrade.js";

/** @typedef {import("./core.js").ServerCore} ServerCore */

/** What `stop(true)` tells the peers. */
const GOING_AWAY = 1001;

/** Only this module can construct. */
const construct = Symbol("construct");

/** @type {(server: unknown) => ServerCore} throws for anything else */
let coreOf;

class HTTPServer {
  #core;
  /** @type {URL | undefined} */
  #url = undefined;

  /** @param {symbol} key @param {ServerCore} core */
  constructor(key, core) {
    if (key !== construct) throw new TypeError("Cannot construct HTTPServer");
    this.#core = core;
  }

  get address() {
    const { path, address, family, port } = coreOf(this).listening;
    return path ?? { address, family, port };
  }

  get development() {
    return coreOf(this).development;
  }

  get hostname() {
    const core = coreOf(this);
    return core.isUnix ? undefined : core.hostname;
  }

  get id() {
    return coreOf(this).name;
  }

  get pendingRequests() {
    return coreOf(this).requests;
  }

  get pendingWebSockets() {
    return coreOf(this).sockets;
  }

  get port() {
    return coreOf(this).listening.port;
  }

  get protocol() {
    return coreOf(this).isSecure ? "https" : "http";
  }

  /** @returns {URL} the same object each time */
  get url() {
    const core = coreOf(this);
    this.#url ??= urlOf(core);
    return this.#url;
  }

  closeIdleConnections() {
    const core = coreOf(this);
    return core.isGone ? 0 : N.closeIdle(core.id);
  }

  /**
   * Runs the fetch handler without the network; routes are not asked.
   * @param {Request | string | URL} request
   * @returns {Promise<unknown>}
   */
  fetch(request) {
    const core = coreOf(this);
    const problem = fetchProblem(core, arguments);
    return problem === undefined ? this.#run(core, request) : Promise.reject(problem);
  }

  /** @param {ServerCore} core @param {Request | string | URL} request */
  async #run(core, request) {
    const isUrl = typeof request === "string" || request instanceof URL;
    const sent = isUrl ? new Request(new URL(request, this.url)) : request;
    return core.fetch?.call(this, sent, this);
  }

  /**
   * @param {unknown} topic
   * @param {unknown} message
   * @param {unknown} [compress]
   * @returns {number}
   */
  publish(topic, message, compress) {
    const core = coreOf(this);
    if (typeof topic === "string" && typeof message === "string") {
      const found = core.topics.find(topic);
      // Unlike a socket's, a server's publish compresses unless told otherwise.
      if (found !== undefined)
        return publishTo(core, found, undefined, message, compress === undefined || !!compress);
      if (topic !== "") return 0;
    }
    if (arguments.length < 2) throw invalidArgument("Missing argument");
    const name = stringOf(topic);
    if (name === "") throw new Error("publish requires a topic string");
    const payload = loosePayload(message);
    const found = core.topics.find(name);
    if (found === undefined) return 0;
    return publishTo(core, found, undefined, payload, compress === undefined || !!compress);
  }

  ref() {
    coreOf(this).ref();
    return this;
  }

  unref() {
    coreOf(this).unref();
    return this;
  }

  /** @param {unknown} options */
  reload(options) {
    const core = coreOf(this);
    if (arguments.length === 0) throw missingArguments("reload", 1, 0);
    core.reload(parseHandlers(options));
    return this;
  }

  /** @param {unknown} request */
  requestIP(request) {
    coreOf(this);
    if (arguments.length === 0) throw invalidArgument("Missing Request object");
    const exchange = exchangeOf(request);
    if (exchange === undefined) {
      if (request instanceof Request) return null;
      throw invalidArgument("Expected Request object");
    }
    if (exchange.state === UPGRADED || exchange.state === ENDED || exchange.core.isUnix) return null;
    return { address: exchange.address, family: exchange.family, port: exchange.port };
  }

  /** @param {unknown} [closeActiveConnections] @returns {Promise<void>} */
  stop(closeActiveConnections) {
    const core = coreOf(this);
    if (core.isGone) return Promise.resolve();
    core.stopListening();
    if (closeActiveConnections) {
      core.terminated = true;
      closeAll(core, GOING_AWAY, "Server closed");
      // A close handler may have waited for nothing and stopped the server itself.
      if (!core.isGone) N.abortRequests(core.id);
    }
    return core.whenGone();
  }

  /** @param {unknown} topic */
  subscriberCount(topic) {
    const core = coreOf(this);
    if (arguments.length === 0) throw missingArguments("subscriberCount", 1, 0);
    return core.topics.find(stringOf(topic))?.count ?? 0;
  }

  /** @param {unknown} request @param {unknown} seconds 0 = none */
  timeout(request, seconds) {
    coreOf(this);
    if (arguments.length < 2) throw missingArguments("timeout", 2, arguments.length);
    const exchange = exchangeOf(request);
    if (exchange === undefined && !(request instanceof Request)) {
      throw invalidArgument("timeout() requires a Request object");
    }
    if (typeof seconds !== "number") throw new Error("timeout() requires a number");
    if (exchange === undefined || exchange.rid < 0) return;
    // 0 for NaN too; the addon counts in 32 bits.
    N.requestTimeout(exchange.rid, Math.min(Math.max(0, Math.ceil(seconds) || 0), 2 ** 31 - 1));
  }

  /** @param {unknown} request @param {unknown} [options] @returns {boolean} */
  upgrade(request, options) {
    const core = coreOf(this);
    if (arguments.length === 0) throw invalidArgument("Missing argument");
    return upgrade(core, request, options);
  }

  [Symbol.dispose]() {
    // As in Bun: sockets are closed too.
    this.stop(true);
  }

  get [Symbol.toStringTag]() {
    return "HTTPServer";
  }

  static {
    coreOf = (server) => {
      if (typeof server === "object" && server !== null && #core in server) return server.#core;
      throw invalidThis("HTTPServer", server);
    };
  }
}

class DebugHTTPServer extends HTTPServer {
  /** @override */
  get [Symbol.toStringTag]() {
    return "DebugHTTPServer";
  }
}

class HTTPSServer extends HTTPServer {
  /** @override */
  get [Symbol.toStringTag]() {
    return "HTTPSServer";
  }
}

class DebugHTTPSServer extends HTTPServer {
  /** @override */
  get [Symbol.toStringTag]() {
    return "DebugHTTPSServer";
  }
}

// A server is no constructor's instance in Bun: `server.constructor` is Object.
for (const { prototype } of [HTTPServer, DebugHTTPServer, HTTPSServer, DebugHTTPSServer]) {
  Reflect.deleteProperty(prototype, "constructor");
}

/** @param {ServerCore} core @returns {HTTPServer} */
export function createServer(core) {
  const [Plain, Debug] = core.isSecure ? [HTTPSServer, DebugHTTPSServer] : [HTTPServer, DebugHTTPServer];
  const server = new (core.development ? Debug : Plain)(construct, core);
  core.server = server;
  return server;
}

/** What is wrong with a call of `fetch`. @param {ServerCore} core @param {ArrayLike<unknown>} given */
function fetchProblem(core, { length, 0: request }) {
  if (core.fetch === undefined) return new Error("fetch() requires the server to have a fetch handler");
  if (length === 0) return new Error("fetch() expects a string but received no arguments.");
  if (request === "") return new Error("fetch() URL must not be a blank string.");
  if (typeof request === "string" || request instanceof URL || request instanceof Request) return undefined;
  const name =
    request === null || request === undefined ? String(request) : Object(request).constructor?.name;
  return invalidArgument(`fetch() expects a string, but received ${name ?? "Object"}`);
}

/** @param {ServerCore} core */
function urlOf({ hostname, isSecure, listening: { path, port } }) {
  if (path?.startsWith("\0")) return new URL(`abstract://${encodeURIComponent(path.slice(1))}/`);
  if (path !== undefined) return new URL(`unix://${path}`);
  return new URL(
    `${isSecure ? "https" : "http"}://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}/`,
  );
}
