// @ts-check
// The exported Response: the platform's in everything a program can see, but what it is made of stays as it was given.
// Making the platform's own takes as long on Node as all the rest of a request. One is made when somebody asks for the
// body as a stream, and for every argument out of the ordinary: then it is the platform that checks and throws.

import { Buffer } from "node:buffer";
import { bodyAlreadyUsed } from "./errors.js";
import { HeaderFields, JSON_TYPE, TEXT_TYPE } from "./header-fields.js";
import { inherit, inheritLater, platform } from "./platform.js";

/** @typedef {string | Uint8Array<ArrayBuffer>} Memory */

const FORM_TYPE = "application/x-www-form-urlencoded;charset=UTF-8";
/** Tabs, blanks, visible ASCII and bytes from 0x80 on. */
const STATUS_TEXT = /^[\t -~\x80-\xff]*$/;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

// For the sender; assigned by the class, which alone sees the private fields.

/** @type {(value: unknown) => value is Response} */
export let isOwnResponse;
/**
 * The body, which is then used: null = none, undefined = it is a stream. Throws when it has been used.
 * @type {(response: Response) => Memory | null | undefined}
 */
export let takeMemory;
/** @type {(response: Response) => HeaderFields | undefined} undefined: only what `bodyTypeOf` says */
export let fieldsOf;
/** The type that the body gives, unless the fields have one. @type {(response: Response) => string} */
export let bodyTypeOf;
/** Bytes of a body that is a stream; -1 = not known. @type {(response: Response) => number} */
export let sizeOf;
/** Whether the program gave a stream as the body. @type {(response: Response) => boolean} */
export let isStreamed;

export class Response {
  /** What the body is made of: null = no body, undefined = #real has it. @type {Memory | null | undefined} */
  #memory = null;
  #isUsed = false;
  /** Of a Blob, in bytes; -1 = not known. */
  #size = -1;
  #isStreamed = false;
  #status = 200;
  #statusText = "";
  /** Given to the constructor: null = none, undefined = #real has them. @type {HeaderFields | null | undefined} */
  #fields = null;
  /** The body's own type, for a response whose fields have none. */
  #bodyType = "";
  /** Once they were asked for; what they say then counts. @type {Headers | undefined} */
  #headers = undefined;
  /** @type {globalThis.Response | undefined} */
  #real = undefined;

