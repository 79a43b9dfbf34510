/// <reference types="node" />

/**
 * WebSocket server with the interface of `Bun.serve`, for Node and Deno.
 *
 * Names are those of Bun's own types, so an import of a type can be switched without other changes.
 * Numbered differences ("difference 3") are rows of `docs/parity.md`; error texts and codes are in
 * `docs/errors.md`.
 *
 * @packageDocumentation
 */

/**
 * Starts a server. The address is bound when the call returns: `server.port` is known and a taken port has thrown.
 *
 * The server keeps the process alive until {@link Server.stop} or {@link Server.unref}.
 *
 * @typeParam WebSocketData - type of `ws.data`; it reaches `upgrade`'s `data` and every handler. It is taken
 * from the type argument, or from `websocket.data`. Without either it is `undefined`, and `upgrade` takes no
 * `data`. TypeScript cannot infer it from the call of `upgrade` inside `fetch`; it checks that call.
 * @typeParam Path - the keys of `routes`; inferred when no type argument is given.
 * @param options - what to listen on, the request handler and the WebSocket handlers
 * @returns the running server
 * @throws TypeError `ERR_INVALID_ARG_TYPE` when an option has the wrong type, when neither `fetch` nor `routes`
 * is given, and for options of Bun that do not exist here (difference 17)
 * @throws RangeError `ERR_OUT_OF_RANGE` when `port` is no integer from 0 to 65535
 * @throws Error `EADDRINUSE`, `EADDRNOTAVAIL`, `EACCES`, `ENOENT`, `ENOTFOUND` when the address cannot be bound
 * (`syscall` is "listen", `errno` is negative; difference 11)
 *
 * @example An echo server
 * ```ts
 * import { serve } from "ferrows";
 *
 * const server = serve({
 *   port: 3000,
 *   fetch(request, server) {
 *     if (server.upgrade(request)) return;
 *     return new Response("This is a WebSocket server", { status: 426 });
 *   },
 *   websocket: {
 *     message(ws, message) {
 *       ws.send(message);
 *     },
 *   },
 * });
 * console.log(`listening on ${server.url}`);
 * ```
 *
 * @example Typed data for each socket
 * ```ts
 * import { serve } from "ferrows";
 *
 * serve<{ name: string }>({
 *   fetch(request, server) {
 *     const name = new URL(request.url).searchParams.get("name") ?? "guest";
 *     if (server.upgrade(request, { data: { name } })) return;
 *     return new Response("Not found", { status: 404 });
 *   },
 *   websocket: {
 *     open(ws) {
 *       ws.send(`Hello ${ws.data.name}`);
 *     },
 *   },
 * });
 * ```
 */
export function serve<WebSocketData = undefined, Path extends string = string>(
  options: ServeOptions<WebSocketData, Path>,
): Server<WebSocketData>;

/**
 * Serves a module that exports `attach`, `open`, `message`, `close` and `drain`, or some of them.
 *
 * Each handshake calls `attach(request)`; what it returns or resolves to becomes `ws.data`. The server is also set as
 * `globalThis.brisaServer`, so that any file of the program can publish.
 *
 * Not part of Bun: a convenience on top of {@link serve}.
 *
 * @typeParam WebSocketData - type of `ws.data`, inferred from what `attach` returns
 * @param module - a module namespace (`import * as chat from "./chat.js"`), an object of the same shape, or a
 * namespace whose default export is one
 * @param options - options of {@link serve}; `fetch` answers what is no WebSocket handshake, `websocket` carries
 * limits
 * @returns the running server
 * @throws TypeError `ERR_INVALID_ARG_TYPE` when the module has none of the exports, or one that is no function, and
 * for wrong options; otherwise the errors of {@link serve}
 *
 * @example
 * ```ts
 * import { serveModule, type ServerWebSocket } from "ferrows";
 *
 * type User = { name: string };
 *
 * const chat = {
 *   attach(request: Request): User {
 *     return { name: new URL(request.url).searchParams.get("name") ?? "guest" };
 *   },
 *   open(ws: ServerWebSocket<User>) {
 *     ws.subscribe("chat");
 *   },
 *   message(ws: ServerWebSocket<User>, message: string) {
 *     ws.publish("chat", `${ws.data.name}: ${message}`);
 *   },
 * };
 *
 * serveModule(chat, { port: 3000 });
 * globalThis.brisaServer?.publish("chat", "The server is up");
 * ```
 */
export function serveModule<WebSocketData = undefined>(
  module: WebSocketModule<WebSocketData> | { default: WebSocketModule<WebSocketData> },
  options?: ServeModuleOptions<WebSocketData>,
): Server<WebSocketData>;

/**
 * The same for a module that is still being loaded: `await serveModule(import("./chat.js"))`.
 *
 * @returns the running server; rejects with what the other form throws
 */
export function serveModule<WebSocketData = undefined>(
  module: Promise<WebSocketModule<WebSocketData> | { default: WebSocketModule<WebSocketData> }>,
  options?: ServeModuleOptions<WebSocketData>,
): Promise<Server<WebSocketData>>;

/**
 * A `Response` that costs next to nothing to make: on Node the platform's own takes longer than the rest of a request.
 *
 * Everything a program can see of it is as with the platform's class: constructor forms, `json`, `redirect`, `error`,
 * attributes, body methods, errors. Bodies are copied when the Response is made, as the platform does; strings and bytes
 * then go to the client without a stream. A platform object is made when `body` or `headers` is read, and for arguments
 * out of the ordinary, so that its errors are the platform's.
 *
 * `instanceof` works both ways with the platform's class, whose objects may be returned just as well. Platform functions
 * that want their own kind take `new globalThis.Response(response.body, response)`. The globals stay as they are;
 * `import "ferrows/register"` replaces them.
 *
 * @example
 * ```ts
 * import { Response, serve } from "ferrows";
 *
 * serve({ fetch: () => new Response("Hello", { headers: { "Cache-Control": "no-store" } }) });
 * ```
 */
export const Response: typeof globalThis.Response;
/** The platform's type: handlers may return any. */
export type Response = globalThis.Response;

/**
 * The platform's `Request`, which also takes the requests that handlers get: `new Request(request, { headers })`.
 *
 * The platform's own constructor, and its `fetch`, refuse those on Node 24 and later with a `TypeError`; pass them
 * `new Request(request)`, or `request.clone()`. With `import "ferrows/register"` the globals take them too.
 *
 * @example
 * ```ts
 * import { Request, serve } from "ferrows";
 *
 * serve({ fetch: (request) => fetch(new Request(request, { headers: { "x-forwarded": "1" } })) });
 * ```
 */
export const Request: typeof globalThis.Request;
/** The platform's type: handlers get one. */
export type Request = globalThis.Request;

/** Both functions, for `import ferrows from "ferrows"`. */
declare const ferrows: { readonly serve: typeof serve; readonly serveModule: typeof serveModule };
export default ferrows;

/**
 * What {@link serveModule} serves: the exports of one module.
 *
 * @example
 * ```ts
 * import type { WebSocketModule } from "ferrows";
 *
 * const clock: WebSocketModule<{ since: number }> = {
 *   attach: () => ({ since: Date.now() }),
 *   message(ws) {
 *     ws.send(`connected for ${Date.now() - ws.data.since} ms`);
 *   },
 * };
 * ```
 */
