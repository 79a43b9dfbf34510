// @ts-check
// The Request that `fetch` gets: `instanceof Request`, but nothing of it is made before it is read. The platform's own
// constructor parses a URL and fills tables, which costs more than the rest of a request.
//
// Platform code that is handed such an object reads it through properties where it keeps state under symbols (Node up
// to 22, Deno); those are answered here from a real Request made on demand. Where state is in private fields (Node 24
// and later) `new Request(request)` and `fetch(request)` refuse it; `request.clone()` gives a real one everywhere.

import { CookieMap } from "./cookies.js";
import { headerKey } from "./exchange.js";
import { forward, inherit, inheritLater, platform } from "./platform.js";
import { withRoute } from "./route-clone.js";

/** @typedef {import("./exchange.js").Exchange} Exchange */

const HOST = headerKey("host");

// Assigned by the class, which alone sees the private fields.

/** undefined: not a request of ours. @type {(value: unknown) => Exchange | undefined} */
export let exchangeOf;
/** @type {(request: LazyRequest) => Request} */
let realOf;
/** @type {(request: LazyRequest) => Request} */
let plainOf;

class LazyRequest {
  #exchange;
  /** @type {string | undefined} */
  #url = undefined;
  /** @type {Headers | undefined} */
  #headers = undefined;
  /** A real Request with the same body. @type {Request | undefined} */
  #real = undefined;
  /** A real Request without a body, for attributes nobody reads. @type {Request | undefined} */
  #plain = undefined;

  /** @param {Exchange} exchange */
  constructor(exchange) {
    this.#exchange = exchange;
  }

  get method() {
    return this.#exchange.method;
  }

  get url() {
    this.#url ??= urlOf(this.#exchange);
    return this.#url;
  }

  get headers() {
    this.#headers ??= parseHeaders(this.#exchange.headerText);
    return this.#headers;
  }

  get signal() {
    return this.#exchange.signal;
  }

  /** Of the route that matched, percent-decoded; undefined without a route. */
  get params() {
    return this.#exchange.params;
  }

  /** Of a route's request; undefined in `fetch`. */
  get cookies() {
    const exchange = this.#exchange;
    if (exchange.params === undefined) return undefined;
    // The program may have changed the headers.
    const sent = this.#headers === undefined ? exchange.cookieHeader : (this.#headers.get("cookie") ?? "");
    exchange.cookies ??= new CookieMap(sent);
    return exchange.cookies;
  }

  get body() {
    return this.#exchange.hasBody ? bodyStream(this.#exchange) : null;
  }

