// @ts-check
// biome-ignore-all lint/complexity/noArguments: a missing argument has its own error text
// The object that handlers receive, one for each connection. `send` and `publish` with a string are the hot path:
// they decide in a line and call the addon. Private fields keep `Object.keys(ws)` empty and an idle socket small.
import { checkCompress, checkSend, checkTopic, checkTopicType, closeCode, closeReason } from "./arguments.js";
import { BlobQueue } from "./blob-queue.js";
import { invalidArgument, invalidThis, missingArguments, stringOf, wrongType } from "./errors.js";
import { handlerFailed } from "./failures.js";
import { DISABLED, N } from "./native.js";
import { anyPayload, BlobBytes, binaryPayload, controlPayload, sizeOf, textPayload } from "./payload.js";
import { giveBytes, SMALL } from "./small.js";
import { contains, names } from "./topics.js";

/** @typedef {import("./core.js").ServerCore} ServerCore */
/** @typedef {import("./topics.js").Topic} Topic */
/** @typedef {import("./topics.js").Subscriptions} Subscriptions */
/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {import("./options.js").WebSocketConfig} WebSocketConfig */

/** Every socket of this env, by the addon's number. @type {(ServerWebSocket | undefined)[]} */
export const conns = [];

// The bits of #flags; bits 3 and 4 hold the index of the binary type.
const OPEN = 1;
const PAUSED = 2;
const QUEUED = 4;
const TYPE_SHIFT = 3;
/** Open, and nothing waits behind a Blob. */
const DIRECT = OPEN | QUEUED;

const PING = 9;
const PONG = 10;

export const binaryTypes = /** @type {const} */ (["nodebuffer", "arraybuffer", "uint8array", "blob"]);

/** Only this module can construct. */
const construct = Symbol("construct");

// What the rest of the package may do with a socket and programs may not; assigned by the class below.

/** Makes the socket of a connection. @type {(id: number, core: ServerCore, data: unknown, address: string | undefined) => ServerWebSocket} */
export let createSocket;
/** The handlers in force, undefined once the socket is closed. @type {(ws: ServerWebSocket) => WebSocketConfig | undefined} */
export let openHandlers;
/** Every spelling that Bun takes, and no other. @type {ReadonlyMap<unknown, number>} */
const binaryTypeNames = new Map([
  ["nodebuffer", 0],
  ["buffer", 0],
  ["Buffer", 0],
  ["arraybuffer", 1],
  ["ArrayBuffer", 1],
  ["uint8array", 2],
  ["Uint8Array", 2],
  ["blob", 3],
]);

/** Position of the socket's binary type in `binaryTypes`. @type {(ws: ServerWebSocket) => number} */
export let binaryTypeIndex;
/** The connection ended from outside. @type {(ws: ServerWebSocket, code: number, reason: string) => void} */
export let closedByPeer;
/** Closes without a close frame. @type {(ws: ServerWebSocket) => void} */
export let terminateSocket;
/** Closes every socket of a server. @type {(core: ServerCore, code: number, reason: string) => void} */
export let closeAll;
/** `controller` aborts when the socket closes. @type {(ws: ServerWebSocket, controller: AbortController) => void} */
export let abortOnClose;
/** Publishes for a server or a socket. @type {(core: ServerCore, topic: Topic, sender: ServerWebSocket | undefined, payload: Payload, compress: boolean) => number} */
export let publishTo;

// The class's own helpers. They are functions and not private methods, which would cost a slot in each socket.

/** @type {(value: unknown) => boolean} */
let isSocket;
/** @type {(ws: ServerWebSocket, payload: Payload, compress: boolean) => number} */
let transmit;
/** @type {(ws: ServerWebSocket, opcode: number, payload: Payload) => number} */
let transmitControl;
/** @type {(ws: ServerWebSocket, payload: Payload, write: (ready: import("./blob-queue.js").ReadyPayload) => void) => number} */
let enqueue;
/** @type {(ws: ServerWebSocket) => void} */
let dropQueue;
/** @type {(ws: ServerWebSocket, topic: string, payload: Payload, compress: boolean) => number} */
let publishFrom;
/** @type {(core: ServerCore, topic: Topic, except: number, payload: Payload, compress: boolean) => number} */
let publishOneByOne;
/** @type {(core: ServerCore, topic: Topic, except: number, size: number) => number} */
let worstOf;
/** @type {(ws: ServerWebSocket, end: (id: number) => void) => void} */
let endConnection;
/** @type {(ws: ServerWebSocket, code: number, reason: string) => void} */
let closeSocket;
/** @type {(ws: ServerWebSocket) => void} */
let markClosed;
/** @type {(ws: ServerWebSocket, code: number, reason: string) => void} */
let notifyClosed;

