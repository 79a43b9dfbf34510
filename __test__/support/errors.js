// @ts-check
// Validators for `assert.throws` that compare class, code and text of an error in one go.

import assert from "node:assert/strict";

/** @param {string} name @param {string | undefined} code @param {string} message */
function thrown(name, code, message) {
  return (/** @type {any} */ error) => {
    assert.deepEqual([error.name, error.code, error.message], [name, code, message]);
    return true;
  };
}

/** An `Error` without a code. @param {string} message */
export const plainError = (message) => thrown("Error", undefined, message);

/** A `TypeError` with code ERR_INVALID_ARG_TYPE. @param {string} message */
export const argumentTypeError = (message) => thrown("TypeError", "ERR_INVALID_ARG_TYPE", message);

/** A `TypeError` with code ERR_MISSING_ARGS. @param {string} message */
export const missingArgument = (message) => thrown("TypeError", "ERR_MISSING_ARGS", message);
