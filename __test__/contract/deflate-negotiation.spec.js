// @ts-check
// `perMessageDeflate`: what it takes, and what is answered to which offer (semantics 11).

import assert from "node:assert/strict";
import { agreed, DEDICATED, inFull, offering, offeringLines, pack, shortened } from "../support/deflate.js";
import { argumentTypeError } from "../support/errors.js";
import { test } from "../support/test.js";

/** @typedef {import("../support/harness.js").Fixture} Fixture */

const fetch = () => new Response("ok");

// Option values ---------------------------------------------------------------------------------------------------

const NAMES = [
  "disable",
  "shared",
  "dedicated",
  "3KB",
  "4KB",
  "8KB",
  "16KB",
  "32KB",
  "64KB",
  "128KB",
  "256KB",
];

/** @param {Fixture} t @param {any} perMessageDeflate @param {string} message */
function assertRefused(t, perMessageDeflate, message) {
  const websocket = { message() {}, perMessageDeflate };
  assert.throws(() => t.serve({ fetch, websocket }), argumentTypeError(message));
  const server = t.serve({ fetch, websocket: { message() {} } });
  assert.throws(() => server.reload({ fetch, websocket }), argumentTypeError(message));
}

test("perMessageDeflate must be a boolean or an object", (t) => {
  for (const wrong of [0, 1, Number.NaN, "", "shared", 1n, Symbol("x")]) {
    assertRefused(t, wrong, "websocket expects perMessageDeflate to be a boolean or an object");
  }
  for (const fine of [undefined, null, true, false, {}, [], () => {}, new String("x")]) {
    t.serve({ fetch, websocket: { message() {}, perMessageDeflate: fine } });
  }
});

for (const direction of ["compress", "decompress"]) {
  test(`${direction} must be a boolean or one of the names`, (t) => {
    const message =
      `websocket expects a valid ${direction} option, either "disable" "shared" "dedicated" "3KB" "4KB" "8KB" "16KB" ` +
      `"32KB" "64KB" "128KB" or "256KB"`;
    for (const wrong of [
      0,
      1,
      Number.NaN,
      "x",
      "16kb",
      "512KB",
      "toString",
      {},
      [],
      ["shared"],
      new String(""),
    ]) {
      assertRefused(t, { [direction]: wrong }, message);
    }
    for (const fine of [undefined, null, "", true, false, ...NAMES, new String("shared")]) {
      t.serve({ fetch, websocket: { message() {}, perMessageDeflate: { [direction]: fine } } });
    }
  });
}

test("names the first wrong direction, and lets an exception of a getter through", (t) => {
  assert.throws(
    () =>
      t.serve({ fetch, websocket: { message() {}, perMessageDeflate: { compress: "x", decompress: "y" } } }),
    /a valid compress option/,
  );
  const broken = {
    get compress() {
      throw new RangeError("mine");
    },
  };
  assert.throws(() => t.serve({ fetch, websocket: { message() {}, perMessageDeflate: broken } }), RangeError);
});

// Answers ---------------------------------------------------------------------------------------------------------

/**
 * Compares what a server so set answers to each offer, a string for each line of the header. Names are short.
 *
 * @param {Fixture} t
 * @param {any} perMessageDeflate
 * @param {[offer: string | string[], answer: string][]} rows
 */
async function assertAnswers(t, perMessageDeflate, rows) {
  const server = t.sockets({ perMessageDeflate });
  const answers = [];
  for (const [offer] of rows) {
    const client = await t.connect(server, offeringLines(...[offer].flat().map(inFull)));
    assert.equal(client.status, 101);
    answers.push([offer, shortened(agreed(client))]);
    client.destroy();
  }
  assert.deepEqual(answers, rows);
}

const BOTH_SHARED = "pmd; cnct; snct";

for (const off of [
  undefined,
  null,
  false,
  {},
  [],
  { compress: false },
  { decompress: false },
  { compress: "", decompress: null },
  { compress: "disable", decompress: "disable" },
  { compress: false, decompress: "disable" },
]) {
  test(`nothing is negotiated with ${JSON.stringify(off)}`, async (t) => {
    await assertAnswers(t, off, [
      ["pmd", "-"],
      ["pmd; cmwb", "-"],
      ["pmd; cnct; snct", "-"],
    ]);
  });
}

