// @ts-check
// `openssl s_client` as a client of a TLS server: another implementation judges versions, names, ALPN, resumption and
// client certificates.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { serve } from "../../index.js";
import { identity, pathOf, pem } from "../support/certificates.js";

const isThere = spawnSync("openssl", ["version"], { stdio: "ignore" }).status === 0;
const skip = isThere ? false : "not run: openssl is not installed";
const folder = mkdtempSync(path.join(tmpdir(), "ferrows-openssl-"));
const a = identity("a.test");
/** @type {any[]} */
const servers = [];

after(async () => {
  for (const server of servers) await server.stop(true);
  rmSync(folder, { recursive: true, force: true });
});

/** @param {any} tls */
function start(tls) {
  const fetch = (/** @type {Request} */ request) => new Response(`you asked for ${request.url}`);
  const server = serve({ port: 0, hostname: "127.0.0.1", development: false, fetch, tls });
  servers.push(server);
  return server;
}

/**
 * What s_client says about a connection on which one request is sent.
 * @param {any} server @param {...string} args
 * @returns {Promise<string>}
 */
function ask(server, ...args) {
  const command = ["s_client", "-connect", `127.0.0.1:${server.port}`, ...args];
  const client = spawn("openssl", command, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  const limit = setTimeout(() => client.kill("SIGKILL"), 20_000);
  client.stdout.on("data", (data) => {
    output += data;
  });
  client.stderr.on("data", (data) => {
    output += data;
  });
  client.stdin.on("error", () => {}); // It may have ended before.
  // The server ends the connection behind its answer; "Q" would end it in front of it.
  client.stdin.write("GET /secret HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
  return new Promise((resolve) => {
    client.on("close", () => {
      clearTimeout(limit);
      client.stdin.destroy();
      resolve(output);
    });
  });
}

const ANSWER = /you asked for https:\/\/a\.test\/secret/;

for (const [flag, name] of [
  ["-tls1_2", "TLSv1.2"],
  ["-tls1_3", "TLSv1.3"],
]) {
  test(`accepts ${name}`, { skip }, async () => {
    const output = await ask(start(a), flag);
    assert.match(output, new RegExp(`${name.replace(".", "\\.")}, Cipher is`));
    assert.match(output, ANSWER);
  });
}

for (const flag of ["-tls1", "-tls1_1"]) {
  test(`refuses ${flag.slice(1)}`, { skip }, async () => {
    // Without SECLEVEL=0 s_client would not even try.
    const output = await ask(start(a), flag, "-cipher", "ALL:@SECLEVEL=0");
    assert.match(output, /alert protocol version|Cipher is \(NONE\)/);
    assert.doesNotMatch(output, ANSWER);
  });
}

test("offers only forward-secret suites with authenticated encryption over TLS 1.2", { skip }, async () => {
  const server = start(a);
  for (const suite of [
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ]) {
    assert.match(await ask(server, "-tls1_2", "-cipher", suite), ANSWER, suite);
  }
  for (const suite of [
    "AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES128-GCM-SHA256",
    "AES128-SHA",
  ]) {
    assert.doesNotMatch(await ask(server, "-tls1_2", "-cipher", `${suite}:@SECLEVEL=0`), ANSWER, suite);
  }
});

test("sends a certificate that verifies against its authority", { skip }, async () => {
  const server = start({ key: pem("leaf.test.key"), cert: pem("chain.crt") });
  const args = ["-CAfile", pathOf("authority.crt"), "-verify_return_error", "-verify_hostname", "leaf.test"];
  assert.match(await ask(server, "-servername", "leaf.test", ...args), ANSWER);
});

test("chooses the certificate by SNI", { skip }, async () => {
  const server = start([
    { ...a, serverName: "a.test" },
    { ...identity("b.test"), serverName: "*.b.test" },
  ]);
  for (const [args, subject] of /** @type {[string[], string][]} */ ([
    [["-servername", "a.test"], "a.test"],
    [["-servername", "www.b.test"], "b.test"],
    [["-servername", "c.test"], "a.test"],
    [["-noservername"], "a.test"],
  ])) {
    assert.match(await ask(server, ...args), new RegExp(`subject=.*CN ?= ?${subject}`), args.join(" "));
  }
});

test("takes http/1.1 from what ALPN offers, and refuses a client that offers none of it", {
  skip,
}, async () => {
  const server = start(a);
  assert.match(await ask(server, "-alpn", "h2,http/1.1"), /ALPN protocol: http\/1\.1/);
  assert.match(await ask(server, "-alpn", "h2"), /no application protocol/);
  assert.match(await ask(server), /No ALPN negotiated/);
});

for (const flag of ["-tls1_2", "-tls1_3"]) {
  test(`resumes sessions (${flag.slice(1)})`, { skip }, async () => {
    const server = start(a);
    const session = path.join(folder, `${flag}.session`);
    assert.match(await ask(server, flag, "-sess_out", session), /\bNew, TLS/);
    const again = await ask(server, flag, "-sess_in", session);
    assert.match(again, /\bReused, TLS/);
    assert.match(again, ANSWER);
    // Other certificates: what the ticket says about this server holds no longer.
    server.reload({ tls: a });
    assert.match(await ask(server, flag, "-sess_in", session), /\bNew, TLS/);
  });

  test(`asks for client certificates (${flag.slice(1)})`, { skip }, async () => {
    const server = start({ ...a, requestCert: true, ca: pem("authority.crt") });
    const own = (/** @type {string} */ name) => [
      "-cert",
      pathOf(`${name}.crt`),
      "-key",
      pathOf(`${name}.key`),
    ];
    const trusted = await ask(server, flag, ...own("client"));
    assert.match(trusted, /Acceptable client certificate CA names\s+CN ?= ?authority/);
    assert.match(trusted, ANSWER);
    const stranger = await ask(server, flag, ...own("stranger"));
    assert.match(stranger, /alert (unknown ca|certificate unknown|bad certificate)/);
    assert.doesNotMatch(stranger, ANSWER);
    const nobody = await ask(server, flag);
    assert.match(nobody, /alert (certificate required|handshake failure)/);
    assert.doesNotMatch(nobody, ANSWER);
  });
}

test("ends with close_notify", { skip }, async () => {
  const output = await ask(start(a), "-state");
  assert.match(output, /SSL3 alert read:warning:close notify/);
  assert.doesNotMatch(output, /unexpected eof/);
});

/**
 * What a client prints to which these lines are typed, one after another: some of them are commands.
 * @param {any} server @param {string} flag @param {string[]} lines
 */
async function type(server, flag, lines) {
  const client = spawn("openssl", ["s_client", flag, "-connect", `127.0.0.1:${server.port}`]);
  let output = "";
  client.stdout.on("data", (data) => {
    output += data;
  });
  client.stderr.resume();
  client.stdin.on("error", () => {});
  const closed = new Promise((resolve) => client.on("close", resolve));
  for (const line of lines) {
    client.stdin.write(line);
    // Only a line that comes in a read of its own is a command.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const limit = setTimeout(() => client.kill("SIGKILL"), 2000);
  await closed;
  clearTimeout(limit);
  return output;
}

test("takes a new key from the client", { skip }, async () => {
  // "K" sends a key update and asks for one.
  const lines = ["K\n", "GET /secret HTTP/1.1\r\n", "Host: a.test\r\n", "Connection: close\r\n", "\r\n"];
  assert.match(await type(start(a), "-tls1_3", lines), ANSWER);
});

test("serves others while a client asks for a renegotiation", { skip }, async () => {
  const server = start(a);
  await type(server, "-tls1_2", ["R\n"]);
  assert.match(await ask(server), ANSWER);
});
