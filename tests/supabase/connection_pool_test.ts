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
import { PUBLISHABLE, rig, SECRET } from "./support.ts";

Deno.test("acquire lends a client and release takes it back", async () => {
  await using made = rig();
  const { pool } = made;
  const client = await pool.acquire();
  const { data, error } = await client.from("table").select("*");
  assertEquals([data, error], [[], null]);
  assertEquals(pool.getStats().activeConnections, 1);
  pool.release(client);
  assertEquals(pool.getStats().activeConnections, 0);
  assertEquals(pool.getStats().totalReleased, 1);
});

Deno.test("minConnections clients are there from the start", async () => {
  await using made = rig({ minConnections: 3 });
  const { totalConnections, idleConnections, totalCreated } = made.pool.getStats();
  assertEquals([totalConnections, idleConnections, totalCreated], [3, 3, 3]);
});

Deno.test("a client released twice is refused, and the next holder keeps its own", async () => {
  await using made = rig({ maxConnections: 1 });
  const { pool } = made;
  const first = await pool.acquire();
  pool.release(first);
  const second = await pool.acquire();
  assertThrows(() => pool.release(first), DoubleReleaseError);
  assertEquals(pool.getStats().activeConnections, 1);
  assertEquals((await second.from("table").select()).error, null);
  pool.release(second);
});

Deno.test("a client of another pool is refused", async () => {
  await using made = rig();
  await using other = rig();
  const client = await made.pool.acquire();
  assertThrows(() => other.pool.release(client), ForeignReleaseError);
  assertEquals(made.pool.getStats().activeConnections, 1);
  made.pool.release(client);
});

Deno.test("a hundred callers share ten clients", async () => {
  await using made = rig({ maxConnections: 10 });
  made.project.answer = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    return Response.json([]);
  };
  let most = 0;
  await Promise.all(Array.from({ length: 100 }, async () => {
    await using lease = await made.pool.lease();
    most = Math.max(most, made.pool.getStats().activeConnections);
    await lease.client.from("table").select();
  }));
  assertEquals(most, 10);
  assert(made.project.load.most <= 10);
  assertEquals(made.pool.getStats().totalCreated, 10);
});

Deno.test("an acquire that waits too long fails with the text of the specification", async () => {
  await using made = rig({ maxConnections: 1, acquireTimeoutMs: 20 });
  await using _held = await made.pool.lease();
  await assertRejects(() => made.pool.acquire(), AcquireTimeoutError, "Connection acquire timeout");
});

Deno.test("there is one pool for a project, key and client options", async () => {
  await using made = rig({ maxConnections: 3 });
  const { url } = made.project;
  const get = SupabaseConnectionPool.getInstance;
  assertStrictEquals(get.call(SupabaseConnectionPool, url, PUBLISHABLE), made.pool);
  assertStrictEquals(get.call(SupabaseConnectionPool, `${url}/`, PUBLISHABLE, { maxConnections: 3 }), made.pool);
  const others = [
    SupabaseConnectionPool.getInstance(url, SECRET),
    SupabaseConnectionPool.getInstance(url, PUBLISHABLE, { schema: "private" }),
    SupabaseConnectionPool.getInstance(url, PUBLISHABLE, { headers: { "x-app": "1" } }),
  ];
  assertEquals(new Set([...others, made.pool]).size, 4);
  for (const pool of others) await pool.shutdown(0);
});

Deno.test("a config that differs from that of the pool that is there is an error naming the options", async () => {
  await using made = rig({ maxConnections: 3 });
  const wanted = { maxConnections: 4, idleTimeoutMs: 1_000 };
  const error = assertThrows(
    () => SupabaseConnectionPool.getInstance(made.project.url, PUBLISHABLE, wanted),
    ConfigError,
  );
  assertEquals(
    error.issues.map(({ path }) => path).sort(),
    ["idleTimeoutMs", "maxConnections", "minConnections"].slice(0, 2),
  );
});

Deno.test("after a shutdown there is a new pool", async () => {
  await using made = rig();
  await made.pool.shutdown();
  await assertRejects(() => made.pool.acquire(), PoolClosedError);
  const next = SupabaseConnectionPool.getInstance(made.project.url, PUBLISHABLE, { maxConnections: 1 });
  assertNotStrictEquals(next, made.pool);
  await next.shutdown(0);
});

Deno.test("a shutdown's deadline ends the calls of those who still hold", async () => {
  await using made = rig();
  made.project.answer = () => new Promise(() => {});
  const lease = await made.pool.lease();
  const client = made.pool.scope().client();
  const calls = [lease.client, client].map(async (client) => {
    const { error } = await client.from("a").select();
    return transportFailure(client, error);
  });
  while (made.project.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 1));
  await made.pool.shutdown(10);
  for (const failure of await Promise.all(calls)) assert(failure instanceof LeaseRevokedError);
});

Deno.test("a lease that a shutdown takes back before its holder has it is refused by name", async () => {
  await using made = rig({ maxConnections: 1 });
  const { pool } = made;
  const granted = pool.lease();
  const shut = pool.shutdown(0);
  await assertRejects(() => granted, PoolClosedError);
  await shut;
  assertEquals(pool.getStats().activeConnections, 0);
});

Deno.test("healthCheck asks the database something and says how the pool stands", async () => {
  await using made = rig({ maxConnections: 1 });
  await using _held = await made.pool.lease();
  const health = await made.pool.healthCheck();
  assertEquals(health.healthy, true);
  assertEquals(health.details.testQuery.success, true);
  assertEquals(health.details.stats.activeConnections, 1);
  assertEquals(made.project.requests[0]?.path, "/rest/v1/pool_health_probe?select=*&limit=1");
});

Deno.test("a flood of health checks costs one query, and leaves no answer stale for more than a second", async () => {
  await using made = rig();
  await Promise.all(Array.from({ length: 200 }, () => made.pool.healthCheck()));
  await made.pool.healthCheck();
  assertEquals(made.project.requests.length, 1);
  await new Promise((resolve) => setTimeout(resolve, 1_050));
  made.project.answer = () => Response.json({ message: "down" }, { status: 503 });
  const health = await made.pool.healthCheck();
  assertEquals([health.healthy, health.details.testQuery.error], [false, "down"]);
});

Deno.test("healthCheck reports whatever goes wrong and never rejects", async () => {
  const throwing: SupabasePoolConfig["healthQuery"] = () => {
    throw new Error("bad query");
  };
  await using made = rig({ healthQuery: throwing });
  assertEquals((await made.pool.healthCheck()).details.testQuery.error, "bad query");
  await using down = rig({ requestTimeoutMs: 30 });
  down.project.answer = () => new Promise(() => {});
  assertEquals((await down.pool.healthCheck()).healthy, false);
  await using closed = rig();
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
  Deno.test(`getInstance refuses ${what} by name, showing neither`, () => {
    const error = assertThrows(() => SupabaseConnectionPool.getInstance(url, key), ConfigError);
    assertEquals(/pass|sb_secret/.test(error.message), false);
  });
}

Deno.test("bad options are listed together", () => {
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
  await using made = rig({ maxConnections: 1, minConnections: 0 });
  const { pool } = made;
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

Deno.test("SupabaseConnectionPool: tokens expire by the wall clock of its runtime", async () => {
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