export interface WebSocketModule<WebSocketData = undefined> {
  /**
   * Runs once for each WebSocket handshake, before the socket exists. The value returned, or the value its promise
   * resolves to, becomes `ws.data`. A `Response` is sent instead and refuses the client. An exception or a rejection
   * is treated like one in `fetch`.
   *
   * @defaultValue absent: `ws.data` is `undefined`
   */
  attach?(request: Request): WebSocketData | Response | Promise<WebSocketData | Response>;
  /** As {@link WebSocketHandler.open}. */
  open?(ws: ServerWebSocket<WebSocketData>): void | Promise<void>;
  /** As {@link WebSocketHandler.message}. */
  message?(ws: ServerWebSocket<WebSocketData>, message: string | Buffer<ArrayBuffer>): void | Promise<void>;
  /** As {@link WebSocketHandler.close}. */
  close?(ws: ServerWebSocket<WebSocketData>, code: number, reason: string): void | Promise<void>;
  /** As {@link WebSocketHandler.drain}. */
  drain?(ws: ServerWebSocket<WebSocketData>): void | Promise<void>;
  /** As {@link WebSocketHandler.ping}. */
  ping?(ws: ServerWebSocket<WebSocketData>, data: Buffer<ArrayBuffer>): void | Promise<void>;
  /** As {@link WebSocketHandler.pong}. */
  pong?(ws: ServerWebSocket<WebSocketData>, data: Buffer<ArrayBuffer>): void | Promise<void>;
  /** As {@link WebSocketHandler.error}. */
  error?(error: Error, ws: ServerWebSocket<WebSocketData>): void | Promise<void>;
}

/**
 * Options of {@link serveModule}: those of {@link serve}, with `fetch` optional.
 *
 * @example
 * ```ts
 * import type { ServeModuleOptions } from "ferrows";
 *
 * const options: ServeModuleOptions = {
 *   port: 3000,
 *   fetch: () => new Response("Nothing to see here", { status: 404 }),
 *   websocket: { idleTimeout: 30 },
 * };
 * ```
 */
export interface ServeModuleOptions<WebSocketData = undefined> extends ServeBaseOptions<WebSocketData> {
  /**
   * Answers requests that are not WebSocket handshakes, and with `path` those for other paths.
   *
   * @defaultValue 426 at the place of the sockets, 404 elsewhere
   */
  fetch?: FetchHandler<WebSocketData>;
  /** Handlers by path, asked first. See {@link Routes}. @defaultValue none */
  routes?: Routes<WebSocketData>;
  /**
   * The one path at which sockets are accepted; begins with "/". Compared as sent, without the query.
   *
   * @defaultValue every path
   */
  path?: string;
  /**
   * Name of the global variable that holds the server, or `false` for none.
   *
   * @defaultValue "brisaServer"
   */
  global?: string | false;
}

/**
 * One function that answers HTTP requests. `this` is the server.
 *
 * Return a `Response`, or a promise of one. Return nothing after a successful {@link Server.upgrade}.
 * Nothing returned without an upgrade answers 204 and writes a line to stderr, once per handler (difference 10).
 *
 * @example
 * ```ts
 * import type { FetchHandler } from "ferrows";
 *
 * const fetch: FetchHandler = (request, server) => {
 *   if (server.upgrade(request)) return;
 *   return new Response("Hello");
 * };
 * ```
 */
export type FetchHandler<WebSocketData = undefined> = (
  this: Server<WebSocketData>,
  request: Request,
  server: Server<WebSocketData>,
) => Answer | Promise<Answer>;

/** What a request handler gives: a `Response`, or nothing after an upgrade. */
// biome-ignore lint/suspicious/noConfusingVoidType: handlers written for Bun are annotated with void
export type Answer = Response | undefined | void;

/**
 * Options of {@link serve}: {@link ServeBaseOptions} and at least one of `fetch` and `routes`.
 *
 * @example
 * ```ts
 * import { serve, type ServeOptions } from "ferrows";
 *
 * const options: ServeOptions = {
 *   hostname: "127.0.0.1",
 *   port: 0,
 *   fetch: () => new Response("Hello"),
 * };
 * serve(options);
 * ```
 */
export type ServeOptions<WebSocketData = undefined, Path extends string = string> =
  | FetchServeOptions<WebSocketData, Path>
  | RoutesServeOptions<WebSocketData, Path>;

/** {@link ServeOptions} with a `fetch` handler; `routes` may be there too and is asked first. */
export interface FetchServeOptions<WebSocketData = undefined, Path extends string = string>
  extends ServeBaseOptions<WebSocketData> {
  /** Answers every request that no route answers. Called with the request and the server. */
  fetch: FetchHandler<WebSocketData>;
  /** Handlers by path. See {@link Routes}. @defaultValue none */
  routes?: Routes<WebSocketData, Path>;
}

/** {@link ServeOptions} with `routes`; without `fetch`, a request that matches no route gets 404 without a body. */
export interface RoutesServeOptions<WebSocketData = undefined, Path extends string = string>
  extends ServeBaseOptions<WebSocketData> {
  /** Answers every request that no route answers. @defaultValue 404 without a body */
  fetch?: FetchHandler<WebSocketData>;
  /** Handlers by path. See {@link Routes}. */
  routes: Routes<WebSocketData, Path>;
}

