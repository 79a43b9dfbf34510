// @ts-check
// A platform Response onto the wire. A body that is there at once leaves with its length in one piece; anything else
// is streamed, at the pace of the connection.
import { ANSWERED, PENDING } from "./exchange.js";
import { N } from "./native.js";
import { afterSettling } from "./runtime.js";

/** @typedef {import("./exchange.js").Exchange} Exchange */

// The addon's `mode` bits.
export const STREAM = 1;
export const CLOSE = 2;
export const NO_LENGTH = 4;

/** The addon writes these, or they are the connection's own business. */
const connectionHeaders = new Set(["connection", "keep-alive", "transfer-encoding"]);

/** @param {unknown} value @returns {value is Response} */
export function isResponse(value) {
  return (
    value instanceof Response ||
    // Of another realm, or of a program's own fetch implementation.
    (typeof value === "object" &&
      value !== null &&
      Object.prototype.toString.call(value) === "[object Response]")
  );
}

/** What a Response says before its body. */
class Head {
  /** @param {Response} response @param {string} changes of the request's cookies */
  constructor(response, changes) {
    this.status = response.status;
    this.mode = 0;
    this.contentLength = "";
    let cookies = "";
    let lines = "";
    for (const [name, value] of response.headers) {
      if (name === "set-cookie") cookies += `set-cookie: ${value}\r\n`;
      else if (name === "content-length") this.contentLength = `content-length: ${value}\r\n`;
      else if (!connectionHeaders.has(name)) lines += `${name}: ${value}\r\n`;
      else if (name === "connection" && /\bclose\b/i.test(value)) this.mode = CLOSE;
    }
    this.lines = cookies + changes + lines;
  }
}

/** For a response that no exchange asks for. @param {Response} response */
export function responseHead(response) {
  return new Head(response, "");
}

/**
 * A complete answer of the package's own.
 * @param {Exchange} exchange
 * @param {number} status
 * @param {string} lines
 * @param {string | null} body
 * @param {number} [mode]
 */
export function respondPlain(exchange, status, lines, body, mode = 0) {
  if (exchange.state !== PENDING) return;
  exchange.state = ANSWERED;
  // The empty status text stands for the standard one.
  N.respond(exchange.rid, status, "", lines, body, mode);
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
  if (response.status < 200 || response.type === "error") {
    fail(new TypeError("A network error, as Response.error() makes, cannot be sent as a response"));
    return;
  }
  if (response.bodyUsed || response.body?.locked) {
    fail(new TypeError("The body of the Response has already been used"));
    return;
  }
  const head = new Head(response, exchange.cookieLines);
  if (response.body === null) {
    // The length a HEAD request would have been told; otherwise the addon counts.
    const lines = exchange.method === "HEAD" ? head.contentLength + head.lines : head.lines;
    respondPlain(exchange, head.status, lines, null, head.mode);
    return;
  }
  new BodyPump(exchange, head, response.body.getReader(), fail).run();
}

/** The response will not be sent: whoever produces its body should hear of it. @param {unknown} response */
export function discard(response) {
  try {
    if (!isResponse(response) || response.bodyUsed || !response.body || response.body.locked) return;
    response.body.cancel().catch(() => {});
  } catch {
    // Nobody waits for it.
  }
}

/** Moves a body to the connection. */
class BodyPump {
  /** The head is out. */
  #isStreaming = false;
  /** It has failed, or the client left. */
  #isOver = false;
  /** Read before the head went out. @type {Uint8Array | string | undefined} */
  #first = undefined;

  /**
   * @param {Exchange} exchange
   * @param {Head} head
   * @param {ReadableStreamDefaultReader<unknown>} reader
   * @param {(error: unknown) => void} fail
   */
  constructor(exchange, head, reader, fail) {
    this.exchange = exchange;
    this.head = head;
    this.reader = reader;
    this.fail = fail;
  }

  run() {
    this.#read();
    // Bodies made of a string or of bytes have come to their end by then.
    afterSettling(() => {
      if (this.#isOver || this.#isStreaming) return;
      if (this.exchange.state === PENDING) this.#startStreaming();
      else this.#cancel();
    });
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
      this.#write(chunk);
    } else if (this.#first === undefined) {
      this.#first = chunk;
      this.#read();
    } else {
      this.#startStreaming();
      this.#write(chunk);
    }
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
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined && first.length > 0) this.#hasRoom = N.respondChunk(exchange.rid, first);
  }

  /** The connection takes more before it says that it is writable. */
  #hasRoom = true;

  /** @param {Uint8Array | string} chunk */
  #write(chunk) {
    if (this.#isOver) return;
    // An empty chunk would end a chunked body.
    if (chunk.length > 0) this.#hasRoom = N.respondChunk(this.exchange.rid, chunk) && this.#hasRoom;
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
    else respondPlain(exchange, head.status, head.lines, /** @type {any} */ (this.#first ?? ""), head.mode);
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
    console.error(error);
    if (exchange.rid >= 0) N.respondAbort(exchange.rid);
  }

  #cancel() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.exchange.onAbort = undefined;
    this.reader.cancel().catch(() => {});
  }
}

/** @param {unknown} value @returns {Uint8Array | string | undefined} */
function chunkOf(value) {
  if (typeof value === "string" || value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}
