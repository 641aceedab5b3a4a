import { assert, assertEquals } from "@std/assert";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import { areMetricsOn } from "../../shared/http/metrics/metrics_link.ts";
import { MetricsRegistry } from "../../shared/observability/mod.ts";
import type { PoolSource, RequestPool } from "../../shared/http/handler/runtime.ts";
import { healthRoute, type PooledHandler, type PooledSupabaseOptions } from "../support/http.ts";
import { checkMetrics, promtool } from "../support/promtool.ts";
import { createRig } from "../supabase/support.ts";
import { reportOf } from "../observability/fleet/reports.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

const SECRET = { apikey: "sb_secret_default" };

/** The pools of a rig, as those of a function. */
function poolsOf({ pool }: ReturnType<typeof createRig>): PoolSource<unknown> {
  // The fake project has no schema.
  const shown = pool as unknown as RequestPool<unknown>;
  return { getConnectionPool: () => shown, getAdminPool: () => shown, shutdown: () => Promise.resolve() };
}

function handlerOf(
  options: PooledSupabaseOptions<unknown>,
  handler: PooledHandler<unknown> = () => new Response("ok"),
) {
  const all = { auth: "none", variables: VARIABLES, service: new FakePools(), log: () => {}, ...options } as const;
  const handle = createRequestHandler<unknown>(all);
  return (path: string, init: RequestInit = {}) => handle(new Request(`https://x.test${path}`, init), handler);
}

/** The timers of a link go on until its isolate ends. */
const test = (name: string, fn: () => Promise<void>, options: Partial<Deno.TestDefinition> = {}) =>
  Deno.test({ ...options, name, fn, sanitizeOps: false, sanitizeResources: false });

test("GET /<name>/health/metrics shows this isolate's requests, leases and calls to the secret key", async () => {
  await using rig = createRig({ maxConnections: 2 });
  const get = handlerOf(
    { service: poolsOf(rig), metrics: { registry: new MetricsRegistry() } },
    async (request, { supabase }) => {
      const { error } = await supabase.from("budgets").select();
      if (error || request.url.endsWith("/broken")) throw new Error("broken");
      return new Response("ok");
    },
  );
  // The parts are loaded by the first one: it counts as well.
  await Promise.all(Array.from({ length: 5 }, () => get("/budgets")));
  await get("/budgets/broken");
  const response = await get("/budgets/health/metrics", { headers: SECRET });
  const text = await response.text();
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  assertEquals(response.headers.get("Cache-Control"), "no-store");
  const labels = /^db_client_connection_use_time_seconds_count\{(.*)\} 6$/m.exec(text)?.[1] ?? "";
  assert(
    labels.startsWith('db_client_connection_pool_name="user",function="budgets",region="unknown",isolate="'),
    text,
  );
  assert(/^http_server_request_duration_seconds_count\{http_response_status_code="200",.*\} 5$/m.test(text));
  assert(/^http_server_request_duration_seconds_count\{http_response_status_code="500",error_type=.*\} 1$/m.test(text));
  assert(/^http_server_request_part_seconds_count\{part="wait",.*\} 6$/m.test(text));
  assert(/^db_client_operation_duration_seconds_count\{.*db_operation_name="GET",.*\} \d$/m.test(text));
});

test("GET /<name>/health/metrics counts a pool once that two handlers use", async () => {
  await using rig = createRig({ maxConnections: 2 });
  const options = { service: poolsOf(rig), metrics: { registry: new MetricsRegistry() } };
  const work: PooledHandler<unknown> = async (_, { supabase }) => {
    await supabase.from("budgets").select();
    return new Response("ok");
  };
  const [one, other] = [handlerOf(options, work), handlerOf(options, work)];
  for (const get of [one, other, one]) await get("/budgets");
  const text = await (await other("/budgets/health/metrics", { headers: SECRET })).text();
  const counts = [...text.matchAll(/^db_client_connection_use_time_seconds_count\{.*\} (\d+)$/gm)];
  assertEquals(counts.map(([, count]) => count), ["3"], text);
  assert(/^http_server_request_duration_seconds_count\{http_response_status_code="200",.*\} 3$/m.test(text), text);
});

test("GET /<name>/health/metrics rejects other keys with 401, other methods with 405, and responds to HEAD", async () => {
  const get = handlerOf({ metrics: { registry: new MetricsRegistry() } });
  for (const headers of [{}, { apikey: "sb_publishable_default" }, { apikey: "sb_secret_wrong" }] as HeadersInit[]) {
    const response = await get("/budgets/health/metrics", { headers });
    assertEquals([response.status, (await response.text()).includes("db_client")], [401, false]);
  }
  const post = await get("/budgets/health/metrics", { method: "POST", headers: SECRET });
  assertEquals([post.status, post.headers.get("Allow")], [405, "GET, HEAD"]);
  const head = await get("/budgets/health/metrics", { method: "HEAD", headers: SECRET });
  assertEquals([head.status, await head.text()], [200, ""]);
});

