// @ts-check
import { ServerCore } from "./core.js";
import { callbacks } from "./dispatch.js";
import { cannotListen } from "./errors.js";
import { attach, N } from "./native.js";
import { parseServeOptions } from "./options.js";
import { linkRequestClass } from "./request.js";
import { createServer } from "./server.js";

/**
 * Starts a server. It listens when this returns.
 * @param {unknown} options
 */
export function serve(options) {
  const config = parseServeOptions(options);
  linkRequestClass();
  attach(callbacks);
  return createServer(new ServerCore(listen(config.listen), config));
}

/** @param {import("./options.js").ListenConfig} where */
function listen(where) {
  const { hostname, port, unix, reusePort, ipv6Only } = where;
  try {
    return unix === undefined ? N.listen({ hostname, port, reusePort, ipv6Only }) : N.listen({ unix });
  } catch (error) {
    throw cannotListen(error, where);
  }
}