for (const shared of [
  true,
  { compress: true },
  { decompress: true },
  { compress: "shared" },
  { decompress: "shared" },
  { compress: "shared", decompress: "shared" },
  { compress: "shared", decompress: "disable" },
  { compress: false, decompress: true },
]) {
  test(`both sides forget each message with ${JSON.stringify(shared)}`, async (t) => {
    await assertAnswers(t, shared, [
      ["pmd", BOTH_SHARED],
      ["pmd; cmwb", BOTH_SHARED],
      ["pmd; cmwb=15", BOTH_SHARED],
      ["pmd; cmwb=8", BOTH_SHARED],
      ["pmd; cnct", BOTH_SHARED],
      ["pmd; snct", BOTH_SHARED],
      ["pmd; snct; cnct", BOTH_SHARED],
      ["pmd; smwb=15", `${BOTH_SHARED}; smwb=15`],
      ["pmd; smwb=8", "-"],
      ["pmd; smwb=8, pmd", BOTH_SHARED],
    ]);
  });
}

test("a shared compressor honours a smaller window", { differs: 19 }, async (t) => {
  await assertAnswers(t, true, [
    ...[9, 10, 11, 12, 13, 14].map(
      (bits) => /** @type {[string, string]} */ ([`pmd; smwb=${bits}`, `${BOTH_SHARED}; smwb=${bits}`]),
    ),
    ['pmd; smwb="9"', `${BOTH_SHARED}; smwb=9`],
    ["pmd; smwb=10, pmd", `${BOTH_SHARED}; smwb=10`],
  ]);
  await assertAnswers(t, DEDICATED, [["pmd; snct; smwb=9", "pmd; snct; smwb=9"]]);
});

test("contexts of its own keep what the client does not ask away", async (t) => {
  await assertAnswers(t, DEDICATED, [
    ["pmd", "pmd"],
    ["pmd; cmwb", "pmd"],
    ["pmd; cmwb=15", "pmd"],
    ["pmd; cmwb=14", "pmd; cmwb=14"],
    ["pmd; cmwb=8", "pmd; cmwb=8"],
    ['pmd; cmwb="12"', "pmd; cmwb=12"],
    ["pmd; cnct", "pmd; cnct"],
    ["pmd; snct", "pmd; snct"],
    ["pmd; snct; cnct", "pmd; cnct; snct"],
    ["pmd; cnct; cmwb=9", "pmd; cnct"],
    ["pmd; smwb=15", "pmd; smwb=15"],
    ["pmd; smwb=12", "pmd; smwb=12"],
    ["pmd; smwb=8", "pmd; smwb=8"],
    ["pmd; smwb=9; cmwb=10", "pmd; cmwb=10; smwb=9"],
  ]);
});

for (const [name, bits] of /** @type {[string, number][]} */ ([
  ["3KB", 9],
  ["4KB", 9],
  ["8KB", 10],
  ["16KB", 11],
  ["32KB", 12],
  ["64KB", 13],
  ["128KB", 14],
])) {
  test(`compress "${name}" is a window of ${bits} bits`, async (t) => {
    await assertAnswers(t, { compress: name }, [
      ["pmd", `pmd; cnct; smwb=${bits}`],
      ["pmd; cmwb", `pmd; cnct; smwb=${bits}`],
      ["pmd; smwb=15", `pmd; cnct; smwb=${bits}`],
      ["pmd; smwb=8", "pmd; cnct; smwb=8"],
      // Without takeover it is the shared compressor that is used, with its whole window.
      ["pmd; snct", "pmd; cnct; snct"],
    ]);
  });
}

for (const name of ["dedicated", "256KB"]) {
  test(`compress "${name}" is the whole window`, async (t) => {
    await assertAnswers(t, { compress: name }, [
      ["pmd", "pmd; cnct"],
      ["pmd; cmwb", "pmd; cnct"],
      ["pmd; smwb=10", "pmd; cnct; smwb=10"],
    ]);
  });
}

