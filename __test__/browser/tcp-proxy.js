// @ts-check
// A wire between browser and server that can be cut and mended, for one window alone.

import { once } from "node:events";
import net from "node:net";

export class TcpProxy {
  port = 0;
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
