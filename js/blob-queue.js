// @ts-check
// Order behind a Blob. A Blob's bytes arrive later, so what a socket sends after it waits here until they have.
import { kept, sizeOf } from "./payload.js";

/** @typedef {import("./payload.js").Payload} Payload */
/** @typedef {Exclude<Payload, import("./payload.js").BlobBytes>} ReadyPayload */

/**
 * @typedef {object} Entry
 * @property {ReadyPayload | undefined} payload undefined while a Blob is read
 * @property {number} size bytes
 * @property {((payload: ReadyPayload) => void) | undefined} write undefined: the Blob could not be read
 */

export class BlobQueue {
  /** @type {Entry[]} */
  #entries = [];
  #onEmpty;
  #onError;
  #isDropped = false;

  /** Bytes that wait. */
  bytes = 0;

  /**
   * @param {() => void} onEmpty nothing waits any more
   * @param {(error: unknown) => void} onError a Blob could not be read; its message is left out
   */
  constructor(onEmpty, onError) {
    this.#onEmpty = onEmpty;
    this.#onError = onError;
  }

  /**
   * @param {Payload} payload
   * @param {(payload: ReadyPayload) => void} write
   * @returns {number} size of the payload
   */
  push(payload, write) {
    const own = kept(payload);
    /** @type {Entry} */
    const entry = { payload: undefined, size: sizeOf(own), write };
    this.bytes += entry.size;
    this.#entries.push(entry);
    if (typeof own === "string" || own instanceof Uint8Array) {
      entry.payload = own;
      return entry.size;
    }
    own.read().then(
      (bytes) => {
        entry.payload = bytes;
        this.#flush();
      },
      (error) => {
        entry.payload = "";
        entry.write = undefined;
        if (!this.#isDropped) this.#onError(error);
        this.#flush();
      },
    );
    return entry.size;
  }

  /** The connection is gone. */
  drop() {
    this.#isDropped = true;
    this.#entries.length = 0;
    this.bytes = 0;
  }

  #flush() {
    if (this.#isDropped) return;
    while (this.#entries.length > 0) {
      const { payload, size, write } = this.#entries[0];
      if (payload === undefined) return;
      this.#entries.shift();
      this.bytes -= size;
      write?.(payload);
    }
    this.drop();
    this.#onEmpty();
  }
}
