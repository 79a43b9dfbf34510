// @ts-check
// A module in the shape of a Brisa `src/websocket.js`: handlers are exports, and each is optional. server.js in
// this folder serves it. Messages are lines of a group chat, except these:
//
//   /file    a file as an ArrayBuffer
//   /bytes   a typed array and a DataView
//   /long    a text that is worth compressing
//   /flood   more than a slow reader can take, sent at the reader's pace

import { readFile } from "node:fs/promises";
import { parseCookies } from "./cookies.js";
import { sockets } from "./sessions.js";

/**
 * What attach returns is `ws.data` in all the others.
 * @typedef {object} Data
 * @property {number} connectedAt
 * @property {string} username
 * @property {string | null} channelId
 * @property {string | undefined} token
 * @property {number | null} flood chunks still to be sent; null when there is no flood
 * @property {number} pauses how often the flood had to wait
 *
 * @typedef {import("../../index.js").ServerWebSocket<Data>} Socket
 */

const group = "group-chat";
const floodChunks = 200;
const chunk = new Uint8Array(256 * 1024);

/**
 * Runs before the handshake is answered, with the request that asked for it. May be async.
 * @param {Request} request
 * @returns {Data}
 */
export function attach(request) {
  const { searchParams } = new URL(request.url);
  const cookies = parseCookies(request.headers.get("cookie"));
  return {
    connectedAt: Date.now(),
    username: searchParams.get("username") || "somebody",
    channelId: searchParams.get("channelId"),
    token: cookies["X-Token"],
    flood: null,
    pauses: 0,
  };
}

/** @param {Socket} ws */
export function open(ws) {
  const { username, channelId, token } = ws.data;
  if (token !== undefined) sockets.set(token, ws);
  ws.send(`Hello ${username}${channelId === null ? "" : `, this is channel ${channelId}`}`);
  ws.subscribe(group);
  ws.publish(group, `${username} came in`); // to all others
}

/**
 * @param {Socket} ws
 * @param {string | Uint8Array} message text is a string, binary a Buffer
 */
export async function message(ws, message) {
  if (typeof message !== "string") {
    ws.send(message);
    return;
  }
  switch (message) {
    case "/file": {
      const bytes = await readFile(new URL(import.meta.url));
      ws.send(await new Response(bytes).arrayBuffer());
      break;
    }
    case "/bytes":
      ws.send(new Uint8Array([1, 2, 3]));
      ws.send(new DataView(new Uint8Array([9, 8, 7, 6]).buffer, 1, 2));
      break;
    case "/long":
      // The flag asks for compression of this one message; it is sent plain to clients that cannot inflate.
      ws.send("all work and no play ".repeat(500), true);
      ws.publish(group, `${ws.data.username} got a long text`, true);
      break;
    case "/flood":
      ws.data.flood = floodChunks;
      ws.data.pauses = 0;
      flood(ws);
      break;
    default:
      ws.publish(group, `${ws.data.username}: ${message}`);
  }
}

/** @param {Socket} ws */
export function close(ws) {
  const { username, token } = ws.data;
  if (token !== undefined && sockets.get(token) === ws) sockets.delete(token);
  ws.unsubscribe(group); // has happened already, and does no harm
  ws.publish(group, `${username} went away`);
}

/**
 * The connection can take more.
 * @param {Socket} ws
 */
export function drain(ws) {
  if (ws.data.flood !== null) flood(ws);
}

/**
 * Sends until the connection is full; `drain` goes on from there. So no more than a little waits in memory,
 * however slow the reader is.
 * @param {Socket} ws
 */
function flood(ws) {
  let left = ws.data.flood ?? 0;
  while (left > 0) {
    const result = ws.send(chunk);
    if (result === 0) return; // closed, or over the limit: not sent
    left -= 1;
    ws.data.flood = left;
    if (result === -1) {
      ws.data.pauses += 1;
      return; // queued, but do not add to it
    }
  }
  ws.data.flood = null;
  ws.send(`flood is over after ${ws.data.pauses} pauses`);
}
