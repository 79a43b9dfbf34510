// @ts-check
// biome-ignore-all lint/complexity/noArguments: a missing argument has its own error text
// Bun.Cookie and Bun.CookieMap: what `request.cookies` is, and what its changes become in a response.
import { invalidArgument } from "./errors.js";
import { decodePercent } from "./percent.js";

/** @typedef {"strict" | "lax" | "none"} SameSite */

/**
 * @typedef {object} CookieOptions
 * @property {string | null} [domain]
 * @property {string | null} [path]
 * @property {number | Date | string | null} [expires] a number counts seconds since 1970
 * @property {number | null} [maxAge] seconds
 * @property {unknown} [secure]
 * @property {unknown} [httpOnly]
 * @property {unknown} [partitioned]
 * @property {SameSite | null} [sameSite]
 */

/** Of a name: visible ASCII without "=" and ";". */
const NAME = /^[!-:<>-~]+$/;
/** Of a path: printable ASCII without ";" and "<". */
const PATH = /^[ -:=-~]*$/;
const DOMAIN = /^[a-z0-9.-]*$/;
/** What may be a header's value, without blanks around it. */
const HEADER_VALUE = /^(?![ \t])[^\0\r\n\u0100-\uffff]*(?<![ \t])$/;

/** @param {string} message @param {string} code */
function coded(message, code) {
  return Object.assign(new TypeError(message), { code });
}

function notEnough() {
  return coded("Not enough arguments", "ERR_MISSING_ARGS");
}

/** @param {string} owner @param {string} member */
function wrongThis(owner, member) {
  return coded(`Can only call ${owner}.${member} on instances of ${owner}`, "ERR_INVALID_THIS");
}

/** @param {unknown} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null;
}

// Assigned by the classes, which alone see the private fields.
/** @type {(value: unknown) => boolean} */
let isCookie;
/** @type {(value: unknown) => boolean} */
let isCookieMap;
/** With the same cookies and changes; the cookies that were set are shared. @type {(map: CookieMap) => CookieMap} */
export let copyOf;

/** A cookie as a server sets it. */
export class Cookie {
  #name = "";
  #value = "";
  /** @type {string | null} */
  #domain = null;
  #path = "/";
  /** @type {Date | undefined} */
  #expires = undefined;
  /** @type {number | undefined} */
  #maxAge = undefined;
  #secure = false;
  #httpOnly = false;
  #partitioned = false;
  /** @type {SameSite} */
  #sameSite = "lax";

  /**
   * A name and a value, or the text of a Set-Cookie header, or an object with all of it.
   * @param {any} name
   * @param {any} value
   */
  constructor(name, value) {
    if (arguments.length < 2) {
      if (name === undefined || name === null) throw notEnough();
      if (isObject(name)) this.#init(name.name, name.value ?? "", name);
      else this.#parse(String(name));
      return;
    }
    const options = arguments[2];
    if (options !== undefined && options !== null && !isObject(options)) {
      throw new TypeError("Options must be an object");
    }
    this.#init(name, value, options ?? {});
  }

