// @ts-check
/**
 * What JavaScript and the addon call each other, by hand: the functions are made with raw Node-API calls, so no tool
 * can read their types from the Rust source. write-binding.mjs turns this list into `binding.d.ts`, and
 * `__test__/binding.test.js` checks the names against the built addon.
 *
 * @typedef {{ name: string, signature: string, doc: string }} Entry
 */

/** Functions of the object that `native.attach` returns. @type {Entry[]} */
export const functions = [
  {
    name: "listen",
    signature: "(options: ListenOptions): Listening",
    doc: "Binds on the calling thread. Throws an Error with `code`, `errno` and `syscall`, or with a `code` that begins with TLS_ before it binds.",
  },
  {
    name: "configure",
    signature: "(serverId: number, settings: Settings): void",
    doc: "Limits and timers; they apply to existing sockets at once.",
  },
  {
    name: "setRoutes",
    signature: "(serverId: number, table: string, upgrades: boolean): void",
    doc: "Lines of `number method pattern`; number - for a handler, method - for all. `upgrades`: handshakes pass by.",
  },
  {
    name: "setStatic",
    signature:
      "(serverId: number, number: number, status: number, headerLines: string, body: string | Uint8Array | null, close: boolean): void",
    doc: "What a static route answers; requests wait for it.",
  },
  {
    name: "secure",
    signature: "(serverId: number, tls: TlsMaterial): boolean",
    doc: "Handshakes to come use this. Throws as `listen` does; false: the server has no TLS.",
  },
  {
    name: "stopListening",
    signature: "(serverId: number): void",
    doc: "Closes the listener and idle keep-alive connections; pending requests finish.",
  },
  {
    name: "closeIdle",
    signature: "(serverId: number): number",
    doc: "How many idle connections were closed.",
  },
  {
    name: "abortRequests",
    signature: "(serverId: number): void",
    doc: "Closes every HTTP connection; `requestEnd(rid, true)` follows for pending ones.",
  },
  { name: "ref", signature: "(): void", doc: "Keeps the event loop alive." },
  { name: "unref", signature: "(): void", doc: "Lets the event loop end." },
  {
    name: "requestTimeout",
    signature: "(rid: number, seconds: number): void",
    doc: "0 = none.",
  },
  {
    name: "upgrade",
    signature: "(rid: number, headerLines: string, protocol: string | null): number",
    doc: "Answers 101 and gives the socket's id; `rid` is dead afterwards.",
  },
  {
    name: "respond",
    signature:
      "(rid: number, status: number, statusText: string, headerLines: string, body: string | Uint8Array | null, mode: number): void",
    doc: "`mode` bits: 1 = chunks follow, 2 = close the connection afterwards, 4 = no Content-Length.",
  },
  {
    name: "respondChunk",
    signature: "(rid: number, chunk: string | Uint8Array): boolean",
    doc: "false: wait for `responseWritable`.",
  },
  { name: "respondEnd", signature: "(rid: number): void", doc: "Ends a response begun with mode 1." },
  {
    name: "respondAbort",
    signature: "(rid: number): void",
    doc: "Cuts the connection in the middle of a response.",
  },
  { name: "bodyRead", signature: "(rid: number): void", doc: "Asks for one `body` callback." },
  { name: "bodyCancel", signature: "(rid: number): void", doc: "The rest of the body is not wanted." },
  {
    name: "sendText",
    signature: "(id: number, text: string, length: number, compress: boolean): number",
    doc: "Payload bytes, -1 (queued) or 0 (dropped); `length` is `text.length`.",
  },
  {
    name: "sendBinary",
    signature: "(id: number, bytes: Bytes, compress: boolean): number",
    doc: "Payload bytes, -1 (queued) or 0 (dropped).",
  },
  {
    name: "sendSmall",
    signature: "(id: number, length: number): number",
    doc: "The same for the bytes in the last place of the shared memory.",
  },
  {
    name: "control",
    signature: "(id: number, opcode: number, payload: string | Bytes | undefined): number",
    doc: "Ping (9) or pong (10) of at most 125 bytes.",
  },
  {
    name: "close",
    signature: "(id: number, code: number, reason: string): void",
    doc: "Closing handshake; code 0 = a close frame without payload.",
  },
  { name: "terminate", signature: "(id: number): void", doc: "Closes without a close frame." },
  { name: "buffered", signature: "(id: number): number", doc: "Bytes that the kernel has not taken." },
  { name: "pause", signature: "(id: number): void", doc: "Stops reading." },
  { name: "resume", signature: "(id: number): void", doc: "Reads again." },
  {
    name: "subscribe",
    signature: "(id: number, topicId: number): void",
    doc: "Adds a subscriber.",
  },
  {
    name: "unsubscribe",
    signature: "(id: number, topicId: number): void",
    doc: "Removes a subscriber.",
  },
  {
    name: "publishText",
    signature: "(topicId: number, exceptId: number, text: string, length: number, compress: boolean): number",
    doc: "Payload bytes n, or -1 - n when a socket of the process is blocked. `exceptId` -1 = nobody.",
  },
  {
    name: "publishBinary",
    signature: "(topicId: number, exceptId: number, bytes: Bytes, compress: boolean): number",
    doc: "As `publishText`.",
  },
  { name: "blockedSockets", signature: "(): number[]", doc: "Ids of this env's blocked sockets." },
  { name: "queueState", signature: "(id: number): number", doc: "-1 = queues, 0 = over its limit." },
  { name: "hold", signature: "(): void", doc: "Keeps commands back until the outermost `release`." },
  { name: "release", signature: "(): void", doc: "Hands held commands over." },
  { name: "fatal", signature: "(error: unknown): void", doc: "Reports an uncaught exception to the host." },
  {
    name: "leave",
    signature: "(ms: number): void",
    doc: "Hands commands over and waits until everything has left, or `ms` passed.",
  },
  { name: "byteLengthUtf8", signature: "(text: string): number", doc: "Bytes of the text as UTF-8." },
  { name: "continueDrain", signature: "(): void", doc: "Goes on with the events that `later` put off." },
];

