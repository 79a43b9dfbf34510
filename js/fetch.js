// @ts-check
// From a request to the program's handler, and from what it gave to a response.
import { PENDING, UPGRADED } from "./exchange.js";
import { createRequest } from "./request.js";
import { discard, isResponse, respondPlain, sendResponse } from "./response.js";
import { inspect } from "./runtime.js";

/** @typedef {import("./exchange.js").Exchange} Exchange */

/** @param {Exchange} exchange */
export function handle(exchange) {
  let result;
  let isPending = false;
  try {
    result = callHandler(exchange);
    isPending = isThenable(result);
  } catch (error) {
    fail(exchange, error);
    return;
  }
  if (!isPending) {
    finish(exchange, result);
    return;
  }
  Promise.resolve(result).then(
    (value) => finish(exchange, value),
    (error) => fail(exchange, error),
  );
}

/** @param {Exchange} exchange @returns {unknown} */
function callHandler(exchange) {
  const { core } = exchange;
  const match = core.routes?.find(
    exchange.method,
    exchange.path,
    exchange.handshake !== 0 && core.hasWebSocket,
  );
  if (match !== undefined) {
    const { target, params } = match;
    if (typeof target === "function") {
      exchange.params = params;
      exchange.handler = target;
      return target.call(core.server, createRequest(exchange), core.server);
    }
    // The I/O threads answer these, except in the moment when routes are replaced. The route's own stays unread.
    if (target !== false) return target.clone();
  }
  if (core.fetch === undefined) {
    respondPlain(exchange, 404, "", null);
    return undefined;
  }
  exchange.handler = core.fetch;
  return core.fetch.call(core.server, createRequest(exchange), core.server);
}

/** @param {unknown} value @returns {value is PromiseLike<unknown>} */
function isThenable(value) {
  return (
    typeof value === "object" && value !== null && typeof (/** @type {any} */ (value).then) === "function"
  );
}

/** The handler has given its result. @param {Exchange} exchange @param {unknown} result */
function finish(exchange, result) {
  decided(exchange);
  if (exchange.state !== PENDING) {
    // Upgraded, or the client has gone.
    discard(result);
  } else if (isResponse(result)) {
    sendResponse(exchange, result, (error) => reportError(exchange, error));
  } else {
    warnOnce(exchange, result);
    respondPlain(exchange, 204, "", null);
  }
}

/** The handler has thrown. @param {Exchange} exchange @param {unknown} error */
function fail(exchange, error) {
  decided(exchange);
  reportError(exchange, error);
}

/** @param {Exchange} exchange */
function decided(exchange) {
  exchange.isDecided = true;
  // A request that became a socket counts as pending until its handler is done.
  if (exchange.state === UPGRADED) exchange.core.requests--;
}

/** Handlers that have been told that they gave no Response. @type {WeakSet<Function>} */
const warned = new WeakSet();

/** @param {Exchange} exchange @param {unknown} result */
function warnOnce({ handler }, result) {
  if (handler === undefined || warned.has(handler)) return;
  warned.add(handler);
  console.warn(`Expected a Response object, but received '${shown(result)}'`);
}

/** Characters of a value in a line on stderr. */
const SHOWN = 100;

/** @param {unknown} value */
function shown(value) {
  const text = typeof value === "string" ? JSON.stringify(value) : inspect(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}...` : text;
}

/**
 * The handler failed, or its response cannot be sent. After an upgrade, or when the client has gone, the error handler
 * still hears of it; what it returns is not used then.
 * @param {Exchange} exchange
 * @param {unknown} error
 */
function reportError(exchange, error) {
  const { core } = exchange;
  if (core.error === undefined) {
    console.error(error);
    sendFailure(exchange, error);
    return;
  }
  let result;
  try {
    result = core.error.call(core.server, error);
  } catch (second) {
    failAgain(exchange, second);
    return;
  }
  if (!isThenable(result)) {
    answerError(exchange, result, error);
    return;
  }
  Promise.resolve(result).then(
    (value) => answerError(exchange, value, error),
    (second) => failAgain(exchange, second),
  );
}

/** @param {Exchange} exchange @param {unknown} result of the error handler @param {unknown} error */
function answerError(exchange, result, error) {
  if (exchange.state !== PENDING) discard(result);
  else if (isResponse(result)) sendResponse(exchange, result, (second) => failAgain(exchange, second));
  else failAgain(exchange, error);
}

/** The error handler failed too, or gave no Response. @param {Exchange} exchange @param {unknown} error */
function failAgain(exchange, error) {
  console.error(error);
  sendFailure(exchange, error);
}

/** @param {Exchange} exchange @param {unknown} error */
function sendFailure(exchange, error) {
  if (exchange.core.development) {
    respondPlain(exchange, 500, "content-type: text/html;charset=utf-8\r\n", errorPage(error));
  } else {
    respondPlain(exchange, 500, "content-type: text/plain\r\n", "Something went wrong!");
  }
}

/** For development only: it shows the program's paths. @param {unknown} error */
function errorPage(error) {
  const title = escapeHtml(textOf(() => String(error)));
  const stack = escapeHtml(textOf(() => /** @type {any} */ (error)?.stack));
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<body style="font-family: system-ui, sans-serif; margin: 2rem">
<h1 style="font-size: 1.2rem">${title}</h1>
<pre style="overflow: auto">${stack}</pre>
</body>
</html>
`;
}

/** What was thrown may be anything: no Error, or one whose getters throw. @param {() => unknown} read */
function textOf(read) {
  try {
    const text = read();
    return typeof text === "string" ? text : "";
  } catch {
    return "";
  }
}

/** @param {string} text */
function escapeHtml(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
