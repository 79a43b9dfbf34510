// @ts-check
// Publish and subscribe: sockets choose topics, and anybody may publish, over a socket or over HTTP.
//
//   node examples/topics/server.js
//   deno run --allow-net --allow-read --allow-env --allow-ffi examples/topics/server.js
//
// PORT is the port (default 3000, 0 for a free one). Connect to ws://localhost:3000/?topic=news&topic=sport and
// send "subscribe weather", "unsubscribe news", "publish sport 2:1" or "topics"; from outside:
//   curl --data "rain tomorrow" http://localhost:3000/weather

import process from "node:process";
import { serve } from "../../index.js";

const server = serve({
  port: Number(process.env.PORT || 3000),

  async fetch(request, server) {
    const url = new URL(request.url);
    const topics = url.searchParams.getAll("topic").filter((topic) => topic !== "");
    if (server.upgrade(request, { data: { topics } })) return;

    const topic = decodeURIComponent(url.pathname.slice(1));
    if (topic === "") return new Response("Name a topic in the path.\n", { status: 404 });
    if (request.method === "POST") {
      const text = await request.text();
      // To everybody. 0: nobody listens; -1: a reader is slow, the message waits for it.
      const result = server.publish(topic, `${topic}: ${text}`);
      return Response.json({ topic, result });
    }
    return Response.json({ topic, subscribers: server.subscriberCount(topic) });
  },

  websocket: {
    data: /** @type {{ topics: string[] }} */ ({}), // only tells the type of ws.data
    open(ws) {
      for (const topic of ws.data.topics) ws.subscribe(topic);
      ws.send(`subscribed to ${list(ws)}`);
    },
    message(ws, message) {
      const [verb, topic = "", ...words] = String(message).split(" ");
      if (verb === "topics") {
        ws.send(`subscribed to ${list(ws)}`);
      } else if (topic === "") {
        ws.send("say: subscribe <topic>, unsubscribe <topic>, publish <topic> <text>, or topics");
      } else if (verb === "subscribe") {
        ws.subscribe(topic);
        ws.send(`subscribed to ${list(ws)}`);
      } else if (verb === "unsubscribe") {
        ws.send(ws.unsubscribe(topic) ? `subscribed to ${list(ws)}` : `not subscribed to ${topic}`);
      } else if (verb === "publish") {
        // To everybody but this socket, which need not be subscribed itself.
        const result = ws.publish(topic, `${topic}: ${words.join(" ")}`);
        ws.send(result === 0 ? `nobody listens to ${topic}` : `published to ${topic}`);
      } else {
        ws.send(`what is ${verb}?`);
      }
    },
    // No close handler needed: a closed socket has left all its topics.
  },
});

console.log(`listening on http://localhost:${server.port}`);

/** @param {import("../../index.js").ServerWebSocket<{ topics: string[] }>} ws */
function list(ws) {
  return ws.subscriptions.sort().join(", ") || "nothing";
}
