// @ts-check
// Checks of arguments that the methods of a socket share.
import { tooFewArguments, wrongType } from "./errors.js";
import { N } from "./native.js";

/** @param {string} method @param {unknown} compress @param {number} given number of arguments */
export function checkSend(method, compress, given) {
  if (given === 0) throw tooFewArguments(method);
  checkCompress(method, compress);
}

/** @param {string} method @param {unknown} compress */
export function checkCompress(method, compress) {
  if (compress !== undefined && typeof compress !== "boolean") {
    throw new Error(`${method} expects compress to be a boolean`);
  }
}

/** Bytes of a close reason at most; two of a control frame's 125 are the code. */
const MAX_REASON = 123;

/** Cuts a close reason at a character boundary. @param {string} text */
export function closeReason(text) {
  let reason = text.toWellFormed();
  // A character is at least one byte, so nothing behind the 123rd unit can fit.
  if (reason.length > MAX_REASON) reason = reason.slice(0, MAX_REASON);
  while (N.byteLengthUtf8(reason) > MAX_REASON) {
    // A pair of surrogates is one character.
    reason = reason.slice(0, reason.charCodeAt(reason.length - 1) >> 10 === 0x37 ? -2 : -1);
  }
  // The first cut may have parted a pair.
  return reason.isWellFormed() ? reason : reason.slice(0, -1);
}

/** A close code as the handler sees it. @param {number} code */
export function closeCode(code) {
  return Number.isFinite(code) ? Math.trunc(code) + 0 : 0;
}

/** @param {string} method @param {unknown} topic @param {number} given @returns {asserts topic is string} */
export function checkTopicType(method, topic, given) {
  if (given === 0) throw tooFewArguments(method);
  if (typeof topic !== "string") throw wrongType("topic", "string", topic);
}

/** @param {string} method @param {unknown} topic @param {number} given @returns {asserts topic is string} */
export function checkTopic(method, topic, given) {
  checkTopicType(method, topic, given);
  if (topic === "") throw new Error(`${method} requires a non-empty topic name`);
}
