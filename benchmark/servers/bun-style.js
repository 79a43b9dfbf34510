// @ts-check
import { HELLO, http, ready, tls, work } from "./options.js";

/**
 * The application for any `serve` with Bun's interface.
 *
 * @param {(options: any) => any} serve
 * @param {typeof globalThis.Response} Response the kind that handlers and routes answer with
 */
export function start(serve, Response) {
  const webSocket = {
    /** @param {Request} request @param {any} server */
    fetch(request, server) {
      const { pathname } = new URL(request.url);
      if (server.upgrade(request, { data: { room: pathname === "/room" } })) return undefined;
      return new Response("This server speaks WebSocket only.\n", { status: 426 });
    },
    websocket: {
      idleTimeout: 0,
      perMessageDeflate: false,
      backpressureLimit: 64 << 20,
      /** @param {any} ws */
      open(ws) {
        if (ws.data.room) ws.subscribe("room");
      },
      /** @param {any} ws @param {string | Uint8Array} message */
      message(ws, message) {
        work();
        if (ws.data.room) server.publish("room", message);
        else ws.send(message);
      },
    },
  };
  const applications = {
    none: webSocket,
    handler: { fetch: () => new Response(HELLO) },
    static: {
      routes: { "/static": new Response(HELLO) },
      fetch: () => new Response("Not found\n", { status: 404 }),
    },
  };
  const server = serve({ hostname: "127.0.0.1", port: 0, tls, ...applications[http] });
  ready(server.port);
}
