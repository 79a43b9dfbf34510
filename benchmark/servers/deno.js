// @ts-check
// Deno's own server. It has no static routes: with --http every request is answered by the handler.
import { HELLO, http, ready, work } from "./options.js";

/** @type {any} */
const { Deno } = globalThis;
/** @type {Set<WebSocket>} */
const room = new Set();

/** @param {Request} request */
function upgrade(request) {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
  socket.binaryType = "arraybuffer";
  const inRoom = new URL(request.url).pathname === "/room";
  if (inRoom) {
    socket.onopen = () => room.add(socket);
    socket.onclose = () => room.delete(socket);
  }
  socket.onmessage = (/** @type {MessageEvent} */ event) => {
    work();
    if (!inRoom) socket.send(event.data);
    else for (const member of room) member.send(event.data);
  };
  return response;
}

Deno.serve(
  {
    hostname: "127.0.0.1",
    port: 0,
    onListen: (/** @type {{ port: number }} */ address) => ready(address.port),
  },
  http === "none" ? upgrade : () => new Response(HELLO),
);