  /** @param {unknown} name @param {unknown} value @param {CookieOptions} options */
  #init(name, value, options) {
    const text = name === undefined || name === null ? "" : String(name);
    if (text === "") throw new TypeError("name is required");
    this.#setName(text);
    this.#value = String(value);
    const { domain, path, expires, maxAge, secure, httpOnly, partitioned, sameSite } = options;
    if (domain !== undefined && domain !== null) this.domain = domain;
    if (path !== undefined && path !== null) this.path = path;
    if (expires !== undefined && expires !== null) this.expires = expires;
    if (typeof maxAge === "number" && !Number.isNaN(maxAge)) this.#maxAge = maxAge + 0;
    this.#secure = Boolean(secure);
    this.#httpOnly = Boolean(httpOnly);
    this.#partitioned = Boolean(partitioned);
    if (sameSite !== undefined && sameSite !== null) this.sameSite = sameSite;
  }

  /** @param {string} name */
  #setName(name) {
    if (!NAME.test(name)) throw new TypeError("Invalid cookie name: contains invalid characters");
    this.#name = name;
  }

  /** @param {string} text of a Set-Cookie header; its value stays as it is */
  #parse(text) {
    if (!HEADER_VALUE.test(text)) throw new TypeError("cookie string is not a valid HTTP header value");
    if (text === "") throw new TypeError("Invalid cookie name: contains invalid characters");
    const [pair, ...attributes] = text.split(";");
    const equals = pair.indexOf("=");
    if (equals < 0) throw new TypeError("Invalid cookie string: empty");
    const name = pair.slice(0, equals).trim();
    if (name === "") throw new TypeError("Invalid cookie string: name cannot be empty");
    this.#setName(name);
    this.#value = pair.slice(equals + 1).trim();
    for (const attribute of attributes) {
      const at = attribute.indexOf("=");
      const key = (at < 0 ? attribute : attribute.slice(0, at)).trim().toLowerCase();
      this.#attribute(key, at < 0 ? "" : attribute.slice(at + 1).trim());
    }
  }

  /** What cannot be used is passed over. @param {string} name @param {string} value */
  #attribute(name, value) {
    if (name === "domain" && value !== "") this.domain = value.toLowerCase();
    else if (name === "path" && value.startsWith("/")) this.path = value;
    else if (name === "expires" && !Number.isNaN(Date.parse(value))) this.#expires = new Date(value);
    else if (name === "max-age" && /^[+-]?\d/.test(value)) this.#maxAge = Number.parseInt(value, 10);
    else if (name === "secure") this.#secure = true;
    else if (name === "httponly") this.#httpOnly = true;
    else if (name === "partitioned") this.#partitioned = true;
    else if (name === "samesite" && isSameSite(value.toLowerCase())) {
      this.#sameSite = /** @type {SameSite} */ (value.toLowerCase());
    }
  }

  get name() {
    check(this, "name");
    return this.#name;
  }

  // As in Bun, it cannot be changed, and trying is no error.
  set name(_) {
    check(this, "name");
  }

  get value() {
    check(this, "value");
    return this.#value;
  }

  set value(value) {
    check(this, "value");
    this.#value = String(value);
  }

  /** @returns {any} */
  get domain() {
    check(this, "domain");
    return this.#domain;
  }

  set domain(value) {
    check(this, "domain");
    const text = String(value);
    if (!DOMAIN.test(text)) throw new TypeError("Invalid cookie domain: contains invalid characters");
    this.#domain = text;
  }

  get path() {
    check(this, "path");
    return this.#path;
  }

  set path(value) {
    check(this, "path");
    const text = String(value);
    if (!PATH.test(text)) throw new TypeError("Invalid cookie path: contains invalid characters");
    this.#path = text;
  }

  /** @returns {any} a Date, or undefined */
  get expires() {
    check(this, "expires");
    return this.#expires === undefined ? undefined : new Date(this.#expires);
  }

  set expires(value) {
    check(this, "expires");
    this.#expires = parseExpires(value);
  }

  get maxAge() {
    check(this, "maxAge");
    return this.#maxAge;
  }

  set maxAge(value) {
    check(this, "maxAge");
    if (value === undefined || value === null) {
      this.#maxAge = undefined;
      return;
    }
    const number = Number(value);
    if (!Number.isFinite(number)) throw new TypeError("The provided value is non-finite");
    this.#maxAge = number;
  }

  get secure() {
    check(this, "secure");
    return this.#secure;
  }

  set secure(value) {
    check(this, "secure");
    this.#secure = Boolean(value);
  }

  get httpOnly() {
    check(this, "httpOnly");
    return this.#httpOnly;
  }

  set httpOnly(value) {
    check(this, "httpOnly");
    this.#httpOnly = Boolean(value);
  }

  /** @returns {any} */
  get sameSite() {
    check(this, "sameSite");
    return this.#sameSite;
  }

  set sameSite(value) {
    check(this, "sameSite");
    if (!isSameSite(value)) {
      throw new TypeError("Invalid sameSite value. Must be 'strict', 'lax', or 'none'");
    }
    this.#sameSite = value;
  }

  get partitioned() {
    check(this, "partitioned");
    return this.#partitioned;
  }

  set partitioned(value) {
    check(this, "partitioned");
    this.#partitioned = Boolean(value);
  }

  /** `Max-Age` counts before `Expires`. */
  isExpired() {
    check(this, "isExpired");
    if (this.#maxAge !== undefined) return this.#maxAge <= 0;
    return this.#expires !== undefined && this.#expires.getTime() < Date.now();
  }

  /** The value of a Set-Cookie header. */
  toString() {
    check(this, "toString");
    let text = `${this.#name}=${encodeURIComponent(this.#value.toWellFormed())}`;
    if (this.#domain) text += `; Domain=${this.#domain}`;
    if (this.#path !== "") text += `; Path=${this.#path}`;
    if (this.#expires !== undefined) text += `; Expires=${this.#expires.toUTCString()}`;
    if (this.#maxAge !== undefined) text += `; Max-Age=${this.#maxAge}`;
    if (this.#secure) text += "; Secure";
    if (this.#httpOnly) text += "; HttpOnly";
    if (this.#partitioned) text += "; Partitioned";
    return `${text}; SameSite=${this.#sameSite[0].toUpperCase()}${this.#sameSite.slice(1)}`;
  }

  toJSON() {
    check(this, "toJSON");
    return Object.assign(Object.create(null), {
      name: this.#name,
      value: this.#value,
      ...(this.#domain ? { domain: this.#domain } : {}),
      path: this.#path,
      ...(this.#expires === undefined ? {} : { expires: new Date(this.#expires) }),
      ...(this.#maxAge === undefined ? {} : { maxAge: this.#maxAge }),
      secure: this.#secure,
      sameSite: this.#sameSite,
      httpOnly: this.#httpOnly,
      partitioned: this.#partitioned,
    });
  }

  /** The same as `toString()`. */
  serialize() {
    check(this, "serialize");
    return this.toString();
  }

  get [Symbol.toStringTag]() {
    return "Cookie";
  }

  /** @param {any} text of a Set-Cookie header */
  static parse(text) {
    if (arguments.length === 0) throw notEnough();
    return new /** @type {any} */ (Cookie)(String(text));
  }

  /** @param {any} name @param {any} value @param {any} options */
  static from(name, value, options) {
    if (arguments.length < 2) throw notEnough();
    return new /** @type {any} */ (Cookie)(name, value, options);
  }

  static {
    isCookie = (value) => isObject(value) && #name in value;
  }
}

/** @param {unknown} self @param {string} member */
function check(self, member) {
  if (!isCookie(self)) throw wrongThis("Cookie", member);
}

/** @param {unknown} self @param {string} member */
function checkMap(self, member) {
  if (!isCookieMap(self)) throw wrongThis("CookieMap", member);
}

/** @param {unknown} value @returns {value is SameSite} */
function isSameSite(value) {
  return value === "strict" || value === "lax" || value === "none";
}

/** @param {unknown} value @returns {Date | undefined} */
function parseExpires(value) {
  if (value === undefined || value === null) return undefined;
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new RangeError("expires must be a valid Date (or Number)");
    return new Date(value);
  }
  if (typeof value === "number") {
    const date = new Date(value * 1000);
    if (Number.isNaN(date.getTime())) throw new RangeError("expires must be a valid Number (or Date)");
    return date;
  }
  if (typeof value === "string") {
    const time = Date.parse(value);
    if (Number.isNaN(time)) throw new TypeError("Invalid cookie expiration date");
    return new Date(time);
  }
  const shown = isObject(value)
    ? JSON.stringify(value)
    : typeof value === "bigint"
      ? `${value}n`
      : String(value);
  throw coded(
    `The argument 'expires' Invalid expires value. Must be a Date or a number. Received ${shown}`,
    "ERR_INVALID_ARG_VALUE",
  );
}

/** What a client is told to forget. */
const EPOCH = new Date(0);

/**
 * The cookies of a request, by name, and the changes that a response tells the client.
 */
export class CookieMap {
  /** As the client sent them. @type {[name: string, value: string][]} */
  #original = [];
  /** In order; one without a value has been deleted. @type {Cookie[]} */
  #changes = [];

  /** @param {any} init the value of a Cookie header, pairs, or an object */
  constructor(init) {
    if (init === undefined || init === null) return;
    if (typeof init === "string") this.#original = parseCookieHeader(init);
    else if (Array.isArray(init)) this.#original = init.map(pair);
    else if (isObject(init))
      this.#original = Object.entries(init).map(([name, value]) => [name, String(value)]);
    else throw new TypeError("Invalid initializer type");
  }

  /** @param {string} name @returns {string | null} */
  get(name) {
    checkMap(this, "get");
    if (arguments.length === 0) return null;
    return this.#find(String(name)) ?? null;
  }

  /** What the changes come to, as values of Set-Cookie headers. @returns {string[]} */
  toSetCookieHeaders() {
    checkMap(this, "toSetCookieHeaders");
    return this.#changes.map(String);
  }

  /** @param {string} name */
  has(name) {
    checkMap(this, "has");
    return arguments.length > 0 && this.#find(String(name)) !== undefined;
  }

  /** @param {string} name @returns {string | undefined} */
  #find(name) {
    const change = this.#changes.find((cookie) => cookie.name === name);
    if (change !== undefined) return change.value === "" ? undefined : change.value;
    return this.#original.find(([known]) => known === name)?.[1];
  }

  /**
   * A name, a value and options; or a cookie, or an object like one.
   * @param {any} name
   * @param {any} value
   */
  set(name, value) {
    checkMap(this, "set");
    if (arguments.length === 0) return;
    if (isObject(name)) {
      this.#change(/** @type {Cookie} */ (isCookie(name) ? name : new /** @type {any} */ (Cookie)(name)));
      return;
    }
    if (arguments.length < 2 || name === null || name === undefined) throw notEnough();
    this.#change(new /** @type {any} */ (Cookie)(name, value, arguments[2]));
  }

  /** @param {any} name or an object with name, domain and path */
  delete(name) {
    checkMap(this, "delete");
    if (arguments.length === 0) return;
    const options = isObject(name) ? name : arguments[1];
    const key = isObject(name) ? name.name : name;
    if (typeof key !== "string") throw new TypeError("Cookie name is required");
    if (options !== undefined && !isObject(options)) throw new TypeError("Options must be an object");
    if (key === "") throw new TypeError("Invalid cookie name: contains invalid characters");
    const { domain, path } = options ?? {};
    // A prefix that only a secure cookie may have (RFC 6265bis, 4.1.3).
    const secure = key.startsWith("__Host-") || key.startsWith("__Secure-");
    this.#change(new /** @type {any} */ (Cookie)(key, "", { domain, path, secure, expires: EPOCH }));
  }

  /** @param {Cookie} cookie */
  #change(cookie) {
    const { name } = cookie;
    this.#original = this.#original.filter(([known]) => known !== name);
    this.#changes = this.#changes.filter((known) => known.name !== name);
    this.#changes.push(cookie);
  }

  /** Changes first, in order; then what the client sent. @returns {IterableIterator<[string, string]>} */
  entries() {
    checkMap(this, "entries");
    return this.#iterate((name, value) => /** @type {[string, string]} */ ([name, value]));
  }

  /** @returns {IterableIterator<string>} */
  keys() {
    checkMap(this, "keys");
    return this.#iterate((name) => name);
  }

  /** @returns {IterableIterator<string>} */
  values() {
    checkMap(this, "values");
    return this.#iterate((_, value) => value);
  }

  /** @param {(value: string, name: string, map: CookieMap) => void} callback */
  forEach(callback) {
    checkMap(this, "forEach");
    if (typeof callback !== "function") throw invalidArgument("Cannot call callback on a non-function");
    const self = arguments[1];
    for (const [name, value] of this.entries()) callback.call(self, value, name, this);
  }

  toJSON() {
    checkMap(this, "toJSON");
    /** @type {Record<string, string>} */
    const all = {};
    for (const [name, value] of this.entries()) {
      // Not an assignment: a cookie may be called __proto__.
      if (!Object.hasOwn(all, name)) {
        Object.defineProperty(all, name, { value, writable: true, enumerable: true, configurable: true });
      }
    }
    return all;
  }

  get size() {
    checkMap(this, "size");
    return this.#changes.filter((cookie) => cookie.value !== "").length + this.#original.length;
  }

  get [Symbol.toStringTag]() {
    return "CookieMap";
  }

  /**
   * Sees what changes meanwhile: it goes by position.
   * @template T
   * @param {(name: string, value: string) => T} show
   * @returns {IterableIterator<T>}
   */
  *#walk(show) {
    for (let i = 0; i < this.#changes.length + this.#original.length; i++) {
      const change = this.#changes[i];
      if (change === undefined) {
        const [name, value] = this.#original[i - this.#changes.length];
        yield show(name, value);
      } else if (change.value !== "") yield show(change.name, change.value);
    }
  }

  /**
   * @template T
   * @param {(name: string, value: string) => T} show
   * @returns {IterableIterator<T>}
   */
  #iterate(show) {
    const walk = this.#walk(show);
    return Object.create(iteratorPrototype, { next: { value: () => walk.next() } });
  }

  static {
    isCookieMap = (value) => isObject(value) && #changes in value;
    copyOf = (map) => {
      const copy = new CookieMap(undefined);
      copy.#original = [...map.#original];
      copy.#changes = [...map.#changes];
      return copy;
    };
    Object.defineProperty(CookieMap.prototype, Symbol.iterator, {
      value: CookieMap.prototype.entries,
      writable: true,
      configurable: true,
    });
  }
}

/** Of the iterators above. */
const iteratorPrototype = Object.create(Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())), {
  [Symbol.toStringTag]: { value: "CookieMap Iterator", configurable: true },
});

/** @param {unknown} value @returns {[string, string]} */
function pair(value) {
  if (!Array.isArray(value)) throw new TypeError("Expected each element to be an array of two strings");
  if (value.length !== 2) throw new TypeError("Expected arrays of exactly two strings");
  return [String(value[0]), String(value[1])];
}

/**
 * @param {string} text of a Cookie header. Equal names all stay; the first one is found.
 * @returns {[string, string][]}
 */
function parseCookieHeader(text) {
  /** @type {[string, string][]} */
  const all = [];
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    const name = part.slice(0, Math.max(0, equals)).trim();
    if (name !== "") all.push([name, decodePercent(part.slice(equals + 1).trim())]);
  }
  return all;
}
