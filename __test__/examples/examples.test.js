// @ts-check
// Every example runs, on Node and on Deno, and does what its first lines say.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { describe, test } from "node:test";
import { within } from "../support/wait.js";
import { Client, deno, Example, node } from "./example.js";

/** @typedef {import("./example.js").Runtime} Runtime */

for (const runtime of [node, deno]) {
  const skip = runtime.program === "" ? `not run: ${runtime.name} is not installed` : false;
  describe(runtime.name, () => {
    /**
     * @param {string} name the folder of the example
     * @param {string} title
     * @param {(example: Example) => Promise<void>} body
     * @param {Record<string, string>} [env]
     */
    function exampleTest(name, title, body, env) {
      test(`${name}: ${title}`, { skip, timeout: 40_000 }, async () => {
        const example = await Example.start(runtime, name, env);
        try {
          await body(example);
          assert.equal(example.errors, "");
        } finally {
          await example.end();
        }
      });
    }

    exampleTest("echo", "sends back text and bytes", async (example) => {
      const client = await example.connect();
      client.send("hällo 🙂");
      assert.equal(await client.next(), "hällo 🙂");
      client.send(Uint8Array.of(0, 1, 255));
      assert.deepEqual(await client.next(), Buffer.from([0, 1, 255]));
      // Many in one read: each once, in order.
      const texts = Array.from({ length: 40 }, (_, index) => `message ${index}`);
      for (const text of texts) client.send(text);
      for (const text of texts) assert.equal(await client.next(), text);
      assert.equal((await fetch(example.url())).status, 426);
      assert.deepEqual(await client.close(3001, "done"), { code: 3001, reason: "done" });
    });

    exampleTest("topics", "delivers to those who subscribed", async (example) => {
      const ann = await example.connect("/?topic=news&topic=sport");
      const bob = await example.connect("/?topic=sport");
      assert.equal(await ann.next(), "subscribed to news, sport");
      assert.equal(await bob.next(), "subscribed to sport");

      ann.send("publish sport 2:1");
      assert.equal(await ann.next(), "published to sport"); // and not the message itself
      assert.equal(await bob.next(), "sport: 2:1");

      bob.send("publish weather rain");
      assert.equal(await bob.next(), "nobody listens to weather");
      bob.send("subscribe weather");
      assert.equal(await bob.next(), "subscribed to sport, weather");
      ann.send("publish weather rain");
      assert.equal(await bob.next(), "weather: rain");
      assert.equal(await ann.next(), "published to weather");

      bob.send("unsubscribe sport");
      assert.equal(await bob.next(), "subscribed to weather");
      bob.send("unsubscribe sport");
      assert.equal(await bob.next(), "not subscribed to sport");
    });

    exampleTest("topics", "publishes what comes over HTTP", async (example) => {
      const client = await example.connect("/?topic=news");
      await client.next();
      const count = await fetch(example.url("/news"));
      assert.deepEqual(await count.json(), { topic: "news", subscribers: 1 });
      const posted = await fetch(example.url("/news"), { method: "POST", body: "grüße" });
      assert.deepEqual(await posted.json(), { topic: "news", result: Buffer.byteLength("news: grüße") });
      assert.equal(await client.next(), "news: grüße");
      const unheard = await fetch(example.url("/nothing"), { method: "POST", body: "x" });
      assert.deepEqual(await unheard.json(), { topic: "nothing", result: 0 });
    });

    exampleTest("http", "answers with a string, with bytes, and with a stream", async (example) => {
      const text = await fetch(example.url());
      assert.match(text.headers.get("content-type") ?? "", /^text\/plain/);
      assert.equal(await text.text(), "Hello over HTTP\n");
      const bytes = new Uint8Array(await (await fetch(example.url("/bytes"))).arrayBuffer());
      assert.deepEqual(
        bytes,
        Uint8Array.from({ length: 256 }, (_, value) => value),
      );
      const stream = await fetch(example.url("/stream"));
      const chunks = [];
      for await (const chunk of /** @type {any} */ (stream.body)) chunks.push(Buffer.from(chunk).toString());
      assert.equal(chunks.join(""), "line 1\nline 2\nline 3\nline 4\nline 5\n");
      assert.ok(chunks.length > 1, "the lines come one after another");
      assert.equal((await fetch(example.url("/nowhere"))).status, 404);
    });

    exampleTest("http", "tells sockets how far an upload is", async (example) => {
      const client = await example.connect("/progress");
      client.send("still an echo");
      assert.equal(await client.next(), "still an echo");

      const first = Buffer.alloc(300_000, 1);
      const second = Buffer.alloc(200_000, 2);
      const request = http.request(example.url("/upload"), { method: "PUT" });
      request.write(first);
      // The server reads while the rest is not even written.
      let progress = await client.nextJson();
      while (progress.bytes < first.length) progress = await client.nextJson();
      assert.deepEqual(progress, { upload: 1, bytes: first.length, done: false });
      request.end(second);

      const [response] = await within(once(request, "response"), "the answer to the upload");
      let body = "";
      for await (const text of response.setEncoding("utf8")) body += text;
      const sha256 = createHash("sha256").update(first).update(second).digest("hex");
      assert.deepEqual(JSON.parse(body), { upload: 1, bytes: 500_000, sha256 });
      while (!progress.done) progress = await client.nextJson();
      assert.equal(progress.bytes, 500_000);
    });

    exampleTest("graceful-shutdown", "lets requests and sockets finish", async (example) => {
      const client = await example.connect();
      const slow = fetch(example.url("/slow"));
      await example.line(/^slow request$/);
      example.signal("SIGTERM");
      assert.deepEqual(await client.nextJson(), { type: "shutdown", deadlineMs: 10_000 });

      await assert.rejects(new Client(example.url().replace("http", "ws")).opened, /ECONNREFUSED/);
      client.send("still here");
      assert.equal(await client.next(), "still here");
      assert.equal(await (await slow).text(), "That took a second\n");
      await client.close();
      assert.deepEqual(await within(example.exited, "the end"), { code: 0, signal: null });
      assert.ok(example.lines.includes("socket closed with 1000"));
      assert.equal(example.lines.at(-1), "finished");
    });

    exampleTest(
      "graceful-shutdown",
      "closes what is left at the deadline",
      async (example) => {
        const client = await example.connect();
        example.signal("SIGINT");
        assert.equal((await client.nextJson()).type, "shutdown");
        assert.deepEqual(await within(client.closed, "the close"), { code: 1001, reason: "Server closed" });
        assert.deepEqual(await within(example.exited, "the end"), { code: 0, signal: null });
      },
      { DEADLINE_MS: "100" },
    );

    exampleTest("brisa", "gives attach's result to the handlers; the group talks", async (example) => {
      const ann = await example.connect("/?username=ann&channelId=7");
      assert.equal(await ann.next(), "Hello ann, this is channel 7");
      const bob = await example.connect("/?username=bob");
      assert.equal(await bob.next(), "Hello bob");
      assert.equal(await ann.next(), "bob came in");
      ann.send("good morning");
      assert.equal(await bob.next(), "ann: good morning");
      bob.send(Uint8Array.of(5, 6));
      assert.deepEqual(await bob.next(), Buffer.from([5, 6]));
      await bob.close();
      assert.equal(await ann.next(), "bob went away");
    });

    exampleTest("brisa", "sends from API routes", async (example) => {
      const page = await fetch(example.url());
      const cookie = (page.headers.get("set-cookie") ?? "").replace(/;.*/, "");
      assert.match(cookie, /^X-Token=/);
      const ann = await example.connect("/?username=ann", { headers: { cookie: `theme=dark; ${cookie}` } });
      const bob = await example.connect("/?username=bob");
      assert.equal(await ann.next(), "Hello ann");
      assert.equal(await bob.next(), "Hello bob");
      assert.equal(await ann.next(), "bob came in");

      const hello = await fetch(example.url("/api/hello-world"), {
        headers: { cookie, "accept-language": "de" },
      });
      assert.equal(await hello.text(), "Hallo Welt");
      assert.equal(await ann.next(), "Hallo Welt"); // the visitor's own socket
      const stranger = await fetch(example.url("/api/hello-world"));
      assert.equal(await stranger.text(), "Hello world");

      const announced = await fetch(example.url("/api/announce"), { method: "POST", body: "lunch" });
      assert.deepEqual(await announced.json(), { result: "announcement: lunch".length });
      assert.equal(await ann.next(), "announcement: lunch");
      assert.equal(await bob.next(), "announcement: lunch");
      assert.equal((await fetch(example.url("/nowhere"))).status, 404);
    });

    exampleTest(
      "brisa",
      "sends ArrayBuffer, typed array, DataView and compressible text",
      async (example) => {
        const client = await example.connect();
        const other = await example.connect("/?username=other");
        assert.equal(await client.next(), "Hello somebody");
        assert.equal(await client.next(), "other came in");
        assert.equal(await other.next(), "Hello other");
        client.send("/file");
        const source = readFileSync(new URL("../../examples/brisa/websocket.js", import.meta.url));
        assert.deepEqual(await client.next(), source);
        client.send("/bytes");
        assert.deepEqual(await client.next(), Buffer.from([1, 2, 3]));
        assert.deepEqual(await client.next(), Buffer.from([8, 7]));
        client.send("/long");
        assert.equal(await client.next(), "all work and no play ".repeat(500));
        assert.equal(await other.next(), "somebody got a long text");
      },
    );

    exampleTest("brisa", "waits for drain when the reader is slow", async (example) => {
      const client = await example.connect();
      assert.equal(await client.next(), "Hello somebody");
      client.pause();
      client.send("/flood");
      // Others are served meanwhile.
      assert.equal((await fetch(example.url())).status, 200);
      client.resume();
      let bytes = 0;
      let message = await client.next();
      for (; typeof message !== "string"; message = await client.next()) bytes += message.length;
      assert.match(message, /^flood is over after [1-9]\d* pauses$/);
      assert.equal(bytes, 200 * 256 * 1024);
    });

    exampleTest("chat", "introduces, joins, talks, and catches up without repeating", async (example) => {
      const ann = await example.connect("/socket", { origin: example.url().slice(0, -1) });
      ann.sendJson({ type: "hello", client: "a".repeat(20), name: "  Ann\u202E " });
      const { you, epoch, rooms } = await ann.nextOf("welcome");
      assert.equal(you.name, "Ann");
      assert.deepEqual(rooms, [{ name: "lobby", count: 0 }]);
      ann.sendJson({ type: "join", room: "#Tea Room" });
      assert.deepEqual(await ann.nextOf("joined"), {
        type: "joined",
        room: "tea-room",
        people: [you],
        messages: [],
        gap: false,
      });

      const bob = await example.connect("/socket");
      bob.sendJson({ type: "hello", client: "b".repeat(20), name: "ANN" });
      assert.equal((await bob.nextOf("error")).code, "name-taken");
      bob.sendJson({ type: "hello", client: "b".repeat(20), name: "Bob" });
      const { you: him } = await bob.nextOf("welcome");
      bob.sendJson({ type: "join", room: "tea-room" });
      assert.deepEqual((await bob.nextOf("joined")).people, [you, him]);
      assert.deepEqual((await ann.nextOf("entered")).person, him);

      bob.sendJson({ type: "typing", on: true });
      assert.deepEqual(await ann.nextOf("typing"), { type: "typing", ...him, on: true });
      bob.sendJson({ type: "message", room: "tea-room", nonce: "n1", text: "<b>hi</b>\r\n" });
      const { message } = await ann.nextOf("message");
      assert.equal(message.text, "<b>hi</b>");
      assert.deepEqual(message.from, him);
      assert.deepEqual((await bob.nextOf("message")).message, message);
      // Sent again, as after a lost connection: acknowledged, not repeated.
      bob.sendJson({ type: "message", room: "tea-room", nonce: "n1", text: "<b>hi</b>" });
      assert.equal((await bob.nextOf("ack")).nonce, "n1");

      bob.sendJson({ type: "message", room: "tea-room", nonce: "n2", text: "second" });
      assert.equal((await ann.nextOf("message")).message.text, "second");

      const again = await example.connect("/socket");
      again.sendJson({ type: "hello", client: "a".repeat(20), name: "Ann" });
      assert.deepEqual((await again.nextOf("welcome")).you, you); // same person, another tab
      again.sendJson({ type: "join", room: "tea-room", epoch, after: message.id });
      const caughtUp = await again.nextOf("joined");
      assert.deepEqual(
        caughtUp.messages.map((/** @type {any} */ { text }) => text),
        ["second"],
      );
      assert.equal(caughtUp.people.length, 2);

      again.sendJson({ type: "join", room: "lobby" });
      await again.nextOf("joined");
      again.sendJson({ type: "rename", name: "Anna" });
      assert.deepEqual(await bob.nextOf("renamed"), {
        type: "renamed",
        id: you.id,
        name: "Anna",
        before: "Ann",
      });
      ann.sendJson({ type: "join", room: "lobby" });
      assert.deepEqual((await bob.nextOf("left")).person, { id: you.id, name: "Anna" });
    });

    exampleTest("chat", "remembers the last 100 messages of a room", async (example) => {
      /** @param {string} client */
      const join = async (client) => {
        const socket = await example.connect("/socket");
        socket.sendJson({ type: "hello", client: client.repeat(16), name: client });
        await socket.nextOf("welcome");
        socket.sendJson({ type: "join", room: "lobby" });
        return { socket, joined: await socket.nextOf("joined") };
      };
      // Many people, because one alone may not send that fast.
      for (let person = 0; person < 15; person += 1) {
        const { socket } = await join(String.fromCharCode(97 + person));
        for (let message = 0; message < 8; message += 1) {
          socket.sendJson({
            type: "message",
            room: "lobby",
            nonce: `${message}`,
            text: `${person}/${message}`,
          });
          await socket.nextOf("message");
        }
      }
      const { joined } = await join("z");
      assert.equal(joined.messages.length, 100);
      assert.equal(joined.messages[0].text, "2/4");
      assert.equal(joined.messages[99].text, "14/7");
    });

    exampleTest("chat", "refuses what is wrong and says why", async (example) => {
      const client = await example.connect("/socket");
      /** @param {string | Uint8Array | object} frame */
      const refusal = async (frame) => {
        client.send(typeof frame === "string" || frame instanceof Uint8Array ? frame : JSON.stringify(frame));
        return client.nextOf("error");
      };
      assert.equal((await refusal("{")).code, "bad-frame");
      assert.equal((await refusal("null")).code, "bad-frame");
      assert.equal((await refusal(Uint8Array.of(1))).code, "bad-frame");
      assert.equal((await refusal({ type: "join", room: "lobby" })).code, "hello-first");
      assert.equal((await refusal({ type: "hello", client: "short", name: "x" })).code, "bad-client");
      const hello = { type: "hello", client: "c".repeat(16) };
      assert.equal((await refusal({ ...hello, name: " " })).code, "bad-name");
      assert.equal((await refusal({ ...hello, name: "x".repeat(25) })).code, "bad-name");
      client.sendJson({ ...hello, name: "Cleo" });
      await client.nextOf("welcome");
      assert.equal((await refusal({ ...hello, name: "Cleo" })).code, "hello-twice");
      assert.equal((await refusal({ type: "join", room: "!?" })).code, "bad-room");
      assert.equal((await refusal({ type: "typing", on: true })).code, "join-first");
      assert.equal((await refusal({ type: "dance" })).code, "unknown-type");
      const message = { type: "message", room: "lobby", nonce: "n", text: "x" };
      assert.equal((await refusal({ ...message, nonce: 1 })).code, "bad-nonce");
      assert.equal((await refusal({ ...message, text: " \n\t" })).code, "empty");
      assert.deepEqual(await refusal({ ...message, text: "x".repeat(1001) }), {
        type: "error",
        code: "too-long",
        message: "The message has 1001 characters; 1000 are allowed.",
        nonce: "n",
      });
      for (let count = 0; count < 8; count += 1) client.sendJson({ ...message, nonce: `n${count}` });
      const limited = await refusal({ ...message, nonce: "n8" });
      assert.equal(limited.code, "rate-limited");
      assert.equal(limited.nonce, "n8");
      assert.ok(limited.retryAfter > 0 && limited.retryAfter <= 500);
      for (let count = 0; count < 80; count += 1) client.sendJson({ type: "ping" });
      assert.deepEqual(await within(client.closed, "the close"), { code: 1008, reason: "Too many frames" });
    });

    exampleTest("chat", "serves its page, and sockets to this page only", async (example) => {
      const page = await fetch(example.url());
      assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
      assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'self'/);
      for (const [, file] of (await page.text()).matchAll(/(?:src|href)="([\w.-]+)"/g)) {
        assert.equal((await fetch(example.url(`/${file}`))).status, 200, file);
      }
      assert.equal((await fetch(example.url("/server.js"))).status, 404);
      assert.equal((await fetch(example.url("/..%2fserver.js"))).status, 404);
      assert.equal((await fetch(example.url(), { method: "DELETE" })).status, 405);
      const foreign = new Client(example.url("/socket").replace("http", "ws"), {
        origin: "https://evil.example",
      });
      await assert.rejects(foreign.opened, /403/);
    });

    exampleTest("chat", "ends on a signal", async (example) => {
      const client = await example.connect("/socket");
      client.sendJson({ type: "hello", client: "d".repeat(16), name: "Dora" });
      await client.nextOf("welcome");
      example.signal("SIGTERM");
      assert.deepEqual(await within(client.closed, "the close"), { code: 1001, reason: "Server closed" });
      assert.deepEqual(await within(example.exited, "the end"), { code: 0, signal: null });
    });
  });
}
