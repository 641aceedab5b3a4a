/** Spans of requests. */
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import * as api from "@opentelemetry/api";
import { installOpenTelemetry, OpenTelemetry } from "../../shared/observability/mod.ts";
import { readTracing, TracingLink } from "../../shared/http/tracing/tracing_link.ts";
import { VariableReader } from "../../shared/environment/mod.ts";
import { type FakeProvider, registerFakeProvider } from "../observability/tracing/otel/fake_provider.ts";
import type { PooledHandler } from "../support/http.ts";
import { setUp } from "./real_rig.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const CALLER = `00-${TRACE}-b7ad6b7169203331-01`;

const list: PooledHandler<unknown> = async (_request, ctx) => {
  const { error } = await ctx.supabase.from("things").select();
  if (error) throw error;
  return Response.json([]);
};

installOpenTelemetry(api);

function spanOf({ spans }: FakeProvider, index = 0) {
  const span = spans[index];
  if (!span) throw new Error(`no span ${index}`);
  return span;
}

Deno.test("withPooledSupabase() does nothing for tracing while no provider is registered", async () => {
  await using rig = setUp(list, {}, { tracing: true });
  const response = await rig.fetch("/f", { headers: { traceparent: CALLER } });
  assertEquals([response.status, response.headers.get("X-Correlation-Id")], [200, null]);
  assertEquals(rig.project.requests[0]?.headers.get("traceparent"), null);
});

/** One for all tests: the isolate keeps the tracer that it has asked for. */
let registered: FakeProvider | undefined;

/** Returns the provider, without what earlier tests have reported. */
function registerProvider(): FakeProvider {
  registered ??= registerFakeProvider();
  registered.spans.length = registered.measurements.length = 0;
  return registered;
}

Deno.test("withPooledSupabase() traces no request for health, and none where tracing is switched off", async () => {
  const provider = registerProvider();
  await using off = setUp(list, { POOL_TRACING: "off", OTEL_DENO: "true" });
  assertEquals((await off.fetch("/f")).headers.get("X-Correlation-Id"), null);
  await using health = setUp(list, { POOL_TRACING: "on" });
  await (await health.fetch("/f/health/pool")).body?.cancel();
  assertEquals(provider.spans, []);
});

Deno.test("withPooledSupabase() continues the trace of the caller, and views carry it to the project", async () => {
  const provider = registerProvider();
  await using rig = setUp(list, {}, { tracing: true });
  const response = await rig.fetch("/f", { headers: { traceparent: CALLER, baggage: "user=1" } });
  assertEquals(response.status, 200);
  const span = spanOf(provider);
  assertEquals([span.name, span.traceId, span.parentId, span.ended], ["pooled request", TRACE, "b7ad6b7169203331", 1]);
  const sent = rig.project.requests[0]?.headers;
  assertEquals(sent?.get("traceparent"), `00-${TRACE}-${span.spanId}-01`);
  assertEquals(sent?.get("baggage"), null);
  // Log, span and response share one id.
  assertEquals(response.headers.get("X-Correlation-Id"), TRACE);
  assertMatch(response.headers.get("Access-Control-Expose-Headers") ?? "", /X-Correlation-Id/);
  assertEquals(span.attributes["supabase_pool.correlation_id"], TRACE);
  assertEquals([span.attributes["http.request.method"], span.attributes["http.response.status_code"]], ["GET", 200]);
  assertEquals(provider.spans.length, 1);
});

Deno.test("withPooledSupabase() ignores a hostile traceparent and begins a trace of its own", async () => {
  const provider = registerProvider();
  await using rig = setUp(list, {}, { tracing: true });
  const hostile = [
    "00-" + "0".repeat(32) + "-b7ad6b7169203331-01",
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `ff-${TRACE}-b7ad6b7169203331-01`,
    `${CALLER}-more`,
    `${CALLER}, ${CALLER}`,
    CALLER.toUpperCase(),
    "x".repeat(10_000),
    `01-${TRACE}-b7ad6b7169203331-01-${"y".repeat(10_000)}`,
    "",
  ];
  for (const [index, traceparent] of hostile.entries()) {
    const response = await rig.fetch("/f", { headers: { traceparent, tracestate: "\u00ff" } });
    const span = spanOf(provider, index);
    assertEquals([response.status, span.parentId], [200, undefined], traceparent.slice(0, 80));
    assertNotEquals(span.traceId, TRACE);
    assertEquals(response.headers.get("X-Correlation-Id"), span.traceId);
  }
});

