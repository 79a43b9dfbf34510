// @ts-check
// The `routes` option: exact paths before parameters before wildcards, segment by segment.
//
// The I/O threads answer static Responses from a table of their own (`src/hub/routes.rs`), which knows every pattern
// and finds by the same rules. What has a handler, and handshakes, are matched here.
import { invalidArgument } from "./errors.js";
import { N } from "./native.js";
import { decodePercent } from "./percent.js";
import { headOf, isResponse } from "./response.js";
import { isOwnResponse, isStreamed, takeMemory } from "./response-class.js";

const methods = new Set(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"]);

/** @typedef {(this: unknown, request: Request, server: unknown) => unknown} Handler */

/** `false` leaves a path to `fetch`. @typedef {Response | Handler | false} Target */

/**
 * What is served at one pattern, by method; "" stands for all of them.
 * @typedef {Map<string, { target: Target, params: string[] }>} Route
 */

/** @typedef {{ target: Target, params: Record<string, string> }} Match */

/** One segment of the tree. */
class Segment {
  /** @type {Map<string, Segment>} */
  literals = new Map();
  /** @type {Segment | undefined} */
  parameter = undefined;
  /** @type {Route} */
  route = new Map();
  /** @type {Route} */
  wildcard = new Map();
}

/**
 * @param {unknown} routes
 * @returns {Router}
 */
export function compileRoutes(routes) {
  if ((typeof routes !== "object" && typeof routes !== "function") || routes === null) {
    throw invalidArgument(wrongRoutes);
  }
  const router = new Router();
  for (const [path, value] of Object.entries(routes)) router.add(path, value);
  return router;
}

export class Router {
  #root = new Segment();
  /** Patterns that serve something. */
  size = 0;
  /** For the addon: pattern, method and target. @type {[path: string, method: string, target: Target][]} */
  #list = [];

  /** @param {string} path @param {unknown} value */
  add(path, value) {
    if (path !== "" && !path.startsWith("/")) {
      throw invalidArgument(`Invalid route "${path}". Path must start with '/'`);
    }
    if (/[^\0-\x7f]/.test(path)) {
      throw invalidArgument(`Invalid route "${path}". Please encode all non-ASCII characters in the path.`);
    }
    const params = parameterNames(path);
    const targets = parseValue(path, value);
    if (targets === undefined) return;
    if (targets.get("") !== false) this.size++;

    const segments = path.slice(1).split("/");
    const isWildcard = segments.at(-1)?.startsWith("*");
    if (isWildcard) segments.pop();
    // As in Bun, a wildcard in front of the last segment never matches.
    if (segments.some((segment) => segment.startsWith("*"))) return;
    let node = this.#root;
    for (const segment of segments) {
      if (segment.startsWith(":")) {
        node.parameter ??= new Segment();
        node = node.parameter;
        continue;
      }
      let next = node.literals.get(segment);
      if (next === undefined) {
        next = new Segment();
        node.literals.set(segment, next);
      }
      node = next;
    }
    const route = isWildcard ? node.wildcard : node.route;
    for (const [method, target] of targets) {
      route.set(method, { target, params });
      this.#list.push([path, method, target]);
    }
  }

  /**
   * @param {string} method
   * @param {string} path raw: neither decoded nor normalised, without the query
   * @param {boolean} isHandshake static responses are skipped then, so that the request can be upgraded
   * @returns {Match | undefined}
   */
  find(method, path, isHandshake) {
    const segments = path.slice(1).split("/");
    /** @type {string[]} */
    const values = [];

    /** @param {Route} route @returns {Match | undefined} */
    const take = (route) => {
      const found = route.get("") ?? route.get(method) ?? (method === "HEAD" ? route.get("GET") : undefined);
      if (found === undefined || (isHandshake && isResponse(found.target))) return undefined;
      return { target: found.target, params: paramsOf(found.params, values) };
    };

    /** @param {Segment} node @param {number} depth @returns {Match | undefined} */
    const walk = (node, depth) => {
      if (depth === segments.length) return take(node.route);
      const segment = segments[depth];
      const literal = node.literals.get(segment);
      let match = literal && walk(literal, depth + 1);
      if (match === undefined && node.parameter !== undefined && segment !== "") {
        values.push(segment);
        match = walk(node.parameter, depth + 1);
        values.pop();
      }
      return match ?? take(node.wildcard);
    };
    return walk(this.#root, 0);
  }

  /**
   * Tells the addon the patterns, and then what the static ones answer. Their bodies are read now, which the platform
   * lets finish a little later; requests for them wait on the I/O threads.
   * @param {number} serverId
   * @param {boolean} canUpgrade
   */
  install(serverId, canUpgrade) {
    /** One Response may be at several paths. @type {Map<Target, number[]>} */
    const numbers = new Map();
    let table = "";
    for (const [path, method, target] of this.#list) {
      // No request's path has such characters.
      if (/[\0-\x20]/.test(path)) continue;
      let number = "-";
      if (isResponse(target)) {
        number = String(nextNumber);
        numbers.set(target, [...(numbers.get(target) ?? []), nextNumber]);
        nextNumber = (nextNumber + 1) % 2 ** 31;
      }
      table += `${number} ${method || "-"} ${path}\n`;
    }
    N.setRoutes(serverId, numbers.size === 0 ? "" : table, canUpgrade);
    for (const [response, list] of numbers) publish(serverId, list, /** @type {Response} */ (response));
  }
}

/** Numbers of static routes, in all servers of this env. */
let nextNumber = 0;

/** @param {number} serverId @param {number[]} numbers @param {Response} response */
async function publish(serverId, numbers, response) {
  const { status, lines, mode } = headOf(response);
  /** @param {number} code @param {string} head @param {Uint8Array | string | null} body */
  const set = (code, head, body) => {
    for (const number of numbers) N.setStatic(serverId, number, code, head, body, mode !== 0);
  };
  try {
    // A clone, since the program may still use its own.
    const copy = response.clone();
    const memory = isOwnResponse(copy) ? takeMemory(copy) : copy.body === null ? null : undefined;
    set(status, lines, memory === undefined ? new Uint8Array(await copy.arrayBuffer()) : memory);
  } catch (error) {
    console.error(error);
    set(500, "", null);
  }
}

/** @param {string[]} names @param {string[]} values */
function paramsOf(names, values) {
  /** @type {Record<string, string>} */
  const params = {};
  for (const [i, name] of names.entries()) {
    if (name === "") continue;
    // Not an assignment: a parameter may be called __proto__.
    Object.defineProperty(params, name, {
      value: decodeSegment(values[i]),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return params;
}

/** @param {string} path */
function parameterNames(path) {
  /** @type {string[]} */
  const names = [];
  for (const segment of path.split("/")) {
    if (!segment.startsWith(":")) continue;
    const name = segment.slice(segment.lastIndexOf(":") + 1);
    const problem =
      name !== "" && names.includes(name)
        ? "Support for duplicate route parameter names is not yet implemented."
        : /^\d/.test(name)
          ? "Route parameter names cannot start with a number."
          : undefined;
    if (problem !== undefined) {
      const text = `${problem}\n\nIf you run into this, please file an issue and we will add support for it.`;
      throw Object.assign(new Error(text), { name: "TODOError" });
    }
    names.push(name);
  }
  return names;
}

/** @param {string} path @param {unknown} value @returns {Map<string, Target> | undefined} */
function parseValue(path, value) {
  if (value === undefined) return undefined;
  if (value === false) return new Map([["", false]]);
  if (isTarget(value)) {
    checkStatic(value);
    return new Map([["", value]]);
  }
  if (typeof value !== "object" || value === null) throw invalidArgument(wrongValue);
  refuseUnoffered(path, value);
  /** @type {Map<string, Target>} */
  const targets = new Map();
  let isTable = false;
  for (const [method, target] of Object.entries(value)) {
    if (!methods.has(method)) continue;
    isTable = true;
    // As in Bun, what cannot answer stands for nothing.
    if (!isTarget(target)) continue;
    checkStatic(target);
    targets.set(method, target);
  }
  if (!isTable) throw invalidArgument(wrongValue);
  return targets;
}

/** @param {unknown} value @returns {value is Response | Handler} */
function isTarget(value) {
  return typeof value === "function" || isResponse(value);
}

/** What Bun bundles or reads from a disk. @param {string} path @param {object} value */
function refuseUnoffered(path, value) {
  if ("dir" in value) {
    throw invalidArgument(
      `The route "${path}" is a directory, which serve() does not offer. Read the file in a handler and return it.`,
    );
  }
  if (Object.prototype.toString.call(value) === "[object HTMLBundle]" || "index" in value) {
    throw invalidArgument(
      `The route "${path}" is an HTML bundle, which serve() does not offer. ` +
        "Build the page beforehand and return its files from a handler.",
    );
  }
}

/** A static Response must be there as a whole. @param {Response | Handler} target */
function checkStatic(target) {
  if (typeof target === "function") return;
  if (target.status < 100 || target.status > 999) {
    throw invalidArgument(
      `Cannot use a Response with status ${target.status} as a static route. ` +
        "HTTP status codes must be between 100 and 999 (Response.error() returns status 0).",
    );
  }
  if (target.bodyUsed || (!isOwnResponse(target) && target.body?.locked)) {
    throw invalidArgument("Response body has already been used");
  }
  if (isStream(target)) {
    throw invalidArgument(
      "Body must be fully buffered before it can be used in a static route. " +
        "Consider calling new Response(await response.blob()) to buffer the body.",
    );
  }
}

/**
 * Whether a body was given as a stream, as far as the platform lets know: Node makes byte streams of everything else.
 * @param {Response} response
 */
function isStream(response) {
  if (isOwnResponse(response)) return isStreamed(response);
  const { body } = response;
  if (body === null || !makesByteStreams()) return false;
  try {
    body.getReader({ mode: "byob" }).releaseLock();
    return false;
  } catch {
    return true;
  }
}

function makesByteStreams() {
  try {
    new Response("x").body?.getReader({ mode: "byob" }).releaseLock();
    return true;
  } catch {
    return false;
  }
}

/** @param {string} segment a character is a byte */
function decodeSegment(segment) {
  return decodePercent(segment.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16)}`));
}

const wrongRoutes = `Bun.serve() expects 'routes' to be an object shaped like:

  {
    "/path": {
      GET: (req) => new Response("Hello"),
      POST: (req) => new Response("Hello"),
    },
    "/path2/:param": new Response("Hello"),
    "/path3/:param1/:param2": (req) => new Response("Hello")
  }

Learn more at https://bun.com/docs/api/http`;

/** Bun's text, word for word: programs and people search for it. */
const wrongValue = `'routes' expects a Record<string, Response | HTMLBundle | {[method: string]: (req: BunRequest) => Response|Promise<Response>}>

To bundle frontend apps on-demand with Bun.serve(), import HTML files.

Example:

\`\`\`js
import { serve } from "bun";
import app from "./app.html";

serve({
  routes: {
    "/index.json": Response.json({ message: "Hello World" }),
    "/app": app,
    "/path/:param": (req) => {
      const param = req.params.param;
      return Response.json({ message: \`Hello \${param}\` });
    },
    "/path": {
      GET(req) {
        return Response.json({ message: "Hello World" });
      },
      POST(req) {
        return Response.json({ message: "Hello World" });
      },
    },
  },

  fetch(request) {
    return new Response("fallback response");
  },
});
\`\`\`

See https://bun.com/docs/api/http for more information.`;
