// @ts-check
// The only module that talks to the addon's loader.
import { setImmediate } from "node:timers";
import { native } from "../binding.js";
import { isDeno, isMainThread, onExit } from "./runtime.js";
import { shared } from "./small.js";

/** How long a process that ends waits for what was sent to leave. With a worker the I/O threads do not end. */
const LEAVE_MS = 500;

/**
 * The addon's functions for this env. Set by `attach`, and always before anything else here is reachable.
 * @type {import("../binding.js").Native}
 */
export let N;

// What a direction is compressed with; more than that are the window bits of a context of the socket's own.

/** Nothing is compressed, also on sockets that have agreed to it. */
export const DISABLED = 0;
/** Each message by itself. */
export const SHARED = 1;

let attached = false;

/**
 * Connects this env (main thread or worker) with the addon. Not at import: a program that only imports ferrows
 * starts no thread and keeps nothing alive.
 * @param {Omit<import("../binding.js").Callbacks, "later">} callbacks
 */
export function attach(callbacks) {
  if (attached) return;
  const later = () => void setImmediate(N.continueDrain);
  const addon = native.attach({ ...callbacks, later }, { deno: isDeno, small: shared });
  // An object literal has a fixed shape, so each call is one load; what the addon made is a dictionary to V8.
  N = {
    listen: addon.listen,
    configure: addon.configure,
    setRoutes: addon.setRoutes,
    setStatic: addon.setStatic,
    secure: addon.secure,
    stopListening: addon.stopListening,
    closeIdle: addon.closeIdle,
    abortRequests: addon.abortRequests,
    ref: addon.ref,
    unref: addon.unref,
    requestTimeout: addon.requestTimeout,
    upgrade: addon.upgrade,
    respond: addon.respond,
    respondChunk: addon.respondChunk,
    respondEnd: addon.respondEnd,
    respondAbort: addon.respondAbort,
    bodyRead: addon.bodyRead,
    bodyCancel: addon.bodyCancel,
    sendText: addon.sendText,
    sendBinary: addon.sendBinary,
    sendSmall: addon.sendSmall,
    control: addon.control,
    close: addon.close,
    terminate: addon.terminate,
    buffered: addon.buffered,
    pause: addon.pause,
    resume: addon.resume,
    subscribe: addon.subscribe,
    unsubscribe: addon.unsubscribe,
    publishText: addon.publishText,
    publishBinary: addon.publishBinary,
    blockedSockets: addon.blockedSockets,
    queueState: addon.queueState,
    hold: addon.hold,
    release: addon.release,
    fatal: addon.fatal,
    leave: addon.leave,
    byteLengthUtf8: addon.byteLengthUtf8,
    continueDrain: addon.continueDrain,
  };
  attached = true;
  onExit(() => N.leave(isMainThread() ? LEAVE_MS : 0));
}

/** Started servers that hold the event loop; the addon has one flag for all of them. */
let holders = 0;

/** A server begins to keep the event loop alive. */
export function retainLoop() {
  if (holders++ === 0) N.ref();
}

/** A server no longer keeps the event loop alive. */
export function releaseLoop() {
  if (--holders === 0) N.unref();
}
