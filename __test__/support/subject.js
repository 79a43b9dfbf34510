// @ts-check
// The one place that decides whose `serve` the suite judges: Bun's own under Bun (the oracle), ours elsewhere.

const host = /** @type {any} */ (globalThis);

/** @type {"bun" | "deno" | "node"} */
export const runtime = host.Bun ? "bun" : host.Deno ? "deno" : "node";

/** True when the suite runs against Bun itself. */
export const isBun = runtime === "bun";

const subject = isBun
  ? { ...host.Bun, Response: host.Response, Request: host.Request }
  : await import("../../index.js");

/** @type {(options: any) => any} */
export const serve = subject.serve;

/** The light one, where there is one. @type {typeof globalThis.Response} */
export const Response = subject.Response;

/** The one that takes requests of handlers. @type {typeof globalThis.Request} */
export const Request = subject.Request;

/** @type {any} */
export const Cookie = subject.Cookie;
/** @type {any} */
export const CookieMap = subject.CookieMap;
