// @ts-check
// A client that keeps a server busy and checks that nothing of what it should receive is missing. What a server sends
// is numbered: texts `e0`, `e1`, ... to one client, `p0`, `p1`, ... to all of them.

import { Buffer } from "node:buffer";
import net from "node:net";
import { closeFrame, handshake, OPCODE, textFrame } from "../support/raw-client.js";

const FRAME = textFrame("twenty bytes of load");

export class Client {
  /** Messages to this client alone; the number that the next one must carry. */
  own = 0;
  /** Messages to everybody; undefined before the first. @type {number | undefined} */
  common;
  /** Binary messages, in bytes. */
  binary = 0;
  /** Code of the close frame received. @type {number | undefined} */
  closeCode;
  /** The server was gone when it wrote: Node then drops what it has not read, which is no loss of the server's. */
  isCutShort = false;
  /** What arrived in the wrong order. @type {string[]} */
  wrong = [];
  /** Settled at the end of the connection, however it came. @type {Promise<void>} */
  ended;
  /** @type {((text: string) => void) | undefined} takes the texts that are not numbered */
  onText;

  #socket;
  /** @type {Buffer[]} */
  #parts = [];
  #size = 0;
  #wanted = 2;
  #answers = false;
  /** Milliseconds before an answer. */
  #delay = 0;

  /** @param {net.Socket} socket @param {Buffer} first */
  constructor(socket, first) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("error", (/** @type {NodeJS.ErrnoException} */ error) => {
      this.isCutShort ||= error.syscall === "write";
    });
    socket.on("data", (/** @type {Buffer} */ data) => this.#read(data));
    if (first.length > 0) this.#read(first);
  }

  /**
   * A connection after its opening handshake; a rejection when the server is gone before.
   *
   * @param {number} port
   * @param {number | string} [id]   path of the request
   * @returns {Promise<Client>}
   */
  static connect(port, id = 0) {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
      const early = () => reject(new Error("the connection ended before the handshake was answered"));
      socket.on("error", () => {}); // A reset is one way to end; "close" follows.
      socket.once("close", early);
      socket.write(handshake({ target: `/${id}` }));
      let head = Buffer.alloc(0);
      const onData = (/** @type {Buffer} */ data) => {
        head = Buffer.concat([head, data]);
        const end = head.indexOf("\r\n\r\n");
        if (end < 0) return;
        socket.off("data", onData);
        socket.off("close", early);
        if (!head.toString("latin1", 0, 12).endsWith(" 101"))
          reject(new Error(head.toString("latin1", 0, end)));
        else resolve(new Client(socket, head.subarray(end + 4)));
      };
      socket.on("data", onData);
    });
  }

  /** Keeps `window` messages under way: one more for each that comes. @param {number} window */
  load(window) {
    this.#answers = true;
    this.send(window);
  }

  /** Keeps one message under way, with a pause before each: a sign of life that leaves the machine to others. */
  tick() {
    this.#delay = 1;
    this.load(1);
  }

  /** Sends messages as fast as they can be written, whatever comes back. */
  flood() {
    const burst = Buffer.concat(Array(200).fill(FRAME));
    const more = () => {
      while (this.#socket.writable && this.#socket.write(burst));
    };
    this.#socket.on("drain", more);
    more();
  }

  /** @param {number} count */
  send(count) {
    if (this.#socket.writable)
      this.#socket.write(count === 1 ? FRAME : Buffer.concat(Array(count).fill(FRAME)));
  }

  /** @param {string} text */
  sendText(text) {
    this.#socket.write(textFrame(text));
  }

  close() {
    this.#answers = false;
    this.#socket.write(closeFrame(1000));
  }

  /** No longer reads: the kernel's buffers fill up. */
  pause() {
    this.#socket.pause();
  }

  destroy() {
    this.#socket.destroy();
  }

  /** @param {Buffer} data */
  #read(data) {
    this.#parts.push(data);
    this.#size += data.length;
    if (this.#size < this.#wanted) return;
    let bytes = this.#parts.length === 1 ? data : Buffer.concat(this.#parts);
    let answers = 0;
    for (;;) {
      const length = bytes.length < 2 ? 0 : bytes[1];
      const header = length < 126 ? 2 : length === 126 ? 4 : 10;
      if (bytes.length < header) {
        this.#wanted = header;
        break;
      }
      const payload =
        header === 2 ? length : header === 4 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
      this.#wanted = header + payload;
      if (bytes.length < this.#wanted) break;
      if (this.#take(bytes[0] & 0x0f, bytes.subarray(header, this.#wanted))) answers++;
      bytes = bytes.subarray(this.#wanted);
    }
    this.#parts = bytes.length > 0 ? [bytes] : [];
    this.#size = bytes.length;
    if (answers === 0) return;
    if (this.#delay > 0) setTimeout(() => this.#answer(answers), this.#delay);
    else this.#answer(answers);
  }

  /** @param {number} count */
  #answer(count) {
    if (this.#answers) this.send(count);
  }

  /** @param {number} opcode @param {Buffer} payload @returns {boolean} whether it asks for an answer */
  #take(opcode, payload) {
    if (opcode === OPCODE.close) {
      this.closeCode = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
      this.#answers = false;
      if (this.#socket.writable) this.#socket.end(closeFrame(1000));
      return false;
    }
    if (opcode === OPCODE.binary) {
      this.binary += payload.length;
      return false;
    }
    const text = payload.toString("latin1");
    const number = Number(text.slice(1));
    if (text[0] === "e") {
      if (number !== this.own) this.wrong.push(`${text} instead of e${this.own}`);
      this.own = number + 1;
      return true;
    }
    if (text[0] === "p") {
      if (this.common !== undefined && number !== this.common) {
        this.wrong.push(`${text} instead of p${this.common}`);
      }
      this.common = number + 1;
    } else {
      this.onText?.(text);
    }
    return false;
  }
}

/**
 * Sends an HTTP request and waits for the end of the connection.
 *
 * @param {number} port
 * @param {string} target
 * @returns {Promise<string>} everything that came
 */
export function request(port, target) {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (data) => {
      text += data;
    });
    socket.once("close", () => resolve(text));
    socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  });
}
