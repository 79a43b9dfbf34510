// @ts-check
// Errors as programs written for Bun know them: class, text and code are part of the contract.

/**
 * @template {Error} E
 * @param {E} error
 * @param {string} code
 * @returns {E & { code: string }}
 */
function coded(error, code) {
  return Object.assign(error, { code });
}

/** @param {string} message */
export function invalidArgument(message) {
  return coded(new TypeError(message), "ERR_INVALID_ARG_TYPE");
}

/** @param {string} message */
export function outOfRange(message) {
  return coded(new RangeError(message), "ERR_OUT_OF_RANGE");
}

export function bodyAlreadyUsed() {
  return coded(
    new TypeError(
      "Response body already used. A Response body can only be sent once; create a new Response for each request.",
    ),
    "ERR_BODY_ALREADY_USED",
  );
}

/** @param {number} status */
export function statusNotSendable(status) {
  return new Error(
    `Cannot send a Response with status ${status}. HTTP status codes must be between 100 and 999` +
      " (Response.error() returns status 0).",
  );
}

/**
 * TLS material that cannot be used. The codes are those of the library in Bun.
 * @param {string} code
 * @param {string} message
 * @param {unknown} [cause]
 */
export function tlsError(code, message, cause) {
  return coded(cause === undefined ? new Error(message) : new Error(message, { cause }), code);
}

/** @param {string} method @param {number} expected @param {number} given */
export function missingArguments(method, expected, given) {
  return coded(
    new TypeError(`Not enough arguments to '${method}'. Expected ${expected}, got ${given}.`),
    "ERR_MISSING_ARGS",
  );
}

/** @param {string} name @param {string} type @param {unknown} value */
export function wrongType(name, type, value) {
  return invalidArgument(`The "${name}" argument must be of type ${type}. Received ${received(value)}`);
}

/** A method was called without its object. @param {string} className @param {unknown} self */
export function invalidThis(className, self) {
  const what = self === undefined ? "" : `, but received ${received(self)}`;
  return coded(new TypeError(`Expected this to be instanceof ${className}${what}`), "ERR_INVALID_THIS");
}

/** @param {string} method */
export function tooFewArguments(method) {
  return new Error(`${method} requires at least 1 argument`);
}

/**
 * `String(value)`, except that a symbol throws as it does in a template literal, and with the same text on each host.
 * @param {unknown} value
 */
export function stringOf(value) {
  if (typeof value === "symbol") throw new TypeError("Cannot convert a symbol to a string");
  return String(value);
}

/** @param {unknown} value */
function received(value) {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return value.name ? `function ${value.name}` : "function ";
  if (typeof value === "object") {
    const name = value.constructor?.name;
    return name ? `an instance of ${name}` : "[Object: null prototype] {}";
  }
  return `type ${typeof value} (${literal(value)})`;
}

/** @param {unknown} value */
function literal(value) {
  if (typeof value === "string") return `'${value.length > 28 ? `${value.slice(0, 25)}...` : value}'`;
  return typeof value === "bigint" ? `${value}n` : String(value);
}

/** What the operating system's codes mean, in the words Bun uses. @type {Record<string, string>} */
const systemErrors = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "address not available",
  EAFNOSUPPORT: "address family not supported",
  EINVAL: "invalid argument",
  EMFILE: "too many open files",
  ENAMETOOLONG: "name too long",
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  ENOTFOUND: "host name not found",
  EPERM: "operation not permitted",
};

/**
 * The error that `serve()` throws when it cannot listen. Only code, syscall and errno are properties.
 * @param {Error & { code?: string, errno?: number }} cause what the addon threw
 * @param {{ port: number, unix: string | undefined }} where
 */
export function cannotListen(cause, { port, unix }) {
  const { code, errno } = cause;
  if (code === undefined) return cause;
  const text = systemErrors[code] ?? cause.message;
  const message =
    code === "EADDRINUSE" && unix === undefined
      ? `Failed to start server. Is port ${port} in use?`
      : `${code}: ${text}, listen${unix === undefined ? "" : ` '${unix}'`}`;
  return Object.assign(new Error(message), { code, syscall: "listen", errno });
}
