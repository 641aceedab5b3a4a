import { assert, assertEquals, assertThrows } from "@std/assert";
import { fleetLinkOf } from "../../shared/http/fleet/fleet_link.ts";
import { isFleetOn } from "../../shared/http/fleet/fleet_settings.ts";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { MetricsRegistry } from "../../shared/observability/mod.ts";
import { healthRoute, type PooledHandler, type PooledSupabaseOptions, readEnvironment } from "../support/http.ts";
import { until } from "../support/until.ts";
import { reportOf } from "../observability/fleet/reports.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

const SECRET = { apikey: "sb_secret_default" };

/** A Data API that keeps the messages to the fleet, and replies as a test wants. */
class FakeDataApi {
  readonly messages: Record<string, unknown>[] = [];
  readonly headers: Headers[] = [];
  reads = 0;
  isolates: unknown[] = [];
  /** Replies in place of a working store. */
  reply: (() => Promise<Response>) | undefined = undefined;

  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const { p_message } = JSON.parse(String(init?.body));
    this.headers.push(new Headers(init?.headers));
    if (p_message) this.messages.push(p_message);
    else this.reads++;
    if (this.reply) return await this.reply();
    assert(String(input).includes("/rest/v1/rpc/pool_fleet_"));
    const state = { version: 1, nowMs: 1_700_000_000_000, isolates: this.isolates, samples: [], alerts: [] };
    return Response.json(p_message ? { version: 1 } : state);
  };
}

function rig(options: PooledSupabaseOptions<unknown> = {}, handler: PooledHandler<unknown> = () => new Response("ok")) {
  const api = new FakeDataApi();
  const log: string[] = [];
  const service = new FakePools();
  const all = {
    auth: "none",
    variables: VARIABLES,
    service,
    fleet: { intervalMs: 20, idleIntervalMs: 20 },
    pool: { fetch: api.fetch as typeof fetch },
    log: (line: string) => log.push(line),
    ...options,
  } as const;
  const handle = createRequestHandler<unknown>(all);
  const get = (path = "/budgets", headers: Record<string, string> = {}) =>
    handle(new Request(`https://x.test${path}`, { headers }), handler);
  const send = (request: Request) => handle(request, handler);
  return { api, log, get, handle: send, events: () => log.map((line) => JSON.parse(line).event) };
}

/** The timers of a link go on until its isolate ends. */
const test = (name: string, fn: () => Promise<void>) =>
  Deno.test({ name, fn, sanitizeOps: false, sanitizeResources: false });

test("withPooledSupabase reports to the fleet after a response, under the name of the function", async () => {
  const { api, get } = rig();
  const response = await get("/budgets/7?x=1");
  assertEquals([response.status, api.messages.length], [200, 0], "the report came before the response");
  await until("a report", () => api.messages.length > 0);
  const report = api.messages[0]?.report as Record<string, Record<string, unknown>>;
  assertEquals([report.function, report.interval?.calls, report.region], ["budgets", 1, "unknown"] as never);
  assert(report.stats && report.stats.totalConnections !== undefined);
  const headers = api.headers[0];
  assertEquals(headers?.get("apikey"), SECRET.apikey);
  assertEquals(headers?.get("authorization"), null, "a key of the newer form is not a token");
});

test("withPooledSupabase reports a name that is safe as a label, whatever the path of the first request is", async () => {
  const hostile = ["/%0A%22%7D%00<b>/x", `/${"a".repeat(5_000)}`, "/__proto__", "//x", "/budgets\\..\\%2e%2e", "/"];
  for (const path of hostile) {
    const { api, get } = rig({ variables: { ...VARIABLES, SB_REGION: 'eu"\n}' } });
    await get(path);
    await until("a report", () => api.messages.length > 0);
    const { function: name, region } = api.messages[0]?.report as Record<string, string>;
    assert(/^[\w./-]{1,64}$/.test(String(name)), `${path}: ${name}`);
    assertEquals(region, "eu___");
  }
});

