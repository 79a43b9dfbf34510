// @ts-check
// The `tls` option: read, checked and decoded here, so that the addon gets certificates and keys as DER. Keys that are
// encrypted are opened with the host's node:crypto.
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { invalidArgument, tlsError } from "./errors.js";

/** @typedef {Record<PropertyKey, any>} Bag */
/** @typedef {import("../binding.js").TlsMaterial} TlsMaterial */
/** @typedef {import("../binding.js").TlsIdentity} TlsIdentity */
/** @typedef {{ label: string, body: string, text: string }} PemBlock */

/** Protocol versions as they are on the wire (RFC 8446, 4.2.1). */
const TLS12 = 0x0303;
const TLS13 = 0x0304;
/** `SSL_OP_NO_TLSv1_2` and `SSL_OP_NO_TLSv1_3`, the bits of `secureOptions` that are honoured. */
const NO_TLS12 = 0x08000000;
const NO_TLS13 = 0x20000000;

const strings = ["passphrase", "serverName", "ciphers", "keyFile", "certFile", "caFile", "dhParamsFile"];
const booleans = ["requestCert", "rejectUnauthorized", "lowMemoryMode"];
const numbers = [
  "secureOptions",
  "minVersion",
  "maxVersion",
  "clientRenegotiationLimit",
  "clientRenegotiationWindow",
];
const materials = ["ca", "cert", "key"];
const known = [...strings, ...booleans, ...numbers, ...materials, "ALPNProtocols"];

/**
 * What the addon wants for the option; undefined = plain HTTP.
 * @param {unknown} tls an object, several of them with a `serverName` each, or nothing
 * @returns {TlsMaterial | undefined}
 */
export function parseTls(tls) {
  if (isNil(tls) || tls === false) return undefined;
  const list = Array.isArray(tls) ? tls : [tls];
  const given = list.map(readOptions);
  if (given.every((options) => options === undefined)) return undefined;
  const entries = given.map((options, index) => {
    if (options === undefined) throw incomplete("key and cert");
    if (index > 0 && !options.serverName) throw invalidArgument("SNI tls object must have a serverName");
    return options;
  });
  const [first, ...others] = entries;
  for (const other of others) agree(first, other);
  const { rules, numbers } = clientRules(entries);
  return {
    identities: entries.flatMap((options, i) => identitiesOf(options, numbers[i])),
    ...versions(first),
    clients: rules.map(clients),
  };
}

/** @param {unknown} value @returns {value is null | undefined} */
function isNil(value) {
  return value === undefined || value === null;
}

/**
 * Checks the types of one object's members. Undefined when none of them is given.
 * @param {unknown} options
 * @returns {Bag | undefined}
 */
function readOptions(options) {
  if (typeof options !== "object" || options === null) throw invalidArgument("TLSOptions must be an object");
  /** @type {Bag} */
  const read = {};
  for (const name of known) {
    const value = /** @type {Bag} */ (options)[name];
    if (isNil(value)) continue;
    if (strings.includes(name)) check(name, typeof value === "string", "a string");
    else if (booleans.includes(name)) check(name, typeof value === "boolean", "a boolean");
    else if (numbers.includes(name)) check(name, typeof value === "number", "a number");
    else if (name === "ALPNProtocols") {
      check(name, typeof value === "string" || isBytes(value), "of type string, ArrayBuffer, or null");
    } else {
      const texts = textsOf(name, value);
      if (texts === undefined) continue;
      read[name] = texts;
      continue;
    }
    read[name] = value;
  }
  if (Object.keys(read).length === 0) return undefined;
  for (const name of materials) {
    const path = read[`${name}File`];
    if (path !== undefined) read[name] ??= [readFile(`${name}File`, path)];
  }
  // Parameters for key exchanges that are not offered; only their absence would be a surprise.
  if (read.dhParamsFile !== undefined) readFile("dhParamsFile", read.dhParamsFile);
  if (read.ciphers !== undefined) {
    throw invalidArgument(
      "TLSOptions.ciphers is not offered: leave it out. Only forward-secret suites with AES-GCM or ChaCha20 are used.",
    );
  }
  if (!read.key || !read.cert) {
    throw incomplete(read.key ? "cert" : read.cert ? "key" : "key and cert");
  }
  return read;
}

