// @ts-check
// The state of one server, shared by its Server object, its sockets and its requests.
import { rmSync } from "node:fs";
import { invalidArgument } from "./errors.js";
import { N, releaseLoop, retainLoop } from "./native.js";
import { HTTP_IDLE_TIMEOUT, MAX_REQUEST_BODY_SIZE, nativeSettings, noWebSocket } from "./options.js";
import { explainTls } from "./tls.js";
import { TopicTable } from "./topics.js";

/** Servers that are not gone, by the addon's number. @type {Map<number, ServerCore>} */
export const cores = new Map();

export class ServerCore {
  /**
   * @param {import("../binding.js").Listening} listening
   * @param {import("./options.js").ServeConfig} config
   */
  constructor(listening, config) {
    this.id = listening.id;
    this.listening = listening;
    this.hostname = config.listen.hostname ?? "localhost";
    this.isUnix = config.listen.unix !== undefined;
    this.isSecure = config.handlers.tls !== undefined;
    this.development = config.development;
    this.name = config.id;

    /** The public object; set right after construction. @type {unknown} */
    this.server = undefined;
    this.fetch = config.handlers.fetch;
    this.error = config.handlers.error;
    this.routes = config.handlers.routes;
    /** Without it no request can be upgraded. */
    this.hasWebSocket = config.handlers.websocket !== undefined;
    /** Sockets read their handlers here on each event, so that `reload()` is one assignment. */
    this.websocket = config.handlers.websocket ?? noWebSocket;
    this.httpIdleTimeout = config.handlers.idleTimeout ?? HTTP_IDLE_TIMEOUT;
    this.maxRequestBodySize = config.handlers.maxRequestBodySize ?? MAX_REQUEST_BODY_SIZE;

    this.topics = new TopicTable();
    /** WebSockets whose close handler has not returned. */
    this.sockets = 0;
    /** Requests whose response is not finished. */
    this.requests = 0;
    /** Sockets with messages waiting behind a Blob. */
    this.queued = 0;

    /** `stop(true)` was called: no upgrade any more. */
    this.terminated = false;
    this.isStopping = false;
    this.isGone = false;
    /** Of `stop()` promises. @type {(() => void)[]} */
    this.waiters = [];
    this.holdsLoop = true;
    retainLoop();
    cores.set(this.id, this);
    this.configure();
    this.routes?.install(this.id, this.hasWebSocket);
  }

  /** Tells the addon the limits in force. */
  configure() {
    N.configure(this.id, nativeSettings(this.websocket, this.httpIdleTimeout, this.maxRequestBodySize));
  }

  /** @param {import("./options.js").HandlerConfig} handlers what is undefined stays as it is */
  reload(handlers) {
    // First: what cannot be used leaves everything as it was.
    if (handlers.tls !== undefined && !this.isGone) this.secure(handlers.tls);
    this.fetch = handlers.fetch ?? this.fetch;
    this.error = handlers.error ?? this.error;
    this.websocket = handlers.websocket ?? this.websocket;
    this.hasWebSocket ||= handlers.websocket !== undefined;
    this.httpIdleTimeout = handlers.idleTimeout ?? this.httpIdleTimeout;
    this.maxRequestBodySize = handlers.maxRequestBodySize ?? this.maxRequestBodySize;
    this.routes = handlers.routes ?? this.routes;
    if (this.isGone) return;
    this.configure();
    this.routes?.install(this.id, this.hasWebSocket);
  }

  /** Gives the handshakes to come other certificates. @param {import("../binding.js").TlsMaterial} tls */
  secure(tls) {
    if (!this.isSecure) {
      throw invalidArgument("reload() cannot turn TLS on: call serve() with tls from the start.");
    }
    try {
      N.secure(this.id, tls);
    } catch (error) {
      throw explainTls(error);
    }
  }

  ref() {
    if (this.holdsLoop || this.isGone) return;
    this.holdsLoop = true;
    retainLoop();
  }

  unref() {
    if (!this.holdsLoop) return;
    this.holdsLoop = false;
    releaseLoop();
  }

  /** Closes the listener; idle connections with it. */
  stopListening() {
    if (this.isStopping) return;
    this.isStopping = true;
    N.stopListening(this.id);
    const { path } = this.listening;
    if (path !== undefined && !path.startsWith("\0")) rmSync(path, { force: true });
  }

  /** @returns {Promise<void>} settles when nothing of the server is left */
  whenGone() {
    if (this.isGone) return Promise.resolve();
    return new Promise((resolve) => {
      this.waiters.push(resolve);
    });
  }

  /** The addon says that nothing of the server is left. */
  gone() {
    this.isGone = true;
    cores.delete(this.id);
    this.unref();
    for (const resolve of this.waiters.splice(0)) resolve();
  }
}
