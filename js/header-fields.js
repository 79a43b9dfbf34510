// @ts-check
// Header fields as they leave: checked, cookies first, the others in the program's order.

/** What a name stands for. */
const PLAIN = 0;
const COOKIE = 1;
const TYPE = 2;
const LENGTH = 3;
/** The connection's own business. */
const CONNECTION = 4;

/** @typedef {{ name: string, key: string, kind: number }} FieldName `key` is the name in lower case */

/** @type {Record<string, number>} */
const kinds = {
  __proto__: /** @type {any} */ (null),
  "set-cookie": COOKIE,
  "content-type": TYPE,
  "content-length": LENGTH,
  connection: CONNECTION,
  "keep-alive": CONNECTION,
  "transfer-encoding": CONNECTION,
};

/** The type of a string, as the platform's Response writes it; on the wire it has Bun's spelling. */
export const TEXT_TYPE = "text/plain;charset=UTF-8";
const TEXT_LINE = "content-type: text/plain;charset=utf-8\r\n";

/** Names already looked at, by their spelling. Programs use few; the bound is for those that make them up. */
const NAMES_LIMIT = 512;
/** @type {Map<string, FieldName>} */
const names = new Map();

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** Without blanks around it: the platform's Headers cut them off. */
const VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;
/** What the platform's Headers may hold, with nothing that could end the line. */
const SENDABLE = /^[^\0\r\n\u0100-\uffff]*$/;

/** More fields than this are left to the platform, which compares their names faster. */
const COMPARED = 32;

/** @param {string} name @returns {FieldName | undefined} undefined: not a name */
function fieldName(name) {
  const seen = names.get(name);
  if (seen !== undefined) return seen;
  if (!TOKEN.test(name)) return undefined;
  const key = name.toLowerCase();
  const field = { name, key, kind: kinds[key] ?? PLAIN };
  if (names.size < NAMES_LIMIT) names.set(name, field);
  return field;
}

/** The header fields of one response. */
export class HeaderFields {
  #cookies = "";
  #lines = "";
  /** Not sent. */
  #hidden = "";
  #hasType = false;
  /** The text type of a string, when it came as a field. */
  #textType = "";
  /** The line, for a response whose body is not counted. */
  length = "";
  /** The program wants the connection closed. */
  closes = false;

  /** @param {FieldName} field @param {string} value checked */
  #add({ name, kind }, value) {
    const line = `${name}: ${value}\r\n`;
    if (kind === PLAIN) this.#lines += line;
    else if (kind === COOKIE) this.#cookies += line;
    else if (kind === TYPE) {
      this.#hasType = true;
      if (value === TEXT_TYPE) this.#textType = TEXT_LINE;
      else this.#lines += line;
    } else if (kind === LENGTH && /^\d+$/.test(value)) this.length = line;
    else {
      this.#hidden += line;
      if (kind === CONNECTION && name.length === "connection".length) this.closes = /\bclose\b/i.test(value);
    }
  }

  /** All lines that are sent. @param {string} bodyType for fields without a type; "" = none */
  lines(bodyType) {
    return this.#cookies + this.#lines + (this.#hasType ? this.#textType : typeLine(bodyType));
  }

  /** For a platform Headers. @param {string} bodyType @returns {[string, string][]} */
  entries(bodyType) {
    /** @type {[string, string][]} */
    const entries = [];
    for (const line of (this.#cookies + this.#lines + this.length + this.#hidden).split("\r\n")) {
      const colon = line.indexOf(":");
      if (colon > 0) entries.push([line.slice(0, colon), line.slice(colon + 2)]);
    }
    const type = this.#hasType ? this.#textType && TEXT_TYPE : bodyType;
    if (type !== "") entries.push(["content-type", type]);
    return entries;
  }

  /**
   * Of a `headers` option in one of its usual forms.
   * @param {unknown} headers
   * @returns {HeaderFields | undefined} undefined: let the platform decide
   */
  static of(headers) {
    if (typeof headers !== "object" || headers === null) return undefined;
    const isArray = Array.isArray(headers);
    if (!isArray && Object.getPrototypeOf(headers) !== Object.prototype) {
      return headers instanceof Headers ? HeaderFields.from(headers) : undefined;
    }
    const keys = isArray ? headers : Object.keys(headers);
    if (keys.length > COMPARED) return undefined;
    // A symbol is an error.
    if (!isArray && Object.getOwnPropertySymbols(headers).length > 0) return undefined;
    const fields = new HeaderFields();
    /** @type {string[] | undefined} */
    let seen;
    for (const key of keys) {
      if (isArray && !(Array.isArray(key) && key.length === 2 && typeof key[0] === "string"))
        return undefined;
      const field = fieldName(isArray ? key[0] : key);
      let value = isArray ? key[1] : /** @type {any} */ (headers)[key];
      if (typeof value === "number") value = String(value);
      if (field === undefined || typeof value !== "string" || !VALUE.test(value)) return undefined;
      if (seen === undefined) seen = [field.key];
      else if (!seen.includes(field.key)) seen.push(field.key);
      // The platform joins the values.
      else if (field.kind !== COOKIE) return undefined;
      fields.#add(field, value);
    }
    return fields;
  }

  /**
   * Of a Headers, the platform's or another implementation's.
   * @param {Iterable<[string, string]>} headers
   */
  static from(headers) {
    const fields = new HeaderFields();
    for (const [name, value] of headers) {
      const field = fieldName(name);
      if (field === undefined || !SENDABLE.test(value)) {
        throw new TypeError(`The Response has a header that cannot be sent: ${JSON.stringify(name)}`);
      }
      fields.#add(field, value);
    }
    return fields;
  }
}

/** @param {string} type "" = none */
export function typeLine(type) {
  if (type === TEXT_TYPE) return TEXT_LINE;
  return type === "" ? "" : `content-type: ${type}\r\n`;
}