/** @param {string} missing */
function incomplete(missing) {
  return invalidArgument(
    `TLSOptions needs both key and cert: give ${missing} as well, or leave tls out for plain HTTP.`,
  );
}

/** @param {string} name @param {boolean} holds @param {string} type */
function check(name, holds, type) {
  if (!holds) throw invalidArgument(`TLSOptions.${name} must be ${type}`);
}

/** @param {unknown} value @returns {value is ArrayBufferLike | ArrayBufferView} */
function isBytes(value) {
  return (
    ArrayBuffer.isView(value) ||
    value instanceof ArrayBuffer ||
    Object.prototype.toString.call(value) === SHARED
  );
}

const SHARED = "[object SharedArrayBuffer]";

/**
 * The texts of `key`, `cert` or `ca`; undefined for an empty array, which means "not given".
 * @param {string} name
 * @param {unknown} value
 */
function textsOf(name, value) {
  if (Array.isArray(value)) {
    if (value.length === 0) return undefined;
    return value.map((element) => {
      const text = textOf(name, element);
      if (text !== undefined) return text;
      throw invalidArgument(`element of TLSOptions.${name} must be of type string, ArrayBuffer, or Blob`);
    });
  }
  const text = textOf(name, value);
  check(
    name,
    text !== undefined,
    "of type string, ArrayBuffer, Blob, array of <string, ArrayBuffer, or Blob>, or null",
  );
  return [text];
}

/** @param {string} name @param {unknown} value @returns {string | undefined} undefined for another type */
function textOf(name, value) {
  if (typeof value === "string") return value;
  if (isBytes(value)) {
    // PEM is ASCII, and what stands around its blocks does not matter.
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    return bytes.toString("latin1");
  }
  if (typeof Blob === "function" && value instanceof Blob) {
    // Its bytes could only be had asynchronously.
    throw invalidArgument(
      `TLSOptions.${name} is not a valid BunFile (non-BunFile \`Blob\`s are not supported)`,
    );
  }
  return undefined;
}

/** @param {string} name @param {string} path */
function readFile(name, path) {
  try {
    return readFileSync(path, "latin1");
  } catch (cause) {
    throw Object.assign(invalidArgument(`Unable to access ${name} path`), { cause });
  }
}

/**
 * What holds for a server as a whole must not be told one certificate only.
 * @param {Bag} first
 * @param {Bag} other
 */
function agree(first, other) {
  for (const name of ["minVersion", "maxVersion", "secureOptions"]) {
    if (other[name] === undefined || other[name] === first[name]) continue;
    throw invalidArgument(
      `TLSOptions.${name} holds for the whole server: give it in the first tls object, and alike or not at all in the others.`,
    );
  }
}

/** @param {Bag} options */
function versions({ minVersion = TLS12, maxVersion = TLS13, secureOptions = 0 }) {
  // Nothing below TLS 1.2 is offered, so a lower minimum changes nothing.
  const onlyTls13 = minVersion > TLS12 || (secureOptions & NO_TLS12) !== 0;
  const onlyTls12 = maxVersion < TLS13 || (secureOptions & NO_TLS13) !== 0;
  if (minVersion > TLS13 || maxVersion < TLS12 || (onlyTls12 && onlyTls13)) {
    throw invalidArgument(
      "TLSOptions leaves no protocol version: TLS 1.2 (0x0303) and TLS 1.3 (0x0304) are offered; check minVersion, maxVersion and secureOptions.",
    );
  }
  return { onlyTls12, onlyTls13 };
}