export class ServerWebSocket {
  #id;
  #flags = OPEN;
  #core;
  #data;
  #address;
  /** @type {Subscriptions} */
  #topics = undefined;
  /** Of the request's signal, when somebody asked for it. @type {AbortController | undefined} */
  #abort = undefined;
  /** @type {BlobQueue | undefined} */
  #queue = undefined;

  /**
   * @param {symbol} key
   * @param {number} id
   * @param {ServerCore} core
   * @param {unknown} data
   * @param {string | undefined} address
   */
  constructor(key, id, core, data, address) {
    if (key !== construct) throw new Error("Cannot construct ServerWebSocket");
    this.#id = id;
    this.#core = core;
    this.#data = data;
    this.#address = address;
  }

  /** @param {unknown} message @param {boolean} [compress] @returns {number} */
  send(message, compress) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if (
      (compress === undefined || compress === true || compress === false) &&
      (this.#flags & DIRECT) === OPEN
    ) {
      const compressed = compress === true && this.#core.websocket.compress !== DISABLED;
      if (typeof message === "string") return N.sendText(this.#id, message, message.length, compressed);
      if (ArrayBuffer.isView(message)) {
        if (message instanceof Uint8Array && message.byteLength <= SMALL && !compressed) {
          giveBytes(message);
          return N.sendSmall(this.#id, message.byteLength);
        }
        return N.sendBinary(this.#id, message, compressed);
      }
    }
    if ((this.#flags & OPEN) === 0) return 0;
    checkSend("send", compress, arguments.length);
    return transmit(this, anyPayload("send", message), compress === true);
  }

  /** @param {unknown} message @param {boolean} [compress] @returns {number} */
  sendText(message, compress) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return 0;
    checkSend("sendText", compress, arguments.length);
    return transmit(this, textPayload("sendText", message), compress === true);
  }

  /** @param {unknown} message @param {boolean} [compress] @returns {number} */
  sendBinary(message, compress) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return 0;
    checkSend("sendBinary", compress, arguments.length);
    return transmit(this, binaryPayload("sendBinary", message), compress === true);
  }

  /** @param {unknown} data @returns {number} */
  ping(data) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return 0;
    return transmitControl(this, PING, controlPayload("ping", data));
  }

  /** @param {unknown} data @returns {number} */
  pong(data) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return 0;
    return transmitControl(this, PONG, controlPayload("pong", data));
  }

  // Publishing works on closed sockets too: `close` handlers say goodbye to a room.

  /** @param {unknown} topic @param {unknown} message @param {boolean} [compress] @returns {number} */
  publish(topic, message, compress) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    const core = this.#core;
    if (typeof topic === "string" && typeof message === "string" && compress === undefined) {
      const found = core.topics.find(topic);
      if (found !== undefined) return publishTo(core, found, this, message, false);
      if (topic !== "") return 0;
    }
    checkTopic("publish", topic, arguments.length);
    checkCompress("publish", compress);
    return publishFrom(this, topic, anyPayload("publish", message), compress === true);
  }

