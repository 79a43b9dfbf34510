// @ts-check
// uWebSockets.js on Node. It hands over an ArrayBuffer for text too; the others hand over a string, so text is decoded
// here, as an application that reads its messages has to.
import { loadPeer, ready, work } from "./options.js";

const uws = loadPeer("uwebsockets");
const app = uws.App();
const common = {
  compression: uws.DISABLED,
  idleTimeout: 0,
  maxBackpressure: 64 << 20,
  maxPayloadLength: 16 << 20,
};

/** @param {ArrayBuffer} bytes @param {boolean} isBinary */
const read = (bytes, isBinary) => (isBinary ? bytes : Buffer.from(bytes).toString());

app.ws("/echo", {
  ...common,
  /** @param {any} ws @param {ArrayBuffer} bytes @param {boolean} isBinary */
  message(ws, bytes, isBinary) {
    const message = read(bytes, isBinary);
    work();
    ws.send(message, isBinary, false);
  },
});
app.ws("/room", {
  ...common,
  /** @param {any} ws */
  open(ws) {
    ws.subscribe("room");
  },
  /** @param {any} _ws @param {ArrayBuffer} bytes @param {boolean} isBinary */
  message(_ws, bytes, isBinary) {
    const message = read(bytes, isBinary);
    work();
    app.publish("room", message, isBinary, false);
  },
});
app.listen("127.0.0.1", 0, (/** @type {any} */ socket) => ready(uws.us_socket_local_port(socket)));
