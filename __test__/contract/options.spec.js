// @ts-check
// Checks of the `websocket` option, by serve() and reload() (semantics 10), and of serve()'s own options (13).

import assert from "node:assert/strict";
import { argumentTypeError } from "../support/errors.js";
import { test } from "../support/test.js";

const fetch = () => new Response("ok");

/**
 * @param {import("../support/harness.js").Fixture} t
 * @param {any} websocket
 * @param {string} message
 */
function assertRefused(t, websocket, message) {
  assert.throws(() => t.serve({ fetch, websocket }), argumentTypeError(message));
  const server = t.serve({ fetch, websocket: { message() {} } });
  assert.throws(() => server.reload({ fetch, websocket }), argumentTypeError(message));
}

test("websocket must be an object", (t) => {
  for (const wrong of [5, "x", true, false]) assertRefused(t, wrong, "Expected websocket to be an object");
  for (const fine of [undefined, null, {}, [], () => {}]) t.serve({ fetch, websocket: fine });
});

for (const name of ["open", "message", "close", "drain", "ping", "pong", "error"]) {
  test(`${name} must be a function`, (t) => {
    for (const wrong of [5, "x", {}, true]) {
      assertRefused(t, { [name]: wrong }, `websocket expects a function for the '${name}' option`);
    }
    for (const fine of [undefined, null, () => {}, async () => {}])
      t.serve({ fetch, websocket: { [name]: fine } });
  });
}

test("idleTimeout must be an integer of at most 960", (t) => {
  for (const wrong of ["8", 1.5, Number.NaN, Number.POSITIVE_INFINITY, true, {}]) {
    assertRefused(t, { idleTimeout: wrong }, "websocket expects idleTimeout to be an integer");
  }
  for (const wrong of [961, 100_000]) {
    assertRefused(t, { idleTimeout: wrong }, "websocket expects idleTimeout to be 960 or less");
  }
  for (const fine of [undefined, null, 0, 1, 7, 8, 960, -1, -100])
    t.serve({ fetch, websocket: { idleTimeout: fine } });
});

for (const name of ["maxPayloadLength", "backpressureLimit"]) {
  test(`${name} must be an integer`, (t) => {
    for (const wrong of ["8", 1.5, Number.NaN, Number.POSITIVE_INFINITY, true, {}]) {
      assertRefused(t, { [name]: wrong }, `websocket expects ${name} to be an integer`);
    }
    for (const fine of [undefined, null, 0, 1, -1, 2 ** 32, 2 ** 40])
      t.serve({ fetch, websocket: { [name]: fine } });
  });
}

for (const name of ["closeOnBackpressureLimit", "sendPings", "publishToSelf"]) {
  test(`${name} must be a boolean`, (t) => {
    for (const wrong of [1, 0, "yes", {}]) {
      assertRefused(t, { [name]: wrong }, `websocket expects ${name} to be a boolean`);
    }
    for (const fine of [undefined, null, true, false]) t.serve({ fetch, websocket: { [name]: fine } });
  });
}

test("perMessageDeflate must be a boolean or an object with known compressors", (t) => {
  for (const wrong of [1, "shared"]) {
    assertRefused(
      t,
      { perMessageDeflate: wrong },
      "websocket expects perMessageDeflate to be a boolean or an object",
    );
  }
  const names = '"disable" "shared" "dedicated" "3KB" "4KB" "8KB" "16KB" "32KB" "64KB" "128KB" or "256KB"';
  for (const side of ["compress", "decompress"]) {
    for (const wrong of ["2KB", "x"]) {
      const message = `websocket expects a valid ${side} option, either ${names}`;
      assertRefused(t, { perMessageDeflate: { [side]: wrong } }, message);
    }
  }
  for (const fine of [undefined, null, false]) t.serve({ fetch, websocket: { perMessageDeflate: fine } });
});

test("applies limits given as null or undefined by their defaults", async (t) => {
  const { client, ws } = await t.pair({
    idleTimeout: null,
    maxPayloadLength: null,
    backpressureLimit: null,
    sendPings: null,
    publishToSelf: null,
    message: (ws, data) => ws.send(String(data.length)),
  });
  client.sendBinary(Buffer.alloc(1_000_000));
  assert.deepEqual(await client.received(1, 9000), ["text:1000000"]);
  ws.subscribe("t");
  assert.equal(ws.publish("t", "not to self"), 0);
});

test("serve() requires an object", (t) => {
  for (const wrong of [undefined, null, 5, "x"]) {
    assert.throws(() => t.serveBare(wrong), argumentTypeError("Bun.serve expects an object"));
  }
});

test("serve() requires fetch or routes", (t) => {
  for (const options of [{}, { fetch: undefined }]) {
    assert.throws(
      () => t.serve(options),
      (/** @type {any} */ error) => {
        assert.equal(error.name, "TypeError");
        assert.equal(error.code, "ERR_INVALID_ARG_TYPE");
        assert.match(error.message, /^Bun\.serve\(\) needs either:/);
        return true;
      },
    );
  }
});

test("serve() checks the types of fetch, error and idleTimeout", (t) => {
  for (const wrong of [5, "x", {}]) {
    assert.throws(() => t.serve({ fetch: wrong }), argumentTypeError("Expected fetch() to be a function"));
    assert.throws(
      () => t.serve({ fetch, error: wrong }),
      argumentTypeError("Expected error to be a function"),
    );
  }
  for (const wrong of ["8", 1.5]) {
    assert.throws(
      () => t.serve({ fetch, idleTimeout: wrong }),
      argumentTypeError("Bun.serve expects idleTimeout to be an integer"),
    );
  }
  assert.throws(
    () => t.serve({ fetch, idleTimeout: 256 }),
    argumentTypeError("Bun.serve expects idleTimeout to be 255 or less"),
  );
  for (const fine of [0, 255, -1]) t.serve({ fetch, idleTimeout: fine });
});

test("serve() checks the range of port", (t) => {
  for (const wrong of [-1, 65_536, 100_000]) {
    assert.throws(() => t.serve({ fetch, port: wrong }), {
      name: "RangeError",
      code: "ERR_OUT_OF_RANGE",
      message: `The value of "options.port" is out of range. It must be >= 0 and <= 65535. Received ${wrong}`,
    });
  }
  assert.throws(() => t.serve({ fetch, port: Number.NaN }), {
    name: "RangeError",
    code: "ERR_OUT_OF_RANGE",
    message: 'The value of "options.port" is out of range. It must be an integer. Received NaN',
  });
  assert.ok(t.serve({ fetch, port: "0" }).port > 0);
});

test("a failed serve() leaves nothing behind", async (t) => {
  const port = t.serve({ fetch }).port;
  assert.throws(() => t.serve({ fetch, websocket: { message: 5 } }));
  const { status } = await t.request(port, "GET / HTTP/1.1");
  assert.equal(status, 200);
});
