import { assert, assertEquals } from "@std/assert";
import { FleetLink } from "../../shared/http/fleet/fleet_link.ts";
import type { FleetOptions } from "../../shared/http/fleet/fleet_options.ts";
import { RequestReports } from "../../shared/http/request/request_reports.ts";
import type { AlertEvent } from "../../shared/observability/mod.ts";
import { installRedis } from "../../shared/environment/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../support/http.ts";
import { until } from "../support/until.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

const SAMPLE = { function: "budgets", waiting: 0, active: 0, limit: 1, acquisitionMs: 7_000, calls: 1, errors: 0 };

/** A link whose Data API keeps what it is sent, and passes one evaluation on. */
function rig(
  options: FleetOptions = {},
  variables: Record<string, string> = {},
  service?: SupabaseService,
  url?: string,
) {
  const messages: Record<string, unknown>[] = [];
  const api = (_input: unknown, init: RequestInit = {}) => {
    const { p_message: message } = JSON.parse(String(init.body));
    if (message) messages.push(message);
    const nowMs = 1_700_000_010_000;
    const evaluation = { nowMs, samples: [{ ...SAMPLE, atMs: nowMs - 10_000 }], alerts: [] };
    const reply = message?.changes ? { applied: message.changes } : { evaluation };
    return Promise.resolve(Response.json(message ? { version: 1, ...reply } : { version: 1, isolates: [] }));
  };
  const read = readEnvironment({ ...VARIABLES, ...variables });
  const environment = { ...read, url: url ?? read.url, pool: { ...read.pool, fetch: api as typeof fetch } };
  const events: string[] = [];
  const link = new FleetLink(environment, { intervalMs: 20, ...options });
  const reports = new RequestReports();
  link.useLog((_level, event) => events.push(event));
  link.attach(reports, service ?? new FakePools());
  const request = new Request("https://x.test/budgets");
  const answer = (status = 200) =>
    reports.emit({ request, status, error: undefined, durationMs: 5, verifyMs: 0, waitedMs: 0, upstreamMs: 0 });
  return { link, answer, messages, events };
}

Deno.test("FleetLink evaluates the alerts when it is its turn, and calls onAlert", async () => {
  const alerts: AlertEvent[] = [];
  const { link, answer, messages, events } = rig({ onAlert: (alert) => alerts.push(alert) });
  answer();
  await until("the alert", () => alerts.length > 0);
  assertEquals([alerts[0]?.rule, alerts[0]?.function, alerts[0]?.kind], ["acquisition_time", "budgets", "raised"]);
  assert(events.includes("alert_raised"));
  assert(messages.some(({ changes }) => Array.isArray(changes)));
  await link.close();
});

Deno.test("FleetLink removes its isolate when it is closed, and reports nothing afterwards", async () => {
  const { link, answer, messages } = rig();
  answer();
  await until("a report", () => messages.length > 0);
  await link.close();
  assertEquals(typeof messages.at(-1)?.remove, "string");
  const count = messages.length;
  answer();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals([messages.length, link.isClosed], [count, true]);
});

Deno.test("FleetLink that is closed before it has loaded reports nothing", async () => {
  const { link, answer, messages } = rig();
  answer();
  await link.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(messages, []);
});

Deno.test("FleetLink reports to Postgres where the function has no driver of Redis, and says so", async () => {
  const { link, answer, messages, events } = rig({}, { REDIS_URL: "redis://127.0.0.1:1" });
  answer();
  await until("a report", () => messages.length > 0);
  assert(events.includes("fleet_redis_unused"), `${events}`);
  await link.close();
});

Deno.test("FleetLink reports to Postgres where Redis cannot be used, and says so", async () => {
  await import("../../shared/cache/mod.ts");
  const { link, answer, messages, events } = rig({}, { REDIS_URL: "nonsense" });
  answer();
  await until("a report", () => messages.length > 0);
  assert(events.includes("fleet_redis_unused"), `${events}`);
  await link.close();
});

Deno.test("FleetLink puts the cap on its pool before the first request ends, and reports to the Redis that it is given", async () => {
  const service = new SupabaseService(readEnvironment(VARIABLES));
  const pool = service.getConnectionPool();
  const sent: number[] = [];
  const redis = {
    send: ([command]: readonly (readonly (string | number)[])[]) => {
      const keys = Number(command?.[2]);
      sent.push(keys);
      const replies: Record<number, unknown> = { 3: [3, 1], 4: [1_700_000_000_000, []], 7: ["", 1_700_000_000_000] };
      return Promise.resolve([replies[keys]]);
    },
  };
  const { link, answer, messages } = rig({ redis, cap: 4 }, {}, service);
  assertEquals(pool.limits.maxConnections, 1, "the cap did not hold from the beginning");
  await until("the share", () => pool.limits.maxConnections === 3);
  answer();
  await until("a report", () => sent.includes(7));
  assertEquals(messages, []);
  await link.close();
  await service.shutdown(0);
});