for (const [name, bits] of /** @type {[string, number][]} */ ([
  ["3KB", 11],
  ["4KB", 12],
  ["8KB", 13],
  ["16KB", 14],
])) {
  test(`decompress "${name}" is a window of ${bits} bits, for clients that can be asked for one`, async (t) => {
    await assertAnswers(t, { decompress: name }, [
      ["pmd", BOTH_SHARED],
      ["pmd; cmwb", `pmd; cmwb=${bits}; snct`],
      ["pmd; cmwb=15", `pmd; cmwb=${bits}; snct`],
      ["pmd; cmwb=9", "pmd; cmwb=9; snct"],
      ["pmd; cnct; cmwb", BOTH_SHARED],
    ]);
  });
}

for (const name of ["dedicated", "32KB", "64KB", "128KB", "256KB"]) {
  test(`decompress "${name}" is the whole window`, async (t) => {
    await assertAnswers(t, { decompress: name }, [
      ["pmd", "pmd; snct"],
      ["pmd; cmwb", "pmd; snct"],
      ["pmd; cmwb=10", "pmd; cmwb=10; snct"],
    ]);
  });
}

test("declines an offer with a parameter that is unknown, doubled or malformed", async (t) => {
  const offers = [
    "pmd; smwb",
    "pmd; smwb=",
    "pmd; smwb=7",
    "pmd; smwb=16",
    "pmd; smwb=010",
    "pmd; smwb=+9",
    "pmd; smwb=9x",
    "pmd; smwb=-9",
    "pmd; cmwb=7",
    "pmd; cmwb=16",
    "pmd; cmwb=",
    'pmd; cmwb=""',
    'pmd; cmwb="12',
    'pmd; cmwb=12"',
    'pmd; cmwb="1\\2"',
    "pmd; cmwb =10",
    "pmd; cmwb= 10",
    "pmd; cmwb; cmwb=10",
    "pmd; smwb=10; smwb=10",
    "pmd; cnct; cnct",
    "pmd; snct; snct",
    "pmd; snct=1",
    'pmd; cnct=""',
    "pmd; foo",
    "pmd; foo=1",
    "pmd;",
    "pmd; ; cmwb",
    "pmd cmwb",
    "pmd=1",
    '"pmd"',
    "pmdx",
    "xpmd",
    "",
  ];
  const rows = offers.map((offer) => /** @type {[string, string]} */ ([offer, "-"]));
  await assertAnswers(t, DEDICATED, rows);
  await assertAnswers(t, true, rows);
});

test("accepts the first offer that can be accepted", async (t) => {
  await assertAnswers(t, DEDICATED, [
    ["pmd; foo, pmd; cnct, pmd", "pmd; cnct"],
    ["pmd, pmd; cnct", "pmd"],
    ["permessage-bzip, pmd; cmwb=10", "pmd; cmwb=10"],
    [", ,pmd,", "pmd"],
    ["x-other", "-"],
    // A comma inside a quoted value parts nothing.
    ['x; a="b, pmd"', "-"],
    ['x; a="b, c; d\\"", pmd', "pmd"],
    [`${"x".repeat(5000)}, pmd`, "pmd"],
  ]);
});

test("joins the header's lines", async (t) => {
  await assertAnswers(t, DEDICATED, [
    [["x-other", "pmd"], "pmd"],
    [["pmd; foo", "pmd; cnct"], "pmd; cnct"],
    [["pmd", "pmd; cnct"], "pmd"],
  ]);
});

test("ignores blanks and tabs around separators", async (t) => {
  await assertAnswers(t, DEDICATED, [
    ["pmd;cmwb=10;smwb=9", "pmd; cmwb=10; smwb=9"],
    ["  pmd  ;  cmwb=10  ", "pmd; cmwb=10"],
    ["pmd\t;\tcmwb=10", "pmd; cmwb=10"],
    ["x ,\tpmd", "pmd"],
  ]);
});

