// @ts-check
// The client's half of permessage-deflate (RFC 7692), made of node:zlib: a judge that shares no code with the server.

import zlib from "node:zlib";
import { within } from "./wait.js";

export const EXTENSION = "permessage-deflate";
/** What every message compressed by itself ends with, and leaves out (RFC 7692, 7.2.1). */
export const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
/** RSV1: the message is compressed. */
export const COMPRESSED = { rsv: 4 };
/** `perMessageDeflate` with contexts of each socket's own. */
export const DEDICATED = { compress: "dedicated", decompress: "dedicated" };

/**
 * Options of `connect` and `pair` that offer the extension.
 *
 * @param {string} [parameters]   each after "; "
 */
export function offering(parameters = "") {
  return offeringLines(`${EXTENSION}${parameters && `; ${parameters}`}`);
}

/** Options that send these lines of the header, whatever they say. @param {...string} lines */
export function offeringLines(...lines) {
  return { headers: { "Sec-WebSocket-Extensions": lines } };
}

/** What the server has agreed to. @param {import("./raw-client.js").RawClient} client */
export function agreed(client) {
  return client.head?.header("Sec-WebSocket-Extensions");
}

/** Short forms of the names, so that an offer and its answer fit a line. */
const SHORT = /** @type {const} */ ([
  [EXTENSION, "pmd"],
  ["client_no_context_takeover", "cnct"],
  ["server_no_context_takeover", "snct"],
  ["client_max_window_bits", "cmwb"],
  ["server_max_window_bits", "smwb"],
]);

/** With short names; "-" when nothing was agreed on. @param {string | undefined} answer */
export function shortened(answer) {
  if (answer === undefined) return "-";
  return SHORT.reduce((text, [long, short]) => text.replaceAll(long, short), answer);
}

/** With the names in full. @param {string} offer */
export function inFull(offer) {
  return SHORT.reduce((text, [long, short]) => text.replaceAll(short, long), offer);
}

/**
 * The payload of a compressed message that needs no earlier one.
 *
 * @param {string | Uint8Array} message
 * @param {zlib.ZlibOptions} [options]
 */
export function pack(message, options) {
  const packed = zlib.deflateRawSync(/** @type {any} */ (message), {
    finishFlush: zlib.constants.Z_SYNC_FLUSH,
    ...options,
  });
  return packed.subarray(0, packed.length - TAIL.length);
}

/** The message in such a payload. @param {Uint8Array} payload */
export function unpack(payload) {
  return zlib.inflateRawSync(Buffer.concat([payload, TAIL]), { finishFlush: zlib.constants.Z_SYNC_FLUSH });
}

/** One of several blocks that hold their bytes as they are. @param {Uint8Array} bytes @param {0 | 1} [final] */
export function storedBlock(bytes, final = 0) {
  const header = Buffer.alloc(5);
  header[0] = final;
  header.writeUInt16LE(bytes.length, 1);
  header.writeUInt16LE(~bytes.length & 0xffff, 3);
  return Buffer.concat([header, bytes]);
}

/** Bytes that no compressor makes smaller, the same in every run. @param {number} length @param {number} [seed] */
export function noise(length, seed = 1) {
  const bytes = Buffer.alloc(length);
  let state = (seed * 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 11;
  }
  return bytes;
}

/** A compressor or an inflater that keeps its window between messages ("context takeover"). */
class Stream {
  /** @type {Buffer[]} */
  #parts = [];
  #stream;
  /** @type {Promise<never>} */
  #failed;

  /** @param {zlib.DeflateRaw | zlib.InflateRaw} stream */
  constructor(stream) {
    this.#stream = stream;
    this.#failed = new Promise((_, reject) => stream.once("error", reject));
    this.#failed.catch(() => {}); // It fails the call that is waiting, or the next one.
    stream.on("data", (/** @type {Buffer} */ part) => this.#parts.push(part));
  }

  /** What comes out when `input` has gone in. @param {Uint8Array} input @returns {Promise<Buffer>} */
  async through(input) {
    const flushed = new Promise((resolve) => {
      this.#stream.write(input);
      this.#stream.flush(zlib.constants.Z_SYNC_FLUSH, () => resolve(undefined));
    });
    await within(Promise.race([flushed, this.#failed]), "zlib");
    return Buffer.concat(this.#parts.splice(0));
  }
}

/** Compresses a client's messages, each of which may refer to those before. */
export class Packer {
  #stream;

  /** @param {zlib.ZlibOptions} [options] */
  constructor(options) {
    this.#stream = new Stream(zlib.createDeflateRaw(options));
  }

  /** @param {string | Uint8Array} message */
  async pack(message) {
    const packed = await this.#stream.through(Buffer.from(/** @type {any} */ (message)));
    return packed.subarray(0, packed.length - TAIL.length);
  }
}

/** Inflates a server's messages, each of which may refer to those before, but no further back than the window. */
export class Unpacker {
  #stream;

  /** @param {number} [windowBits] */
  constructor(windowBits = 15) {
    // zlib lets a stream refer to all of the output at hand, window or not: so there is little of that, unless the
    // window is all that the format can refer to.
    const chunkSize = windowBits < 15 ? 64 : 64 << 10;
    this.#stream = new Stream(zlib.createInflateRaw({ windowBits, chunkSize }));
  }

  /** @param {Uint8Array} payload */
  unpack(payload) {
    return this.#stream.through(Buffer.concat([payload, TAIL]));
  }
}
