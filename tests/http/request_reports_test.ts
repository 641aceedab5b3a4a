/** The span and the report of a request: one each, with the status that is sent. */
import { assertEquals } from "@std/assert";
import * as api from "@opentelemetry/api";
import { installOpenTelemetry, MetricsRegistry } from "../../shared/observability/mod.ts";
import { type FakeSpan, registerFakeProvider } from "../observability/tracing/otel/fake_provider.ts";
import { type PooledHandler, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";
import { ok } from "./fake_handler.ts";

type Options = PooledSupabaseOptions<unknown>;

installOpenTelemetry(api);
const provider = registerFakeProvider();

/** A handler that is traced and measured. */
function setUp(handler: PooledHandler<unknown>, options: Options = {}) {
  const service = new FakePools();
  const handle = withPooledSupabase<unknown>({
    ...{ auth: "none", variables: VARIABLES, service, log: () => {}, tracing: true },
    ...{ metrics: { registry: new MetricsRegistry() }, ...options },
  }, handler);
  provider.spans.length = 0;
  return {
    service,
    fetch: (path = "/f", init: RequestInit = {}) => handle(new Request(`https://x.test${path}`, init)),
    /** Returns the number of requests that were reported, by status. */
    async reports(): Promise<Record<string, number>> {
      const headers = { apikey: "sb_secret_default" };
      const text = await (await handle(new Request("https://x.test/f/health/metrics", { headers }))).text();
      const counts = /^http_server_request_duration_seconds_count\{http_response_status_code="(\d+)",.*\} (\d+)$/gm;
      return Object.fromEntries([...text.matchAll(counts)].map(([, status = "", count]) => [status, Number(count)]));
    },
  };
}

/** Returns how often each span was ended, and with which status. */
function ends(spans: readonly FakeSpan[]): unknown[] {
  return spans.map(({ ended, attributes }) => [ended, attributes["http.response.status_code"]]);
}

/** Returns the status that a server sends. */
const sent = (response: Response): unknown => Reflect.get(Response.prototype, "status", response);

/** Returns a response with a member that throws or returns what it should not. */
function withMember(name: keyof Response, get: () => unknown, body: BodyInit = "body"): Response {
  return Object.defineProperty(new Response(body, { status: 201 }), name, { get });
}

const fail = () => {
  throw new Error("unreadable");
};

/** The timers of the metrics go on until the isolate ends. */
const test = (name: string, fn: (t: Deno.TestContext) => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

interface Case {
  readonly handler?: PooledHandler<unknown>;
  readonly options?: Options;
  readonly init?: RequestInit;
  readonly status: number;
}

const CASES: Readonly<Record<string, Case>> = {
  "a response": { status: 200 },
  "a redirect, whose headers are immutable": { handler: () => Response.redirect("https://y.test/"), status: 302 },
  "a handler that throws": { handler: fail, status: 500 },
  "a handler that throws a response": { handler: () => Promise.reject(new Response("", { status: 418 })), status: 418 },
  "a handler that returns no response": { handler: () => undefined as never, status: 500 },
  "a deadline": { handler: () => new Promise(() => {}), options: { deadlineMs: 20 }, status: 504 },
  "rejected credentials": { options: { auth: "user" }, status: 401 },
  "keys that are not configured": {
    options: { auth: "publishable:absent" },
    init: { headers: { apikey: "x" } },
    status: 500,
  },
  "onRejected": {
    options: { auth: "user", onRejected: () => new Response("", { status: 403 }) },
    status: 403,
  },
  "onRejected that throws": { options: { auth: "user", onRejected: fail }, status: 500 },
  "headers that throw": { handler: () => withMember("headers", fail), status: 500 },
  "headers that are no headers": { handler: () => withMember("headers", () => null), status: 500 },
  "a status that throws": { handler: () => withMember("status", fail), status: 500 },
  "a status other than the one that is sent": { handler: () => withMember("status", () => 299), status: 201 },
  "headers and a body that throw": {
    handler: () => Object.defineProperty(withMember("headers", fail), "body", { get: fail }),
    status: 500,
  },
};

for (const [name, { handler = ok, options, init, status }] of Object.entries(CASES)) {
  test(`withPooledSupabase() ends one span and reports one request: ${name}`, async () => {
    const { fetch, reports } = setUp(handler, options);
    // The deadline's own timer keeps no process alive.
    const alive = setInterval(() => {}, 1_000);
    const response = await fetch("/f", init);
    clearInterval(alive);
    await response.body?.cancel();
    assertEquals([sent(response), ends(provider.spans)], [status, [[1, status]]]);
    assertEquals(await reports(), { [status]: 1 });
  });
}

test("withPooledSupabase() ends one span and reports one request: a caller that left", async () => {
  const caller = new AbortController();
  const { fetch, reports } = setUp(({ signal }) => {
    const left = new Promise<never>((_resolve, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason), { once: true })
    );
    caller.abort();
    return left;
  });
  const response = await fetch("/f", { signal: caller.signal });
  await response.body?.cancel();
  assertEquals([response.status, ends(provider.spans), await reports()], [499, [[1, 499]], { 499: 1 }]);
});

test("withPooledSupabase() ends one span and reports one request: a streamed body, whatever its end", async () => {
  const streams: Record<string, UnderlyingDefaultSource<Uint8Array<ArrayBuffer>>> = {
    ends: { pull: (controller) => controller.close() },
    fails: { pull: fail },
    "is canceled": {},
  };
  for (const [end, source] of Object.entries(streams)) {
    const { fetch, reports } = setUp(() => new Response(new ReadableStream(source)));
    const response = await fetch();
    if (end === "is canceled") await response.body?.cancel();
    else await response.text().catch(() => {});
    assertEquals([response.status, ends(provider.spans), await reports()], [200, [[1, 200]], { 200: 1 }], end);
  }
});

test("withPooledSupabase() neither traces nor reports preflights and requests for health", async () => {
  const { fetch, reports } = setUp(ok);
  const headers = { apikey: "sb_secret_default" };
  const statuses: number[] = [];
  for (
    const [path, init] of [
      ["/f", { method: "OPTIONS" }],
      ["/f/health/pool", {}],
      ["/f/health/fleet", {}],
      ["/f/health/metrics", { headers }],
    ] as const
  ) {
    const response = await fetch(path, init);
    await response.body?.cancel();
    statuses.push(response.status);
  }
  assertEquals([statuses, provider.spans, await reports()], [[204, 200, 401, 200], [], {}]);
});

test("withPooledSupabase() cancels the stream of a response that cannot be sent, and ends the request", async () => {
  const members: Partial<Record<keyof Response, () => unknown>> = { headers: fail, status: () => 999 };
  for (const [name, get] of Object.entries(members)) {
    const canceled = Promise.withResolvers<void>();
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => canceled.resolve() });
    const { fetch, reports, service } = setUp((_request, { pool }) => {
      pool.getStats();
      return withMember(name as keyof Response, get, stream);
    });
    const response = await fetch();
    await response.body?.cancel();
    await canceled.promise;
    assertEquals([response.status, ends(provider.spans), await reports()], [500, [[1, 500]], { 500: 1 }], name);
    assertEquals(service.user.scopes.map(({ closed }) => closed), [1], name);
  }
});

