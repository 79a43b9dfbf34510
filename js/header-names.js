// @ts-check
// The spelling of header fields' names on the wire. Bun writes those that it knows in their usual spelling, whatever the
// program's, and in front of the others.

/** As seen on Bun 1.4.4: mostly a browser's. */
const KNOWN = [
  "Accept Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Access-Control-Allow-Credentials",
  "Access-Control-Allow-Headers Access-Control-Allow-Methods Access-Control-Allow-Origin",
  "Access-Control-Expose-Headers Access-Control-Max-Age Access-Control-Request-Headers",
  "Access-Control-Request-Method Age Authorization Cache-Control Connection Content-Disposition Content-Encoding",
  "Content-Language Content-Length Content-Location Content-Range Content-Security-Policy",
  "Content-Security-Policy-Report-Only Content-Type Cookie Cookie2 Cross-Origin-Embedder-Policy",
  "Cross-Origin-Embedder-Policy-Report-Only Cross-Origin-Opener-Policy Cross-Origin-Opener-Policy-Report-Only",
  "Cross-Origin-Resource-Policy Date Default-Style DNT ETag Expect Expires Host Icy-MetaInt Icy-Metadata If-Match",
  "If-Modified-Since If-None-Match If-Range If-Unmodified-Since Keep-Alive Last-Event-ID Last-Modified Link Location",
  "Origin Ping-From Ping-To Pragma Proxy-Authorization Proxy-Connection Purpose Range Referer Referrer-Policy Refresh",
  "Report-To Sec-Fetch-Dest Sec-Fetch-Mode Sec-WebSocket-Accept Sec-WebSocket-Extensions Sec-WebSocket-Key",
  "Sec-WebSocket-Protocol Sec-WebSocket-Version Server-Timing Service-Worker Service-Worker-Allowed",
  "Service-Worker-Navigation-Preload set-cookie Set-Cookie2 SourceMap Strict-Transport-Security TE",
  "Timing-Allow-Origin Trailer Transfer-Encoding Upgrade Upgrade-Insecure-Requests User-Agent Vary Via",
  "X-Content-Type-Options X-DNS-Prefetch-Control X-Frame-Options X-XSS-Protection X-SourceMap X-Temp-Tablet",
].flatMap((line) => line.split(" "));

/** By name in lower case. */
const spellings = new Map(KNOWN.map((name) => [name.toLowerCase(), name]));

// What a name stands for.

/** Written as the program does. */
export const UNKNOWN = 0;
/** Nothing but a name that Bun knows. */
export const USUAL = 1;
export const COOKIE = 2;
export const TYPE = 3;
export const LENGTH = 4;
/** May say that the connection ends. */
export const CONNECTION = 5;
/** The server's to say. */
const HIDDEN = 6;

/** @type {Record<string, number>} */
const kinds = {
  __proto__: /** @type {any} */ (null),
  "set-cookie": COOKIE,
  "content-type": TYPE,
  "content-length": LENGTH,
  connection: CONNECTION,
  "transfer-encoding": HIDDEN,
};

/** `name` as it is written, `key` in lower case. @typedef {{ name: string, key: string, kind: number }} FieldName */

/** Names already looked at, by their spelling. Programs use few; the bound is for those that make them up. */
const NAMES_LIMIT = 512;
/** @type {Map<string, FieldName>} */
const names = new Map();

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** @param {string} name @returns {FieldName | undefined} undefined: not a name */
export function fieldName(name) {
  const seen = names.get(name);
  if (seen !== undefined) return seen;
  if (!TOKEN.test(name)) return undefined;
  const key = name.toLowerCase();
  const spelling = spellings.get(key);
  const field = {
    name: spelling ?? name,
    key,
    kind: kinds[key] ?? (spelling === undefined ? UNKNOWN : USUAL),
  };
  if (names.size < NAMES_LIMIT) names.set(name, field);
  return field;
}