  get bodyUsed() {
    return isDisturbed(this.#exchange);
  }

  /** @returns {Promise<Uint8Array<ArrayBuffer>>} */
  bytes() {
    return consume(this.#exchange);
  }

  /** @returns {Promise<ArrayBuffer>} */
  async arrayBuffer() {
    const { buffer, byteOffset, byteLength } = await consume(this.#exchange);
    return byteLength === buffer.byteLength ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
  }

  /** @returns {Promise<string>} */
  async text() {
    return new TextDecoder().decode(await consume(this.#exchange));
  }

  /** @returns {Promise<unknown>} */
  async json() {
    return JSON.parse(await this.text());
  }

  /** @returns {Promise<Blob>} */
  async blob() {
    return new Blob([await consume(this.#exchange)], { type: this.headers.get("content-type") ?? "" });
  }

  /** @returns {Promise<FormData>} */
  async formData() {
    const type = this.headers.get("content-type");
    const bytes = await consume(this.#exchange);
    return new (platform().Response)(bytes, {
      headers: type === null ? {} : { "content-type": type },
    }).formData();
  }

  /** A real Request; the body is read by both. */
  clone() {
    const exchange = this.#exchange;
    const { params, cookies } = exchange;
    const clone = this.#clone(exchange);
    return params === undefined ? clone : withRoute(clone, { params, cookies });
  }

  /** @param {Exchange} exchange */
  #clone(exchange) {
    if (!exchange.hasBody) return realRequest(this, exchange, null);
    const stream = bodyStream(exchange);
    if (isUsed(exchange)) throw unusable();
    const [ours, theirs] = stream.tee();
    exchange.bodyStream = ours;
    exchange.bodyHolder = new (platform().Response)(ours);
    // It has the stream that was split.
    this.#real = undefined;
    return realRequest(this, exchange, theirs);
  }

  static {
    exchangeOf = (value) =>
      typeof value === "object" && value !== null && #exchange in value ? value.#exchange : undefined;

    realOf = (request) => {
      request.#real ??= realRequest(request, request.#exchange, request.body);
      return request.#real;
    };

    plainOf = (request) => {
      request.#plain ??= request.#real ?? realRequest(request, request.#exchange, null);
      return request.#plain;
    };
  }
}

/** What platform code takes in the place of a request of ours; anything else as it is. @param {unknown} value */
export function platformRequest(value) {
  return exchangeOf(value) === undefined ? value : realOf(/** @type {LazyRequest} */ (value));
}

/** @param {Exchange} exchange @returns {Request} */
export function createRequest(exchange) {
  return /** @type {Request} */ (/** @type {unknown} */ (new LazyRequest(exchange)));
}

// `request.constructor` is the platform's Request, and so is its name.
Reflect.deleteProperty(LazyRequest.prototype, "constructor");

inheritLater(LazyRequest.prototype, () => {
  const own = LazyRequest.prototype;
  const { Request } = platform();
  const { prototype } = Request;
  // Attributes that nobody reads need no body; the rest of what the platform's has reads it.
  for (const [name, { get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (get !== undefined && !Object.hasOwn(own, name)) forward(own, name, plainOf);
  }
  inherit(own, prototype, new Request("http://localhost/"), realOf);
});

/** Bun's URL: the Host header and the raw target. @param {Exchange} exchange */
function urlOf(exchange) {
  const { core } = exchange;
  const host =
    exchange.header(HOST) || (core.isUnix ? "localhost" : `${core.hostname}:${core.listening.port}`);
  return `${core.isSecure ? "https" : "http"}://${host}${exchange.pathAndQuery}`;
}

/** @param {string} text */
function parseHeaders(text) {
  const headers = new Headers();
  let cookies = "";
  let start = 0;
  while (start < text.length) {
    const newline = text.indexOf("\n", start);
    const end = newline < 0 ? text.length : newline;
    const colon = text.indexOf(":", start);
    const name = text.slice(start, colon);
    const value = text.slice(colon + 2, end);
    start = end + 1;
    if (name === "cookie") cookies = cookies === "" ? value : `${cookies}; ${value}`;
    else append(headers, name, value);
  }
  if (cookies !== "") append(headers, "cookie", cookies);
  return headers;
}

/** @param {Headers} headers @param {string} name @param {string} value */
function append(headers, name, value) {
  try {
    headers.append(name, value);
  } catch {
    // HTTP allows a few bytes here that the platform's class does not; such a header is left out.
  }
}

/** @param {LazyRequest} request @param {Exchange} exchange @param {ReadableStream | null} body */
function realRequest(request, exchange, body) {
  const { method, headers, signal } = request;
  // The platform refuses a body here, although HTTP does not.
  const isBodiless = method === "GET" || method === "HEAD";
  const init = { method, headers, signal, ...(body === null || isBodiless ? {} : { body, duplex: "half" }) };
  try {
    return new (platform().Request)(request.url, /** @type {RequestInit} */ (init));
  } catch (error) {
    if (body !== null && isUsed(exchange)) throw error;
    // A Host header may be no part of a URL, and CONNECT and TRACE are refused.
    const url = URL.canParse(request.url) ? request.url : `http://localhost${exchange.pathAndQuery}`;
    const allowed = /^(connect|trace|track)$/i.test(method) ? "GET" : method;
    return new (platform().Request)(
      url,
      /** @type {RequestInit} */ ({ ...init, method: allowed, body: allowed === method ? body : null }),
    );
  }
}

function unusable() {
  return new TypeError("Body is unusable: Body has already been read");
}

/** Something of it has been read. @param {Exchange} exchange */
function isDisturbed({ isBodyUsed, bodyHolder }) {
  return isBodyUsed || bodyHolder?.bodyUsed === true;
}

/** It cannot be read: locked, or disturbed. @param {Exchange} exchange */
function isUsed({ isBodyUsed, bodyStream: stream }) {
  if (isBodyUsed || stream === undefined) return isBodyUsed;
  try {
    // The public way to ask whether somebody has read from a stream; it takes nothing.
    new (platform().Response)(stream);
    return false;
  } catch {
    return true;
  }
}

/** Clients leave whenever they like: their doing, not the program's. */
class BodyFailed extends TypeError {}
// As for any reader of a body: a TypeError.
Reflect.deleteProperty(BodyFailed.prototype, "constructor");

function bodyFailed() {
  return new BodyFailed(
    "The request's body could not be read: the connection has ended, or the body is too large",
  );
}

/** @param {unknown} error */
export function isBodyFailure(error) {
  return error instanceof BodyFailed;
}

/** @param {Exchange} exchange */
function bodyStream(exchange) {
  if (exchange.bodyStream === undefined) {
    exchange.bodyStream = exchange.isBodyUsed ? lockedStream() : pullingStream(exchange);
  }
  return exchange.bodyStream;
}

/** For a body that was read without a stream. */
function lockedStream() {
  const stream = new ReadableStream({ type: "bytes" });
  stream.getReader();
  return stream;
}

/** Reads from the connection only what is read from the stream. @param {Exchange} exchange */
function pullingStream(exchange) {
  /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller) {
      // Only for somebody who reads: nothing is kept ahead. After a clone the holder of the copy tells.
      if (exchange.bodyHolder === undefined) exchange.isBodyUsed = true;
      return new Promise((resolve) => {
        /** @param {ArrayBuffer | null | undefined} chunk */
        const take = (chunk) => {
          if (chunk?.byteLength === 0) {
            exchange.readBody(take);
            return;
          }
          if (chunk === undefined) controller.error(bodyFailed());
          else if (chunk === null) {
            controller.close();
            controller.byobRequest?.respond(0);
          } else controller.enqueue(new Uint8Array(chunk));
          resolve();
        };
        exchange.readBody(take);
      });
    },
    cancel() {
      if (exchange.bodyHolder === undefined) exchange.isBodyUsed = true;
      exchange.cancelBody();
    },
  });
  return stream;
}

/** The whole body, once. @param {Exchange} exchange @returns {Promise<Uint8Array<ArrayBuffer>>} */
async function consume(exchange) {
  if (!exchange.hasBody) return new Uint8Array(0);
  if (isUsed(exchange)) throw unusable();
  const stream = exchange.bodyStream;
  exchange.isBodyUsed = true;
  if (stream !== undefined) return new Uint8Array(await new (platform().Response)(stream).arrayBuffer());
  return new Promise((resolve, reject) => {
    /** @type {ArrayBuffer[]} */
    const chunks = [];
    /** @param {ArrayBuffer | null | undefined} chunk */
    const take = (chunk) => {
      if (chunk === undefined) reject(bodyFailed());
      else if (chunk === null) resolve(joined(chunks));
      else {
        chunks.push(chunk);
        exchange.readBody(take);
      }
    };
    exchange.readBody(take);
  });
}

/** @param {ArrayBuffer[]} chunks */
function joined(chunks) {
  if (chunks.length === 1) return new Uint8Array(chunks[0]);
  const bytes = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(new Uint8Array(chunk), offset);
    offset += chunk.byteLength;
  }
  return bytes;
}
