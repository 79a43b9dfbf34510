// @ts-check
// An API route that answers over HTTP and, if the visitor has a page open, over its socket too.

/**
 * @typedef {object} RequestContext
 * @property {Request} request
 * @property {import("../websocket.js").Socket | undefined} ws
 * @property {{ t: (key: string) => string }} i18n
 */

/** @param {RequestContext} context */
export function GET({ ws, i18n }) {
  const message = i18n.t("hello-world");
  ws?.send(message);
  return new Response(message, { headers: { "content-type": "text/plain" } });
}
