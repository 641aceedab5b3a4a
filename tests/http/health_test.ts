import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { delay } from "@std/async";
import { createClient } from "@supabase/supabase-js";
import { FakeTime } from "@std/testing/time";
import { healthRoute, withPooledSupabase } from "../support/http.ts";
import { isHealthPath } from "../../shared/http/health/health.ts";
import { PoolClosedError } from "../../shared/pool/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import type { PoolHealth } from "../../shared/supabase/mod.ts";
import { FakePools, URL_OF_PROJECT, VARIABLES } from "./fake_pools.ts";

const COUNTERS = {
  totalConnections: 8,
  activeConnections: 3,
  idleConnections: 5,
  waitingForConnection: 0,
  totalAcquired: 40,
  totalReleased: 37,
  totalCreated: 9,
  totalDestroyed: 1,
};

function setUp() {
  const service = new FakePools();
  const fetch = withPooledSupabase<unknown>(
    { auth: "user", variables: VARIABLES, service, log: () => {} },
    () => new Response("handler"),
  );
  const get = (init: RequestInit = {}, path = "/budgets/health/pool") =>
    fetch(new Request(`https://x.test${path}`, init));
  return { service, pool: service.user, get };
}

Deno.test("isHealthPath() accepts exactly /<name>/health/pool", () => {
  for (const path of ["/budgets/health/pool", "/health/health/pool"]) assert(isHealthPath(path), path);
  for (
    const path of [
      "/health/pool",
      "/a/b/health/pool",
      "/budgets/health/pool/",
      "/budgets/health/pools",
      "//health/pool",
    ]
      .concat(["/budgets/x/health/pool", "/budgets/health", "/budgets/health%2Fpool"])
  ) assertFalse(isHealthPath(path), path);
});

Deno.test("/<name>/health/pool shows everyone the status and the eight counters, and nothing else", async () => {
  const { get } = setUp();
  const response = await get();
  assertEquals(response.status, 200);
  assertEquals(response.headers.get("Content-Type"), "application/health+json");
  assertEquals(response.headers.get("Cache-Control"), "no-store");
  assertEquals(response.headers.get("X-Pool-Total-Connections"), "8");
  assertEquals(response.headers.get("Access-Control-Allow-Origin"), "*");
  assertEquals(await response.json(), {
    status: "pass",
    healthy: true,
    details: { stats: COUNTERS, testQuery: { success: true } },
    checks: {
      "pool:activeConnections": [
        { componentType: "component", observedValue: 3, observedUnit: "connections", status: "pass" },
      ],
      "pool:waitingForConnection": [
        { componentType: "component", observedValue: 0, observedUnit: "requests", status: "pass" },
      ],
      "dataApi:responseTime": [{ componentType: "datastore", status: "pass" }],
    },
  });
});

Deno.test("/<name>/health/pool is 503 for a failed query, and shows its error only with the secret key", async (t) => {
  const { get, pool } = setUp();
  pool.health = () =>
    Promise.resolve({
      healthy: false,
      testQuery: { success: false, durationMs: 7, error: "no route to db.internal, key sb_secret_default" },
    });
  for (const apikey of [undefined, "sb_publishable_default", "wrong", "sb_secret_wrong"]) {
    await t.step(`with ${apikey}`, async () => {
      const response = await get({ headers: apikey === undefined ? {} : { apikey } });
      const text = await response.text();
      const body = JSON.parse(text);
      assertEquals([response.status, body.status, body.healthy], [503, "fail", false]);
      assertEquals(body.details, { stats: COUNTERS, testQuery: { success: false } });
      assertFalse(/internal|durationMs|totalTimeouts|output/.test(text));
    });
  }
  for (const apikey of ["sb_secret_default", "sb_secret_jobs"]) {
    await t.step(`with ${apikey}`, async () => {
      const response = await get({ headers: { apikey } });
      const body = await response.json();
      assertEquals(response.status, 503);
      assertEquals(body.details.testQuery, {
        success: false,
        durationMs: 7,
        error: "no route to db.internal, key [key]",
      });
      assertEquals(body.details.stats.totalTimeouts, 2);
      assertEquals(body.checks["dataApi:responseTime"][0].output, "no route to db.internal, key [key]");
      assertMatch(body.checks["dataApi:responseTime"][0].time, /^\d{4}-\d\d-\d\dT/);
    });
  }
});

