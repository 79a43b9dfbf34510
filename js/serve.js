// @ts-check
import { ServerCore } from "./core.js";
import { callbacks } from "./dispatch.js";
import { cannotListen } from "./errors.js";
import { attach, N } from "./native.js";
import { parseServeOptions } from "./options.js";
import { createServer } from "./server.js";
import { explainTls } from "./tls.js";

/**
 * Starts a server. It listens when this returns.
 * @param {unknown} options
 */
export function serve(options) {
  const config = parseServeOptions(options);
  attach(callbacks);
  return createServer(new ServerCore(listen(config), config));
}

/** @param {import("./options.js").ServeConfig} config */
function listen({ listen: where, handlers: { tls } }) {
  const { hostname, port, unix, reusePort, ipv6Only } = where;
  try {
    return unix === undefined
      ? N.listen({ hostname, port, reusePort, ipv6Only, tls })
      : N.listen({ unix, tls });
  } catch (error) {
    const explained = explainTls(error);
    throw explained === error ? cannotListen(error, where) : explained;
  }
}