/** @typedef {{ requestCert: boolean, rejectUnauthorized: boolean, ca: string[] | undefined }} ClientRules */

/**
 * What clients have to show, by the name they ask for: the different rules, and the number of each entry's.
 * @param {Bag[]} entries
 */
function clientRules(entries) {
  const first = rulesOf(entries[0]);
  /** @type {Map<string, number>} */
  const known = new Map();
  /** @type {Map<string, number>} */
  const byName = new Map();
  /** @type {ClientRules[]} */
  const rules = [];
  const numbers = entries.map((options, i) => {
    const own = i === 0 ? first : rulesOf(options, first);
    const key = JSON.stringify(own);
    const number = known.get(key) ?? rules.push(own) - 1;
    known.set(key, number);
    const name = options.serverName?.toLowerCase() ?? "";
    if ((byName.get(name) ?? number) !== number) {
      throw invalidArgument(
        `TLSOptions.requestCert, rejectUnauthorized and ca belong to a name: give them alike in all tls objects for ${name}.`,
      );
    }
    byName.set(name, number);
    return number;
  });
  return { rules, numbers };
}

/**
 * As in Bun, the first entry's rules are for all who ask for no other name, and no name asks for less.
 * @param {Bag} options
 * @param {ClientRules} [first] of the first entry, for another
 * @returns {ClientRules}
 */
function rulesOf({ requestCert, rejectUnauthorized, ca }, first) {
  // Also where nobody is asked.
  for (const text of ca ?? []) certificates("ca", text);
  const isSilent = requestCert === undefined && rejectUnauthorized === undefined && ca === undefined;
  if (first !== undefined && isSilent) return first;
  const asks = requestCert ?? first?.requestCert ?? false;
  const refuses = rejectUnauthorized ?? (requestCert || (first?.rejectUnauthorized ?? true));
  if (first?.requestCert && first.rejectUnauthorized && !(asks && refuses)) {
    throw invalidArgument(
      `TLSOptions.${asks ? "rejectUnauthorized" : "requestCert"} cannot ask less of clients than the first tls object does: put the object that asks least first.`,
    );
  }
  if (!asks) return { requestCert: false, rejectUnauthorized: true, ca: undefined };
  return { requestCert: true, rejectUnauthorized: refuses, ca: refuses ? ca : undefined };
}

/** @param {ClientRules} rules */
function clients({ requestCert, rejectUnauthorized, ca }) {
  const texts = ca ?? [];
  const authorities = texts.flatMap((text) => certificates("ca", text));
  const namesAuthorities = authorities.length > 0;
  if (requestCert && rejectUnauthorized && !namesAuthorities) {
    // As in Bun, the well-known ones. There are too many to name them all to each client.
    const { rootCertificates } = process.getBuiltinModule("node:tls");
    authorities.push(...rootCertificates.flatMap((text) => certificates("ca", text)));
  }
  return { requestCert, rejectUnauthorized, authorities, namesAuthorities };
}

/**
 * Certificates and keys in pairs: one, or one a kind of key.
 * @param {Bag} options
 * @param {number} rules number of what its clients have to show
 * @returns {TlsIdentity[]}
 */
function identitiesOf({ key: keys, cert: certs, passphrase, serverName }, rules) {
  const opened = keys.map((/** @type {string} */ text) => privateKey(text, passphrase));
  const chains = certs.map((/** @type {string} */ text) => certificates("cert", text));
  if (opened.length !== chains.length) throw mismatch();
  return opened.map((/** @type {{ key: Uint8Array, form: string }} */ key, /** @type {number} */ i) => ({
    serverName: serverName || undefined,
    chain: chains[i],
    clients: rules,
    ...key,
  }));
}

/** @param {string} text @returns {PemBlock[]} */
function pemBlocks(text) {
  const blocks = text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([^-]*(?:-(?!----END)[^-]*)*)-----END \1-----/g);
  return Array.from(blocks, ([whole, label, body]) => ({ label, body, text: whole }));
}

