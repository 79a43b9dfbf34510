// @ts-check
// A client made of one TCP socket. It can send any bytes at all, well-formed or not, and keeps every answer:
// HTTP responses, WebSocket frames, the end of the stream.

import net from "node:net";
import { Watch } from "./wait.js";

/** RFC 6455 section 11.8. */
export const OPCODE = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa };

/** The key of RFC 6455 section 1.3 and the accept value that belongs to it. */
export const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
export const ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const MASKING_KEY = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/**
 * @typedef {object} Frame
 * @property {number} opcode
 * @property {boolean} fin
 * @property {number} rsv   three bits, RSV1 is 4
 * @property {boolean} masked
 * @property {number} headerLength   bytes before the payload
 * @property {Buffer} payload
 *
 * @typedef {object} FrameOptions
 * @property {boolean} [fin]
 * @property {number} [rsv]
 * @property {boolean} [masked]
 * @property {7 | 16 | 64} [lengthForm]    length field to use; the shortest one by default
 * @property {number | bigint} [length]    length to claim; the payload's own by default
 *
 * @typedef {object} Response
 * @property {number} status
 * @property {string} statusText
 * @property {string} version
 * @property {[string, string][]} headers   names as sent
 * @property {Buffer} body
 * @property {(name: string) => string | undefined} header   values of equal names joined by ", "
 * @property {() => string} text
 *
 * @typedef {object} HandshakeOptions
 * @property {string} [target]
 * @property {string} [method]
 * @property {string} [version]   HTTP version
 * @property {Record<string, string | string[] | undefined>} [headers]   added, replaced, or removed by undefined
 *
 * @typedef {import("node:tls").ConnectionOptions | false} Secure   options of TLS, or none of it
 *
 * @typedef {HandshakeOptions & { host?: string, secure?: Secure, behind?: Uint8Array }} ConnectOptions   `behind`: bytes
 *   in the same write
 */

/**
 * One frame as a client would send it.
 *
 * @param {number} opcode
 * @param {string | Uint8Array} [payload]
 * @param {FrameOptions} [options]
 */
export function encodeFrame(opcode, payload = "", options = {}) {
  const { fin = true, rsv = 0, masked = true } = options;
  const data = Buffer.from(/** @type {any} */ (payload));
  const length = BigInt(options.length ?? data.length);
  const form = options.lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const header = Buffer.alloc(form === 7 ? 2 : form === 16 ? 4 : 10);
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  if (form === 7) header[1] = Number(length);
  else if (form === 16) {
    header[1] = 126;
    header.writeUInt16BE(Number(length), 2);
  } else {
    header[1] = 127;
    header.writeBigUInt64BE(length, 2);
  }
  if (!masked) return Buffer.concat([header, data]);
  header[1] |= 0x80;
  const cipher = Buffer.allocUnsafe(data.length);
  for (let i = 0; i < data.length; i++) cipher[i] = data[i] ^ MASKING_KEY[i & 3];
  return Buffer.concat([header, MASKING_KEY, cipher]);
}

/** @param {string | Uint8Array} payload @param {FrameOptions} [options] */
export const textFrame = (payload, options) => encodeFrame(OPCODE.text, payload, options);
/** @param {string | Uint8Array} payload @param {FrameOptions} [options] */
export const binaryFrame = (payload, options) => encodeFrame(OPCODE.binary, payload, options);
/** @param {string | Uint8Array} [payload] @param {FrameOptions} [options] */
export const pingFrame = (payload, options) => encodeFrame(OPCODE.ping, payload, options);
/** @param {number} [code] @param {string | Uint8Array} [reason] */
export const closeFrame = (code, reason = "") => encodeFrame(OPCODE.close, closePayload(code, reason));

/** @param {number} [code] @param {string | Uint8Array} [reason] */
export function closePayload(code, reason = "") {
  if (code === undefined) return Buffer.alloc(0);
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(/** @type {any} */ (reason))]);
}

/**
 * A frame in one short string: `text:hello`, `binary:00ff`, `close:1000:bye`, `ping:`, with ` bytes` for long ones.
 *
 * @param {Frame} frame
 */
