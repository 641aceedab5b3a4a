import {
  assert,
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  AcquireTimeoutError,
  ConfigError,
  DoubleReleaseError,
  ForeignReleaseError,
  LeaseRevokedError,
  PoolClosedError,
} from "../../shared/pool/mod.ts";
import {
  IdentityError,
  SupabaseConnectionPool,
  type SupabasePoolConfig,
  transportFailure,
} from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { createRig, PUBLISHABLE, SECRET } from "./support.ts";
import { until } from "../support/until.ts";

Deno.test("SupabaseConnectionPool.acquire() leases a client, and release() returns it", async () => {
  await using rig = createRig();
  const { pool } = rig;
  const client = await pool.acquire();
  const { data, error } = await client.from("table").select("*");
  assertEquals([data, error], [[], null]);
  assertEquals(pool.getStats().activeConnections, 1);
  pool.release(client);
  assertEquals(pool.getStats().activeConnections, 0);
  assertEquals(pool.getStats().totalReleased, 1);
});

Deno.test("SupabaseConnectionPool creates minConnections clients at the start", async () => {
  await using rig = createRig({ minConnections: 3 });
  const { totalConnections, idleConnections, totalCreated } = rig.pool.getStats();
  assertEquals([totalConnections, idleConnections, totalCreated], [3, 3, 3]);
});

Deno.test("SupabaseConnectionPool.release() rejects a second release, and the next holder keeps its client", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const { pool } = rig;
  const first = await pool.acquire();
  pool.release(first);
  const second = await pool.acquire();
  assertThrows(() => pool.release(first), DoubleReleaseError);
  assertEquals(pool.getStats().activeConnections, 1);
  assertEquals((await second.from("table").select()).error, null);
  pool.release(second);
});

Deno.test("SupabaseConnectionPool.release() rejects a client of another pool", async () => {
  await using rig = createRig();
  await using other = createRig();
  const client = await rig.pool.acquire();
  assertThrows(() => other.pool.release(client), ForeignReleaseError);
  assertEquals(rig.pool.getStats().activeConnections, 1);
  rig.pool.release(client);
});

Deno.test("SupabaseConnectionPool.acquire() serves 100 callers with 10 clients", async () => {
  await using rig = createRig({ maxConnections: 10 });
  rig.project.answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return Response.json([]);
  };
  let most = 0;
  await Promise.all(Array.from({ length: 100 }, async () => {
    await using lease = await rig.pool.lease();
    most = Math.max(most, rig.pool.getStats().activeConnections);
    await lease.client.from("table").select();
  }));
  assertEquals(most, 10);
  assert(rig.project.load.most <= 10);
  assertEquals(rig.pool.getStats().totalCreated, 10);
});

Deno.test("SupabaseConnectionPool.acquire() times out with the text of the specification", async () => {
  await using rig = createRig({ maxConnections: 1, acquireTimeoutMs: 20 });
  await using _held = await rig.pool.lease();
  await assertRejects(() => rig.pool.acquire(), AcquireTimeoutError, "Connection acquire timeout");
});

Deno.test("SupabaseConnectionPool.getInstance() returns one pool per project, key and client options", async () => {
  await using rig = createRig({ maxConnections: 3 });
  const { url } = rig.project;
  const get = SupabaseConnectionPool.getInstance;
  assertStrictEquals(get.call(SupabaseConnectionPool, url, PUBLISHABLE), rig.pool);
  assertStrictEquals(get.call(SupabaseConnectionPool, `${url}/`, PUBLISHABLE, { maxConnections: 3 }), rig.pool);
  const others = [
    SupabaseConnectionPool.getInstance(url, SECRET),
    SupabaseConnectionPool.getInstance(url, PUBLISHABLE, { schema: "private" }),
    SupabaseConnectionPool.getInstance(url, PUBLISHABLE, { headers: { "x-app": "1" } }),
  ];
  assertEquals(new Set([...others, rig.pool]).size, 4);
  for (const pool of others) await pool.shutdown(0);
});

Deno.test("SupabaseConnectionPool.getInstance() throws an error that names the options that differ from the existing pool", async () => {
  await using rig = createRig({ maxConnections: 3 });
  const wanted = { maxConnections: 4, idleTimeoutMs: 1_000 };
  const error = assertThrows(
    () => SupabaseConnectionPool.getInstance(rig.project.url, PUBLISHABLE, wanted),
    ConfigError,
  );
  assertEquals(
    error.issues.map(({ path }) => path).sort(),
    ["idleTimeoutMs", "maxConnections", "minConnections"].slice(0, 2),
  );
});