Deno.test("/<name>/health/pool lists circuits and what is switched off with the secret key only", async () => {
  const { get, pool } = setUp();
  const circuits: NonNullable<PoolHealth["details"]["circuits"]> = { rest: { state: "open", retryAfterMs: 400 } };
  pool.config = { ...pool.config, priorities: false };
  pool.healthCheck = () =>
    Promise.resolve({
      healthy: true,
      details: { stats: pool.getStats(), testQuery: { success: true, durationMs: 1 }, circuits },
    });
  const detailsFor = async (headers: Record<string, string>) => (await (await get({ headers })).json()).details;
  assertEquals(Object.keys(await detailsFor({})).toSorted(), ["stats", "testQuery"]);
  const shown = await detailsFor({ apikey: "sb_secret_default" });
  assertEquals(Object.keys(shown).toSorted(), ["circuits", "stats", "switchedOff", "testQuery"]);
  assertEquals(shown.circuits, circuits);
  assertEquals(shown.switchedOff, ["POOL_PRIORITIES=off"]);
});

Deno.test("/<name>/health/pool is 200 with a warning for a full pool and waiting requests", async () => {
  const { get, pool } = setUp();
  pool.stats = { ...pool.stats, activeConnections: 10, waitingForConnection: 4 };
  const response = await get();
  const body = await response.json();
  assertEquals([response.status, body.status, body.healthy], [200, "warn", true]);
  assertEquals(body.checks["pool:activeConnections"][0].status, "warn");
  assertEquals(body.checks["pool:waitingForConnection"][0].status, "warn");
});

Deno.test("/<name>/health/pool responds 405 to other methods than GET and HEAD", async () => {
  const { get, pool } = setUp();
  const head = await get({ method: "HEAD" });
  assertEquals([head.status, await head.text()], [200, ""]);
  assertEquals(head.headers.get("Content-Type"), "application/health+json");
  assertEquals(pool.probes, 1);
  for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
    const response = await get({ method });
    assertEquals([response.status, response.headers.get("Allow")], [405, "GET, HEAD"]);
    assertEquals((await response.json()).code, "METHOD_NOT_ALLOWED");
  }
  assertEquals((await get({ method: "OPTIONS" })).status, 204);
  assertEquals(pool.probes, 1);
});

Deno.test("withPooledSupabase() passes other paths to the handler, and this one with health: false", async () => {
  const { get } = setUp();
  assertEquals((await get({}, "/budgets/x/health/pool")).status, 401);
  const off = withPooledSupabase<unknown>(
    { auth: "none", health: false, variables: VARIABLES, service: new FakePools() },
    () => new Response("handler"),
  );
  assertEquals(await (await off(new Request("https://x.test/f/health/pool"))).text(), "handler");
});

Deno.test("/<name>/health/pool is 503 for a check that hangs or throws", async () => {
  const { get, pool } = setUp();
  pool.health = () => Promise.reject(new Error("broken"));
  const thrown = await get();
  assertEquals(thrown.status, 503);
  assertEquals((await thrown.json()).details.testQuery, { success: false });
  const time = new FakeTime();
  try {
    pool.health = () => new Promise(() => {});
    const answer = get();
    await time.tickAsync(4_999);
    assertEquals(await Promise.race([answer, Promise.resolve("waits")]), "waits");
    await time.tickAsync(1);
    assertEquals((await answer).status, 503);
  } finally {
    time.restore();
  }
});

Deno.test("healthRoute() responds on any path", async () => {
  const service = new FakePools();
  const route = healthRoute<unknown>({ variables: VARIABLES, service });
  const response = await route(new Request("https://x.test/health/pool"));
  assertEquals([response.status, (await response.json()).status], [200, "pass"]);
  await delay(0);
});

Deno.test("healthRoute() responds with a problem for an invalid environment, and logs it once", async () => {
  const log: string[] = [];
  const route = healthRoute({ variables: { SUPABASE_SECRET_KEY: "sb_secret_x" }, log: (line) => log.push(line) });
  for (let i = 0; i < 3; i++) {
    const response = await route(new Request("https://x.test/health/pool"));
    assertEquals([response.status, response.headers.get("Content-Type")], [500, "application/problem+json"]);
    assertEquals((await response.json()).code, "CONFIG_INVALID");
  }
  assertEquals(log.map((line) => /SUPABASE_URL/.test(line)), [true]);
});

