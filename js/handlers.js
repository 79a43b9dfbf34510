// @ts-check
// The module face: a module that exports attach, open, message, close and drain is a WebSocket server.
import { invalidArgument } from "./errors.js";
import { exchangeOf } from "./request.js";
import { isResponse } from "./response.js";
import { Response } from "./response-class.js";
import { serve } from "./serve.js";

/** @typedef {Record<PropertyKey, any>} Bag */

const handlerNames = ["open", "message", "close", "drain", "ping", "pong", "error"];
const exportNames = ["attach", ...handlerNames];

/**
 * @param {unknown} module a namespace object, its default export, or a promise of one of them (`import("./socket.js")`)
 * @param {unknown} [options]
 * @returns {any} a Server; a promise of one for a promise
 */
export function serveModule(module, options = {}) {
  if (module instanceof Promise) return module.then((loaded) => serveModule(loaded, options));
  if (typeof options !== "object" || options === null) {
    throw invalidArgument("serveModule() expects an object as options");
  }
  const { global: name = "brisaServer", path, fetch, websocket, ...rest } = /** @type {Bag} */ (options);
  checkOptions(name, path, fetch);
  const { attach, ...handlers } = readModule(module);
  const server = serve({
    ...rest,
    // The module's handlers; limits may come with the options.
    websocket: { ...websocket, ...handlers },
    fetch: createFetch(attach, path, fetch),
  });
  if (name !== false) /** @type {Bag} */ (globalThis)[name] = server;
  return server;
}

/** @param {unknown} name @param {unknown} path @param {unknown} fetch */
function checkOptions(name, path, fetch) {
  if (name !== false && (typeof name !== "string" || name === "")) {
    throw invalidArgument("serveModule() expects options.global to be a name or false");
  }
  if (path !== undefined && (typeof path !== "string" || !path.startsWith("/"))) {
    throw invalidArgument("serveModule() expects options.path to be a path that starts with '/'");
  }
  if (fetch !== undefined && typeof fetch !== "function") {
    throw invalidArgument("serveModule() expects options.fetch to be a function");
  }
}

/** The known exports of a module. @param {unknown} module @returns {Bag} */
function readModule(module) {
  const bag = moduleObject(module);
  /** @type {Bag} */
  const found = {};
  for (const name of exportNames) {
    const value = bag[name];
    if (value === undefined) continue;
    if (typeof value !== "function") {
      throw invalidArgument(
        `serveModule() expects the module's export "${name}" to be a function, but it is ${typeOf(value)}.` +
          ` Export it as \`export function ${name}() {}\`, or remove it.`,
      );
    }
    found[name] = value;
  }
  if (Object.keys(found).length === 0) {
    throw invalidArgument(
      "serveModule() found no handler in the module. Export at least one of the functions attach, open, message, " +
        "close and drain, by name or as one default object.",
    );
  }
  return found;
}

/** @param {unknown} module @returns {Bag} */
function moduleObject(module) {
  if ((typeof module !== "object" || module === null) && typeof module !== "function") {
    throw invalidArgument(
      `serveModule() expects a module's namespace, but received ${typeOf(module)}.` +
        ' Load it with `import * as socket from "./socket.js"`.',
    );
  }
  const bag = /** @type {Bag} */ (module);
  const isNamed = exportNames.some((name) => bag[name] !== undefined);
  return !isNamed && typeof bag.default === "object" && bag.default !== null ? bag.default : bag;
}

/** @param {unknown} value */
function typeOf(value) {
  return value === null ? "null" : `of type ${typeof value}`;
}

/**
 * @param {((request: Request) => unknown) | undefined} attach
 * @param {string | undefined} path
 * @param {((this: unknown, request: Request, server: any) => unknown) | undefined} fallback
 */
function createFetch(attach, path, fallback) {
  /** @this {unknown} @param {Request} request @param {any} server @returns {unknown} */
  return function fetch(request, server) {
    const exchange = exchangeOf(request);
    const isHere = path === undefined || exchange?.path === path;
    // A wrong version goes on to upgrade(), which answers it.
    if (!isHere || !exchange?.handshake) {
      if (fallback !== undefined) return fallback.call(this, request, server);
      return isHere ? upgradeRequired() : new Response("Not Found", { status: 404 });
    }
    const attached = attach?.(request);
    // Waiting only when there is something to wait for, so that open runs in the request's own turn.
    const isPending = typeof (/** @type {any} */ (attached)?.then) === "function";
    return isPending
      ? Promise.resolve(attached).then((data) => accept(request, server, data))
      : accept(request, server, attached);
  };
}

/** @param {Request} request @param {any} server @param {unknown} data @returns {unknown} */
function accept(request, server, data) {
  // attach() refuses a client with a Response.
  if (isResponse(data)) return data;
  return server.upgrade(request, { data }) ? undefined : upgradeRequired();
}

function upgradeRequired() {
  return new Response("Upgrade Required", {
    status: 426,
    headers: { upgrade: "websocket", "sec-websocket-version": "13" },
  });
}