test("withPooledSupabase() cancels the stream of a response whose header has a control character", async () => {
  const canceled = Promise.withResolvers<void>();
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({ cancel: () => canceled.resolve() });
  const { fetch } = setUp(() => new Response(stream, { headers: { "X-Name": "a\x01b" } }));
  const response = await fetch();
  await response.body?.cancel();
  await canceled.promise;
  assertEquals(response.status, 500);
});

test("withPooledSupabase() responds although counters throw, and reports that once", async () => {
  const { fetch, reports, service } = setUp(ok);
  await (await fetch()).body?.cancel();
  provider.spans.length = 0;
  const { stats } = service.user;
  service.user.stats = Object.defineProperty({ ...stats }, "idleConnections", { get: fail });
  const response = await fetch();
  await response.body?.cancel();
  service.user.stats = stats;
  assertEquals([response.status, ends(provider.spans), await reports()], [500, [[1, 500]], { 200: 1, 500: 1 }]);
});

test("withPooledSupabase() responds and reports although the exporter of spans throws", async () => {
  const { fetch, reports } = setUp(() => {
    for (const span of provider.spans) Object.defineProperty(span, "ended", { get: fail });
    return new Response("ok");
  });
  const response = await fetch();
  assertEquals([response.status, await response.text(), await reports()], [200, "ok", { 200: 1 }]);
});

// Last: it ends the isolate's lifecycle.
test("withPooledSupabase() ends one span and reports one request: an isolate that is ending", async () => {
  const { fetch, reports } = setUp(ok, { service: () => new FakePools() });
  await (await fetch()).body?.cancel();
  provider.spans.length = 0;
  dispatchEvent(new Event("drain"));
  const response = await fetch();
  await response.body?.cancel();
  assertEquals([response.status, ends(provider.spans), await reports()], [503, [[1, 503]], { 200: 1, 503: 1 }]);
});
