// @ts-check
// Small binary messages cross in memory that both sides know. V8 keeps views up to 64 bytes in its own heap, without an
// ArrayBuffer; making one for each message, or asking for its address, costs ten times as much as a copy.
import { Buffer } from "node:buffer";

/** Largest such message in bytes; the addon knows the number too. */
export const SMALL = 64;
/** Messages the addon hands over in one call. */
const PLACES = 8;

/** One place for each message of a call, then one for what is sent. */
export const shared = new ArrayBuffer((PLACES + 1) * SMALL);

const received = Buffer.from(shared);
const { slice, set } = Uint8Array.prototype;
const sent = new Uint8Array(shared, PLACES * SMALL, SMALL);

/**
 * A received message in a Buffer of its own.
 * @param {number} place @param {number} length
 * @returns {Buffer<ArrayBuffer>}
 */
export function takeBuffer(place, length) {
  // Not Buffer's own `slice`, which makes a view of the same memory.
  return /** @type {any} */ (slice.call(received, place * SMALL, place * SMALL + length));
}

/** The same in an ArrayBuffer. @param {number} place @param {number} length */
export function takeArrayBuffer(place, length) {
  return shared.slice(place * SMALL, place * SMALL + length);
}

/** Gives the addon the bytes to send. @param {Uint8Array} bytes at most SMALL */
export function giveBytes(bytes) {
  set.call(sent, bytes);
}
