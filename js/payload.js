// @ts-check
// What the send family accepts, and what it becomes: text, bytes, or bytes that must be read first.
import { stringOf } from "./errors.js";
import { N } from "./native.js";

/** @typedef {import("../binding.js").Bytes} Bytes */
/** @typedef {string | Bytes | BlobBytes} Payload */

const EMPTY = new Uint8Array(0);

/** A Blob's bytes. Node and Deno read a Blob only asynchronously, but its size is known at once. */
export class BlobBytes {
  /** @param {Blob} blob */
  constructor(blob) {
    this.blob = blob;
    this.size = blob.size;
    /** @type {Promise<ArrayBuffer> | undefined} */
    this.reading = undefined;
  }

  /** Many receivers share one read. */
  read() {
    this.reading ??= this.blob.arrayBuffer();
    return this.reading;
  }
}

/** @param {Payload} payload @returns {number} bytes on the wire, before compression */
export function sizeOf(payload) {
  if (typeof payload === "string") return N.byteLengthUtf8(payload);
  return payload instanceof BlobBytes ? payload.size : payload.byteLength;
}

/** A copy for a payload that has to wait: the caller may reuse its buffer. @param {Payload} payload */
export function kept(payload) {
  if (typeof payload === "string" || payload instanceof BlobBytes) return payload;
  const view = ArrayBuffer.isView(payload)
    ? new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength)
    : new Uint8Array(payload);
  return view.slice();
}

/**
 * @param {unknown} value
 * @returns {Bytes | BlobBytes | undefined} undefined: not binary
 */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) return value.byteLength === 0 ? EMPTY : value;
  if (value instanceof ArrayBuffer) return value.byteLength === 0 ? EMPTY : value;
  if (value instanceof SharedArrayBuffer) return new Uint8Array(value);
  if (value instanceof Blob) return value.size === 0 ? EMPTY : new BlobBytes(value);
  return undefined;
}

/** For `send` and `publish`. @param {string} method @param {unknown} value @returns {Payload} */
export function anyPayload(method, value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) throw new Error(`${method} requires a non-empty message`);
  return bytesOf(value) ?? stringOf(value);
}

/** For `server.publish`, which takes everything. @param {unknown} value @returns {Payload} */
export function loosePayload(value) {
  return bytesOf(value) ?? stringOf(value);
}

/** @param {string} method @param {unknown} value @returns {string} */
export function textPayload(method, value) {
  if (typeof value === "string") return value;
  if (value instanceof String) return String(value);
  throw new Error(`${method} expects a string`);
}

/** @param {string} method @param {unknown} value @returns {Bytes | BlobBytes} */
export function binaryPayload(method, value) {
  const bytes = bytesOf(value);
  if (bytes === undefined) throw new Error(`${method} expects a Blob or BufferSource`);
  return bytes;
}

/** For ping and pong. @param {string} method @param {unknown} value @returns {Payload} */
export function controlPayload(method, value) {
  if (value === undefined || value === null) return EMPTY;
  const payload =
    typeof value === "string" ? value : value instanceof String ? String(value) : bytesOf(value);
  if (payload === undefined) throw new Error(`${method} expects a string, Blob, or BufferSource`);
  const size = sizeOf(payload);
  if (size > 125) {
    throw new RangeError(`The data size must not be greater than 125 bytes. Received ${size} bytes.`);
  }
  return payload;
}