/** Everything {@link serve} takes besides `fetch` and `routes`. `undefined` and `null` mean the default. */
export interface ServeBaseOptions<WebSocketData = undefined> {
  /**
   * Handlers and limits of the WebSocket side. Without it {@link Server.upgrade} throws.
   *
   * @defaultValue absent: HTTP only
   */
  websocket?: WebSocketHandler<WebSocketData>;
  /**
   * TCP port, 0 to 65535. 0 picks a free one; read it from {@link Server.port}. A numeric string is accepted.
   *
   * @defaultValue the first of the environment variables `BUN_PORT`, `PORT`, `NODE_PORT` that holds a port, else
   * 3000.
   * Deno reads them only with `--allow-env`.
   * @throws RangeError `ERR_OUT_OF_RANGE` from `serve` for anything else
   */
  port?: number | string | null;
  /**
   * Address or name to bind. "localhost" binds 127.0.0.1.
   *
   * @defaultValue all interfaces, IPv6 and IPv4 (`::`); `server.hostname` then says "localhost"
   * @throws Error `EADDRNOTAVAIL` from `serve` when no interface has the address, `ENOTFOUND` when the name does
   * not resolve (difference 11)
   */
  hostname?: "0.0.0.0" | "127.0.0.1" | "localhost" | (string & {}) | null;
  /**
   * Path of a Unix domain socket to listen on instead of `hostname` and `port`. A path that starts with a NUL is
   * an abstract socket (Linux). The file has mode 755 and is removed by `stop()`. Not available on Windows.
   *
   * @defaultValue absent: TCP
   * @throws Error `EADDRINUSE` from `serve` when the file exists, `ENOENT` when its folder does not
   */
  unix?: string | null;
  /**
   * Seconds, an integer up to 255, without a byte in either direction after which an HTTP connection is closed;
   * also counts while a handler is pending. 0 or negative: never. Does not apply to upgraded sockets:
   * see {@link WebSocketHandler.idleTimeout}. The head of a request must be complete within this time, and within
   * 60 seconds whatever this is: single bytes of it do not count (difference 33).
   *
   * @defaultValue 10
   * @throws TypeError `ERR_INVALID_ARG_TYPE` from `serve` when it is no integer or over 255
   */
  idleTimeout?: number;
  /**
   * Largest request body in bytes; a larger one is answered 413 and the connection is closed.
   *
   * @defaultValue 134217728 (128 MiB)
   */
  maxRequestBodySize?: number;
  /**
   * Development mode: an unanswered exception shows its message and stack in the 500 response. Keep it off in
   * production.
   *
   * @defaultValue `false` when the environment variable `NODE_ENV` is "production", otherwise `true`
   */
  development?: boolean;
  /**
   * Answers for `fetch` or a route handler that threw or rejected. Gets the thrown value as it is, so it need not
   * be an `Error`. When it returns nothing or throws, the answer is 500.
   *
   * @defaultValue 500 `Something went wrong!`
   */
  error?: (this: Server<WebSocketData>, error: ErrorLike) => Answer | Promise<Answer>;
  /** A name for the server, readable as {@link Server.id}. @defaultValue "" */
  id?: string | null;
  /**
   * Lets several sockets listen on one port (`SO_REUSEPORT`). Unlike in Bun, `development: false` does not
   * turn it on.
   *
   * @defaultValue false
   */
  reusePort?: boolean;
  /** Makes `::` take IPv6 connections only. @defaultValue false */
  ipv6Only?: boolean;
  /**
   * Serves `https:` and `wss:`, with TLS 1.2 and 1.3. An array gives several certificates, each but the first with its
   * `serverName`; the first is for clients that name no server, or another one. `null`, `false`, `{}` and `[]` mean
   * plain HTTP. {@link Server.reload} takes new certificates without dropping a connection.
   *
   * @defaultValue plain HTTP
   * @throws TypeError `ERR_INVALID_ARG_TYPE` from `serve` for members of a wrong type, a file that cannot be read, and
   * for a key or a certificate alone (difference 12)
   * @throws Error from `serve` when the material is bad: `ERR_OSSL_PEM_NO_START_LINE` (no PEM),
   * `ERR_OSSL_X509_KEY_VALUES_MISMATCH` (the certificate is another key's), `ERR_OSSL_BAD_DECRYPT` (wrong or missing
   * passphrase), `ERR_OSSL_UNSUPPORTED` (kind of key); the message says what to do
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * serve({
   *   port: 443,
   *   tls: { keyFile: "/etc/ssl/private/example.key", certFile: "/etc/ssl/example-chain.crt" },
   *   fetch: () => new Response("Hello over TLS"),
   * });
   * ```
   */
  tls?: TLSOptions | TLSOptions[] | null | false;
}

/** PEM: its text, or the bytes of it. A `Blob` cannot be read synchronously and throws. */
export type TLSMaterial = string | ArrayBufferLike | ArrayBufferView;

/** See {@link ServeBaseOptions.tls}. All of it is read during the call. */
export interface TLSOptions {
  /** Private key: RSA of 2048 bits or more, EC (P-256, P-384, P-521) or Ed25519; PKCS#8, PKCS#1 or SEC 1. An array goes
   * with an array in `cert`: the client gets the last pair it can check. */
  key?: TLSMaterial | TLSMaterial[] | null;
  /** The certificate, followed by those between it and a root. */
  cert?: TLSMaterial | TLSMaterial[] | null;
  /** Who may vouch for clients, with `requestCert`. @defaultValue the authorities that the host brings along */
  ca?: TLSMaterial | TLSMaterial[] | null;
  /** Path of a file, instead of `key`. */
  keyFile?: string | null;
  /** Path of a file, instead of `cert`. */
  certFile?: string | null;
  /** Path of a file, instead of `ca`. */
  caFile?: string | null;
  /** Opens an encrypted key. */
  passphrase?: string | null;
  /** The host name that this certificate is for; a leading `*` stands for one label. */
  serverName?: string | null;
  /**
   * Asks clients for a certificate. `requestCert`, `rejectUnauthorized` and `ca` are for the clients that ask for this
   * `serverName` in their handshake; those of the first object are for all others, also for names whose objects say
   * nothing about it. No name can ask for less than the first object does, nor two objects for one name for different
   * things (difference 35).
   *
   * The `Host` of a request may be another name than the handshake's, here and in Bun: what only clients with a
   * certificate may see belongs on a server of its own, or behind the same rules for all names.
   *
   * @defaultValue false
   */
  requestCert?: boolean | null;
  /** With `requestCert`: refuses clients without a certificate, or with one nobody vouches for. @defaultValue true */
  rejectUnauthorized?: boolean | null;
  /** Lowest version, as on the wire: 0x0303 is TLS 1.2, 0x0304 is TLS 1.3. Lower ones act as TLS 1.2 (difference 34).
   * From the first object, as `maxVersion` and `secureOptions`.
   * @defaultValue 0x0303 */
  minVersion?: number | null;
  /** Highest version. @defaultValue 0x0304 */
  maxVersion?: number | null;
  /** OpenSSL's bits; `SSL_OP_NO_TLSv1_2` (0x08000000) and `SSL_OP_NO_TLSv1_3` (0x20000000) are honoured. */
  secureOptions?: number | null;
  /** Checked, without effect: "http/1.1" is what ALPN finds. */
  ALPNProtocols?: TLSMaterial | null;
  /** The file must be there, and is not used: no suite needs it. */
  dhParamsFile?: string | null;
  /** Without effect. */
  lowMemoryMode?: boolean | null;
  /** Without effect: clients cannot renegotiate. */
  clientRenegotiationLimit?: number | null;
  /** Without effect. */
  clientRenegotiationWindow?: number | null;
}

/**
 * Names of the HTTP methods a route can list. A request whose method is not listed goes to a less exact route, or to
 * `fetch`. HEAD is answered by the GET entry unless it has its own.
 */
export type HTTPMethod =
  | "GET"
  | "POST"
  | "PUT"
  | "DELETE"
  | "PATCH"
  | "HEAD"
  | "OPTIONS"
  | "CONNECT"
  | "TRACE";

/**
 * What a route may be: a `Response` sent to everybody, `false` (the path is left to `fetch`), a handler, or an object
 * with one of the first two kinds for each method.
 *
 * A `Response` is taken as it is when `serve` or `reload` is called; it stays usable, and later changes of it have no
 * effect. The I/O threads answer for it, so such requests do not reach JavaScript. It gets an `ETag` unless it has one,
 * and GET and HEAD with a matching `If-None-Match` are answered 304. Handshakes pass by it where there are `websocket`
 * handlers. Its body must be there as a whole: a `ReadableStream` is refused where the host lets it be told from other
 * bodies (Node), and read to its end where not (Deno; byte streams and async iterables).
 */
