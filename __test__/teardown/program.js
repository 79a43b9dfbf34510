// @ts-check
// The serving side of a teardown test, in a process or a worker: a server that numbers what it sends and keeps count
// where somebody can look when the program is gone.

import { serve } from "../../index.js";

/** Clients a server may have: their numbers come from the path of their request. */
export const CLIENTS = 400;
/** Counters behind those of the clients. */
export const PUBLISHED = CLIENTS;
export const REFUSED = CLIENTS + 1;
/** Bytes of all counters. */
export const COUNTER_BYTES = 4 * (CLIENTS + 2);

const TOPIC = "everybody";

/**
 * @typedef {import("../../index.js").ServerWebSocket<any>} Socket
 * @typedef {object} Handlers
 * @property {(request: Request) => any} [fetch]   what is not a handshake
 * @property {(ws: Socket) => any} [open]
 * @property {(ws: Socket) => any} [message]
 * @property {(ws: Socket) => any} [close]
 */

export class Program {
  /** All sockets, by the number of their client. @type {Map<number, Socket>} */
  sockets = new Map();
  /** Messages received so far. */
  received = 0;
  /** @type {any} */
  server;

  #counters;

  /** @param {Int32Array} counters */
  constructor(counters) {
    this.#counters = counters;
  }

  /** @param {Handlers} handlers @returns {number} the port */
  serve(handlers) {
    this.server = serve({
      port: 0,
      hostname: "127.0.0.1",
      development: false,
      fetch: (request, server) => {
        const id = Number(new URL(request.url).pathname.slice(1));
        if (/** @type {any} */ (server).upgrade(request, { data: { id } })) return undefined;
        return handlers.fetch?.(request) ?? new Response("hello");
      },
      websocket: {
        open: (/** @type {Socket} */ ws) => {
          this.sockets.set(ws.data.id, ws);
          ws.subscribe(TOPIC);
          handlers.open?.(ws);
        },
        message: (/** @type {Socket} */ ws) => {
          this.received++;
          return handlers.message?.(ws);
        },
        close: (/** @type {Socket} */ ws) => {
          this.sockets.delete(ws.data.id);
          handlers.close?.(ws);
        },
      },
    });
    return this.server.port;
  }

  /** Sends this client's next message. @param {Socket} ws */
  send(ws) {
    const { id } = ws.data;
    const taken = ws.send(`e${this.#counters[id]}`);
    // Counted behind the send: a terminated worker may have sent one more than it counted, never one less.
    this.#counters[id]++;
    if (taken <= 0) this.#counters[REFUSED]++;
  }

  sendToAll() {
    for (const ws of this.sockets.values()) this.send(ws);
  }

  /** @param {number} count */
  publish(count) {
    for (let i = 0; i < count; i++) {
      if (this.server.publish(TOPIC, `p${this.#counters[PUBLISHED]}`) < 0) this.#counters[REFUSED]++;
      this.#counters[PUBLISHED]++;
    }
  }
}