Deno.test("SupabaseConnectionPool.getInstance() creates a new pool after a shutdown", async () => {
  await using rig = createRig();
  await rig.pool.shutdown();
  await assertRejects(() => rig.pool.acquire(), PoolClosedError);
  const next = SupabaseConnectionPool.getInstance(rig.project.url, PUBLISHABLE, { maxConnections: 1 });
  assertNotStrictEquals(next, rig.pool);
  await next.shutdown(0);
});

Deno.test("SupabaseConnectionPool.shutdown() changes nothing when it rejects an invalid deadline", async () => {
  await using rig = createRig();
  await assertRejects(() => rig.pool.shutdown(NaN), ConfigError);
  assertStrictEquals(SupabaseConnectionPool.getInstance(rig.project.url, PUBLISHABLE), rig.pool);
  assertEquals((await rig.pool.healthCheck()).healthy, true);
});

Deno.test("SupabaseConnectionPool.shutdown() aborts the calls of unreleased leases at its deadline", async () => {
  await using rig = createRig();
  rig.project.answer = () => new Promise(() => {});
  const lease = await rig.pool.lease();
  const client = rig.pool.scope().client();
  const calls = [lease.client, client].map(async (client) => {
    const { error } = await client.from("a").select();
    return transportFailure(client, error);
  });
  await until("two requests arrive", () => rig.project.requests.length >= 2);
  await rig.pool.shutdown(10);
  for (const failure of await Promise.all(calls)) assert(failure instanceof LeaseRevokedError);
});

Deno.test("SupabaseConnectionPool.lease() rejects if a shutdown revokes the lease before the caller receives it", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const { pool } = rig;
  const granted = pool.lease();
  const shut = pool.shutdown(0);
  await assertRejects(() => granted, PoolClosedError);
  await shut;
  assertEquals(pool.getStats().activeConnections, 0);
});

Deno.test("SupabaseConnectionPool.healthCheck() runs a query and returns the statistics", async () => {
  await using rig = createRig({ maxConnections: 1 });
  await using _held = await rig.pool.lease();
  const health = await rig.pool.healthCheck();
  assertEquals(health.healthy, true);
  assertEquals(health.details.testQuery.success, true);
  assertEquals(health.details.stats.activeConnections, 1);
  assertEquals(rig.project.requests[0]?.path, "/rest/v1/pool_health_probe?select=*&limit=1");
});

Deno.test("SupabaseConnectionPool.healthCheck() shares a query among concurrent checks and caches its result for one second", async () => {
  await using rig = createRig();
  await Promise.all(Array.from({ length: 200 }, () => rig.pool.healthCheck()));
  await rig.pool.healthCheck();
  assertEquals(rig.project.requests.length, 1);
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  rig.project.answer = () => Response.json({ message: "down" }, { status: 503 });
  const health = await rig.pool.healthCheck();
  assertEquals([health.healthy, health.details.testQuery.error], [false, "down"]);
});

Deno.test("SupabaseConnectionPool.healthCheck() reports all failures and never rejects", async () => {
  const throwing: SupabasePoolConfig["healthQuery"] = () => {
    throw new Error("bad query");
  };
  await using rig = createRig({ healthQuery: throwing });
  assertEquals((await rig.pool.healthCheck()).details.testQuery.error, "bad query");
  await using down = createRig({ requestTimeoutMs: 30 });
  down.project.answer = () => new Promise(() => {});
  assertEquals((await down.pool.healthCheck()).healthy, false);
  await using closed = createRig();
  await closed.pool.shutdown(0);
  assertEquals((await closed.pool.healthCheck()).healthy, false);
});

for (
  const [what, url, key] of [
    ["no address", "project", PUBLISHABLE],
    ["another protocol", "ftp://127.0.0.1", PUBLISHABLE],
    ["a password in the address", "http://user:pass@127.0.0.1", PUBLISHABLE],
    ["a query in the address", "http://127.0.0.1/?apikey=pass", PUBLISHABLE],
    ["a fragment in the address", "http://127.0.0.1/#pass", PUBLISHABLE],
    ["an empty key", "http://127.0.0.1", ""],
    ["a key with a line break", "http://127.0.0.1", "sb_secret_a\nb"],
  ] as const
) {
  Deno.test(`SupabaseConnectionPool.getInstance() rejects ${what} by name, without showing its value`, () => {
    const error = assertThrows(() => SupabaseConnectionPool.getInstance(url, key), ConfigError);
    assertEquals(/pass|sb_secret/.test(error.message), false);
  });
}

