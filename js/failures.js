// @ts-check
// Where a WebSocket handler's exception goes.
import { N } from "./native.js";
import { uncaught } from "./runtime.js";

/**
 * To the server's `error` handler, or else to the host as an uncaught exception.
 * @param {import("./options.js").WebSocketConfig} handlers
 * @param {import("./server-websocket.js").ServerWebSocket} ws
 * @param {unknown} error
 */
export function handlerFailed(handlers, ws, error) {
  // A plain call: handlers have no `this`.
  const { error: handler } = handlers;
  if (handler === undefined) {
    uncaught(error, N.fatal);
    return;
  }
  try {
    handler(error, ws);
  } catch (second) {
    uncaught(second, N.fatal);
  }
}
