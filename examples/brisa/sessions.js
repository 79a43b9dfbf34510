// @ts-check

/**
 * The open socket of each visitor, by the token in the cookie. API routes find theirs here.
 * @type {Map<string, import("./websocket.js").Socket>}
 */
export const sockets = new Map();