Deno.test("SupabaseConnectionPool.getInstance() lists all invalid options in one error", () => {
  const bad = { maxConnections: 0, requestTimeoutMs: -1, headers: { authorization: "x" }, userRoles: ["service_role"] };
  const error = assertThrows(
    () => SupabaseConnectionPool.getInstance("http://127.0.0.1", PUBLISHABLE, bad),
    ConfigError,
  );
  assertEquals(error.issues.map(({ path }) => path), Object.keys(bad));
});

Deno.test("SupabaseConnectionPool.getInstance() rejects options that have no effect on a client pool, with all other issues", () => {
  const config = { validateAfterIdleMs: 500, destroyTimeoutMs: 5_000, maxConnections: 0 } as Partial<
    SupabasePoolConfig
  >;
  const error = assertThrows(
    () => SupabaseConnectionPool.getInstance("http://project.test", PUBLISHABLE, config),
    ConfigError,
  );
  assertEquals(error.issues.map(({ path }) => path), ["validateAfterIdleMs", "destroyTimeoutMs", "maxConnections"]);
  assertStringIncludes(error.message, "has no effect on a client pool");
});

Deno.test("SupabaseConnectionPool.on(), once() and off() forward the pool's events, and record() its times", async () => {
  await using rig = createRig({ maxConnections: 1, minConnections: 0 });
  const { pool } = rig;
  const seen: string[] = [];
  const rounds: string[][] = [];
  const listener = () => void seen.push("listener");
  using _created = pool.on("created", () => void seen.push("created"));
  pool.once("acquired", () => void seen.push("once"));
  pool.on("acquired", listener);
  pool.on("acquired", listener);
  using _recorded = pool.record({
    waitTime: () => void seen.push("waited"),
    useTime: () => void seen.push("used"),
  });
  for (let lease = 0; lease < 2; lease++) {
    (await pool.lease()).release();
    await new Promise((resolve) => setTimeout(resolve, 0));
    rounds.push(seen.splice(0).toSorted());
    pool.off("acquired", listener);
  }
  assertEquals(rounds, [
    ["created", "listener", "listener", "once", "used", "waited"],
    ["listener", "used", "waited"],
  ]);
  pool.off("acquired", listener);
  pool.off("acquired", listener);
  (await pool.lease()).release();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assertEquals(seen.toSorted(), ["used", "waited"]);
});

Deno.test("SupabaseConnectionPool.lease() expires tokens by the wall clock of its runtime", async () => {
  const identity = { token: userToken("alice") };
  let nowMs = Date.now();
  const runtime = { wallClock: () => nowMs };
  const pool = SupabaseConnectionPool.getInstance(
    "http://wall-clock.test",
    PUBLISHABLE,
    { maxConnections: 1 },
    runtime,
  );
  (await pool.lease({ identity })).release();
  nowMs += 3_600_000;
  await assertRejects(() => pool.lease({ identity }), IdentityError, "expired");
  await pool.shutdown(0);
});

Deno.test("SupabaseConnectionPool.as() returns a pool of one caller with the statistics and the health of the whole", async () => {
  await using rig = createRig();
  const caller = rig.pool.as({ token: userToken("alice") });
  await using _lease = await caller.lease();
  assertEquals(caller.getStats(), rig.pool.getStats());
  assertEquals(caller.getStats().activeConnections, 1);
  const { healthy, details } = await caller.healthCheck();
  assertEquals([healthy, details.testQuery.success, details.stats.activeConnections], [true, true, 1]);
});

Deno.test("SupabaseConnectionPool.resize() changes the limits of a running pool, and rejects bad ones by name", async () => {
  await using rig = createRig({ maxConnections: 1, minConnections: 0 });
  const { pool } = rig;
  const first = await pool.lease();
  const waiting = pool.lease();
  assertEquals([pool.limits.maxConnections, pool.getStats().waitingForConnection], [1, 1]);
  pool.resize({ maxConnections: 2 });
  const second = await waiting;
  assertEquals([pool.limits.maxConnections, pool.getStats().activeConnections], [2, 2]);
  assertThrows(() => pool.resize({ maxConnections: 0 }), ConfigError, "maxConnections");
  assertEquals(pool.limits.maxConnections, 2);
  for (const lease of [first, second]) lease.release();
});