test("withPooledSupabase notices neither a store that is down nor one that never replies", async () => {
  // In place of the server, which keeps the process.
  const alive = setInterval(() => {}, 1_000);
  for (const reply of [() => Promise.reject(new TypeError("refused")), () => new Promise<Response>(() => {})]) {
    const { api, get } = rig();
    api.reply = reply;
    for (let n = 0; n < 20; n++) {
      const response = await get();
      assertEquals([response.status, await response.text()], [200, "ok"]);
    }
    await until("the store was asked", () => api.messages.length > 0);
    const health = await (await get("/budgets/health/pool", SECRET)).json();
    assertEquals([health.status, health.fleet.available, health.fleet.store], ["pass", false, "postgres"]);
    assertEquals(health.fleet.missing.length, 1);
    const shown = await (await get("/budgets/health/pool")).json();
    assertEquals(shown.fleet, { available: false }, "the reason is for operators");
  }
  clearInterval(alive);
});

test("withPooledSupabase without the migration logs it once and stops reporting", async () => {
  const { api, get, events } = rig();
  const body = { code: "PGRST202", message: "Could not find the function public.pool_fleet_report(p_message)" };
  api.reply = () => Promise.resolve(Response.json(body, { status: 404 }));
  await get();
  await until("the line of the log", () => events().includes("fleet_missing"));
  for (let n = 0; n < 10; n++) await get();
  await new Promise((resolve) => setTimeout(resolve, 100));
  assertEquals([api.messages.length, events()], [1, ["fleet_missing"]]);
  const page = await (await get("/budgets/health/fleet", SECRET)).json();
  assertEquals([page.time, page.isolates, page.totals.isolates], [null, [], 0]);
  assertEquals(page.missing, [
    "Cannot use the fleet: the function pool_fleet_read does not exist (status 404, code PGRST202)",
  ]);
});

test("GET /<name>/health/pool shows counters to everyone, and names to operators", async () => {
  const { api, get } = rig();
  api.isolates = [{ ...reportOf("i-1"), ageMs: 10 }, { ...reportOf("i-2", { function: "transfers" }), ageMs: 20 }];
  const shown = await (await get("/budgets/health/pool")).json();
  assertEquals([shown.fleet.isolates, shown.fleet.stats.totalAcquired], [2, 20]);
  assertEquals(JSON.stringify(shown).match(/transfers|i-1|local/), null);
  const full = await (await get("/budgets/health/pool", SECRET)).json();
  assertEquals(full.fleet.functions.map((group: { function: string }) => group.function), ["budgets", "transfers"]);
  assertEquals(full.fleet.members.map((member: { isolate: string }) => member.isolate), ["i-1", "i-2"]);
  await get("/budgets/health/pool");
  assertEquals(api.reads, 1, "a state of the last second is reused");
});

test("GET /<name>/health/fleet is for operators: percentiles, errors, slow requests", async () => {
  const { api, get, handle } = rig();
  const wait = { counts: [0, 0, 0, 4], maxMs: 9 };
  api.isolates = [{ ...reportOf("i-1", { wait, startedAtMs: 9e20 }), ageMs: 10 }];
  const rejected = await get("/budgets/health/fleet");
  assertEquals([rejected.status, (await rejected.text()).includes("i-1")], [401, false]);
  const page = await (await get("/budgets/health/fleet", SECRET)).json();
  const [isolate] = page.isolates;
  assertEquals([isolate.wait.count, isolate.wait.maxMs, isolate.use.count, isolate.errors.ACQUIRE_TIMEOUT], [
    4,
    9,
    0,
    1,
  ]);
  assertEquals(page.slowRequests[0].requestId, "req-1");
  assertEquals(page.slowRequests[0].function, "budgets");
  assertEquals([page.store, page.missing, page.time], ["postgres", [], "2023-11-14T22:13:20.000Z"]);
  const wrong = await handle(new Request("https://x.test/budgets/health/fleet", { method: "PUT", headers: SECRET }));
  assertEquals([wrong.status, wrong.headers.get("Allow")], [405, "GET, HEAD"]);
  const head = await handle(new Request("https://x.test/budgets/health/fleet", { method: "HEAD", headers: SECRET }));
  assertEquals([head.status, await head.text()], [200, ""]);
});