/** @param {string} name @param {string} text */
function certificates(name, text) {
  const chain = pemBlocks(text).filter(
    ({ label }) => label === "CERTIFICATE" || label === "X509 CERTIFICATE",
  );
  if (chain.length === 0) throw noStartLine(name, "CERTIFICATE", "certificate");
  return chain.map(({ body }) => der(name, body));
}

const keyForms = new Map([
  ["PRIVATE KEY", "pkcs8"],
  ["RSA PRIVATE KEY", "pkcs1"],
  ["EC PRIVATE KEY", "sec1"],
  ["ENCRYPTED PRIVATE KEY", "encrypted"],
]);

/** @param {string} text @param {string | undefined} passphrase */
function privateKey(text, passphrase) {
  const block = pemBlocks(text).find(({ label }) => keyForms.has(label));
  if (block === undefined) throw noStartLine("key", "PRIVATE KEY", "private key");
  const form = /** @type {string} */ (keyForms.get(block.label));
  // The older form of encryption has it in a field above the key.
  if (form === "encrypted" || /^\s*Proc-Type:.*ENCRYPTED/.test(block.body)) {
    return { key: decrypted(block.text, passphrase), form: "pkcs8" };
  }
  return { key: der("key", block.body), form };
}

/** @param {string} pem @param {string | undefined} passphrase */
function decrypted(pem, passphrase) {
  try {
    if (passphrase === undefined) throw new Error("no passphrase was given");
    const { createPrivateKey } = process.getBuiltinModule("node:crypto");
    const key = createPrivateKey({ key: pem, format: "pem", passphrase });
    return key.export({ type: "pkcs8", format: "der" });
  } catch (cause) {
    throw tlsError(
      "ERR_OSSL_BAD_DECRYPT",
      passphrase === undefined
        ? "TLSOptions.key is encrypted: give its passphrase as TLSOptions.passphrase."
        : "TLSOptions.passphrase does not open TLSOptions.key: give the one the key was encrypted with.",
      cause,
    );
  }
}

/** @param {string} name @param {string} body */
function der(name, body) {
  const base64 = body.replaceAll(/\s+/g, "");
  if (base64 === "" || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw tlsError(
      "ERR_OSSL_PEM_BAD_BASE64_DECODE",
      `TLSOptions.${name} is damaged: what stands between its BEGIN and END lines is not base64.`,
    );
  }
  return Buffer.from(base64, "base64");
}

/** @param {string} name @param {string} label @param {string} what */
function noStartLine(name, label, what) {
  return tlsError(
    "ERR_OSSL_PEM_NO_START_LINE",
    `TLSOptions.${name} holds no ${what} in PEM form ("-----BEGIN ${label}-----"): give its text or bytes; a path goes into ${name}File.`,
  );
}

function mismatch() {
  return tlsError(
    "ERR_OSSL_X509_KEY_VALUES_MISMATCH",
    "TLSOptions.cert was not issued for TLSOptions.key: give each key with its own certificate, which comes first in its chain.",
  );
}

/**
 * What the addon says about material, in words. Anything else is returned as it is.
 * @param {unknown} cause
 */
export function explainTls(cause) {
  const { code } = /** @type {{ code?: string }} */ (cause);
  if (code === "TLS_MISMATCH") return mismatch();
  if (code === "TLS_KEY") {
    return tlsError(
      "ERR_OSSL_UNSUPPORTED",
      "TLSOptions.key cannot be used: give an RSA key of 2048 bits or more, an EC key (P-256, P-384 or P-521) or an Ed25519 key.",
    );
  }
  if (code === "TLS_AUTHORITY") {
    return tlsError("ERR_OSSL_X509_INVALID", "TLSOptions.ca holds something that is no X.509 certificate.");
  }
  return cause;
}