export function summary({ opcode, fin, rsv, masked, payload }) {
  const flags = `${fin ? "" : "-unfinished"}${rsv ? `-rsv${rsv}` : ""}${masked ? "-masked" : ""}`;
  const name = Object.entries(OPCODE).find(([, value]) => value === opcode)?.[0] ?? `opcode${opcode}`;
  return `${name}${flags}:${content(opcode, payload)}`;
}

/** @param {number} opcode @param {Buffer} payload */
function content(opcode, payload) {
  if (opcode === OPCODE.close) {
    return payload.length < 2 ? payload.toString("hex") : `${payload.readUInt16BE(0)}:${payload.subarray(2)}`;
  }
  if (payload.length > 200) return `${payload.length} bytes`;
  return opcode === OPCODE.text ? payload.toString() : payload.toString("hex");
}

/** An opening handshake as bytes. @param {HandshakeOptions} [options] */
export function handshake({ target = "/", method = "GET", version = "1.1", headers = {} } = {}) {
  const all = {
    Host: "localhost",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
    ...headers,
  };
  const lines = [`${method} ${target} HTTP/${version}`];
  for (const [name, value] of Object.entries(all)) {
    if (value !== undefined) for (const one of [value].flat()) lines.push(`${name}: ${one}`);
  }
  return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

export class RawClient {
  /** Every frame received, in order. @type {Frame[]} */
  frames = [];
  /** Bytes received, of any kind. */
  bytesRead = 0;
  /** How the stream ended: "open" while it has not. @type {"open" | "fin" | "error" | "closed"} */
  state = "open";
  /** Code of the transport error, if there was one. @type {string | undefined} */
  errorCode;
  /** Raw bytes of each read, kept while `recordReads` is true. @type {Buffer[]} */
  reads = [];
  recordReads = false;

  #socket;
  #watch = new Watch();
  /** @type {"http" | "frames"} */
  #mode = "http";
  /** @type {Buffer[]} */
  #chunks = [];
  #size = 0;
  /** No frame is complete before this many bytes are there. */
  #wanted = 2;

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.on("data", (/** @type {Buffer} */ data) => this.#received(data));
    socket.on("end", () => this.#ended("fin"));
    socket.on("close", () => this.#ended("closed"));
    socket.on("error", (/** @type {any} */ error) => {
      this.errorCode = error.code ?? error.message;
      this.#ended("error");
    });
  }

  /**
   * A TCP (or unix) connection, with nothing sent yet but what TLS needs.
   *
   * @param {number | string | { port?: number, hostname?: string, protocol?: string }} target   port, socket path or server
   * @param {{ host?: string, secure?: Secure }} [options]   TLS is the default where the server has it;
   *   `secure` gives its options, with any certificate being good unless they say otherwise
   * @returns {Promise<RawClient>}
   */
  static async open(target, { host = "127.0.0.1", secure } = {}) {
    const isSecure = secure ?? (typeof target === "object" && target.protocol === "https");
    const port = typeof target === "object" ? target.port : target;
    const where = typeof port === "string" ? { path: port } : { port: /** @type {number} */ (port), host };
    // Loaded only for those who ask: it takes as long as most tests.
    const tls = isSecure ? await import("node:tls") : undefined;
    return new Promise((resolve, reject) => {
      const socket = tls
        ? tls.connect({ ...where, allowHalfOpen: true, rejectUnauthorized: false, ...secure })
        : net.connect({ ...where, allowHalfOpen: true });
      socket.once("error", reject);
      socket.once(tls ? "secureConnect" : "connect", () => {
        socket.removeListener("error", reject);
        socket.setNoDelay(true);
        resolve(new RawClient(socket));
      });
    });
  }

  /**
   * A connection on which the opening handshake was sent and answered.
   *
   * @param {number | string | { port?: number }} target
   * @param {ConnectOptions} [options]
   */
  static async connect(target, options = {}) {
    const client = await RawClient.open(target, options);
    client.write(Buffer.concat([handshake(options), options.behind ?? Buffer.alloc(0)]));
    await client.response();
    return client;
  }

  /** The response to the opening handshake, or the last one read. @type {Response | undefined} */
  head;

  get status() {
    return this.head?.status;
  }

  /** The TLS side of the connection. */
  get tls() {
    return /** @type {import("node:tls").TLSSocket} */ (this.#socket);
  }

  // Sending ---------------------------------------------------------------------------------------------------

  /** @param {string | Uint8Array} data   strings as latin1 */
  write(data) {
    this.#socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data);
    return this;
  }

  /** @param {number} opcode @param {string | Uint8Array} [payload] @param {FrameOptions} [options] */
  sendFrame(opcode, payload, options) {
    return this.write(encodeFrame(opcode, payload, options));
  }

  /** @param {string | Uint8Array} payload @param {FrameOptions} [options] */
  sendText(payload, options) {
    return this.sendFrame(OPCODE.text, payload, options);
  }

  /** @param {Uint8Array} payload @param {FrameOptions} [options] */
  sendBinary(payload, options) {
    return this.sendFrame(OPCODE.binary, payload, options);
  }

  /** @param {string | Uint8Array} [payload] */
  sendPing(payload) {
    return this.sendFrame(OPCODE.ping, payload);
  }

  /** @param {string | Uint8Array} [payload] */
  sendPong(payload) {
    return this.sendFrame(OPCODE.pong, payload);
  }

  /** @param {number} [code] @param {string | Uint8Array} [reason] */
  sendClose(code, reason) {
    return this.write(closeFrame(code, reason));
  }

  /** Sends FIN; reading goes on. */
  end() {
    this.#socket.end();
    return this;
  }

  /** Closes the socket without a word. */
  destroy() {
    this.#socket.destroy();
  }

  /** Sends RST. */
  reset() {
    this.#socket.resetAndDestroy();
  }

  /** Stops reading, so that the kernel's buffers fill up. */
  pause() {
    this.#socket.pause();
    return this;
  }

  resume() {
    this.#socket.resume();
    return this;
  }

  // Receiving -------------------------------------------------------------------------------------------------

  /** All frames so far, in short. */
  seen() {
    return this.frames.map(summary);
  }

  /** The frames, once there are `count` (or the stream ended before). @param {number} count @param {number} [ms] */
  async received(count, ms) {
    await this.until(() => this.frames.length >= count || this.state !== "open", `${count} frames`, ms);
    return this.seen();
  }

  /** All frames, once the peer has ended the stream. @param {number} [ms] */
  async finished(ms) {
    await this.until(() => this.state !== "open", "the end of the stream", ms);
    return this.seen();
  }

  /**
   * All frames, once whatever was under way has arrived. Several round trips of pings make sure: one may overtake
   * what a handler is about to send, where pings are answered beside JavaScript. Their pongs are not listed.
   *
   * @param {number} [ms]
   */
  async settled(ms) {
    for (let trip = 0; trip < 3; trip++) {
      await new Promise((resolve) => setImmediate(resolve));
      const probe = Buffer.from(`settled ${++probes}`);
      const isProbe = (/** @type {Frame} */ frame) =>
        frame.opcode === OPCODE.pong && frame.payload.equals(probe);
      this.sendPing(probe);
      await this.until(() => this.state !== "open" || this.frames.some(isProbe), "the pong to a ping", ms);
      this.frames = this.frames.filter((frame) => !isProbe(frame));
    }
    return this.seen();
  }

  /** @param {(client: this) => boolean} condition @param {string} what @param {number} [ms] */
  async until(condition, what, ms) {
    const state = () =>
      `${what}; ${this.state}, ${this.bytesRead} bytes, frames: ${this.seen().slice(-10).join(" | ")}`;
    await this.#watch.until(() => condition(this), state, ms);
    return this;
  }

  /**
   * The next HTTP response; undefined when the stream ends before its head is complete.
   *
   * @param {{ to?: string, ms?: number }} [options]   `to`: the request's method (HEAD has no body)
   * @returns {Promise<Response | undefined>}
   */
  async response({ to = "GET", ms } = {}) {
    /** @type {Response | undefined} */
    let response;
    const parsed = () => {
      response ??= this.#takeResponse(to);
      return response !== undefined || this.state !== "open";
    };
    await this.until(parsed, "an HTTP response", ms);
    if (response) this.head = response;
    return response;
  }

  /** Bytes that belong to no response and no frame yet. */
  get leftover() {
    return Buffer.concat(this.#chunks);
  }

  /** @param {Buffer} data */
  #received(data) {
    this.bytesRead += data.length;
    if (this.recordReads) this.reads.push(Buffer.from(data));
    this.#chunks.push(data);
    this.#size += data.length;
    if (this.#mode === "frames") this.#takeFrames();
    this.#watch.changed();
  }

  /** @param {"fin" | "error" | "closed"} how */
  #ended(how) {
    if (this.state === "open" || (this.state === "fin" && how === "error")) this.state = how;
    this.#watch.changed();
  }

  #joined() {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0];
  }

  /** @param {Buffer} rest */
  #keep(rest) {
    this.#chunks = [rest];
    this.#size = rest.length;
  }

  #takeFrames() {
    if (this.#size < this.#wanted) return;
    let bytes = this.#joined();
    for (;;) {
      const header = readHeader(bytes);
      this.#wanted = header ? header.headerLength + header.length : bytes.length + 1;
      if (!header || bytes.length < this.#wanted) break;
      const { length, ...facts } = header;
      const payload = Buffer.from(bytes.subarray(header.headerLength, header.headerLength + length));
      this.frames.push({ ...facts, payload });
      bytes = bytes.subarray(this.#wanted);
    }
    this.#keep(bytes);
  }

  /** @param {string} method @returns {Response | undefined} */
  #takeResponse(method) {
    const bytes = this.#joined();
    const headEnd = bytes.indexOf("\r\n\r\n");
    if (headEnd < 0) return undefined;
    const [first, ...lines] = bytes.toString("latin1", 0, headEnd).split("\r\n");
    const headers = lines.map((line) => {
      const colon = line.indexOf(":");
      return /** @type {[string, string]} */ ([
        line.slice(0, colon),
        line.slice(colon + 1).replace(/^ /, ""),
      ]);
    });
    const header = (/** @type {string} */ name) => {
      const values = headers.filter(([key]) => key.toLowerCase() === name.toLowerCase());
      return values.length ? values.map(([, value]) => value).join(", ") : undefined;
    };
    const status = Number(first.split(" ")[1]);
    const rest = bytes.subarray(headEnd + 4);
    const body = takeBody(rest, { status, method, header, ended: this.state !== "open" });
    if (!body) return undefined;
    this.#keep(rest.subarray(body.consumed));
    if (status === 101) {
      this.#mode = "frames";
      this.#takeFrames();
    }
    return {
      status,
      statusText: first.split(" ").slice(2).join(" "),
      version: first.split(" ")[0],
      headers,
      header,
      body: body.data,
      text: () => body.data.toString(),
    };
  }
}

/** Numbers the pings of `settled`. */
let probes = 0;

/** @param {Buffer} bytes */
function readHeader(bytes) {
  if (bytes.length < 2) return undefined;
  let length = bytes[1] & 0x7f;
  let headerLength = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    headerLength = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    headerLength = 10;
  }
  return {
    opcode: bytes[0] & 0x0f,
    fin: (bytes[0] & 0x80) !== 0,
    rsv: (bytes[0] >> 4) & 7,
    masked: (bytes[1] & 0x80) !== 0,
    headerLength,
    length,
  };
}

/**
 * The body at the start of `rest`, or undefined while it is not complete.
 *
 * @param {Buffer} rest
 * @param {{ status: number, method: string, header: (name: string) => string | undefined, ended: boolean }} about
 */
function takeBody(rest, { status, method, header, ended }) {
  const none = { data: Buffer.alloc(0), consumed: 0 };
  if (method === "HEAD" || status < 200 || status === 204 || status === 304) return none;
  if (header("transfer-encoding")?.toLowerCase() === "chunked") return takeChunked(rest);
  const length = header("content-length");
  if (length === undefined) return ended ? { data: rest, consumed: rest.length } : undefined;
  if (rest.length < Number(length)) return undefined;
  return { data: Buffer.from(rest.subarray(0, Number(length))), consumed: Number(length) };
}

/** @param {Buffer} rest */
function takeChunked(rest) {
  /** @type {Buffer[]} */
  const parts = [];
  let at = 0;
  for (;;) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const length = Number.parseInt(rest.toString("latin1", at, lineEnd), 16);
    const start = lineEnd + 2;
    if (rest.length < start + length + 2) return undefined;
    if (length === 0) return { data: Buffer.concat(parts), consumed: start + 2 };
    parts.push(rest.subarray(start, start + length));
    at = start + length + 2;
  }
}