Deno.test("FleetLink says that a pool without limits gets no cap", async () => {
  const redis = { send: () => Promise.resolve([["", 1]]) };
  const { link, answer, events } = rig({ redis, cap: 4 });
  answer();
  await until("the line of the log", () => events.includes("fleet_cap_unused"));
  await link.close();
});

Deno.test("FleetLink whose function has no driver of Redis leaves each pool one lease, and says so", async () => {
  const service = new SupabaseService(readEnvironment(VARIABLES));
  const pool = service.getConnectionPool();
  const { link, answer, events } = rig({}, { REDIS_URL: "nonsense", POOL_FLEET_CAP: "4" }, service);
  answer();
  await until("the line of the log", () => events.includes("fleet_cap_unreachable"));
  assertEquals(pool.limits.maxConnections, 1);
  await link.close();
  await service.shutdown(0);
});

Deno.test("FleetLink puts the cap on a pool that is attached later, with a share of its own", async () => {
  const services = ["first", "second"].map((key) => {
    const keys = JSON.stringify({ default: `sb_publishable_${key}` });
    return new SupabaseService(readEnvironment({ ...VARIABLES, SUPABASE_PUBLISHABLE_KEYS: keys }));
  });
  const isolates = new Set<unknown>();
  const redis = {
    send: ([command]: readonly (readonly (string | number)[])[]) => {
      if (command?.[2] === 3) isolates.add(command[6]);
      return Promise.resolve([command?.[2] === 3 ? [3, 2] : ["", 1]]);
    },
  };
  const [first, second] = services;
  assert(first && second && first.getConnectionPool() !== second.getConnectionPool());
  const { link, answer } = rig({ redis, cap: 6 }, {}, first);
  answer();
  await until("the first has its share", () => first.getConnectionPool().limits.maxConnections === 3);
  link.attach(new RequestReports(), second);
  link.attach(new RequestReports(), second);
  assertEquals(second.getConnectionPool().limits.maxConnections, 1);
  await until("the second has its share", () => second.getConnectionPool().limits.maxConnections === 3);
  assertEquals(isolates.size, 2);
  await link.close();
  await Promise.all(services.map((service) => service.shutdown(0)));
});

Deno.test("FleetLink closes the connection to Redis that it opened, and no other", async () => {
  const { RedisConnection } = await import("../../shared/cache/mod.ts");
  let closed = 0;
  const opened: string[] = [];
  const redis = { send: () => Promise.resolve([["", 1]]), close: () => void closed++ };
  installRedis(({ url }) => {
    opened.push(url);
    return redis;
  });
  try {
    const own = rig({}, { REDIS_URL: "redis://127.0.0.1:1" });
    own.answer();
    await until("it is opened", () => opened.length === 1);
    await own.link.close();
    await own.link.close();
    assert(closed > 0);
    closed = 0;
    const given = rig({ redis }, { REDIS_URL: "redis://127.0.0.1:1" });
    given.answer();
    await until("the state is read", async () => (await given.link.view("totals")).store === "redis");
    await given.link.close();
    assertEquals([closed, opened.length], [0, 1]);
  } finally {
    installRedis((options) => new RedisConnection(options));
  }
});

Deno.test("FleetLink whose parts cannot be created says so once, and no request fails", async () => {
  const redis = { send: () => Promise.resolve([["", 1]]) };
  const { link, answer, events } = rig({ redis }, {}, undefined, "nonsense");
  answer();
  await until("the line of the log", () => events.length > 0);
  answer();
  assertEquals((await link.view("totals")).state, undefined);
  assertEquals(events, ["fleet_unavailable"]);
  await link.close();
});

Deno.test("FleetLink that is closed while its parts load reads nothing", async () => {
  const { link, answer, events, messages } = rig();
  answer();
  const view = link.view("totals");
  await link.close();
  assertEquals((await view).state, undefined);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals([events, messages], [[], []]);
});

Deno.test("FleetLink that is closed shows no fleet, and opens nothing for it", async () => {
  const { link, messages } = rig();
  await link.close();
  assertEquals(await link.view("full"), { store: undefined, state: undefined, missing: ["the isolate has ended"] });
  assertEquals(messages, []);
});

Deno.test("FleetLink sends nothing while a request ends, so that its response does not wait", async () => {
  const { link, answer, messages } = rig();
  answer();
  await until("a report", () => messages.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = messages.length;
  answer();
  assertEquals(messages.length, before);
  await until("the next report", () => messages.length > before);
  await link.close();
});