  /** @param {unknown} [body] @param {any} [init] */
  constructor(body = null, init = undefined) {
    const isUsual = init === undefined || Response.#takeInit(this, init);
    if (isUsual && Response.#takeBody(this, body)) return;
    this.#isStreamed = typeof body === "object" && body !== null && Symbol.asyncIterator in body;
    Response.#adopt(this, new (platform().Response)(/** @type {any} */ (body), init), isUsual);
  }

  /** @param {unknown} data @param {any} [init] */
  static json(data, init = undefined) {
    const response = new Response();
    if (init === undefined || Response.#takeInit(response, init)) {
      const text = JSON.stringify(data);
      if (text !== undefined && !isNullBodyStatus(response.#status)) {
        response.#memory = text;
        response.#bodyType = JSON_TYPE;
        return response;
      }
    }
    return Response.#adopt(response, platform().Response.json(data, init), false);
  }

  /** @param {string | URL} url @param {number} [status] */
  static redirect(url, status = 302) {
    return Response.#adopt(
      new Response(),
      platform().Response.redirect(url, /** @type {302} */ (status)),
      false,
    );
  }

  static error() {
    return Response.#adopt(new Response(), platform().Response.error(), false);
  }

  get type() {
    return this.#real === undefined ? "default" : this.#real.type;
  }

  get url() {
    return this.#real === undefined ? "" : this.#real.url;
  }

  get redirected() {
    return this.#real === undefined ? false : this.#real.redirected;
  }

  get status() {
    return this.#status;
  }

  get ok() {
    return this.#status >= 200 && this.#status <= 299;
  }

  get statusText() {
    return this.#statusText;
  }

  get headers() {
    if (this.#headers === undefined) {
      if (this.#real === undefined) this.#headers = new Headers(Response.#entries(this));
      else {
        this.#headers = this.#real.headers;
        this.#fields = undefined;
      }
    }
    return this.#headers;
  }

  get body() {
    return this.#memory === null ? null : Response.#realOf(this).body;
  }

  get bodyUsed() {
    return this.#isUsed || this.#real?.bodyUsed === true;
  }

  /** @returns {Promise<string>} */
  async text() {
    if (this.#real !== undefined) return this.#real.text();
    const memory = Response.#consume(this);
    if (memory === null) return "";
    return typeof memory === "string" && isPlainText(memory) ? memory : decoder.decode(bytesOf(memory));
  }

  /** @returns {Promise<unknown>} */
  async json() {
    if (this.#real !== undefined) return this.#real.json();
    const memory = Response.#consume(this) ?? "";
    return JSON.parse(
      typeof memory === "string" && isPlainText(memory) ? memory : decoder.decode(bytesOf(memory)),
    );
  }

  /** @returns {Promise<ArrayBuffer>} */
  async arrayBuffer() {
    if (this.#real !== undefined) return this.#real.arrayBuffer();
    return copyOf(Response.#consume(this)).buffer;
  }

  /** @returns {Promise<Uint8Array<ArrayBuffer>>} */
  async bytes() {
    // Not in every Node.
    if (this.#real !== undefined) return new Uint8Array(await this.#real.arrayBuffer());
    return copyOf(Response.#consume(this));
  }

  /** @returns {Promise<Blob>} */
  async blob() {
    return Response.#typedReal(this).blob();
  }

  /** @returns {Promise<FormData>} */
  async formData() {
    return Response.#typedReal(this).formData();
  }

  clone() {
    if (this.#real !== undefined) {
      const copy = Response.#adopt(new Response(), this.#real.clone(), false);
      copy.#size = this.#size;
      copy.#isStreamed = this.#isStreamed;
      if (this.#headers !== this.#real.headers) copy.#headers = new Headers(this.headers);
      return copy;
    }
    if (this.#isUsed) throw unusable();
    const copy = new Response();
    copy.#memory = this.#memory;
    copy.#status = this.#status;
    copy.#statusText = this.#statusText;
    copy.#fields = this.#fields;
    copy.#bodyType = this.#bodyType;
    if (this.#headers !== undefined) copy.#headers = new Headers(this.#headers);
    return copy;
  }

  get [Symbol.toStringTag]() {
    return "Response";
  }

  /** @param {unknown} _depth @param {any} options @param {(value: unknown, options: any) => string} inspect */
  [Symbol.for("nodejs.util.inspect.custom")](_depth, options, inspect) {
    const { status, statusText, headers, bodyUsed, ok, redirected, type, url } = this;
    return `Response ${inspect({ status, statusText, headers, bodyUsed, ok, redirected, type, url }, options)}`;
  }

  /**
   * @param {Response} self
   * @param {any} init
   * @returns {boolean} false: for the platform to decide
   */
  static #takeInit(self, init) {
    if (typeof init !== "object" || init === null) return false;
    const { status, statusText, headers } = init;
    if (headers !== undefined) {
      const fields = HeaderFields.of(headers);
      if (fields === undefined) return false;
      self.#fields = fields;
    }
    if (status !== undefined) {
      if (!Number.isInteger(status) || status < 200 || status > 599) return false;
      self.#status = status;
    }
    if (statusText !== undefined) {
      if (typeof statusText !== "string" || !STATUS_TEXT.test(statusText)) return false;
      self.#statusText = statusText;
    }
    return true;
  }

  /** @param {Response} self @param {unknown} body @returns {boolean} false: for the platform */
  static #takeBody(self, body) {
    if (body === null) return true;
    if (isNullBodyStatus(self.#status)) return false;
    if (typeof body === "string") {
      self.#memory = body;
      self.#bodyType = TEXT_TYPE;
      return true;
    }
    if (body instanceof URLSearchParams) {
      self.#memory = String(body);
      self.#bodyType = FORM_TYPE;
      return true;
    }
    if (body instanceof Blob) self.#size = body.size;
    const bytes = bytesWithin(body);
    if (bytes === undefined) return false;
    // A copy, since the program may write to its buffer again. Small ones cost less in Buffer's pool.
    self.#memory = Buffer.from(bytes);
    return true;
  }

  /**
   * @param {Response} self
   * @param {globalThis.Response} real
   * @param {boolean} keepsFields they were taken, and keep the program's order and spelling
   */
  static #adopt(self, real, keepsFields) {
    self.#real = real;
    self.#memory = undefined;
    self.#status = real.status;
    self.#statusText = real.statusText;
    if (keepsFields) self.#bodyType = real.headers.get("content-type") ?? "";
    else self.#fields = undefined;
    if (real.body === null) self.#memory = null;
    return self;
  }

  /** The bytes or the string, for the caller to read. @param {Response} self */
  static #consume(self) {
    if (self.#isUsed) throw unusable();
    if (self.#memory !== null) self.#isUsed = true;
    return self.#memory ?? null;
  }

  /** @param {Response} self @returns {[string, string][]} */
  static #entries(self) {
    const type = self.#bodyType;
    if (self.#fields) return self.#fields.entries(type);
    return type === "" ? [] : [["content-type", type]];
  }

  /** @param {Response} self @returns {globalThis.Response} */
  static #realOf(self) {
    if (self.#real === undefined) {
      const memory = plain(/** @type {Memory | null} */ (self.#memory));
      self.#real = new (platform().Response)(memory, {
        status: self.#status,
        statusText: self.#statusText,
        headers: self.#headers ?? Response.#entries(self),
      });
      if (self.#isUsed) self.#real.arrayBuffer().catch(() => {});
    }
    return self.#real;
  }

  /** With the headers as they are now. @param {Response} self */
  static #typedReal(self) {
    const real = Response.#realOf(self);
    const headers = self.#headers;
    if (headers !== undefined && headers !== real.headers) {
      for (const name of [...real.headers.keys()]) real.headers.delete(name);
      for (const [name, value] of headers) real.headers.append(name, value);
    }
    return real;
  }

  static {
    isOwnResponse = /** @type {any} */ (
      (/** @type {any} */ value) => typeof value === "object" && value !== null && #isUsed in value
    );

    takeMemory = (self) => {
      if (self.bodyUsed) throw bodyAlreadyUsed();
      const memory = self.#memory;
      const stream = self.#real?.body;
      if (stream?.locked) throw bodyAlreadyUsed();
      if (memory === undefined || memory === null) return memory;
      // A stream that was only looked at need not be read.
      stream?.cancel().catch(() => {});
      self.#isUsed = true;
      return memory;
    };

    fieldsOf = (self) => {
      if (self.#headers !== undefined) return HeaderFields.from(self.#headers);
      if (self.#fields === undefined) return HeaderFields.from(Response.#realOf(self).headers);
      return self.#fields ?? undefined;
    };

    bodyTypeOf = (self) => (self.#headers === undefined ? self.#bodyType : "");

    sizeOf = (self) => self.#size;

    isStreamed = (self) => self.#isStreamed;

    inheritLater(Response.prototype, () => {
      const { Response: Platform } = platform();
      inherit(Response.prototype, Platform.prototype, new Platform(), Response.#typedReal);
    });
  }
}

Object.defineProperty(Response, Symbol.hasInstance, {
  /** @this {unknown} @param {unknown} value */
  value(value) {
    // A subclass asks for its own instances.
    if (this !== Response) return Function.prototype[Symbol.hasInstance].call(this, value);
    return isOwnResponse(value) || value instanceof platform().Response;
  },
});

// As WebIDL has it: what belongs to the interface can be enumerated.
for (const [owner, names] of /** @type {[object, string[]][]} */ ([
  [Response, ["json", "redirect", "error"]],
  [
    Response.prototype,
    Object.getOwnPropertyNames(Response.prototype).filter((name) => name !== "constructor"),
  ],
])) {
  for (const name of names) Object.defineProperty(owner, name, { enumerable: true });
}

/** @param {number} status */
function isNullBodyStatus(status) {
  return status === 204 || status === 205 || status === 304;
}

/** It is what decoding its bytes gives. @param {string} text */
function isPlainText(text) {
  return text.charCodeAt(0) !== 0xfeff && text.isWellFormed();
}

/** @param {unknown} body @returns {Uint8Array<ArrayBuffer> | undefined} undefined: no bytes, or special ones */
function bytesWithin(body) {
  const isView = ArrayBuffer.isView(body);
  const buffer = isView ? body.buffer : body;
  if (!(buffer instanceof ArrayBuffer) || isResizable(buffer) || buffer.byteLength === 0) return undefined;
  if (body instanceof Uint8Array) return /** @type {Uint8Array<ArrayBuffer>} */ (body);
  return isView ? new Uint8Array(buffer, body.byteOffset, body.byteLength) : new Uint8Array(buffer);
}

/** @param {ArrayBuffer & { resizable?: boolean }} buffer */
function isResizable({ resizable }) {
  return resizable === true;
}

/** @param {Memory} memory */
function bytesOf(memory) {
  return typeof memory === "string" ? encoder.encode(memory) : memory;
}

/** Not as a Buffer: a platform may copy it as one. @param {Memory | null} memory */
function plain(memory) {
  if (memory === null || typeof memory === "string") return memory;
  return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
}

/** Bytes for the program to keep. @param {Memory | null} memory */
function copyOf(memory) {
  if (memory === null) return new Uint8Array(0);
  return typeof memory === "string" ? encoder.encode(memory) : new Uint8Array(memory);
}

function unusable() {
  return new TypeError("Body is unusable: Body has already been read");
}
