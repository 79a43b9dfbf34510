// @ts-check
// The npm package ws, with bufferutil, on Node.
import { createServer } from "node:http";
import { loadPeer, ready, work } from "./options.js";

const { WebSocketServer } = loadPeer("ws");
const http = createServer();
const sockets = new WebSocketServer({ server: http, perMessageDeflate: false });
/** @type {Set<any>} */
const room = new Set();

sockets.on("connection", (/** @type {any} */ ws, /** @type {any} */ request) => {
  const inRoom = request.url === "/room";
  if (inRoom) {
    room.add(ws);
    ws.on("close", () => room.delete(ws));
  }
  ws.on("message", (/** @type {Buffer} */ bytes, /** @type {boolean} */ isBinary) => {
    const message = isBinary ? bytes : bytes.toString();
    work();
    if (!inRoom) ws.send(message);
    else for (const member of room) member.send(message);
  });
});
http.listen(0, "127.0.0.1", () => ready(/** @type {any} */ (http.address()).port));
