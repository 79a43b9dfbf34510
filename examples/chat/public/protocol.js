// @ts-check
// What the page and the server agree on: limits, and how names, rooms and texts are cleaned.
// Both sides load this very file; the server never trusts that the page did.
//
// Frames are JSON objects with a `type`.
//
//   page to server                            server to page
//   hello   { client, name }                  welcome { epoch, you, rooms }
//   join    { room, epoch?, after? }          joined  { room, people, messages, gap }
//   message { room, nonce, text }             message { room, message }, ack { room, nonce }
//   typing  { on }                            typing  { id, name, on }
//   rename  { name }                          renamed { id, name, before }
//   ping    {}                                pong    {}
//                                             entered { person }, left { person }
//                                             rooms   { rooms: [{ name, count }] }
//                                             error   { code, message, nonce?, retryAfter? }
//
// `epoch` names one run of the server: message ids are only comparable within it. `client` is the browser's
// secret; others see an id derived from it. `nonce` is chosen by the page for each message and makes sending
// it again harmless.

/**
 * @typedef {{ id: string, name: string }} Person
 * @typedef {{ id: number, nonce: string, from: Person, text: string, at: number }} Message
 * @typedef {{ name: string, count: number }} RoomSummary
 */

/** Lengths in UTF-16 units, as `String.prototype.length` counts them. */
export const limits = Object.freeze({
  name: 24,
  room: 32,
  text: 1000,
  nonce: 64,
  /** Messages a room remembers. */
  history: 100,
});

export const defaultRoom = "lobby";

/**
 * A name to show, or null if there is nothing to show. Direction overrides go: they would let a name rewrite
 * the line around it.
 * @param {unknown} value
 * @returns {string | null}
 */
export function cleanName(value) {
  if (typeof value !== "string") return null;
  const name = value
    .normalize("NFC")
    .replace(/[\p{Cc}\u200B\u200E\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]/gu, " ")
    .replace(/\s+/gu, " ")
    .trim();
  return name.length > 0 && name.length <= limits.name ? name : null;
}

/**
 * A room's name as it appears in the address: lower case, words joined with dashes; null if nothing is left.
 * @param {unknown} value
 * @returns {string | null}
 */
export function cleanRoom(value) {
  if (typeof value !== "string") return null;
  const room = value
    .normalize("NFC")
    .toLowerCase()
    .replace(/^#/, "")
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "");
  return room.length > 0 && room.length <= limits.room ? room : null;
}

/**
 * A message's text without control characters and without blank lines around it. May be empty or too long:
 * the caller decides what to say about that.
 * @param {string} value
 */
export function cleanText(value) {
  return value
    .replace(/\r\n?/g, "\n")
    .replace(/[^\P{Cc}\n\t]/gu, "")
    .replace(/^\s*\n/, "")
    .trimEnd();
}
