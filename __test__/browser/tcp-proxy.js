// @ts-check
// A wire between browser and server that can be cut, mended and listened to, for one window alone.

import { once } from "node:events";
import net from "node:net";

/** @typedef {{ sent: Buffer[], received: Buffer[] }} Recording   what the browser sent and received on a connection */

export class TcpProxy {
  port = 0;
  /** One for each connection. @type {Recording[]} */
  recordings = [];
  #target;
  #whole = true;
  /** @type {Set<net.Socket>} */
  #sockets = new Set();
  #server = net.createServer((near) => {
    if (!this.#whole) return void near.destroy();
    const far = net.connect(this.#target, "localhost");
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    /** @type {Recording} */
    const recording = { sent: [], received: [] };
    this.recordings.push(recording);
    near.on("data", (/** @type {Buffer} */ data) => recording.sent.push(data));
    far.on("data", (/** @type {Buffer} */ data) => recording.received.push(data));
    near.pipe(far).pipe(near);
  });

  /** @param {number} target port of the server */
  static async start(target) {
    const proxy = new TcpProxy(target);
    proxy.#server.listen(0, "localhost");
    await once(proxy.#server, "listening");
    proxy.port = /** @type {net.AddressInfo} */ (proxy.#server.address()).port;
    return proxy;
  }

  /** @param {number} target */
  constructor(target) {
    this.#target = target;
  }

  cut() {
    this.#whole = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#whole = true;
  }

  async end() {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