export type RouteValue<WebSocketData = undefined, Path extends string = string> =
  | Response
  | false
  | RouteHandler<WebSocketData, Path>
  | { [Method in HTTPMethod]?: RouteHandler<WebSocketData, Path> | Response };

/** As {@link FetchHandler}, with `request.params`. */
export type RouteHandler<WebSocketData = undefined, Path extends string = string> = (
  this: Server<WebSocketData>,
  request: BunRequest<Path>,
  server: Server<WebSocketData>,
) => Answer | Promise<Answer>;

/**
 * Handlers by path. "/a/:id" has a parameter, "/a/*" matches everything below "/a/". Exact paths win over
 * parameters, parameters over wildcards, wildcards over `fetch`, segment by segment. Paths are compared as sent: case
 * and trailing slashes count, nothing is decoded. HTML bundles and `{ dir }` are not offered (difference 17).
 *
 * @example
 * ```ts
 * import { serve } from "ferrows";
 *
 * serve({
 *   routes: {
 *     "/health": new Response("ok"),
 *     "/users/:id": (request) => new Response(`user ${request.params.id}`),
 *     "/live": (request, server) => {
 *       if (server.upgrade(request)) return;
 *       return new Response("WebSocket only", { status: 426 });
 *     },
 *   },
 *   websocket: { message: (ws, message) => void ws.send(message) },
 * });
 * ```
 */
export type Routes<WebSocketData = undefined, Path extends string = string> = {
  [P in Path]: RouteValue<WebSocketData, P>;
};

/** The parameter names in a route path: `RouteParams<"/a/:id">` is `{ id: string }`. */
export type RouteParams<Path extends string> = string extends Path
  ? Record<string, string>
  : Path extends `${string}:${infer Name}/${infer Rest}`
    ? { [Key in Name]: string } & RouteParams<`/${Rest}`>
    : Path extends `${string}:${infer Name}`
      ? { [Key in Name]: string }
      : Record<never, string>;

/** The request a route handler gets: a `Request` with the values of the path's parameters, and its cookies. */
export interface BunRequest<Path extends string = string> extends Request {
  /** Values of the `:name` parts of the path, percent-decoded; what is no UTF-8 becomes U+FFFD. */
  readonly params: { [Key in keyof RouteParams<Path>]: RouteParams<Path>[Key] };
  /** Cookies of the request. Changes are sent with the response, or with the 101, as `Set-Cookie`. */
  readonly cookies: CookieMap;
  /**
   * A real `Request` with parameters and cookies of its own, as they are now: what is changed in one of the two is not
   * changed in the other, and only changes of the request's own cookies are sent. `new Request(request)` has neither.
   */
  clone(): BunRequest<Path>;
}

/** When browsers send a cookie to other sites. */
export type CookieSameSite = "strict" | "lax" | "none";

/** Attributes of a cookie. */
export interface CookieOptions {
  /** Host the cookie is for, with its subdomains; lower case. @defaultValue the host that sets it, alone */
  domain?: string | null;
  /** @defaultValue "/" */
  path?: string | null;
  /** When the client forgets it; a number counts seconds since 1970. @defaultValue at the end of the session */
  expires?: number | Date | string | null;
  /** Seconds until the client forgets it; counts before `expires`. @defaultValue none */
  maxAge?: number | null;
  /** Only over TLS. @defaultValue false */
  secure?: boolean;
  /** Hidden from scripts in pages. @defaultValue false */
  httpOnly?: boolean;
  /** One jar for each embedding site. @defaultValue false */
  partitioned?: boolean;
  /** @defaultValue "lax" */
  sameSite?: CookieSameSite | null;
}

/** A whole cookie as an object. */
export interface CookieInit extends CookieOptions {
  /** Visible ASCII without "=" and ";". */
  name: string;
  /** @defaultValue "" */
  value?: string;
}

/** Which cookie to delete: a client deletes only one with the same domain and path. */
export interface CookieDeleteOptions {
  /** @defaultValue none */
  domain?: string | null;
  /** @defaultValue "/" */
  path?: string | null;
}

/**
 * A cookie as a server sets it, with the interface of `Bun.Cookie`.
 *
 * @throws TypeError for a name, a path, a domain or an attribute that cannot be sent; RangeError for an invalid date
 *
 * @example
 * ```ts
 * import { Cookie } from "ferrows";
 *
 * const cookie = new Cookie("session", "abc", { httpOnly: true, maxAge: 3600 });
 * new Response("hello", { headers: { "set-cookie": cookie.toString() } });
 * ```
 */
export class Cookie {
  constructor(name: string, value: string, options?: CookieOptions | null);
  constructor(init: CookieInit);
  /** @param text - the value of a `Set-Cookie` header; the cookie's value stays as it is */
  constructor(text: string);
  /** Fixed. */
  readonly name: string;
  /** Not encoded. */
  value: string;
  get domain(): string | null;
  set domain(domain: string);
  path: string;
  get expires(): Date | undefined;
  set expires(expires: number | Date | string | null | undefined);
  /** Seconds. */
  get maxAge(): number | undefined;
  set maxAge(maxAge: number | null | undefined);
  secure: boolean;
  httpOnly: boolean;
  partitioned: boolean;
  sameSite: CookieSameSite;
  /** Whether `maxAge` is 0 or less, or else `expires` is past. */
  isExpired(): boolean;
  /** The value of a `Set-Cookie` header; the cookie's value is percent-encoded. */
  toString(): string;
  /** The same as {@link Cookie.toString}. */
  serialize(): string;
  toJSON(): Required<Pick<CookieInit, "name" | "value">> & CookieOptions;
  /** @param text - the value of a `Set-Cookie` header */
  static parse(text: string): Cookie;
  static from(name: string, value: string, options?: CookieOptions | null): Cookie;
}

/**
 * The cookies of a request by name, and the changes that its response tells the client; `Bun.CookieMap`.
 *
 * Iteration gives what was set first, then what the client sent. Equal names of the client all stay; `get` finds the
 * first one. As in Bun 1.4, a cookie that is set to "" is sent, and absent for the other methods.
 *
 * @example
 * ```ts
 * import { serve } from "ferrows";
 *
 * serve({
 *   routes: {
 *     "/": (request) => {
 *       const visits = Number(request.cookies.get("visits") ?? 0) + 1;
 *       request.cookies.set("visits", String(visits), { httpOnly: true });
 *       return new Response(`visit ${visits}`);
 *     },
 *   },
 * });
 * ```
 */