test("GET /<name>/health/metrics responds with 404 where metrics are off", async () => {
  await using rig = createRig();
  for (const options of [{}, { metrics: false }, { variables: { ...VARIABLES, POOL_METRICS: "off" } }] as const) {
    const get = handlerOf({ service: () => poolsOf(rig), ...options });
    await get("/budgets");
    const response = await get("/budgets/health/metrics", { headers: SECRET });
    const body = await response.json();
    assertEquals([response.status, body.code], [404, "METRICS_OFF"], JSON.stringify(body));
  }
});

Deno.test("areMetricsOn(): the option wins over POOL_METRICS, which wins over the runtime", () => {
  const on = { metrics: true, secretKey: undefined };
  assertEquals(areMetricsOn(on, undefined), true);
  assertEquals(areMetricsOn(on, false), false);
  assertEquals(areMetricsOn({ metrics: false, secretKey: "sb_secret_x" }, undefined), false);
  assertEquals(areMetricsOn({ metrics: undefined, secretKey: "sb_secret_x" }, undefined), false);
  assertEquals(areMetricsOn({ metrics: undefined, secretKey: undefined }, {}), true);
});

test("healthRoute() shows the metrics of each isolate of the fleet, and survives what it cannot read", async () => {
  const registry = new MetricsRegistry();
  registry.counter("orders_sent_total", { help: "Orders that were sent." }).add(3);
  const reported = registry.snapshot();
  const hostile = { version: 1, metrics: [{ name: 'x{a="1"} 1\n', type: "gauge", series: [{ value: 1 }] }, null] };
  const isolates = [
    { ...reportOf('i-"1\n'), metrics: reported, ageMs: 0 },
    { ...reportOf("i-2"), metrics: hostile, ageMs: 0 },
    { ...reportOf("i-3"), ageMs: 0 },
  ];
  let readable = true;
  const state = { version: 1, nowMs: 1, isolates, samples: [], alerts: [] };
  const fetch = (_: unknown, init?: RequestInit) => {
    const isReport = JSON.parse(String(init?.body)).p_message !== undefined;
    const response = isReport ? Response.json({ version: 1 }) : Response.json(state);
    return Promise.resolve(readable ? response : new Response("down", { status: 500 }));
  };
  const route = (options = {}) =>
    healthRoute({
      variables: VARIABLES,
      service: new FakePools(),
      fleet: {},
      pool: { fetch },
      metrics: { registry: new MetricsRegistry() },
      log: () => {},
      ...options,
    });
  const get = (health: (request: Request) => Promise<Response>) =>
    health(new Request("https://x.test/health/metrics", { headers: SECRET }));
  for (const options of [{}, { metrics: false }]) {
    const text = await (await get(route(options))).text();
    assert(text.includes('orders_sent_total{function="budgets",region="local",isolate="i-_1_"} 3\n'), text);
    assert(text.includes("pool_fleet_available 1\n"));
    assert(text.includes("pool_fleet_isolates 3\n"));
    assert(text.includes("pool_fleet_isolates_without_metrics 1\n"));
    assertEquals(text.includes('a="1"'), false);
    if (!promtool.ignore) assertEquals(await checkMetrics(text), { code: 0, output: "" });
  }
  readable = false;
  const text = await (await get(route())).text();
  assert(text.includes("pool_fleet_available 0\n"));
  assert(text.includes("db_client_connection_max{"), text);
});

test(`GET /<name>/health/metrics passes promtool check metrics under load${promtool.note}`, async () => {
  await using rig = createRig({ maxConnections: 2, acquireTimeoutMs: 1_000 });
  const get = handlerOf(
    { service: poolsOf(rig), metrics: { registry: new MetricsRegistry() } },
    async (_, ctx) => {
      const { error } = await ctx.supabase.from("budgets").select();
      return new Response(error ? "no" : "ok", { status: error ? 503 : 200 });
    },
  );
  const load = Promise.all(Array.from({ length: 200 }, () => get("/budgets")));
  for (let i = 0; i < 3; i++) {
    const text = await (await get("/budgets/health/metrics", { headers: SECRET })).text();
    assertEquals(await checkMetrics(text), { code: 0, output: "" });
  }
  await load;
}, { ignore: promtool.ignore });
