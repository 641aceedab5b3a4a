import { assert, assertEquals, assertFalse, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { delay } from "@std/async";
import { FakeTime } from "@std/testing/time";
import {
  type PooledContext,
  type PooledHandler,
  type PooledSupabaseOptions,
  withPooledSupabase,
} from "../support/http.ts";
import { AcquireTimeoutError, PoolClosedError, QueueFullError } from "../../shared/pool/mod.ts";
import { IdentityError } from "../../shared/supabase/mod.ts";
import { FakePools, JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { sharedSecretToken } from "./tokens.ts";

type Options = PooledSupabaseOptions<unknown>;

/** A handler behind fakes, and what it logged. */
function setUp(handler: PooledHandler<unknown>, options: Options = {}) {
  const service = new FakePools();
  const log: string[] = [];
  const fetch = withPooledSupabase<unknown>(
    { auth: "none", variables: VARIABLES, service, log: (line) => log.push(line), ...options },
    handler,
  );
  const send = (init: RequestInit = {}, path = "/f") => fetch(new Request(`https://x.test${path}`, init));
  return { service, log, fetch, send };
}

const ok: PooledHandler<unknown> = () => Response.json({ ok: true });

function assertStamped(response: Response, counters = ["8", "3", "5", "0"]): void {
  const names = ["Total-Connections", "Active-Connections", "Idle-Connections", "Waiting-Requests"];
  assertEquals(names.map((name) => response.headers.get(`X-Pool-${name}`)), counters);
  assertMatch(response.headers.get("Server-Timing") ?? "", /(^|, )pool;dur=\d+\.\d$/);
  const exposed = response.headers.get("Access-Control-Expose-Headers") ?? "";
  for (const name of [...names.map((name) => `X-Pool-${name}`), "Server-Timing"]) assertStringIncludes(exposed, name);
}

Deno.test("every kind of answer is stamped", async (t) => {
  const upstream = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("from elsewhere", { headers: { "X-Upstream": "1" } }),
  );
  const address = `http://127.0.0.1:${upstream.addr.port}`;
  const rows: Record<string, readonly [PooledHandler<unknown>, Options, RequestInit, status: number]> = {
    "a plain answer": [ok, {}, {}, 200],
    "a preflight": [ok, {}, { method: "OPTIONS" }, 204],
    "refused credentials": [ok, { auth: "user" }, {}, 401],
    "keys that are not configured": [ok, { auth: "publishable:absent" }, { headers: { apikey: "x" } }, 500],
    "no content": [() => new Response(null, { status: 204 }), {}, {}, 204],
    "not modified": [() => new Response(null, { status: 304 }), {}, {}, 304],
    "a redirect, whose headers are immutable": [() => Response.redirect("https://y.test/"), {}, {}, 302],
    "an answer of fetch, whose headers are immutable": [() => fetch(address), {}, {}, 200],
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
      // The pools are there from the first request on.
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

Deno.test("what a passed-on answer holds is kept", async () => {
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

Deno.test("an answer that is returned twice is stamped, not stamped twice", async () => {
  const same = new Response(null, { status: 404 });
  const { send, service } = setUp(() => same);
  const first = await send();
  const exposed = first.headers.get("Access-Control-Expose-Headers");
  service.user.stats.activeConnections = 7;
  const second = await send();
  assertStamped(second, ["8", "7", "5", "0"]);
  assertEquals(second.headers.get("Access-Control-Expose-Headers"), exposed);
  assertMatch(second.headers.get("Server-Timing") ?? "", /^pool;dur=[\d.]+$/);
});

Deno.test("a network error is passed on untouched", async () => {
  const error = Response.error();
  const response = await setUp(() => error).send();
  assert(response === error);
});

Deno.test("a body is streamed: the answer is there before its end", async () => {
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

Deno.test("the headers can be switched off, by option and by variable; the option wins", async (t) => {
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

Deno.test("what the handler throws is answered as a problem, and logged once", async (t) => {
  const rows: Record<string, readonly [error: unknown, status: number, code: string, logged: number]> = {
    "acquire timeout": [new AcquireTimeoutError("Connection acquire timeout after 5 ms"), 503, "ACQUIRE_TIMEOUT", 1],
    "queue full": [new QueueFullError("1000 wait"), 503, "QUEUE_FULL", 1],
    "pool closed": [new PoolClosedError(), 503, "POOL_CLOSED", 1],
    "an error": [new Error("password=hunter2 at /srv/secret.ts"), 500, "INTERNAL_ERROR", 1],
    "no error": [undefined, 500, "INTERNAL_ERROR", 1],
    "text": ["sb_secret_default", 500, "INTERNAL_ERROR", 1],
  };
  for (const [name, [error, status, code, logged]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send, log } = setUp(() => Promise.reject(error));
      const response = await send();
      const text = await response.text();
      assertEquals([response.status, JSON.parse(text).code], [status, code]);
      assertEquals(response.headers.get("Content-Type"), "application/problem+json");
      assertEquals(response.headers.has("Retry-After"), status === 503);
      assertFalse(/hunter2|secret/.test(text));
      assertEquals(log.length, logged);
      assertFalse(log.join().includes("hunter2") || log.join().includes("sb_secret_default"));
    });
  }
});

Deno.test("a handler that throws at once or returns nothing of use is answered 500", async (t) => {
  const used = new Response("x");
  await used.text();
  const rows: Record<string, PooledHandler<unknown>> = {
    "throws": () => {
      throw new TypeError("at once");
    },
    "undefined": () => undefined as unknown as Response,
    "an object": () => ({ status: 200 }) as Response,
    "a body that was read": () => used,
  };
  for (const [name, handler] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send, log } = setUp(handler);
      assertEquals((await send()).status, 500);
      assertEquals(log.length, 1);
    });
  }
});

Deno.test("a bad environment is answered 500, and listed in the log once", async () => {
  const log: string[] = [];
  const fetch = withPooledSupabase(
    {
      variables: { SUPABASE_URL: "x", JWT_SECRET: "hunter2", POOL_MAX_CONNECTIONS: "0" },
      log: (line) => log.push(line),
    },
    ok,
  );
  for (let i = 0; i < 3; i++) {
    const response = await fetch(new Request("https://x.test/f"));
    const body = await response.text();
    assertEquals([response.status, JSON.parse(body).code], [500, "CONFIG_INVALID"]);
    assertFalse(/SUPABASE_URL|hunter2/.test(body));
    assertStamped(response, ["0", "0", "0", "0"]);
  }
  assertEquals((await fetch(new Request("https://x.test/f", { method: "OPTIONS" }))).status, 204);
  assertEquals(log.length, 1);
  for (const name of ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEYS", "JWT_SECRET", "POOL_MAX_CONNECTIONS"]) {
    assertStringIncludes(log[0] ?? "", name);
  }
  assertFalse((log[0] ?? "").includes("hunter2"));
});

Deno.test("wrapping a handler reads nothing and makes nothing", () => {
  withPooledSupabase({ variables: {}, log: () => {} }, ok);
});

Deno.test("nobody but a user is anonymous, whatever key was sent; admin is its own pool", async (t) => {
  const token = await sharedSecretToken();
  const rows: readonly (readonly [Options["auth"], Record<string, string>])[] = [
    ["none", {}],
    ["none", { Authorization: `Bearer ${token}`, apikey: "sb_secret_default" }],
    ["publishable", { apikey: "sb_publishable_default" }],
    ["secret", { apikey: "sb_secret_default" }],
    ["secret:jobs", { apikey: "sb_secret_jobs" }],
  ];
  for (const [auth, headers] of rows) {
    await t.step(`${auth} ${Object.keys(headers)}`, async () => {
      const { send, service } = setUp((_request, { supabase, pool }) => Response.json([!!supabase, !!pool]), {
        auth: auth ?? "none",
      });
      assertEquals((await send({ headers })).status, 200);
      assertEquals(service.user.leases.map(({ options }) => options.identity), ["anonymous"]);
      assertEquals(service.user.bound.map(({ identity }) => identity), ["anonymous"]);
      assertEquals(service.adminAsked, 0);
    });
  }
});

Deno.test("a handler that touches no client takes no lease", async () => {
  const { send, service } = setUp(ok);
  await send();
  assertEquals([service.user.leases.length, service.admin.leases.length, service.adminAsked], [0, 0, 0]);
});

Deno.test("the admin client comes from the admin pool, when it is touched", async () => {
  const { send, service } = setUp((_request, { supabaseAdmin, adminPool }) =>
    Response.json([!!supabaseAdmin, !!adminPool])
  );
  await send();
  assertEquals(service.admin.leases.map(({ options }) => options.identity), ["admin"]);
  assertEquals(service.admin.bound.map(({ identity }) => identity), ["admin"]);
  assertEquals(service.user.leases.length, 0);
});

Deno.test("without a secret key the admin client may be named but not used", async () => {
  const { SUPABASE_SECRET_KEYS: _, ...variables } = VARIABLES;
  const named = setUp((_request, { supabaseAdmin }) => Response.json(typeof supabaseAdmin), { variables });
  assertEquals((await named.send()).status, 200);
  const used = setUp((_request, context) => {
    assertThrows(() => context.adminPool.getStats(), Error, "secret key");
    assertEquals({ ...context }.authMode, context.authMode);
    return Response.json(context.supabaseAdmin.from("x"));
  }, { variables });
  const response = await used.send();
  assertEquals([response.status, (await response.json()).code], [500, "MISSING_DEFAULT_SECRET_KEY"]);
  assertStringIncludes(used.log[0] ?? "", "SUPABASE_SECRET_KEY");
  assertEquals([named.service.adminAsked, used.service.adminAsked], [0, 0]);
});

Deno.test("the same client is there for the whole request, and its lease ends with the answer", async () => {
  const { send, service } = setUp((_request, context) => {
    assert(context.supabase === context.supabase);
    assertEquals(service.user.leases.map(({ ended }) => ended), [0]);
    return new Response();
  });
  await send();
  assertEquals(service.user.leases.map(({ ended }) => ended), [1]);
  const failing = setUp((_request, { supabase }) => Promise.reject(new Error(typeof supabase)));
  await failing.send();
  assertEquals(failing.service.user.leases.map(({ ended }) => ended), [1]);
});

Deno.test("a context kept past the answer gives a client that is ended", async () => {
  let kept: PooledContext<unknown> | undefined;
  const { send, service } = setUp((_request, context) => {
    kept = context;
    return new Response();
  });
  await send();
  assert(kept?.supabase);
  assertEquals(service.user.leases.map(({ ended }) => ended), [1]);
});

Deno.test("waitUntil keeps the lease until everything given to it has settled", async () => {
  const first = Promise.withResolvers<void>();
  const second = Promise.withResolvers<void>();
  const { send, service, log } = setUp((_request, { supabase, waitUntil }) => {
    waitUntil(first.promise.then(() => waitUntil(second.promise)));
    return Response.json(typeof supabase);
  });
  await send();
  const ended = () => service.user.leases.map((lease) => lease.ended);
  assertEquals(ended(), [0]);
  first.resolve();
  await delay(0);
  assertEquals(ended(), [0]);
  second.reject(new Error("Bearer abc.def.ghi failed"));
  await delay(0);
  assertEquals(ended(), [1]);
  assertEquals(log.length, 1);
  assertStringIncludes(log[0] ?? "", "background_work_failed");
  assertFalse((log[0] ?? "").includes("abc.def"));
});

Deno.test("waitUntil is passed on to EdgeRuntime.waitUntil, and never rejects there", async () => {
  const given: Promise<unknown>[] = [];
  Reflect.set(globalThis, "EdgeRuntime", { waitUntil: (promise: Promise<unknown>) => given.push(promise) });
  try {
    const { send } = setUp((_request, { waitUntil }) => {
      waitUntil(Promise.reject(new Error("no")));
      return new Response();
    });
    await send();
    assertEquals(given.length, 1);
    await given[0];
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
});

Deno.test("when the caller goes away, its leases end and their signal aborts", async () => {
  const left = new AbortController();
  const running = Promise.withResolvers<void>();
  const { fetch, service, log } = setUp(async (_request, { supabase, pool }) => {
    assert(supabase && pool);
    running.resolve();
    await new Promise((_, reject) => {
      const signal = service.user.leases[0]?.options.signal;
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    return new Response();
  });
  const answer = fetch(new Request("https://x.test/f", { signal: left.signal }));
  await running.promise;
  left.abort(new Error("gone"));
  const response = await answer;
  assertEquals([response.status, log.length], [499, 0]);
  assertEquals(service.user.leases.map(({ aborted }) => aborted), [1]);
  assert(service.user.bound[0]?.signal?.aborted);
});

Deno.test("work given to waitUntil survives the caller", async () => {
  const left = new AbortController();
  const work = Promise.withResolvers<void>();
  const { fetch, service } = setUp((_request, { supabase, waitUntil }) => {
    waitUntil(work.promise);
    left.abort();
    return Response.json(typeof supabase);
  });
  await fetch(new Request("https://x.test/f", { signal: left.signal }));
  const [lease] = service.user.leases;
  assertEquals([lease?.options.signal?.aborted, lease?.ended], [false, 0]);
  work.resolve();
  await delay(0);
  assertEquals(lease?.ended, 1);
});

Deno.test("a signal that aborts after the answer says nothing about the caller", async () => {
  const late = new AbortController();
  const { fetch, service } = setUp((_request, { supabase }) => Response.json(typeof supabase));
  await fetch(new Request("https://x.test/f", { signal: late.signal }));
  late.abort();
  assertEquals(service.user.leases[0]?.options.signal?.aborted, false);
});

Deno.test("a token that expires while its request runs is refused as an expired one", async () => {
  const time = new FakeTime();
  try {
    const token = await sharedSecretToken();
    const { fetch, log } = setUp(() => {
      time.tick(601_000);
      throw new IdentityError("The token has expired");
    }, { auth: "user", variables: { ...VARIABLES, JWT_SECRET } });
    const response = await fetch(new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}` } }));
    assertEquals([response.status, (await response.json()).code, log.length], [401, "INVALID_JWT", 0]);
  } finally {
    time.restore();
  }
});

Deno.test("answers of a real server are stamped, WebSocket upgrades pass", async () => {
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
