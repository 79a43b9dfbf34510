// @ts-check
// One HTTP request on its way to a response, or to a WebSocket.
import { N } from "./native.js";
import { abortOnClose } from "./server-websocket.js";

/** The handler has not answered. */
export const PENDING = 0;
/** A response has been handed over; its body may still be on its way. */
export const ANSWERED = 1;
/** A WebSocket took the connection. */
export const UPGRADED = 2;
/** Over, with a response or without. */
export const ENDED = 3;

/** Exchanges that are not over, by the addon's number. @type {(Exchange | undefined)[]} */
export const exchanges = [];

const HAS_BODY = 1;
const IS_IPV6 = 4;

/** What `handshake` says. */
export const NOT_A_HANDSHAKE = 0;
export const WRONG_VERSION = 2;

/** @typedef {import("./core.js").ServerCore} ServerCore */

/**
 * A name as it stands in `headerText`: in the first line, and in a later one. Made once, since a request makes no string
 * that it can do without.
 * @typedef {{ first: string, later: string }} HeaderKey
 */

/** @param {string} name in lower case @returns {HeaderKey} */
export function headerKey(name) {
  return { first: `${name}: `, later: `\n${name}: ` };
}

export class Exchange {
  /**
   * @param {ServerCore} core
   * @param {number} rid
   * @param {string} method
   * @param {string} target as on the request line; a character is a byte
   * @param {string} headerText lines of "name: value", names in lower case; a character is a byte
   * @param {number} handshake
   * @param {number} flags
   * @param {string} address
   * @param {number} port
   */
  constructor(core, rid, method, target, headerText, handshake, flags, address, port) {
    this.core = core;
    /** -1 once the addon must not hear it again. */
    this.rid = rid;
    this.method = method;
    this.target = target;
    this.headerText = headerText;
    this.handshake = handshake;
    this.flags = flags;
    this.address = address;
    this.port = port;

    this.state = PENDING;
    /** The handler has returned, or failed: too late for an upgrade, even while the response is being read. */
    this.isDecided = false;
    this.isAborted = false;
    /** The program's function that answers it. @type {Function | undefined} */
    this.handler = undefined;
    /** Of a route. @type {Record<string, string> | undefined} */
    this.params = undefined;
    /** Of `request.cookies`, once they were read. @type {import("./cookies.js").CookieMap | undefined} */
    this.cookies = undefined;
    /** Of `request.signal`, once it was read. @type {AbortController | undefined} */
    this.controller = undefined;
    /** @type {import("./server-websocket.js").ServerWebSocket | undefined} */
    this.socket = undefined;

    /** The body was read, or is, without a stream. */
    this.isBodyUsed = false;
    /** Of `request.body`, once it was read. @type {ReadableStream<Uint8Array<ArrayBuffer>> | undefined} */
    this.bodyStream = undefined;
    /** Has that stream after a `clone()`, and knows whether it was read. @type {Response | undefined} */
    this.bodyHolder = undefined;
    /** Waits for one chunk: null = end, undefined = failed. @type {((chunk: ArrayBuffer | null | undefined) => void) | undefined} */
    this.onBody = undefined;
    /** The connection takes more of the response's body. @type {(() => void) | undefined} */
    this.onWritable = undefined;
    /** The exchange is over before the response was complete. @type {(() => void) | undefined} */
    this.onAbort = undefined;

    exchanges[rid] = this;
    core.requests++;
  }

  get hasBody() {
    return (this.flags & HAS_BODY) !== 0;
  }

  get family() {
    return (this.flags & IS_IPV6) !== 0 ? "IPv6" : "IPv4";
  }

  /**
   * First value of a header, without the cost of a Headers object.
   * @param {HeaderKey} key
   */
  header({ first, later }) {
    const text = this.headerText;
    let start = first.length;
    if (!text.startsWith(first)) {
      const newline = text.indexOf(later);
      if (newline < 0) return undefined;
      start = newline + later.length;
    }
    const end = text.indexOf("\n", start);
    return text.slice(start, end < 0 ? text.length : end);
  }

  /** The target without scheme and host, which proxies send in absolute form. */
  get pathAndQuery() {
    const { target } = this;
    if (target.startsWith("/")) return target;
    const scheme = target.indexOf("://");
    if (scheme < 0) return `/${target}`;
    const path = target.slice(scheme + 3).search(/[/?#]/);
    if (path < 0) return "/";
    const rest = target.slice(scheme + 3 + path);
    return rest.startsWith("/") ? rest : `/${rest}`;
  }

  /** Neither decoded nor normalised. */
  get path() {
    const text = this.pathAndQuery;
    const end = text.indexOf("?");
    return end < 0 ? text : text.slice(0, end);
  }

  /** All Cookie headers in one. */
  get cookieHeader() {
    const lines = this.headerText.split("\n").filter((line) => line.startsWith("cookie: "));
    return lines.map((line) => line.slice("cookie: ".length)).join("; ");
  }

  /** Changes of the cookies, as lines of a head. */
  get cookieLines() {
    let lines = "";
    if (this.cookies === undefined) return lines;
    for (const cookie of this.cookies.toSetCookieHeaders()) lines += `Set-Cookie: ${cookie}\r\n`;
    return lines;
  }

  /** @returns {AbortSignal} */
  get signal() {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.isAborted) this.controller.abort();
      else if (this.socket !== undefined) abortOnClose(this.socket, this.controller);
    }
    return this.controller.signal;
  }

  /** @param {(chunk: ArrayBuffer | null | undefined) => void} callback called once */
  readBody(callback) {
    if (this.rid < 0 || this.onBody !== undefined) {
      callback(undefined);
      return;
    }
    this.onBody = callback;
    N.bodyRead(this.rid);
  }

  cancelBody() {
    if (this.rid >= 0) N.bodyCancel(this.rid);
  }

  /** @param {ArrayBuffer | null | undefined} chunk */
  bodyArrived(chunk) {
    const callback = this.onBody;
    this.onBody = undefined;
    callback?.(chunk);
  }

  writable() {
    const callback = this.onWritable;
    this.onWritable = undefined;
    callback?.();
  }

  /** The 101 is on its way: the number is the addon's again. @param {import("./server-websocket.js").ServerWebSocket} ws */
  becameSocket(ws) {
    this.state = UPGRADED;
    this.#detach();
    this.socket = ws;
    if (this.controller !== undefined) abortOnClose(ws, this.controller);
  }

  /** The addon is finished with it. @param {boolean} isAborted the client left, or the server was stopped */
  ended(isAborted) {
    const wasAnswering = this.state === ANSWERED;
    this.state = ENDED;
    this.isAborted = isAborted;
    this.#detach();
    this.core.requests--;
    if (isAborted) this.controller?.abort();
    const { onAbort } = this;
    this.onAbort = undefined;
    this.onWritable = undefined;
    if (wasAnswering) onAbort?.();
    this.bodyArrived(undefined);
  }

  #detach() {
    exchanges[this.rid] = undefined;
    this.rid = -1;
  }
}
