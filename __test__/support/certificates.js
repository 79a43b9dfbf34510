// @ts-check
// The certificates and keys in ./certificates, made by make.sh there. `a.test` is RSA, `b.test` (also `*.b.test`) is EC.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** @param {string} name */
export const pathOf = (name) => fileURLToPath(new URL(`./certificates/${name}`, import.meta.url));

/** @param {string} name */
export const pem = (name) => readFileSync(pathOf(name), "utf8");

/** Key and certificate of a host. @param {string} name */
export const identity = (name) => ({ key: pem(`${name}.key`), cert: pem(`${name}.crt`) });