Deno.test("withPooledSupabase() gives spans the id that the caller chose, the parts of the time, and the error", async () => {
  const provider = registerProvider();
  await using rig = setUp(list, { POOL_MAX_CONNECTIONS: "1", POOL_ACQUIRE_TIMEOUT_MS: "30" }, { tracing: true });
  await using held = await rig.service.getConnectionPool().lease();
  const response = await rig.fetch("/f", { method: "EVIL", headers: { "x-request-id": "mine" } });
  held.release();
  assertEquals([response.status, response.headers.get("X-Correlation-Id")], [503, "mine"]);
  const { attributes, status } = spanOf(provider);
  assertEquals(status, 2);
  assertEquals(attributes["error.type"], "ACQUIRE_TIMEOUT");
  assertEquals(attributes["http.request.method"], "_OTHER");
  assertEquals(attributes["supabase_pool.correlation_id"], "mine");
  assertEquals(Number(attributes["supabase_pool.wait_time"]) >= 0.029, true);
  assertEquals(rig.log.map((line) => JSON.parse(line).correlationId), ["mine"]);
});

Deno.test("withPooledSupabase() is a child of the span that is active, and spans of the handler are children of it", async () => {
  const provider = registerProvider();
  await using rig = setUp(
    async (_request, ctx) => {
      const tracer = api.trace.getTracer("own");
      const own = tracer.startSpan("own");
      await ctx.supabase.from("things").select();
      own.end();
      // The trace of a call of its own wins.
      await ctx.supabase.from("things").select().setHeader("traceparent", CALLER);
      return Response.redirect("https://x.test/");
    },
    {},
    { tracing: true },
  );
  const response = await rig.fetch("/f");
  // The headers of a redirect are immutable.
  assertMatch(response.headers.get("X-Correlation-Id") ?? "", /^[\da-f]{32}$/);
  const [request, own] = [spanOf(provider), spanOf(provider, 1)];
  assertEquals([own.traceId, own.parentId], [request.traceId, request.spanId]);
  assertEquals(rig.project.requests.map(({ headers }) => headers.get("traceparent")), [
    `00-${request.traceId}-${request.spanId}-01`,
    CALLER,
  ]);
});

Deno.test("withPooledSupabase() serves requests whose provider throws, and ends each span once", async (t) => {
  const provider = registerProvider();
  const methods = ["active", "with", "startSpan", "spanContext", "setAttribute", "setAttributes", "setStatus", "end"];
  for (const method of [...methods, "inject", "extract", "record"]) {
    await t.step(method, async () => {
      await using rig = setUp(list, {}, { tracing: true });
      provider.spans.length = 0;
      provider.faults.add(method);
      try {
        const served = await rig.fetch("/f", { headers: { traceparent: CALLER } });
        assertEquals([served.status, await served.json()], [200, []]);
        rig.project.answer = () => Response.json({ message: "down", code: "XX000" }, { status: 500 });
        const failed = await rig.fetch("/f", { headers: { traceparent: CALLER } });
        await failed.body?.cancel();
        assertEquals(failed.status, 500);
      } finally {
        provider.faults.clear();
      }
      assertEquals(rig.project.requests.length >= 2, true);
      assertEquals(provider.spans.every(({ ended }) => ended === 1), true);
      assertEquals(rig.log.map((line) => JSON.parse(line).event), ["request_failed"]);
    });
  }
});

Deno.test("withPooledSupabase() ends the span of a request once, whatever its handler does", async (t) => {
  const provider = registerProvider();
  const left = new AbortController();
  const handlers: Record<string, readonly [PooledHandler<unknown>, status: number]> = {
    "returns a stream": [() => new Response(new Blob(["a", "b"]).stream()), 200],
    "returns a stream that fails": [
      () => new Response(new ReadableStream({ pull: (body) => body.error(new Error("broken")) })),
      200,
    ],
    "throws a response": [() => Promise.reject(new Response(null, { status: 409 })), 409],
    "throws nothing": [() => Promise.reject(undefined), 500],
    "throws at once": [() => {
      throw new Error("boom");
    }, 500],
    "returns no response": [() => ({}) as never, 500],
    "returns a body that was read": [async () => {
      const response = new Response("x");
      await response.text();
      return response;
    }, 500],
    "takes too long": [() => new Promise(() => {}), 504],
    "is left by its caller": [() => {
      left.abort();
      return Promise.reject(new Error("aborted"));
    }, 499],
  };
  for (const [what, [handler, status]] of Object.entries(handlers)) {
    await t.step(what, async () => {
      provider.spans.length = 0;
      await using rig = setUp(handler, {}, { tracing: true, deadlineMs: what === "takes too long" ? 20 : 30_000 });
      const response = await rig.fetch("/f", { signal: what === "is left by its caller" ? left.signal : null });
      await response.text().catch(() => {});
      assertEquals(provider.spans.map(({ ended }) => ended), [1]);
      assertEquals(provider.spans[0]?.attributes["http.response.status_code"], response.status);
      if (what !== "is left by its caller") assertEquals(response.status, status);
    });
  }
});

