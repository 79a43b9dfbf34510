// @ts-check
// A small router for the `routes` option: exact paths before parameters before wildcards, segment by segment.
import { invalidArgument } from "./errors.js";

const methods = new Set(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "CONNECT", "TRACE"]);

/** @typedef {Response | ((this: unknown, request: Request, server: unknown) => unknown)} Target */

/**
 * What is served at one pattern: one target for all methods, or a table of them.
 * @typedef {{ any: Target | undefined, table: Map<string, Target> | undefined, params: string[] }} Route
 */

/** @typedef {{ target: Target, params: Record<string, string> }} Match */

/** One segment of the tree. */
class Segment {
  /** @type {Map<string, Segment>} */
  literals = new Map();
  /** @type {Segment | undefined} */
  parameter = undefined;
  /** @type {Route | undefined} */
  route = undefined;
  /** @type {Route | undefined} */
  wildcard = undefined;
}

/**
 * @param {unknown} routes
 * @returns {Router}
 */
export function compileRoutes(routes) {
  if (typeof routes !== "object" || routes === null) {
    throw invalidArgument(
      "Bun.serve() expects 'routes' to be an object shaped like:\n\n" +
        '  {\n    "/path": {\n      GET: (req) => new Response("Hello"),\n' +
        '      POST: (req) => new Response("Hello"),\n    },\n' +
        '    "/path2/:param": new Response("Hello"),\n' +
        '    "/path3/:param1/:param2": (req) => new Response("Hello")\n  }\n\n' +
        "Learn more at https://bun.com/docs/api/http",
    );
  }
  const router = new Router();
  for (const [path, value] of Object.entries(routes)) router.add(path, value);
  return router;
}

export class Router {
  #root = new Segment();
  size = 0;

  /** @param {string} path @param {unknown} value */
  add(path, value) {
    if (!path.startsWith("/")) throw invalidArgument(`Invalid route "${path}". Path must start with '/'`);
    const { any, table } = parseValue(path, value);
    // The entry counts although it is off: a server with nothing but `false` routes answers 404.
    this.size++;
    if (any === undefined && table === undefined) return;

    const segments = path.slice(1).split("/");
    const isWildcard = segments.at(-1) === "*";
    if (isWildcard) segments.pop();
    /** @type {string[]} */
    const params = [];
    let node = this.#root;
    for (const segment of segments) {
      if (segment.length > 1 && segment.startsWith(":")) {
        addParameter(params, segment.slice(1));
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
    if (isWildcard) node.wildcard = { any, table, params };
    else node.route = { any, table, params };
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

    /** @param {Route | undefined} route @returns {Match | undefined} */
    const take = (route) => {
      if (route === undefined) return undefined;
      const target =
        route.any ?? route.table?.get(method) ?? (method === "HEAD" ? route.table?.get("GET") : undefined);
      if (target === undefined || (isHandshake && typeof target !== "function")) return undefined;
      /** @type {Record<string, string>} */
      const params = {};
      for (const [i, name] of route.params.entries()) {
        // Not an assignment: a parameter may be called __proto__.
        Object.defineProperty(params, name, {
          value: decodeSegment(values[i]),
          writable: true,
          enumerable: true,
          configurable: true,
        });
      }
      return { target, params };
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
}

/** @param {string[]} params @param {string} name */
function addParameter(params, name) {
  const problem = params.includes(name)
    ? "Support for duplicate route parameter names is not yet implemented."
    : /^\d/.test(name)
      ? "Route parameter names cannot start with a number."
      : undefined;
  if (problem !== undefined) throw Object.assign(new Error(problem), { name: "TODOError" });
  params.push(name);
}

/** @param {string} path @param {unknown} value */
function parseValue(path, value) {
  /** @type {{ any: Target | undefined, table: Map<string, Target> | undefined }} */
  const route = { any: undefined, table: undefined };
  if (value === false || value === undefined) return route;
  if (isTarget(value)) {
    route.any = value;
    return route;
  }
  if (typeof value !== "object" || value === null) throw wrongValue(path);
  route.table = new Map();
  for (const [method, target] of Object.entries(value)) {
    if (!methods.has(method) || !isTarget(target)) throw wrongValue(path);
    route.table.set(method, target);
  }
  return route;
}

/** @param {unknown} value @returns {value is Target} */
function isTarget(value) {
  return typeof value === "function" || value instanceof Response;
}

/** @param {string} path */
function wrongValue(path) {
  return invalidArgument(
    "'routes' expects a Record<string, Response | {[method: string]: (req: BunRequest) => Response|Promise<Response>}>." +
      ` The value of "${path}" must be a function, a Response, false, or an object with one of these for each method` +
      " (GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS). HTML bundles and directories are not offered.",
  );
}

const utf8 = new TextDecoder();

/** Bytes that are no escape and no UTF-8 become U+FFFD. @param {string} segment a character is a byte */
function decodeSegment(segment) {
  const bytes = [];
  for (let i = 0; i < segment.length; i++) {
    const byte = segment.charCodeAt(i);
    if (byte !== 0x25) {
      bytes.push(byte);
      continue;
    }
    const hex = segment.slice(i + 1, i + 3);
    if (/^[0-9a-f]{2}$/i.test(hex)) bytes.push(Number.parseInt(hex, 16));
    else bytes.push(0xef, 0xbf, 0xbd);
    i += 2;
  }
  return utf8.decode(Uint8Array.from(bytes));
}
