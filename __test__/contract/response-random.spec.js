// @ts-check
// Random arguments and random steps, on the exported Response and on the platform's: both must show the same.

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { Response } from "../support/subject.js";
import { test } from "../support/test.js";
import { turn } from "../support/wait.js";

const STORIES = 1500;

/** Numbers that look random, the same ones for the same seed. */
class Dice {
  /** @param {number} seed */
  constructor(seed) {
    this.state = seed;
  }

  /** @param {number} limit @returns {number} from 0 to limit - 1 */
  below(limit) {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  /** @template T @param {T[]} choices @returns {T} */
  one(choices) {
    return choices[this.below(choices.length)];
  }

  /** @template T @param {number} limit @param {() => T} make @returns {T[]} fewer than limit */
  some(limit, make) {
    return Array.from({ length: this.below(limit) }, make);
  }
}

const characters = [..."aB- \t\r\n\0\x01\x7f\x80\xff\u0100:\u00e9%(/;=1"];

/** @param {Dice} dice @returns {any} */
function headersOf(dice) {
  const text = () => dice.some(5, () => dice.one(characters)).join("");
  const names = [
    "x-a",
    "X-A",
    "Content-Type",
    "content-type",
    "Set-Cookie",
    "content-length",
    "connection",
    text(),
  ];
  const values = [
    text(),
    "plain",
    1.5,
    null,
    true,
    { toString: () => "object" },
    "text/plain;charset=UTF-8",
    "text/x",
  ];
  const pairs = dice.some(4, () => [dice.one(names), dice.one(values)]);
  return dice.one([Object.fromEntries(pairs), pairs, undefined]);
}

/** @param {Dice} dice @returns {any} */
function initOf(dice) {
  const status = dice.one([undefined, 200, 201, 204, 304, 404, 599, 199, 600, "201", 200.5, Number.NaN]);
  const statusText = dice.one([undefined, "", "fine", dice.some(5, () => dice.one(characters)).join("")]);
  return dice.one([
    undefined,
    { headers: headersOf(dice) },
    { headers: headersOf(dice), status, statusText },
  ]);
}

/** @type {(() => any)[]} */
const bodies = [
  () => undefined,
  () => null,
  () => "a=1&b=%20",
  () => '{"a":1}',
  () => "",
  () => 5,
  () => new Uint8Array([1, 2, 0xef, 0xbb, 0xbf]),
  () => new Blob(["blob"], { type: "text/x" }),
  () => new URLSearchParams("a=b&c=d"),
  () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue(new Uint8Array([65]));
        controller.close();
      },
    }),
];

/** @param {Response} response */
const shown = ({ type, url, redirected, status, ok, statusText, headers, bodyUsed }) =>
  JSON.stringify([type, url, redirected, status, ok, statusText, [...headers], bodyUsed]);

/** @type {((response: Response) => any)[]} */
const steps = [
  (response) => response.text(),
  (response) => response.json(),
  async (response) => [...new Uint8Array(await response.arrayBuffer())],
  async (response) => [(await response.blob()).type],
  async (response) => [...(await response.formData())],
  (response) => shown(response.clone()),
  async (response) => {
    const copy = response.clone();
    return [shown(copy), await copy.text()];
  },
  (response) => response.headers.set("content-type", "text/y"),
  (response) => response.headers.append("x-z", "1"),
  (response) => response.headers.delete("content-type"),
  (response) => response.body === null,
  (response) => response.body?.getReader().releaseLock(),
  // After a clone it may wait for the other half for ever.
  async (response) => void (await Promise.race([response.body?.cancel(), turn()])),
  shown,
];

/** @param {typeof globalThis.Response} Class @param {number} seed */
async function story(Class, seed) {
  const dice = new Dice(seed);
  const seen = [];
  /** @param {() => any} call */
  const attempt = async (call) => {
    try {
      seen.push(await call());
    } catch (error) {
      seen.push(error.name);
    }
  };
  /** @type {Response | undefined} */
  let response;
  await attempt(() => {
    response = new Class(dice.one(bodies)(), initOf(dice));
    return shown(response);
  });
  if (response === undefined) return seen;
  const told = response;
  for (const step of dice.some(6, () => dice.one(steps))) {
    await attempt(() => step(told));
    seen.push(told.bodyUsed);
  }
  return seen;
}

test("shows what the platform's shows, whatever it is made of and whatever is done with it", async () => {
  const first = Date.now();
  for (let seed = first; seed < first + STORIES; seed++) {
    const platform = await story(globalThis.Response, seed);
    const own = await story(Response, seed);
    if (!isDeepStrictEqual(own, platform)) assert.deepEqual(own, platform, `seed ${seed}`);
  }
});
