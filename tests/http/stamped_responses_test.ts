/** The pool headers of responses. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { PooledHandler, PooledSupabaseOptions } from "../support/http.ts";
import { AcquireTimeoutError } from "../../shared/pool/mod.ts";
import { ok, setUp } from "./fake_handler.ts";
import { VARIABLES } from "./fake_pools.ts";

type Options = PooledSupabaseOptions<unknown>;

function assertStamped(response: Response, counters = ["8", "3", "5", "0"]): void {
  const names = ["Total-Connections", "Active-Connections", "Idle-Connections", "Waiting-Requests"];
  assertEquals(names.map((name) => response.headers.get(`X-Pool-${name}`)), counters);
  assertMatch(
    response.headers.get("Server-Timing") ?? "",
    /(^|, )pool;dur=\d+\.\d, verify;dur=\d+\.\d, wait;dur=\d+\.\d, upstream;dur=\d+\.\d$/,
  );
  const exposed = response.headers.get("Access-Control-Expose-Headers") ?? "";
  for (const name of [...names.map((name) => `X-Pool-${name}`), "Server-Timing"]) assertStringIncludes(exposed, name);
}

Deno.test("withPooledSupabase() sets the pool headers on every kind of response", async (t) => {
  const upstream = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("from elsewhere", { headers: { "X-Upstream": "1" } }),
  );
  const address = `http://127.0.0.1:${upstream.addr.port}`;
  const rows: Record<string, readonly [PooledHandler<unknown>, Options, RequestInit, status: number]> = {
    "a plain response": [ok, {}, {}, 200],
    "a preflight": [ok, {}, { method: "OPTIONS" }, 204],
    "rejected credentials": [ok, { auth: "user" }, {}, 401],
    "keys that are not configured": [ok, { auth: "publishable:absent" }, { headers: { apikey: "x" } }, 500],
    "no content": [() => new Response(null, { status: 204 }), {}, {}, 204],
    "not modified": [() => new Response(null, { status: 304 }), {}, {}, 304],
    "a redirect, whose headers are immutable": [() => Response.redirect("https://y.test/"), {}, {}, 302],
    "a response of fetch, whose headers are immutable": [() => fetch(address), {}, {}, 200],
    "a handler that throws": [
      () => {
        throw new Error("boom");
      },
      {},
      {},
      500,
    ],
    "an acquire timeout": [() => Promise.reject(new AcquireTimeoutError("Connection acquire timeout")), {}, {}, 503],
  };
  for (const [name, [handler, options, init, status]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send } = setUp(handler, options);
      // The pools exist from the first request on.
      await (await send()).body?.cancel();
      const response = await send(init);
      assertEquals(response.status, status);
      assertStamped(response);
      assertEquals(response.headers.get("Access-Control-Allow-Origin"), "*");
      await response.body?.cancel();
    });
  }
  await upstream.shutdown();
});

Deno.test("withPooledSupabase() keeps the headers of the handler's response", async () => {
  const redirect = await setUp(() => Response.redirect("https://y.test/", 303)).send();
  assertEquals([redirect.status, redirect.headers.get("Location")], [303, "https://y.test/"]);
  const timed = await setUp(() =>
    new Response("x", {
      headers: { "Server-Timing": "db;dur=5", "Access-Control-Expose-Headers": "X-Mine, x-pool-idle-connections" },
    })
  ).send();
  assertMatch(timed.headers.get("Server-Timing") ?? "", /^db;dur=5, pool;dur=/);
  const exposed = (timed.headers.get("Access-Control-Expose-Headers") ?? "").toLowerCase().split(", ");
  assertEquals(exposed.filter((name) => name === "x-pool-idle-connections").length, 1);
  assertEquals(exposed[0], "x-mine");
});

Deno.test("withPooledSupabase() replaces the pool headers of a response that is returned twice", async () => {
  const same = new Response(null, { status: 404 });
  const { send, service } = setUp(() => same);
  const first = await send();
  const exposed = first.headers.get("Access-Control-Expose-Headers");
  service.user.stats.activeConnections = 7;
  const second = await send();
  assertStamped(second, ["8", "7", "5", "0"]);
  assertEquals(second.headers.get("Access-Control-Expose-Headers"), exposed);
  assertMatch(
    second.headers.get("Server-Timing") ?? "",
    /^pool;dur=[\d.]+, verify;dur=[\d.]+, wait;dur=[\d.]+, upstream;dur=[\d.]+$/,
  );
});

Deno.test("withPooledSupabase() streams a body: the response resolves before its end", async () => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const response = await setUp(() => new Response(readable)).send();
  const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader();
  const read = reader.read();
  await writer.write(new Uint8Array([1]));
  assertEquals((await read).value, new Uint8Array([1]));
  await reader.cancel("enough");
  await writer.closed.catch((reason) => assertEquals(reason, "enough"));
});

Deno.test("withPooledSupabase() omits the pool headers by option or variable; the option wins", async (t) => {
  const rows: readonly (readonly [Options, boolean])[] = [
    [{ poolHeaders: false }, false],
    [{ variables: { ...VARIABLES, POOL_HEADERS: "off" } }, false],
    [{ variables: { ...VARIABLES, POOL_HEADERS: "off" }, poolHeaders: true }, true],
  ];
  for (const [options, shown] of rows) {
    await t.step(JSON.stringify(options), async () => {
      const response = await setUp(ok, options).send();
      for (const name of ["X-Pool-Total-Connections", "Server-Timing", "Access-Control-Expose-Headers"]) {
        assertEquals(response.headers.has(name), shown, name);
      }
    });
  }
});

Deno.test("withPooledSupabase() sets the pool headers behind a real server, and passes WebSocket upgrades", async () => {
  const { fetch: handler } = setUp((request) => {
    if (request.headers.get("upgrade") !== "websocket") return new Response("plain");
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onopen = () => socket.send("hello");
    return response;
  });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  const plain = await fetch(`http://127.0.0.1:${server.addr.port}/f`);
  assertStamped(plain);
  assertEquals(await plain.text(), "plain");
  const socket = new WebSocket(`ws://127.0.0.1:${server.addr.port}/f`);
  const message = await new Promise((resolve, reject) => {
    socket.onmessage = ({ data }) => resolve(data);
    socket.onerror = reject;
  });
  assertEquals(message, "hello");
  const closed = new Promise((resolve) => socket.onclose = resolve);
  socket.close();
  await closed;
  await server.shutdown();
});