test("compares names without case", { differs: 16 }, async (t) => {
  const server = t.sockets({ perMessageDeflate: true });
  for (const offer of ["PerMessage-Deflate", "PERMESSAGE-DEFLATE; Client_Max_Window_Bits"]) {
    const client = await t.connect(server, offeringLines(offer));
    assert.equal(shortened(agreed(client)), BOTH_SHARED);
  }
});

test("answers nothing to a client that offers nothing", async (t) => {
  const { client } = await t.pair({ perMessageDeflate: true });
  assert.equal(agreed(client), undefined);
});

test("writes the answer once, beside the program's own headers", async (t) => {
  const { client } = await t.pair(
    { perMessageDeflate: true },
    { upgrade: { headers: { "x-mine": "1", "Sec-WebSocket-Protocol": "chat" } } },
    { headers: { ...offering().headers, "Sec-WebSocket-Protocol": "chat" } },
  );
  const names = client.head?.headers.map(([name]) => name.toLowerCase()) ?? [];
  assert.equal(names.filter((name) => name === "sec-websocket-extensions").length, 1);
  assert.equal(client.head?.header("x-mine"), "1");
  assert.equal(client.head?.header("Sec-WebSocket-Protocol"), "chat");
});

test("a plain response carries no extension", async (t) => {
  const server = t.serve({ fetch, websocket: { message() {}, perMessageDeflate: true } });
  const client = await t.connect(server, offering());
  assert.equal(client.status, 200);
  assert.equal(agreed(client), undefined);
});

// reload() --------------------------------------------------------------------------------------------------------

/** @param {any} perMessageDeflate @param {(ws: any) => void} open @param {(data: any) => void} received */
const handlers = (perMessageDeflate, open, received) => ({
  fetch: (/** @type {Request} */ request, /** @type {any} */ server) => {
    if (!server.upgrade(request)) return new Response("no");
  },
  websocket: {
    perMessageDeflate,
    open,
    message: (/** @type {any} */ _, /** @type {any} */ data) => received(data),
  },
});

/** @type {[string, any, any, string, number[], string, number[]][]} */
const RELOADS = [
  ["switched off", true, false, BOTH_SHARED, [0, 0, 0], "-", [0, 0, 0]],
  ["emptied", { compress: "dedicated" }, {}, "pmd; cnct", [0, 0, 0], "-", [0, 0, 0]],
  ["switched on", false, true, "-", [0, 0, 0], BOTH_SHARED, [4, 4, 4]],
  ["made dedicated", true, DEDICATED, BOTH_SHARED, [4, 4, 4], "pmd", [4, 4, 4]],
];
for (const [what, before, after, oldAnswer, oldFlags, newAnswer, newFlags] of RELOADS) {
  test(`reload() with perMessageDeflate ${what} holds for new sockets; open ones keep what they agreed to`, async (t) => {
    const opened = t.recorder();
    const received = t.recorder();
    const server = t.serve(handlers(before, opened.add.bind(opened), received.add.bind(received)));
    const old = await t.connect(server, offering());
    await opened.atLeast(1);
    server.reload(handlers(after, opened.add.bind(opened), received.add.bind(received)));
    const young = await t.connect(server, offering());
    await opened.atLeast(2);
    const message = "abcdefghij".repeat(20);
    for (const ws of opened.entries) {
      ws.subscribe("room");
      ws.send(message, true);
      ws.send(message, true);
    }
    server.publish("room", message);
    assert.equal(shortened(agreed(old)), oldAnswer);
    assert.equal(shortened(agreed(young)), newAnswer);
    await old.received(3);
    await young.received(3);
    // What is sent follows the setting in force, as far as the socket's agreement allows.
    assert.deepEqual(
      old.frames.map((frame) => frame.rsv),
      oldFlags,
    );
    assert.deepEqual(
      young.frames.map((frame) => frame.rsv),
      newFlags,
    );
    // What comes in is read as agreed.
    for (const client of [old, young]) {
      if (agreed(client)) client.sendText(pack("hello"), { rsv: 4 });
      else client.sendText("hello");
    }
    assert.deepEqual(await received.atLeast(2), ["hello", "hello"]);
  });
}
