// @ts-check
// An API route that reaches everybody, through the server that Brisa modules find in a global.

/** @param {import("./hello-world.js").RequestContext} context */
export async function POST({ request }) {
  const text = await request.text();
  const server = globalThis.brisaServer;
  const result = server?.publish("group-chat", `announcement: ${text}`);
  return Response.json({ result });
}