/** Callbacks that `native.attach` takes; none may throw. @type {Entry[]} */
export const callbacks = [
  {
    name: "message",
    signature: "(id: number, data: string | ArrayBuffer | number): true | undefined",
    doc: "true: the handler returned a thenable.",
  },
  {
    name: "messages",
    signature: "(n: number, ...pairs: (number | string | ArrayBuffer | undefined)[]): number | undefined",
    doc: "2 to 8 messages, always 17 arguments. A number: so many were consumed, the last one with a thenable.",
  },
  { name: "ping", signature: "(id: number, data: ArrayBuffer): void", doc: "Only with a ping handler." },
  { name: "pong", signature: "(id: number, data: ArrayBuffer): void", doc: "Only with a pong handler." },
  { name: "drain", signature: "(id: number): void", doc: "What was queued has been written." },
  {
    name: "close",
    signature: "(id: number, code: number, reason: string): void",
    doc: "The connection ended from outside; the id is free after this.",
  },
  {
    name: "gone",
    signature: "(id: number): void",
    doc: "A connection that JavaScript closed has ended; the id is free.",
  },
  {
    name: "request",
    signature:
      "(serverId: number, rid: number, method: string, target: string, headers: string, handshake: number, flags: number, address: string, port: number): void",
    doc: "A request head. `handshake`: 0 = none, 1 = good, 2 = wrong version.",
  },
  {
    name: "body",
    signature: "(rid: number, chunk: ArrayBuffer | null | undefined): void",
    doc: "Answers `bodyRead`: a chunk, null = end, undefined = failed.",
  },
  { name: "responseWritable", signature: "(rid: number): void", doc: "After `respondChunk` gave false." },
  {
    name: "requestEnd",
    signature: "(rid: number, aborted: boolean): void",
    doc: "The exchange is over; last use of `rid`. Not sent after an upgrade.",
  },
  { name: "serverGone", signature: "(serverId: number): void", doc: "Nothing of a stopped server is left." },
  {
    name: "later",
    signature: "(): void",
    doc: "A turn has been long: call `continueDrain` in another, behind timers and I/O.",
  },
];

/** Types that the signatures use. */
export const types = `
/** Bytes that are copied before the call returns. */
export type Bytes = ArrayBufferLike | ArrayBufferView;

export interface ListenOptions {
  hostname?: string;
  port?: number;
  unix?: string;
  reusePort?: boolean;
  ipv6Only?: boolean;
  backlog?: number;
  /** Absent = plain HTTP. */
  tls?: TlsMaterial;
}

/** Certificates and keys are DER. */
export interface TlsMaterial {
  /** At least one; the first is for clients that name no server, or none of these. */
  identities: TlsIdentity[];
  clients: TlsClients[];
  onlyTls12: boolean;
  onlyTls13: boolean;
}

/** What clients have to show. */
export interface TlsClients {
  requestCert: boolean;
  rejectUnauthorized: boolean;
  /** Who may vouch for them. */
  authorities: Uint8Array[];
  /** Whether they are told who that is. */
  namesAuthorities: boolean;
}

export interface TlsIdentity {
  serverName?: string;
  chain: Uint8Array[];
  key: Uint8Array;
  form: "pkcs8" | "pkcs1" | "sec1";
  /** Which of the material's clients holds for the name. */
  clients: number;
}

export interface Listening {
  id: number;
  port?: number;
  address?: string;
  family?: string;
  path?: string;
}

/** Sizes in bytes, times in seconds. */
export interface Settings {
  maxPayloadLength: number;
  /** 0 = none. */
  idleTimeout: number;
  sendPings: boolean;
  /** 0 = none. */
  backpressureLimit: number;
  closeOnBackpressureLimit: boolean;
  /** 0 nothing, 1 a shared context, 9 to 15 a socket's own with so many window bits. */
  compress: number;
  decompress: number;
  hasPing: boolean;
  hasPong: boolean;
  hasDrain: boolean;
  hasMessage: boolean;
  httpIdleTimeout: number;
  maxRequestBodySize: number;
}
`;