export class CookieMap implements Iterable<[string, string]> {
  /**
   * @param init - the value of a `Cookie` header, whose values are percent-decoded; or pairs, or an object
   * @throws TypeError for anything else
   */
  constructor(init?: string | readonly (readonly [string, string])[] | Record<string, string> | null);
  readonly size: number;
  /** @returns `null` when there is none */
  get(name: string): string | null;
  has(name: string): boolean;
  /** @throws TypeError as {@link Cookie}'s constructor */
  set(name: string, value: string, options?: CookieOptions | null): void;
  set(cookie: Cookie | CookieInit): void;
  /** Tells the client to forget the cookie, also when it has sent none of the name. */
  delete(name: string, options?: CookieDeleteOptions): void;
  delete(options: CookieDeleteOptions & { name: string }): void;
  /** The changes, as values of `Set-Cookie` headers. Only needed for responses that are not `serve`'s own. */
  toSetCookieHeaders(): string[];
  /** The first value of each name. */
  toJSON(): Record<string, string>;
  entries(): IterableIterator<[string, string]>;
  keys(): IterableIterator<string>;
  values(): IterableIterator<string>;
  forEach(callback: (value: string, name: string, map: CookieMap) => void, thisArg?: unknown): void;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

/**
 * What may be sent as a binary message: any `ArrayBuffer`, `SharedArrayBuffer`, typed array, `DataView` or
 * `Buffer`. A view sends only its own range. The bytes are copied during the call.
 */
export type BufferSource = ArrayBufferView | ArrayBufferLike;

/** What `headers` options take: `Headers`, an object, or pairs of name and value. */
export type HeadersInit =
  | Headers
  | Record<string, string | readonly string[]>
  | readonly (readonly [string, string])[]
  | string[][];

/**
 * Result of a send: bytes of the payload (above 0), -1, or 0.
 *
 * - above 0: bytes of the payload, before any compression and without the frame header
 * - -1: accepted and queued behind bytes the client has not taken yet; slow down until `drain`
 * - 0: dropped, because the socket is closed or over `backpressureLimit`; also the size of an empty payload
 *
 * -1 begins with the next send after the kernel refused bytes; a send of 64 KiB or more answers exactly
 * (difference 21).
 */
export type ServerWebSocketSendStatus = number;

/** 1 is open, 3 is closed. 0 and 2 do not occur: a socket is open when `open` runs and closed from `close()` on. */
export type WebSocketReadyState = 1 | 3;

/** Form in which binary messages, pings and pongs reach the handlers. */
export type BinaryType = "nodebuffer" | "arraybuffer" | "uint8array" | "blob";

/**
 * What one direction is compressed with.
 *
 * - `"shared"`: each message by itself; a connection costs no memory
 * - `"dedicated"` or a size: a message may refer to earlier ones; a connection keeps the last bytes of its window, at
 *   most 32 KB and never more than the size says
 * - `"disable"`: nothing is sent compressed; what clients compress is read as with `"shared"`, since the extension
 *   cannot be had for one direction only. With both disabled there is none
 */
export type WebSocketCompressor =
  | "disable"
  | "shared"
  | "dedicated"
  | "3KB"
  | "4KB"
  | "8KB"
  | "16KB"
  | "32KB"
  | "64KB"
  | "128KB"
  | "256KB";

/** Address of a client or of the server. */
export interface SocketAddress {
  /** IP address. On a dual-stack server IPv4 clients appear as `::ffff:127.0.0.1`, family IPv6. */
  address: string;
  /** TCP port, 1 to 65535. */
  port: number;
  /** IP family. */
  family: "IPv4" | "IPv6";
}

/** An error as system calls report it; also the type of what an `error` handler gets. */
export interface ErrorLike extends Error {
  /** Stable code, see {@link ErrorCode}. */
  code?: string;
  /** Negative number of the operating system. */
  errno?: number;
  /** "listen" for errors of `serve`. */
  syscall?: string;
}

/**
 * The values of `error.code` this package sets. The send family throws plain errors without a code, as Bun does.
 * `docs/errors.md` says for each who is to blame and what to do.
 */
export type ErrorCode =
  | "ERR_INVALID_ARG_TYPE"
  | "ERR_OUT_OF_RANGE"
  | "ERR_MISSING_ARGS"
  | "ERR_INVALID_THIS"
  | "ERR_BODY_ALREADY_USED"
  | "ERR_FERROWS_PLATFORM"
  | "ERR_FERROWS_BINARY"
  | "EADDRINUSE"
  | "EADDRNOTAVAIL"
  | "EACCES"
  | "ENOENT"
  | "ENOTFOUND";

/**
 * Options of {@link Server.upgrade}. `data` is required as soon as the server has a data type.
 *
 * @example
 * ```ts
 * import type { UpgradeOptions } from "ferrows";
 *
 * const options: UpgradeOptions<{ user: string }> = {
 *   data: { user: "ada" },
 *   headers: { "Set-Cookie": "seen=1" },
 * };
 * ```
 */
export type UpgradeOptions<WebSocketData = undefined> = {
  /**
   * Headers added to the 101 response. `Sec-WebSocket-Protocol` chooses the subprotocol; it is not checked
   * against the client's offer, and "" sends none. `Date` replaces the server's. `Upgrade`, `Connection`,
   * `Sec-WebSocket-Accept`, `Sec-WebSocket-Extensions`, `Content-Length` and `Transfer-Encoding` are ignored.
   *
   * @defaultValue none; if the client offers subprotocols, the first one is chosen, without blanks around it
   * (difference 4)
   */
  headers?: HeadersInit;
} & (undefined extends WebSocketData
  ? {
      /** Becomes `ws.data`. @defaultValue undefined */
      data?: WebSocketData;
    }
  : {
      /** Becomes `ws.data`: the same object, not a copy. */
      data: WebSocketData;
    });

/**
 * A running server. Methods need their object: taken off it they throw a TypeError `ERR_INVALID_THIS`.
 *
 * @typeParam WebSocketData - type of `ws.data` of its sockets
 *
 * @example Stops at the end of the scope
 * ```ts
 * import { serve, type Server } from "ferrows";
 *
 * function announce(server: Server<unknown>, text: string): void {
 *   server.publish("news", text);
 * }
 *
 * const server = serve({ port: 0, fetch: () => new Response("Hello") });
 * announce(server, `port ${server.port}`);
 * await server.stop();
 * ```
 */
export interface Server<WebSocketData = undefined> {
  /**
   * Turns a handshake request into a WebSocket. `open` runs inside the call, before it returns.
   *
   * May be called after an `await`; bytes the client sends meanwhile are kept and reach `message` in order
   * (difference 1).
   *
   * @param request - the request given to `fetch` or to a route handler of this server
   * @param options - headers of the 101 response and the socket's `data`
   * @returns `true` when the socket is open. `false` when the request is no handshake (wrong method, `Upgrade` or
   * key), was answered or upgraded already, is a copy, or its client is gone: return a `Response` then. For a
   * missing or wrong `Sec-WebSocket-Version` it is `false` and 426 has been sent; the `Response` is ignored.
   * @throws TypeError `ERR_INVALID_ARG_TYPE` without `websocket` in the options, without a request or with
   * something else, with options that are no object, with `headers` of another type, and for a request of
   * another server
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * serve<{ user: string }>({
   *   async fetch(request, server) {
   *     const user = await userOf(request.headers.get("Cookie"));
   *     if (!user) return new Response("Who are you?", { status: 401 });
   *     if (server.upgrade(request, { data: { user } })) return;
   *     return new Response("WebSocket only", { status: 426 });
   *   },
   *   websocket: {
   *     open(ws) {
   *       ws.subscribe(`user/${ws.data.user}`);
   *     },
   *   },
   * });
   *
   * async function userOf(cookie: string | null): Promise<string | undefined> {
   *   return cookie?.match(/user=(\w+)/)?.[1];
   * }
   * ```
   */
  upgrade(
    request: Request,
    ...options: undefined extends WebSocketData
      ? [options?: UpgradeOptions<WebSocketData> | null]
      : [options: UpgradeOptions<WebSocketData>]
  ): boolean;