test("healthRoute() shows the fleet, and of its own isolate what that knows and not what it reported", async () => {
  const { api, log } = rig();
  const registry = new MetricsRegistry();
  registry.counter("orders_sent_total", { help: "Orders that were sent." }).add(3);
  const metrics = registry.snapshot();
  api.isolates = ["own", "other"].map((isolate) => ({ ...reportOf(isolate, { metrics }), ageMs: 10 }));
  const health = healthRoute({
    variables: { ...VARIABLES, SB_EXECUTION_ID: "own" },
    service: new FakePools(),
    fleet: {},
    metrics: { registry: new MetricsRegistry() },
    pool: { fetch: api.fetch as typeof fetch },
    log: (line) => log.push(line),
  });
  const get = (path: string) => health(new Request(`https://x.test${path}`, { headers: SECRET }));
  const page = await (await get("/health/fleet")).json();
  assertEquals(page.isolates.map(({ isolate }: { isolate: string }) => isolate), ["own", "other"]);
  const text = await (await get("/health/metrics")).text();
  assertEquals(text.match(/^orders_sent_total\{.*$/gm)?.length, 1, text);
  assert(text.includes('isolate="own"'), text);
});

const OPEN = { rest: { state: "open", retryAfterMs: 500 } } as const;

test("withPooledSupabase begins with the circuits that the fleet has open, while its first request waits", async () => {
  const service = new SupabaseService<unknown>(readEnvironment(VARIABLES));
  const { circuits } = service.getConnectionPool();
  const { api, get } = rig({ service }, async () => {
    await until("the circuit is open", () => circuits.snapshot().rest?.state === "open");
    return new Response("waited");
  });
  api.isolates = [{ ...reportOf("i-1", { circuits: OPEN }), ageMs: 10 }];
  assertEquals(await (await get()).text(), "waited");
  await service.shutdown(0);
});

test("withPooledSupabase without circuit breakers opens none, and says nothing of the fleet", async () => {
  const service = new SupabaseService<unknown>(readEnvironment({ ...VARIABLES, POOL_CIRCUIT_BREAKER: "off" }));
  const { api, get, events } = rig({ service });
  api.isolates = [{ ...reportOf("i-1", { circuits: OPEN }), ageMs: 10 }];
  await get();
  await until("the fleet was asked, and a report", () => api.reads > 0 && api.messages.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals([service.getConnectionPool().circuits.snapshot(), events()], [{}, []]);
  await service.shutdown(0);
});

test("withPooledSupabase trusts what it has seen itself more than the fleet", async () => {
  const service = new SupabaseService<unknown>(readEnvironment(VARIABLES));
  const { circuits } = service.getConnectionPool();
  circuits.seed({ rest: { state: "closed" } });
  const { api, get, events } = rig({ service });
  api.isolates = [{ ...reportOf("i-1", { circuits: { ...OPEN, auth: OPEN.rest } }), ageMs: 10 }];
  await get();
  await until("the circuits were compared", () => events().includes("circuits_seeded"));
  assertEquals([circuits.snapshot().rest?.state, circuits.snapshot().auth?.state], ["closed", "open"]);
  await service.shutdown(0);
});

test("POOL_FLEET=off and fleet: false report nothing, and the page says that the fleet is off", async () => {
  for (const options of [{ variables: { ...VARIABLES, POOL_FLEET: "off" }, fleet: undefined }, { fleet: false }]) {
    const { api, get } = rig(options);
    await get();
    const health = await (await get("/budgets/health/pool", SECRET)).json();
    assertEquals(health.fleet, undefined);
    const page = await (await get("/budgets/health/fleet", SECRET)).json();
    assertEquals(page.missing, ["the fleet: it is off for this function; set POOL_FLEET=on and a secret key"]);
    await new Promise((resolve) => setTimeout(resolve, 150));
    assertEquals([api.messages.length, api.reads], [0, 0]);
  }
});

Deno.test("isFleetOn() is true in edge functions with a secret key, unless a switch says otherwise", () => {
  const { SUPABASE_SECRET_KEYS: _, ...withoutKey } = VARIABLES;
  const on = (variables: Record<string, string | undefined>, option?: boolean) =>
    isFleetOn(readEnvironment(variables), option);
  assertEquals([on(VARIABLES), on(VARIABLES, true), on({ ...VARIABLES, POOL_FLEET: "on" })], [false, true, true]);
  Object.defineProperty(globalThis, "EdgeRuntime", { value: {}, configurable: true });
  try {
    assertEquals([on(VARIABLES), on(VARIABLES, false), on({ ...VARIABLES, POOL_FLEET: "off" })], [true, false, false]);
    assertEquals([on(withoutKey), on(withoutKey, true)], [false, false]);
  } finally {
    Reflect.deleteProperty(globalThis, "EdgeRuntime");
  }
});

Deno.test("fleetLinkOf() returns one link per project for all handlers of an isolate, until it is closed", async () => {
  const environment = readEnvironment({ ...VARIABLES, POOL_FLEET: "on" });
  const link = fleetLinkOf(environment, undefined);
  assert(link);
  assertEquals(fleetLinkOf(environment, true) === link, true);
  await link.close();
  assertEquals(fleetLinkOf(environment, true) === link, false);
  assertEquals(fleetLinkOf(environment, false), undefined);
  const options = { cap: 3 };
  const own = fleetLinkOf(environment, options);
  assert(own && own === fleetLinkOf(environment, options), "two links report one isolate in turns");
  assert(own !== fleetLinkOf(environment, { cap: 3 }) && own !== link);
  await own.close();
  await fleetLinkOf(environment, true)?.close();
});

Deno.test("withPooledSupabase rejects bad options of the fleet, and names each", () => {
  const bad = { cap: 0, leaseMs: NaN, intervalMs: -1, idleIntervalMs: "5", dropMs: 60_000, redis: {}, onAlert: 7 };
  const rejected = (fleet: unknown) =>
    assertThrows(() => createRequestHandler({ fleet } as never), ConfigError).issues.map(({ path }) => path).sort();
  assertEquals(rejected(bad), Object.keys(bad).map((name) => `fleet.${name}`).sort());
  assertEquals([rejected("on"), rejected(null)], [["fleet"], ["fleet"]]);
});

test("GET /<name>/health/fleet shows a store whose clock, names and numbers are garbage", async () => {
  const { api, get } = rig();
  const garbage = {
    function: "\n\u2028<b>",
    region: 7,
    stats: { limit: -1 },
    slowRequests: [{ durationMs: "9" }],
    ageMs: -5,
  };
  api.reply = () => Promise.resolve(Response.json({ version: 1, nowMs: 1e300, isolates: [garbage, null], alerts: 7 }));
  const page = await (await get("/budgets/health/fleet", SECRET)).json();
  assertEquals([page.time, page.isolates.length], ["+275760-09-13T00:00:00.000Z", 2]);
  assertEquals([page.isolates[0].function, page.isolates[0].ageMs], ["___b_", 0]);
  assertEquals(page.missing.length, 2);
  for (const reply of [() => new Response("<html>"), () => new Response("x".repeat(1e6)), () => Response.json([])]) {
    const other = rig();
    other.api.reply = () => Promise.resolve(reply());
    const { fleet } = await (await other.get("/budgets/health/pool", SECRET)).json();
    assertEquals([fleet.available, fleet.missing.length], [false, 1]);
  }
});

Deno.test("readEnvironment() lists bad variables of the fleet, and shows no secret", () => {
  const error = assertThrows(
    () =>
      readEnvironment({
        ...VARIABLES,
        POOL_FLEET: "perhaps",
        POOL_FLEET_CAP: "0",
        POOL_ALERT_WEBHOOK_URL: "http://hooks.test/token-hunter2",
        POOL_ALERT_WEBHOOK_SECRET: "short",
      }),
    ConfigError,
  );
  assertEquals(error.issues.map(({ path }) => path).sort(), [
    "POOL_ALERT_WEBHOOK_SECRET",
    "POOL_ALERT_WEBHOOK_URL",
    "POOL_FLEET",
    "POOL_FLEET_CAP",
    "POOL_FLEET_CAP",
  ]);
  assertEquals(error.message.includes("hunter2"), false);
});