Deno.test("healthRoute() responds with a problem if there is no pool, and logs it once per second", async () => {
  const log: string[] = [];
  const service = new FakePools();
  service.getConnectionPool = () => {
    throw new PoolClosedError();
  };
  const route = healthRoute<unknown>({ variables: VARIABLES, service, log: (line) => log.push(line) });
  for (let i = 0; i < 3; i++) {
    const response = await route(new Request("https://x.test/health/pool"));
    assertEquals([response.status, (await response.json()).code], [503, "POOL_CLOSED"]);
  }
  assertEquals(log.length, 1);
});

Deno.test("/<name>/health/pool responds with application/json only if that is asked for by name", async (t) => {
  const rows: Record<string, boolean> = {
    "*/*": false,
    "text/html, application/xhtml+xml, */*;q=0.8": false,
    "application/*": false,
    "application/json": true,
    "Application/JSON; charset=utf-8, text/plain": true,
    "application/json, application/health+json": false,
    "application/json;q=0.9, application/health+json;q=0.5": true,
    "application/json;q=0.5, application/health+json": false,
    "application/json;q=0": false,
    "application/json;q=much": false,
    "application/json;q=2": false,
    "application/json;q=1.001": false,
    "application/json;q=1, application/health+json;q=0.999": true,
    "application/json;q=0.001, application/health+json;q=0": true,
    "application/json;q=0, application/health+json;q=-1": false,
    "": false,
  };
  for (const [accept, plain] of Object.entries(rows)) {
    await t.step(accept, async () => {
      const { get, pool } = setUp();
      pool.health = () => Promise.resolve({ healthy: false, testQuery: { success: false, durationMs: 1 } });
      const response = await get({ headers: { Accept: accept } });
      assertEquals(response.headers.get("Content-Type"), plain ? "application/json" : "application/health+json");
      assertEquals([response.headers.get("Vary"), (await response.json()).status], ["Accept", "fail"]);
    });
  }
});

Deno.test("functions.invoke() reads the health of a function", async () => {
  const { get } = setUp();
  const client = createClient("https://x.test", "sb_publishable_x", {
    auth: { persistSession: false, autoRefreshToken: false },
    global: {
      fetch: (input, init) => get({ headers: init?.headers ?? {} }, new URL(String(input)).pathname.slice(13)),
    },
  });
  const { data, error } = await client.functions.invoke("budgets/health/pool", {
    method: "GET",
    headers: { Accept: "application/json" },
  });
  assertEquals([error, data.status], [null, "pass"]);
});

Deno.test("healthRoute() fails a probe that hangs, and ends its lease", async () => {
  const time = new FakeTime();
  const service = new SupabaseService<unknown>({ url: URL_OF_PROJECT, publishableKey: "sb_publishable_hangs" });
  const pool = service.getConnectionPool();
  try {
    const route = healthRoute<unknown>({
      variables: VARIABLES,
      service,
      probe: async (pool) => {
        await pool.lease();
        await new Promise(() => {});
      },
    });
    const response = route(new Request("https://x.test/health/pool"));
    await time.tickAsync(4_999);
    assertEquals(pool.getStats().activeConnections, 1);
    await time.tickAsync(1);
    assertEquals([(await response).status, pool.getStats().activeConnections], [503, 0]);
  } finally {
    await service.shutdown(0);
    time.restore();
  }
});

Deno.test("healthRoute() runs its probe once at a time, with a pool that acts for no caller", async () => {
  const service = new FakePools();
  let probes = 0;
  let fails = false;
  const route = healthRoute<unknown>({
    variables: VARIABLES,
    service,
    probe: (pool) => {
      probes++;
      assertEquals(pool.config, service.user.config);
      return fails ? Promise.reject(new Error("no data")) : delay(5);
    },
  });
  const get = (headers = {}) => route(new Request("https://x.test/health/pool", { headers }));
  const responses = await Promise.all([get(), get(), get()]);
  assertEquals(responses.map(({ status }) => status), [200, 200, 200]);
  assertEquals([probes, service.user.probes, service.user.scopes.map(({ options }) => options.identity)], [1, 0, [
    undefined,
  ]]);
  fails = true;
  using time = new FakeTime(Date.now() + 2_000);
  const failed = await get({ apikey: "sb_secret_default" });
  assertEquals([failed.status, (await failed.json()).details.testQuery.error], [503, "no data"]);
  time.restore();
});