  /**
   * Sends a message to every socket subscribed to a topic. Order against `send`, `subscribe` and `close` is call
   * order.
   *
   * @param topic - not empty; no wildcards
   * @param data - text for a string, else binary; copied during the call (a `Blob` keeps its place in the order)
   * @param compress - for subscribers that negotiated `perMessageDeflate`. @defaultValue true
   * @returns bytes of the payload; 0 when nobody is subscribed, or when a subscriber dropped it (the others got
   * it); -1 when a subscriber queues it
   * @throws TypeError `ERR_INVALID_ARG_TYPE` with fewer than two arguments
   * @throws Error `publish requires a topic string` when the topic is ""
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * const server = serve({
   *   fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("Hello")),
   *   websocket: { open: (ws) => void ws.subscribe("clock") },
   * });
   * setInterval(() => server.publish("clock", new Date().toISOString()), 1000);
   * ```
   */
  publish(topic: string, data: string | BufferSource | Blob, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Number of sockets subscribed to a topic; 0 for one that nobody knows.
   *
   * @throws TypeError `ERR_MISSING_ARGS` without an argument
   */
  subscriberCount(topic: string): number;

  /**
   * Stops listening at once and closes idle keep-alive connections. Pending requests complete. Without
   * `closeActiveConnections` open WebSockets stay usable. With it, they are closed with 1001 `Server closed`, their
   * close handlers run before the call returns, and pending requests are cut off without a response.
   *
   * May be called again, also to go from `stop()` to `stop(true)`.
   *
   * @param closeActiveConnections - @defaultValue false
   * @returns resolves when the last connection is gone and its close handler has run
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * const server = serve({ fetch: () => new Response("Hello") });
   * process.once("SIGTERM", async () => {
   *   const force = setTimeout(() => server.stop(true), 10_000);
   *   await server.stop();
   *   clearTimeout(force);
   * });
   * ```
   */
  stop(closeActiveConnections?: boolean): Promise<void>;

  /**
   * Replaces handlers and limits, for existing sockets too, close handlers included. What is not given stays.
   * `port`, `hostname` and `unix` have no effect. New certificates in `tls` are for the handshakes to come, which Bun
   * does not offer; a server that was started without TLS stays without.
   *
   * @returns the same server
   * @throws TypeError `ERR_MISSING_ARGS` without an argument
   * @throws TypeError `ERR_INVALID_ARG_TYPE` as {@link serve}, and for `tls` on a server without it; the old handlers
   * and certificates then stay in use
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * const server = serve({ fetch: () => new Response("first") });
   * server.reload({ fetch: () => new Response("second") });
   * ```
   */
  reload<Path extends string = string>(
    options: Partial<ServeOptions<WebSocketData, Path>>,
  ): Server<WebSocketData>;

  /**
   * Runs the `fetch` handler without a network; `routes` are not asked.
   *
   * @param request - a `Request`, a URL, or a path
   * @returns always a promise, of what the handler gives. It rejects with what the handler throws, for an argument that
   * is none of these, and without a `fetch` handler; as any rejection it is unhandled unless the caller sees to it
   */
  fetch(request: Request | string | URL): Promise<Response>;

  /**
   * Address of the client of a request that is not answered yet.
   *
   * @returns `null` after the response or the upgrade, for requests of others, and on a Unix socket
   * @throws TypeError `ERR_INVALID_ARG_TYPE` when the argument is no request
   */
  requestIP(request: Request): SocketAddress | null;

  /**
   * Sets the idle timeout of one request's connection, instead of {@link ServeBaseOptions.idleTimeout}.
   *
   * @param seconds - 0: none
   * @throws Error `timeout() requires a number`
   * @throws TypeError `ERR_MISSING_ARGS` or `timeout() requires a Request object`
   */
  timeout(request: Request, seconds: number): void;

  /** Closes idle keep-alive connections. @returns how many */
  closeIdleConnections(): number;

  /** Keeps the process alive while the server runs: the default. @returns the server */
  ref(): Server<WebSocketData>;

  /** Lets the process end, also with open WebSockets. @returns the server */
  unref(): Server<WebSocketData>;

  /** As `stop()`; makes `using server = serve(...)` work. */
  [Symbol.dispose](): void;

  /** Address bound; on a Unix socket its path. */
  readonly address: SocketAddress | string;
  /** TCP port, also after `stop()`; `undefined` on a Unix socket. */
  readonly port: number | undefined;
  /** Host name as given, "localhost" by default; `undefined` on a Unix socket. */
  readonly hostname: string | undefined;
  /** URL of the server: `http://host:port/` (or `https:`), `unix://path` or `abstract://name/`. The same object at each read. */
  readonly url: URL;
  /** "https" with the option `tls`, otherwise "http". */
  readonly protocol: "http" | "https" | null;
  /** Whether development mode is on. See {@link ServeBaseOptions.development}. */
  readonly development: boolean;
  /** The `id` option. @defaultValue "" */
  readonly id: string;
  /** Requests whose response is not finished. An upgraded request counts until its handler is done. */
  readonly pendingRequests: number;
  /** Open WebSockets. A socket counts until its close handler has returned. */
  readonly pendingWebSockets: number;
}

/**
 * One WebSocket connection, as handlers get it: the same object in every call. Cannot be constructed.
 *
 * Methods need their object: taken off it they throw a TypeError `ERR_INVALID_THIS`. On a closed socket nothing
 * throws for its arguments: the send family returns 0, the topic methods `false`, except `publish` (see there).
 * Properties of your own may be added; `data` is the place meant for them.
 *
 * @typeParam T - type of {@link ServerWebSocket.data}
 *
 * @example
 * ```ts
 * import type { ServerWebSocket } from "ferrows";
 *
 * function greet(ws: ServerWebSocket<{ name: string }>): void {
 *   ws.send(`Hello ${ws.data.name}`);
 * }
 * ```
 */
export interface ServerWebSocket<T = undefined> {
  /**
   * Sends one message: text for a string, binary for bytes. Never fragmented.
   *
   * Order against every other send, publish, ping and close is call order. Bytes are copied during the call, so
   * a buffer may be reused at once. A `Blob` is read asynchronously and keeps its place; its size is returned at once
   * (difference 23). One that cannot be read is left out, and `error` gets the reason.
   * Other values, such as numbers and objects, are sent as the text of `String(value)`; do not rely on it.
   *
   * @param compress - if `perMessageDeflate` was negotiated. @defaultValue false
   * @returns see {@link ServerWebSocketSendStatus}
   * @throws Error without code: no argument, `undefined` or `null`, or a `compress` that is no boolean
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * serve({
   *   fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("Hello")),
   *   websocket: {
   *     open(ws) {
   *       ws.send("text");
   *       ws.send(new Uint8Array([1, 2, 3]));
   *     },
   *   },
   * });
   * ```
   */
  send(data: string | BufferSource | Blob, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Sends a text message. As {@link ServerWebSocket.send} without the look at the type.
   *
   * @throws Error `sendText expects a string`
   */
  sendText(data: string, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Sends a binary message. As {@link ServerWebSocket.send} without the look at the type.
   *
   * @throws Error `sendBinary expects a Blob or BufferSource`
   */
  sendBinary(data: BufferSource | Blob, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Sends a ping. Clients answer with a pong of the same payload, see {@link WebSocketHandler.pong}. Pings against
   * idle connections are sent without it, see {@link WebSocketHandler.sendPings}.
   *
   * @param data - at most 125 bytes; a string counts in UTF-8. @defaultValue empty
   * @returns see {@link ServerWebSocketSendStatus}
   * @throws RangeError without code when the payload is longer than 125 bytes
   * @throws Error `ping expects a string, Blob, or BufferSource`
   */
  ping(data?: string | BufferSource | Blob): ServerWebSocketSendStatus;

  /**
   * Sends a pong nobody asked for. Pings of the client are answered without it.
   *
   * @param data - at most 125 bytes; a string counts in UTF-8. @defaultValue empty
   * @returns see {@link ServerWebSocketSendStatus}
   * @throws RangeError without code when the payload is longer than 125 bytes
   * @throws Error `pong expects a string, Blob, or BufferSource`
   */
  pong(data?: string | BufferSource | Blob): ServerWebSocketSendStatus;

  /**
   * Closes the connection. The close handler runs inside the call with this code and reason; messages that
   * arrive afterwards are dropped. What was sent before still leaves, then the close frame. Does not wait for the
   * client's close frame. No effect on a closed socket.
   *
   * @param code - 1 to 65535; use 1000 to 1003, 1007 to 1014 or 3000 to 4999. 0, 1005, 1006 and, unlike in Bun,
   * numbers outside 16 bits send a close frame without payload (difference 6). @defaultValue 1000
   * @param reason - cut to 123 bytes of UTF-8, at a character. @defaultValue ""
   * @throws TypeError `ERR_INVALID_ARG_TYPE` when `code` is neither a number nor `undefined`; the socket stays open
   *
   * @example
   * ```ts
   * import type { ServerWebSocket } from "ferrows";
   *
   * function kick(ws: ServerWebSocket): void {
   *   ws.close(4000, "You have been idle for too long");
   * }
   * ```
   */
  close(code?: number, reason?: string): void;

  /**
   * Ends the connection without a close frame. The close handler runs inside the call with 1006 and "". What the
   * kernel takes at once of the queued bytes still leaves, the rest is lost (difference 15).
   */
  terminate(): void;

  /**
   * Sends a message to all other subscribers of a topic; to this socket too with {@link
   * WebSocketHandler.publishToSelf}.
   * The socket need not be subscribed. Works in the close handler and afterwards: the socket is then no longer a
   * subscriber.
   *
   * @param topic - not empty; no wildcards
   * @param data - text for a string, else binary; copied during the call (a `Blob` keeps its place in the order)
   * @param compress - if `perMessageDeflate` was negotiated. @defaultValue false
   * @returns bytes of the payload; 0 when nobody else is subscribed or a subscriber dropped it; -1 when one queues it
   * @throws TypeError `ERR_INVALID_ARG_TYPE` when the topic is no string
   * @throws Error without code: no argument, an empty topic, no data, or a `compress` that is no boolean
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * serve({
   *   fetch: (request, server) => (server.upgrade(request) ? undefined : new Response("Hello")),
   *   websocket: {
   *     open: (ws) => void ws.subscribe("room"),
   *     message: (ws, message) => void ws.publish("room", message),
   *     close: (ws) => void ws.publish("room", "somebody left"),
   *   },
   * });
   * ```
   */
  publish(topic: string, data: string | BufferSource | Blob, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * As {@link ServerWebSocket.publish} for text. An empty topic returns 0.
   *
   * @throws Error `publishText expects a string`
   */
  publishText(topic: string, data: string, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * As {@link ServerWebSocket.publish} for bytes.
   *
   * @throws Error `publishBinary expects a Blob or BufferSource`
   */
  publishBinary(topic: string, data: BufferSource | Blob, compress?: boolean): ServerWebSocketSendStatus;

  /**
   * Subscribes to a topic, from the next publish on.
   *
   * @param topic - not empty, any length; compared exactly
   * @returns `true`, also when it was subscribed; `false` on a closed socket
   * @throws TypeError `ERR_INVALID_ARG_TYPE` when the topic is no string
   * @throws Error without code when it is missing or empty
   */
  subscribe(topic: string): boolean;

  /**
   * Ends a subscription. Closing the socket ends them all. Messages published before still arrive.
   *
   * @returns `true` when it was subscribed
   * @throws as {@link ServerWebSocket.subscribe}
   */
  unsubscribe(topic: string): boolean;

  /**
   * Whether this socket is subscribed to a topic; `false` when closed.
   *
   * @throws as {@link ServerWebSocket.subscribe}
   */
  isSubscribed(topic: string): boolean;

  /** Topics, a new array at each read, in order of subscription (difference 3). Empty when closed. */
  readonly subscriptions: string[];

  /**
   * Calls the function at once and lets everything it sends leave together. Handlers do so by themselves: use it
   * in timers and after an `await`. Only the synchronous part of an async function is gathered.
   *
   * @returns what the function returns; its exception passes through, and what it sent before stays sent
   * @throws TypeError `ERR_MISSING_ARGS` or `ERR_INVALID_ARG_TYPE` when there is no function
   *
   * @example
   * ```ts
   * import type { ServerWebSocket } from "ferrows";
   *
   * function sendAll(ws: ServerWebSocket, lines: string[]): number {
   *   return ws.cork((ws) => lines.filter((line) => ws.send(line) > 0).length);
   * }
   * ```
   */
  cork<R = unknown>(callback: (ws: ServerWebSocket<T>) => R): R;

  /**
   * IP address of the client, also after the close (difference 2). `undefined` on a Unix socket.
   */
  readonly remoteAddress: string;

  /** 1 while open, 3 from `close()`, `terminate()` or the client's end on. Assignments are ignored. */
  readonly readyState: WebSocketReadyState;

  /**
   * Form in which this socket's binary messages, pings and pongs reach the handlers. Upper case and "buffer" (for
   * "nodebuffer") are accepted.
   *
   * @defaultValue "nodebuffer"
   * @throws Error without code for any other value
   */
  binaryType: BinaryType;

  /** Yours: the `data` given to {@link Server.upgrade}, the same object. Stays after the close. */
  data: T;

  /**
   * Bytes accepted but not yet taken by the operating system, frame headers included. 0 when closed, and for
   * what is sent inside a handler or `cork` until that returns.
   */
  getBufferedAmount(): number;

  /**
   * Stops reading from the client: TCP then slows it down. Messages already read are still delivered. Sending
   * goes on;
   * the idle timer stops; the client's end is not noticed until {@link ServerWebSocket.resume}.
   */
  pause(): void;

  /** Reads again. */
  resume(): void;

  /** Whether {@link ServerWebSocket.pause} is in effect; `false` when closed. */
  readonly isPaused: boolean;
}

/**
 * Handlers and limits, one set for all sockets of a server.
 *
 * They are read once, by `serve` or `reload`; later changes of the object have no effect. `this` is `undefined`
 * in them (difference 13).
 *
 * An exception goes to `error`; without one it is an uncaught exception of the process. A rejection of an async
 * handler is an unhandled rejection. In `message`, `ping`, `pong` and `drain` the socket stays open; in `open` it
 * is closed
 * with 1006. Async handlers do not queue: the next message is delivered while one is pending.
 *
 * Limits are numbers without a fraction; `undefined` and `null` mean the default. `serve` and `reload` throw a
 * TypeError `ERR_INVALID_ARG_TYPE` for anything else.
 *
 * @typeParam T - type of `ws.data`
 *
 * @example
 * ```ts
 * import type { WebSocketHandler } from "ferrows";
 *
 * const echo: WebSocketHandler = {
 *   idleTimeout: 30,
 *   maxPayloadLength: 64 * 1024,
 *   message(ws, message) {
 *     ws.send(message);
 *   },
 * };
 * ```
 */
export interface WebSocketHandler<T = undefined> {
  /**
   * Only carries the type of `ws.data` for inference; its value is not used.
   *
   * @example
   * ```ts
   * import { serve } from "ferrows";
   *
   * serve({
   *   fetch(request, server) {
   *     if (server.upgrade(request, { data: { name: "ada" } })) return;
   *     return new Response("Hello");
   *   },
   *   websocket: {
   *     data: {} as { name: string },
   *     open: (ws) => void ws.send(ws.data.name),
   *   },
   * });
   * ```
   */
  data?: T;

  /**
   * Runs inside {@link Server.upgrade}, always before the first message. What it sends follows the 101 response.
   */
  open?(ws: ServerWebSocket<T>): void | Promise<void>;

  /**
   * Runs once for each message. Up to eight messages whose handlers are synchronous may follow each other
   * without microtasks between them (difference 20).
   *
   * @param message - a string for text. For binary a `Buffer` over memory of its own, valid for ever, or what
   * {@link ServerWebSocket.binaryType} says.
   * @defaultValue absent: messages are read and dropped
   */
  message?(ws: ServerWebSocket<T>, message: string | Buffer<ArrayBuffer>): void | Promise<void>;

  /**
   * Runs exactly once for each opened socket, when it is closed by either side. It is then unsubscribed from
   * everything; sends return 0, `publish` still works.
   *
   * @param code - the client's code; 1005 when it sent none; 1006 when the connection ended without a close
   * frame, by a protocol error or by a timeout; the code given to `close()`; 1001 after `stop(true)`
   * @param reason - the reason sent along, or the text of the protocol error; often ""
   */
  close?(ws: ServerWebSocket<T>, code: number, reason: string): void | Promise<void>;

  /**
   * Runs after a send returned -1, once everything queued has been taken by the operating system (difference 5).
   * Not after the close.
   */
  drain?(ws: ServerWebSocket<T>): void | Promise<void>;

  /**
   * Runs for each ping of the client, which has been answered already.
   *
   * @param data - at most 125 bytes, in the form of {@link ServerWebSocket.binaryType}; a copy of its own
   */
  ping?(ws: ServerWebSocket<T>, data: Buffer<ArrayBuffer>): void | Promise<void>;

  /**
   * Runs for each pong of the client, asked for or not, also for those that answer automatic pings (empty).
   *
   * @param data - at most 125 bytes, in the form of {@link ServerWebSocket.binaryType}; a copy of its own
   */
  pong?(ws: ServerWebSocket<T>, data: Buffer<ArrayBuffer>): void | Promise<void>;

  /**
   * Runs when another handler threw. Not for rejections of async handlers.
   *
   * @param error - the thrown value as it is; it need not be an `Error`
   * @param ws - its `readyState` is 3 when `open` or `close` threw
   * @defaultValue absent: an uncaught exception of the process
   */
  error?(error: Error, ws: ServerWebSocket<T>): void | Promise<void>;

  /**
   * Largest message in bytes, fragments added up; a larger one closes the connection with 1009 as soon as the
   * frame's header is
   * read. 0 or negative: empty messages only.
   *
   * @defaultValue 16777216 (16 MiB)
   */
  maxPayloadLength?: number;

  /**
   * Bytes that may wait for one slow client. A message is accepted as long as no more than this was waiting
   * before, so
   * at most the limit and one message are held. 0 or negative: no limit.
   *
   * @defaultValue 16777216 (16 MiB)
   */
  backpressureLimit?: number;

  /**
   * Closes a socket that is over `backpressureLimit` when something more is sent to it: that send returns 0, and
   * soon after the close handler gets 1006. What was queued is discarded.
   *
   * @defaultValue false
   */
  closeOnBackpressureLimit?: boolean;

  /**
   * Seconds without traffic after which the connection is closed with 1006, at most 960. 1 to 7 act as 8; 0 or
   * negative: never, and no automatic pings. Messages and pings of the client and sends of the server count as
   * traffic, as do the pongs that answer automatic pings. Kept to the second, never early (difference 7).
   *
   * @defaultValue 120
   */
  idleTimeout?: number;

  /**
   * Whether a publish of a socket also reaches that socket, if it is subscribed.
   *
   * @defaultValue false
   */
  publishToSelf?: boolean;

  /**
   * Sends an empty ping before `idleTimeout` would end the connection: 4 seconds before for 8 to 15, 8 before
   * for 16 to 31, 16 before from 32 on.
   *
   * @defaultValue true
   */
  sendPings?: boolean;

  /**
   * Compression of messages (permessage-deflate, RFC 7692), for clients that offer it. `true` means `"shared"` both
   * ways. What is sent is compressed only where the `compress` argument of the call says so.
   * A change by `reload()` counts for new connections.
   *
   * @throws TypeError `ERR_INVALID_ARG_TYPE` for another type or an unknown name
   * @defaultValue false
   */
  perMessageDeflate?:
    | boolean
    | {
        /** For what the server sends. @defaultValue "shared" if `decompress` is given */
        compress?: WebSocketCompressor | boolean | null;
        /** For what the server receives. @defaultValue "shared" if `compress` is given */
        decompress?: WebSocketCompressor | boolean | null;
      };
}

/**
 * Bun's namespace for option types, so that `Serve.Options` can be switched too.
 *
 * @example
 * ```ts
 * import type { Serve } from "ferrows";
 *
 * const options: Serve.Options<undefined> = { fetch: () => new Response("Hello") };
 * ```
 */
export namespace Serve {
  /** {@link ServeOptions} under Bun's name. */
  export type Options<WebSocketData, Path extends string = string> = ServeOptions<WebSocketData, Path>;
}

declare global {
  /**
   * The server started last by {@link serveModule}, for `brisaServer.publish(topic, message)` from any file. Its
   * option `global` gives it another name.
   */
  var brisaServer: Server<unknown> | undefined;
}