  /** @param {unknown} topic @param {unknown} message @param {boolean} [compress] @returns {number} */
  publishText(topic, message, compress = undefined) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    // Bun does not refuse the empty topic here; nobody can be subscribed to it.
    checkTopicType("publishText", topic, arguments.length);
    checkCompress("publishText", compress);
    return publishFrom(this, topic, textPayload("publishText", message), compress === true);
  }

  /** @param {unknown} topic @param {unknown} message @param {boolean} [compress] @returns {number} */
  publishBinary(topic, message, compress = undefined) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    checkTopic("publishBinary", topic, arguments.length);
    checkCompress("publishBinary", compress);
    return publishFrom(this, topic, binaryPayload("publishBinary", message), compress === true);
  }

  /** @param {unknown} topic */
  subscribe(topic) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return false;
    checkTopic("subscribe", topic, arguments.length);
    this.#topics = this.#core.topics.subscribe(this.#id, this.#topics, topic);
    return true;
  }

  /** @param {unknown} topic */
  unsubscribe(topic) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return false;
    checkTopic("unsubscribe", topic, arguments.length);
    const found = this.#core.topics.find(topic);
    if (found === undefined || !contains(this.#topics, found)) return false;
    this.#topics = this.#core.topics.unsubscribe(this.#id, this.#topics, found);
    return true;
  }

  /** @param {unknown} topic */
  isSubscribed(topic) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return false;
    checkTopic("isSubscribed", topic, arguments.length);
    const found = this.#core.topics.find(topic);
    return found !== undefined && contains(this.#topics, found);
  }

  get subscriptions() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    return names(this.#topics);
  }

  /** @template R @param {(ws: ServerWebSocket) => R} callback @returns {R} */
  cork(callback) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if (arguments.length === 0) throw missingArguments("cork", 1, 0);
    if (typeof callback !== "function") throw wrongType("callback", "function", callback);
    N.hold();
    try {
      return callback(this);
    } finally {
      N.release();
    }
  }

  /**
   * @param {unknown} [code]
   * @param {unknown} [reason]
   * @param {unknown} [_] Bun's method has three parameters
   */
  close(code, reason, _) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return;
    if (code !== undefined && typeof code !== "number") {
      throw invalidArgument("close requires a numeric code or undefined");
    }
    const text = reason === undefined ? "" : closeReason(stringOf(reason));
    // The reason's toString() may have closed the socket.
    if ((this.#flags & OPEN) === 0) return;
    closeSocket(this, code === undefined ? 1000 : closeCode(code), text);
  }

  terminate() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return;
    terminateSocket(this);
  }

  getBufferedAmount() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & OPEN) === 0) return 0;
    return N.buffered(this.#id) + (this.#queue?.bytes ?? 0);
  }

  pause() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & (OPEN | PAUSED)) !== OPEN) return;
    this.#flags |= PAUSED;
    N.pause(this.#id);
  }

  resume() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    if ((this.#flags & PAUSED) === 0) return;
    this.#flags &= ~PAUSED;
    N.resume(this.#id);
  }

  get isPaused() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    return (this.#flags & PAUSED) !== 0;
  }

  /** @returns {1 | 3} */
  get readyState() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    return (this.#flags & OPEN) === 0 ? 3 : 1;
  }

  /** Assignment is ignored, also in strict code. */
  set readyState(_) {}

  get remoteAddress() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    return this.#address;
  }

  /** @returns {import("../index.d.ts").BinaryType} */
  get binaryType() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    return binaryTypes[this.#flags >> TYPE_SHIFT];
  }

  set binaryType(type) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    const index = binaryTypeNames.get(type);
    if (index === undefined) {
      throw new Error(`binaryType must be either "uint8array", "arraybuffer", "nodebuffer" or "blob"`);
    }
    this.#flags = (this.#flags & ((1 << TYPE_SHIFT) - 1)) | (index << TYPE_SHIFT);
  }

  get data() {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    return this.#data;
  }

  set data(value) {
    if (!isSocket(this)) throw invalidThis("ServerWebSocket", this);
    this.#data = value;
  }

  get [Symbol.toStringTag]() {
    return "ServerWebSocket";
  }

  static {
    isSocket = (value) => typeof value === "object" && value !== null && #flags in value;

    createSocket = (id, core, data, address) => {
      const ws = new ServerWebSocket(construct, id, core, data, address);
      conns[id] = ws;
      core.sockets++;
      return ws;
    };

    transmit = (ws, payload, compress) => {
      // Turning the value into a payload ran the program's code.
      if ((ws.#flags & OPEN) === 0) return 0;
      const id = ws.#id;
      const deflate = compress && ws.#core.websocket.compress !== DISABLED;
      if ((ws.#flags & QUEUED) !== 0 || payload instanceof BlobBytes) {
        return enqueue(ws, payload, (ready) => {
          if (typeof ready === "string") N.sendText(id, ready, ready.length, deflate);
          else N.sendBinary(id, ready, deflate);
        });
      }
      return typeof payload === "string"
        ? N.sendText(id, payload, payload.length, deflate)
        : N.sendBinary(id, payload, deflate);
    };

    transmitControl = (ws, opcode, payload) => {
      if ((ws.#flags & OPEN) === 0) return 0;
      const id = ws.#id;
      if ((ws.#flags & QUEUED) !== 0 || payload instanceof BlobBytes) {
        return enqueue(ws, payload, (ready) => N.control(id, opcode, ready));
      }
      return N.control(id, opcode, payload);
    };

    enqueue = (ws, payload, write) => {
      const { backpressureLimit } = ws.#core.websocket;
      if (backpressureLimit > 0 && ws.getBufferedAmount() > backpressureLimit) return 0;
      if (ws.#queue === undefined) {
        ws.#core.queued++;
        ws.#flags |= QUEUED;
        ws.#queue = new BlobQueue(
          () => dropQueue(ws),
          (error) => handlerFailed(ws.#core.websocket, ws, error),
        );
      }
      return ws.#queue.push(payload, write);
    };

    dropQueue = (ws) => {
      if (ws.#queue === undefined) return;
      ws.#queue.drop();
      ws.#queue = undefined;
      ws.#flags &= ~QUEUED;
      ws.#core.queued--;
    };

    publishFrom = (ws, topic, payload, compress) => {
      const found = ws.#core.topics.find(topic);
      return found === undefined ? 0 : publishTo(ws.#core, found, ws, payload, compress);
    };

    publishTo = (core, topic, sender, payload, compress) => {
      let receivers = topic.count;
      let except = -1;
      if (sender !== undefined && contains(sender.#topics, topic) && !core.websocket.publishToSelf) {
        receivers--;
        except = sender.#id;
      }
      if (receivers === 0) return 0;
      if (core.queued > 0 || (typeof payload !== "string" && payload instanceof BlobBytes)) {
        return publishOneByOne(core, topic, except, payload, compress);
      }
      const deflate = compress && core.websocket.compress !== DISABLED;
      const result =
        typeof payload === "string"
          ? N.publishText(topic.id, except, payload, payload.length, deflate)
          : N.publishBinary(topic.id, except, payload, deflate);
      return result >= 0 ? result : worstOf(core, topic, except, -1 - result);
    };

    // Some receivers have messages waiting behind a Blob: each gets its own copy, in its own order.
    publishOneByOne = (core, topic, except, payload, compress) => {
      const size = sizeOf(payload);
      let worst = size;
      for (let id = 0; id < conns.length; id++) {
        const ws = conns[id];
        if (ws === undefined || id === except || ws.#core !== core || !contains(ws.#topics, topic)) continue;
        const result = transmit(ws, payload, compress);
        if (result === 0 && size > 0) worst = 0;
        else if (result < 0 && (worst !== 0 || size === 0)) worst = -1;
      }
      return worst;
    };

    // A socket of the process is blocked: was it one of the receivers, and did it take the message?
    worstOf = (core, topic, except, size) => {
      let worst = size;
      for (const id of N.blockedSockets()) {
        const ws = conns[id];
        if (ws === undefined || id === except || ws.#core !== core || !contains(ws.#topics, topic)) continue;
        if (N.queueState(id) === 0) return 0;
        worst = -1;
      }
      return worst;
    };

    closeSocket = (ws, code, reason) => {
      const isSendable = code > 0 && code <= 65535 && code !== 1005 && code !== 1006;
      markClosed(ws);
      endConnection(ws, (id) => N.close(id, isSendable ? code : 0, isSendable ? reason : ""));
      notifyClosed(ws, code, reason);
    };

    terminateSocket = (ws) => {
      markClosed(ws);
      endConnection(ws, (id) => N.terminate(id));
      notifyClosed(ws, 1006, "");
    };

    // What was sent behind a Blob goes out behind it, and so does the end.
    endConnection = (ws, end) => {
      const id = ws.#id;
      if (ws.#queue === undefined) end(id);
      else ws.#queue.push("", () => end(id));
    };

    closedByPeer = (ws, code, reason) => {
      dropQueue(ws);
      if ((ws.#flags & OPEN) === 0) return;
      markClosed(ws);
      notifyClosed(ws, code, reason);
    };

    closeAll = (core, code, reason) => {
      for (let id = 0; id < conns.length; id++) {
        const ws = conns[id];
        if (ws !== undefined && ws.#core === core && (ws.#flags & OPEN) !== 0) closeSocket(ws, code, reason);
      }
    };

    markClosed = (ws) => {
      ws.#flags &= ~(OPEN | PAUSED);
      const topics = ws.#topics;
      ws.#topics = undefined;
      ws.#core.topics.removeAll(topics);
    };

    notifyClosed = (ws, code, reason) => {
      const controller = ws.#abort;
      ws.#abort = undefined;
      controller?.abort();
      const { close } = ws.#core.websocket;
      if (close !== undefined) {
        try {
          close(ws, code, reason);
        } catch (error) {
          handlerFailed(ws.#core.websocket, ws, error);
        }
      }
      ws.#core.sockets--;
    };

    abortOnClose = (ws, controller) => {
      if ((ws.#flags & OPEN) === 0) controller.abort();
      else ws.#abort = controller;
    };

    openHandlers = (ws) => ((ws.#flags & OPEN) === 0 ? undefined : ws.#core.websocket);

    binaryTypeIndex = (ws) => ws.#flags >> TYPE_SHIFT;
  }
}
