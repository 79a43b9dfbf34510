// @ts-check
// A Response onto the wire. A body that is there at once leaves with its length in one piece; anything else is streamed,
// at the pace of the connection.
import { Buffer } from "node:buffer";
import { bodyAlreadyUsed, statusNotSendable } from "./errors.js";
import { ANSWERED, PENDING } from "./exchange.js";
import { bareLines, HeaderFields } from "./header-fields.js";
import { N } from "./native.js";
import { platform } from "./platform.js";
import { isBodyFailure } from "./request.js";
import { bodyTypeOf, fieldsOf, isOwnResponse, sizeOf, takeMemory } from "./response-class.js";
import { afterSettling } from "./runtime.js";

/** @typedef {import("./exchange.js").Exchange} Exchange */

// The addon's `mode` bits.
export const STREAM = 1;
export const CLOSE = 2;
export const NO_LENGTH = 4;

/** @param {unknown} value @returns {value is Response} */
export function isResponse(value) {
  if (typeof value !== "object" || value === null) return false;
  return (
    isOwnResponse(value) ||
    value instanceof platform().Response ||
    // Of another realm, or of a program's own fetch implementation.
    Object.prototype.toString.call(value) === "[object Response]"
  );
}

/** Codes for which the addon knows Bun's text. */
const hasText = new Set([
  ...[200, 201, 202, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 307, 308],
  ...[400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417],
  ...[421, 422, 423, 424, 425, 426, 428, 429, 431, 451],
  ...[500, 501, 502, 503, 504, 505, 506, 507, 508, 510, 511],
]);
/** @type {Record<number, string>} */
const otherTexts = { 203: "Non-Authoritative Information", 306: "Switch Proxy", 418: "I'm a Teapot" };

/** As in Bun the code alone decides; "" stands for the addon's text. @param {number} status */
function reasonOf(status) {
  return hasText.has(status) ? "" : (otherTexts[status] ?? "HM");
}

/** What a Response says before its body. */
class Head {
  /**
   * @param {number} status
   * @param {HeaderFields | undefined} fields
   * @param {string} bodyType "" = none
   * @param {string} changes of the request's cookies
   */
  constructor(status, fields, bodyType, changes) {
    this.status = status;
    this.mode = fields?.closes ? CLOSE : 0;
    this.lines = fields === undefined ? bareLines(bodyType, changes) : fields.lines(bodyType, changes);
    this.contentLength = fields === undefined ? "" : fields.length;
  }
}

/** @param {Response} response @param {string} [changes] what the handler did to the request's cookies, as lines */
export function headOf(response, changes = "") {
  return isOwnResponse(response)
    ? new Head(response.status, fieldsOf(response), bodyTypeOf(response), changes)
    : new Head(response.status, HeaderFields.from(response.headers), "", changes);
}

/**
 * A complete answer of the package's own.
 * @param {Exchange} exchange
 * @param {number} status
 * @param {string} lines
 * @param {string | Uint8Array | null} body
 * @param {number} [mode]
 */
export function respondPlain(exchange, status, lines, body, mode = 0) {
  if (exchange.state !== PENDING) return;
  exchange.state = ANSWERED;
  N.respond(exchange.rid, status, status === 200 ? "" : reasonOf(status), lines, body, mode);
}

/**
 * @param {Exchange} exchange pending
 * @param {Response} response
 * @param {(error: unknown) => void} fail nothing has been sent, and the response cannot be
 */
export function sendResponse(exchange, response, fail) {
  try {
    startResponse(exchange, response, fail);
  } catch (error) {
    // A subclass's getter, or an object that only looks like a Response.
    fail(error);
  }
}

/** @param {Exchange} exchange @param {Response} response @param {(error: unknown) => void} fail */
function startResponse(exchange, response, fail) {
  const { status } = response;
  if (!(status >= 200 && status <= 999)) throw statusNotSendable(status);
  if (isOwnResponse(response)) {
    const memory = takeMemory(response);
    const head = headOf(response, exchange.cookieLines);
    if (memory === undefined) {
      const size = sizeOf(response);
      if (size >= 0) head.contentLength = `Content-Length: ${size}\r\n`;
      pump(exchange, head, response, fail);
    } else if (memory === null) respondEmpty(exchange, head);
    else respondPlain(exchange, status, head.lines, memory, head.mode);
    return;
  }
  if (response.bodyUsed) throw bodyAlreadyUsed();
  const head = headOf(response, exchange.cookieLines);
  if (response.body === null) respondEmpty(exchange, head);
  else pump(exchange, head, response, fail);
}

/** @param {Exchange} exchange @param {Head} head */
function respondEmpty(exchange, { status, lines, contentLength, mode }) {
  if (exchange.method !== "HEAD" || contentLength === "" || status === 204 || status === 304) {
    respondPlain(exchange, status, lines, null, mode);
    return;
  }
  // The length is that of the body which GET would have got; otherwise the addon counts.
  respondPlain(exchange, status, contentLength + lines, null, mode | STREAM);
  N.respondEnd(exchange.rid);
}

/** @param {Exchange} exchange @param {Head} head @param {Response} response @param {(error: unknown) => void} fail */
function pump(exchange, head, response, fail) {
  const body = /** @type {ReadableStream<unknown>} */ (response.body);
  if (body.locked) throw bodyAlreadyUsed();
  new BodyPump(exchange, head, readerOf(body), fail).run();
}

/**
 * @typedef {object} Reader
 * @property {() => Promise<{ done: boolean, value?: unknown }>} read
 * @property {(reason?: unknown) => Promise<unknown>} cancel
 */