Deno.test("readTracing() reads POOL_TRACING, which wins over OTEL_DENO", () => {
  const read = (variables: Record<string, string>) => readTracing(new VariableReader(variables));
  assertEquals([read({}), read({ OTEL_DENO: "true" }), read({ OTEL_DENO: "1" })], [false, true, false]);
  assertEquals([read({ POOL_TRACING: "on" }), read({ POOL_TRACING: "off", OTEL_DENO: "true" })], [true, false]);
});

Deno.test("TracingLink loads once, reports early pools then, and says once that it cannot be loaded", async () => {
  const failures: string[] = [];
  let loads = 0;
  const broken = new TracingLink(() => {
    loads++;
    return Promise.reject(new Error("no such package"));
  });
  for (const _time of [1, 2]) await broken.load((reason) => failures.push(reason));
  assertEquals([loads, failures, broken.telemetry], [1, ["no such package"], undefined]);

  const provider = registerProvider();
  const stats = { activeConnections: 1, idleConnections: 2, waitingForConnection: 3 };
  const pool = { getStats: () => stats, config: {}, kind: "user" } as never;
  const link = new TracingLink(() => Promise.resolve(OpenTelemetry.ofIsolate()));
  link.watch(pool);
  assertEquals(provider.collect(), []);
  await link.load(() => {});
  link.watch(pool);
  let observed = 0;
  const statements = { observeStatements: () => (observed++, { [Symbol.dispose]() {} }) };
  link.watch({ getStats: () => stats, config: {}, statements } as never);
  assertEquals(observed, 1);
  const names = provider.collect().map(({ attributes }) => attributes["db.client.connection.pool.name"]);
  assertEquals(new Set(names), new Set(["user", "pool"]));
});

Deno.test("TracingLink ends the reports of a pool that is closed", async () => {
  const provider = registerProvider();
  const ended: string[] = [];
  const closed = new Set<() => void>();
  const end = (what: string) => ({ [Symbol.dispose]: () => void ended.push(what) });
  const pool = {
    config: {},
    kind: "admin",
    getStats: () => ({ activeConnections: 1, idleConnections: 2, waitingForConnection: 3 }),
    record: () => end("times"),
    on: (name: string, listener: () => void) => {
      if (name === "closed") closed.add(listener);
      return end(name);
    },
    statements: { observeStatements: () => end("statements") },
  };
  const link = new TracingLink(() => Promise.resolve(OpenTelemetry.ofIsolate()));
  const adminPools = () =>
    provider.collect().filter(({ attributes }) => attributes["db.client.connection.pool.name"] === "admin").length;
  link.watch(pool as never);
  await link.load(() => {});
  assertEquals([adminPools() > 0, ended], [true, []]);
  for (const listener of closed) listener();
  assertEquals([adminPools(), ended], [0, ["times", "created", "statements"]]);
});

Deno.test("withPooledSupabase() lists the id of a traced request among what browsers may read, once", async () => {
  registerProvider();
  const exposed = async (options: Parameters<typeof setUp>[2], handler = list) => {
    await using rig = setUp(handler, {}, { tracing: true, ...options });
    const response = await rig.fetch("/f");
    await response.text();
    assertMatch(response.headers.get("X-Correlation-Id") ?? "", /^[\da-f]{32}$/);
    return (response.headers.get("Access-Control-Expose-Headers") ?? "").split(", ");
  };
  const all = ["X-Pool-Total-Connections", "X-Pool-Limit", "Server-Timing", "X-Correlation-Id"];
  const isAll = (names: readonly string[]) => all.every((name) => names.filter((each) => each === name).length === 1);
  assertEquals(isAll(await exposed({})), true);
  const own = { headers: { "Access-Control-Expose-Headers": "X-Own, X-Correlation-Id" } };
  const withOwn = await exposed({}, () => new Response(null, own));
  assertEquals([isAll(withOwn), withOwn[0]], [true, "X-Own"]);
  assertEquals(await exposed({ poolHeaders: false }), ["X-Correlation-Id"]);
  // A response to a failure has the id already.
  const failed = await exposed({}, () => Promise.reject(new Error("broken")));
  assertEquals(isAll(failed), true);
});

Deno.test("TracingLink serves requests when a pool cannot be reported, and says so", async () => {
  registerProvider();
  const failures: string[] = [];
  const broken = () => ({
    config: {},
    getStats: () => ({}),
    record: () => {
      throw new Error("no recorder");
    },
  } as never);
  const link = new TracingLink(() => Promise.resolve(OpenTelemetry.ofIsolate()));
  link.watch(broken());
  await link.load((reason) => failures.push(reason));
  link.watch(broken());
  assertEquals([failures, link.telemetry !== undefined], [["no recorder", "no recorder"], true]);
});
