// @ts-check
// Header fields as they leave: checked, and in Bun's order, which is cookies, names that it knows, others.

import { CONNECTION, COOKIE, fieldName, LENGTH, TYPE, UNKNOWN, USUAL } from "./header-names.js";

/** @typedef {import("./header-names.js").FieldName} FieldName */

/** The type of a string, as the platform's Response writes it; on the wire it has Bun's spelling. */
export const TEXT_TYPE = "text/plain;charset=UTF-8";
const TEXT_LINE = "content-type: text/plain;charset=utf-8\r\n";
export const JSON_TYPE = "application/json";

/** Without blanks around it: the platform's Headers cut them off. */
const VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;
/** What the platform's Headers may hold, with nothing that could end the line. */
const SENDABLE = /^[^\0\r\n\u0100-\uffff]*$/;

/** More fields than this are left to the platform, which compares their names faster. */
const COMPARED = 32;

/** The header fields of one response. */
export class HeaderFields {
  #cookies = "";
  /** Of names that Bun knows. */
  #known = "";
  #others = "";
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
    if (kind === UNKNOWN) this.#others += line;
    else if (kind === USUAL) this.#known += line;
    else if (kind === COOKIE) this.#cookies += line;
    else if (kind === CONNECTION) {
      this.#known += line;
      this.closes ||= /\bclose\b/i.test(value);
    } else if (kind === TYPE) {
      this.#hasType = true;
      if (value === TEXT_TYPE) this.#textType = TEXT_LINE;
      else this.#known += line;
    } else if (kind === LENGTH && /^\d+$/.test(value)) this.length = line;
    else this.#hidden += line;
  }

  /**
   * All lines that are sent.
   * @param {string} bodyType for fields without a type; "" = none
   * @param {string} changes of the request's cookies
   */
  lines(bodyType, changes) {
    let known = this.#cookies + this.#known;
    let end = this.#textType;
    if (!this.#hasType && bodyType !== "") {
      if (bodyType === TEXT_TYPE) end = TEXT_LINE;
      else known += `Content-Type: ${bodyType}\r\n`;
    }
    return known + this.#others + changes + end;
  }

  /** For a platform Headers. @param {string} bodyType @returns {[string, string][]} */
  entries(bodyType) {
    /** @type {[string, string][]} */
    const entries = [];
    for (const line of (this.#cookies + this.#known + this.#others + this.length + this.#hidden).split(
      "\r\n",
    )) {
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

/**
 * The lines of a response without fields.
 * @param {string} bodyType "" = none
 * @param {string} changes of the request's cookies
 */
export function bareLines(bodyType, changes) {
  if (bodyType === TEXT_TYPE) return changes + TEXT_LINE;
  if (bodyType === "") return changes;
  if (bodyType === JSON_TYPE) return `Content-Type: ${bodyType}\r\n${changes}`;
  return `${changes}content-type: ${bodyType}\r\n`;
}