/** @param {ReadableStream<unknown> | AsyncIterable<unknown>} body @returns {Reader} */
function readerOf(body) {
  if ("getReader" in body) return /** @type {any} */ (body.getReader());
  // Other implementations' bodies are Node's streams.
  const iterator = body[Symbol.asyncIterator]();
  return {
    read: async () => /** @type {any} */ (await iterator.next()),
    cancel: async (reason) => iterator.return?.(reason),
  };
}

/** The response will not be sent: whoever produces its body should hear of it. @param {unknown} response */
export function discard(response) {
  try {
    if (isOwnResponse(response) && takeMemory(response) !== undefined) return;
    if (!isResponse(response) || response.bodyUsed || !response.body || response.body.locked) return;
    readerOf(response.body)
      .cancel()
      .catch(() => {});
  } catch {
    // Nobody waits for it.
  }
}

/** Bytes of several chunks that may wait for the end of the body, so that its length can be told. */
const COLLECTED = 128 * 1024;
/** What a chunk costs beside its bytes. */
const CHUNK_COST = 64;

/** Moves a body to the connection. */
class BodyPump {
  /** The head is out. */
  #isStreaming = false;
  /** It has failed, or the client left. */
  #isOver = false;
  /** Read before the head went out. @type {(Uint8Array | string)[]} */
  #collected = [];
  /** Bytes in them, or nearly. */
  #size = 0;

  /**
   * @param {Exchange} exchange
   * @param {Head} head
   * @param {Reader} reader
   * @param {(error: unknown) => void} fail
   */
  constructor(exchange, head, reader, fail) {
    this.exchange = exchange;
    this.head = head;
    this.reader = reader;
    this.fail = fail;
  }

  /** For `afterSettling`. */
  turns = 0;

  get isSettled() {
    return this.#isOver || this.#isStreaming;
  }

  run() {
    this.#read();
    // Bodies made of a string or of bytes have come to their end by then.
    afterSettling(this);
  }

  settle() {
    if (this.exchange.state === PENDING) this.#startStreaming();
    else this.#cancel();
  }

  #read() {
    this.reader.read().then(
      ({ done, value }) => this.#arrived(done, value),
      (error) => this.#failed(error),
    );
  }

  /** @param {boolean} done @param {unknown} value */
  #arrived(done, value) {
    if (this.#isOver || !this.#isConnected()) return;
    if (done) {
      this.#end();
      return;
    }
    const chunk = chunkOf(value);
    if (chunk === undefined) {
      this.#failed(new TypeError("The body of a Response must consist of strings and bytes"));
      return;
    }
    if (this.#isStreaming) {
      this.#send(chunk);
      this.#next();
      return;
    }
    // A copy: the program may use its buffer again for the next chunk.
    this.#collected.push(typeof chunk === "string" ? chunk : Buffer.from(chunk));
    this.#size += chunk.length + CHUNK_COST;
    if (this.#size > COLLECTED && this.#collected.length > 1) this.#startStreaming();
    this.#next();
  }

  /** The client may have gone while a chunk was awaited. */
  #isConnected() {
    const { state } = this.exchange;
    if (this.#isStreaming ? state === ANSWERED : state === PENDING) return true;
    this.#cancel();
    return false;
  }

  #startStreaming() {
    const { exchange, head } = this;
    this.#isStreaming = true;
    respondPlain(exchange, head.status, head.contentLength + head.lines, null, head.mode | STREAM);
    if (exchange.method === "HEAD") {
      N.respondEnd(exchange.rid);
      this.#cancel();
      return;
    }
    exchange.onAbort = () => this.#cancel();
    for (const chunk of this.#collected) this.#send(chunk);
    this.#collected = [];
  }

  /** The connection takes more before it says that it is writable. */
  #hasRoom = true;

  /** @param {Uint8Array | string} chunk */
  #send(chunk) {
    // An empty chunk would end a chunked body.
    if (chunk.length > 0) this.#hasRoom = N.respondChunk(this.exchange.rid, chunk) && this.#hasRoom;
  }

  /** Reads on when the connection takes more. */
  #next() {
    if (this.#isOver) return;
    if (this.#hasRoom) {
      this.#read();
      return;
    }
    this.exchange.onWritable = () => {
      this.#hasRoom = true;
      this.#read();
    };
  }

  #end() {
    const { exchange, head } = this;
    this.#isOver = true;
    exchange.onAbort = undefined;
    if (this.#isStreaming) N.respondEnd(exchange.rid);
    else respondPlain(exchange, head.status, head.lines, joined(this.#collected), head.mode);
  }

  /** @param {unknown} error */
  #failed(error) {
    if (this.#isOver) return;
    const { exchange } = this;
    this.#isOver = true;
    exchange.onAbort = undefined;
    this.reader.cancel(error).catch(() => {});
    if (!this.#isStreaming) {
      this.fail(error);
      return;
    }
    // An echo of a body that its client did not finish is no news.
    if (!isBodyFailure(error)) console.error(error);
    if (exchange.rid >= 0) N.respondAbort(exchange.rid);
  }

  #cancel() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.exchange.onAbort = undefined;
    this.reader.cancel().catch(() => {});
  }
}

/** @param {(Uint8Array | string)[]} chunks @returns {Uint8Array | string} */
function joined(chunks) {
  if (chunks.length < 2) return chunks[0] ?? "";
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === "string" ? Buffer.from(chunk) : chunk)));
}

/** @param {unknown} value @returns {Uint8Array | string | undefined} */
function chunkOf(value) {
  if (typeof value === "string" || value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
