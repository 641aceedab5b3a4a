/** maxConnections: "auto" and adaptiveLimit of client pools. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { AutoLimit, INITIAL_LIMIT } from "../../shared/supabase/auto_limit.ts";
import {
  parseSupabasePoolConfig,
  readSupabaseEnvironment,
  SupabaseConnectionPool,
  type SupabasePoolConfig,
} from "../../shared/supabase/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

const isLoaded = () => import("../../shared/resilience/adaptive_limit.ts");

let created = 0;

/** Creates a pool whose calls take no time: the clock stands still. */
function createPool(config: Partial<SupabasePoolConfig>) {
  const pool = SupabaseConnectionPool.getInstance(`http://project-${++created}.test`, "sb_publishable_test", {
    fetch: () => Promise.resolve(Response.json([])),
    ...config,
  }, { clock: new FakeClock(), random: () => 0.5 });
  return { pool, [Symbol.asyncDispose]: () => pool.shutdown(0) };
}

/** Runs `calls` reads, of which as many are under way at once as the limit allows. */
async function load({ pool }: ReturnType<typeof createPool>, calls: number): Promise<void> {
  await Promise.all(Array.from({ length: calls }, async () => {
    await using lease = await pool.lease({ timeoutMs: Infinity });
    await lease.client.from("table").select();
  }));
}

Deno.test('maxConnections: "auto" begins with 10 of 200, and follows the calls', async () => {
  await isLoaded();
  await using rig = createPool({ maxConnections: "auto" });
  const { pool } = rig;
  assertEquals([pool.config.maxConnections, pool.limits.maxConnections, pool.getStats().limit], ["auto", 200, 10]);
  const limits: number[] = [];
  pool.on("limitChanged", ({ limit, applied }) => void (applied && limits.push(limit)));
  await load(rig, 900);
  assertEquals(pool.getStats().limit, 200);
  assert(limits.includes(20) && limits.includes(200), limits.join());
});

Deno.test('maxConnections: "auto" keeps reserved connections, and a later resize() is its ceiling', async () => {
  await isLoaded();
  await using rig = createPool({ maxConnections: "auto", reservedConnections: 5 });
  const { pool } = rig;
  assertEquals(pool.getStats().limit, 15);
  await load(rig, 900);
  assertEquals(pool.getStats().limit, 200);
  pool.resize({ maxConnections: 40 });
  assertEquals(pool.getStats().limit, 40);
});

Deno.test('adaptiveLimit "dry-run" emits what it would begin to do, and keeps the limit at 10', async () => {
  await isLoaded();
  await using rig = createPool({ maxConnections: "auto", adaptiveLimit: "dry-run" });
  const { pool } = rig;
  const events: unknown[] = [];
  pool.on("limitChanged", (event) => events.push(event));
  await load(rig, 500);
  assertEquals([pool.limits.maxConnections, pool.getStats().limit], [10, 10]);
  assertEquals(events, [{ limit: 20, before: 10, applied: false }]);
});

Deno.test('adaptiveLimit "off" is the fixed limit 10', async () => {
  await using rig = createPool({ maxConnections: "auto", adaptiveLimit: "off" });
  await load(rig, 200);
  assertEquals([rig.pool.limits.maxConnections, rig.pool.getStats().limit], [10, 10]);
});

Deno.test('adaptiveLimit "off" and "dry-run" leave 10 to all lanes, whatever was configured for the ceiling', async () => {
  for (const adaptiveLimit of ["off", "dry-run"] as const) {
    for (
      const [config, limits, limit] of [
        [{ minConnections: 50 }, { maxConnections: 10, minConnections: 10, reservedConnections: 0 }, 10],
        [{ reservedConnections: 20 }, { maxConnections: 30, minConnections: 2, reservedConnections: 20 }, 30],
        [{ reservedConnections: 200 }, { maxConnections: 200, minConnections: 2, reservedConnections: 190 }, 200],
        [
          { reservedConnections: 20, minConnections: 15, priorities: false },
          { maxConnections: 10, minConnections: 10, reservedConnections: 0 },
          10,
        ],
      ] as const
    ) {
      await using rig = createPool({ maxConnections: "auto", adaptiveLimit, ...config });
      assertEquals([rig.pool.limits, rig.pool.getStats().limit], [limits, limit]);
      const leases = await Promise.all(Array.from({ length: 10 }, () => rig.pool.lease({ timeoutMs: 0 })));
      for (const lease of leases) lease.release();
    }
  }
});

Deno.test('maxConnections: "auto" adapts without a circuit breaker, too', async () => {
  await isLoaded();
  await using rig = createPool({ maxConnections: "auto", circuitBreaker: false });
  await load(rig, 500);
  assertEquals(rig.pool.getStats().limit, 200);
});

Deno.test('maxConnections: "auto" follows the reads that replicas serve, too', async () => {
  await isLoaded();
  await using rig = createPool({ maxConnections: "auto", readReplicas: ["http://one.test", "http://two.test"] });
  await load(rig, 900);
  assertEquals(rig.pool.getStats().limit, 200);
});

Deno.test("AutoLimit loads its algorithm with the first call, and applies decreases", async () => {
  const clock = new FakeClock();
  const applied: number[] = [];
  const pool = {
    load: () => ({ leased: 10, hasWaiters: true }),
    adapt: (limit: number) => applied.push(limit),
    reportLimit: () => {},
  };
  const limit = new AutoLimit(pool, { clock, random: () => 0.5, max: 200, isDryRun: false });
  assertEquals(limit.begin(), undefined);
  limit.end(undefined, "overload");
  assertEquals(applied, [INITIAL_LIMIT]);
  await limit.loaded;
  const call = limit.begin();
  clock.advance(20);
  limit.end(call, "overload");
  assertEquals(applied, [10, 7]);
});

Deno.test("parseSupabasePoolConfig() compares the other limits with the ceiling of auto", () => {
  assertEquals(parseSupabasePoolConfig({ maxConnections: "auto", minConnections: 50 }).minConnections, 50);
  for (const adaptiveLimit of ["on", "dry-run", "off"] as const) {
    const above = { maxConnections: "auto", adaptiveLimit, reservedConnections: 201 } as const;
    assertThrows(() => parseSupabasePoolConfig(above), ConfigError, "at most maxConnections (200)");
  }
  const error = assertThrows(() => parseSupabasePoolConfig({ maxConnections: "many" as "auto" }), ConfigError);
  assertEquals(error.issues[0]?.message, "is a string, must be auto or a whole number from 1 to 10000");
});

Deno.test("POOL_MAX_CONNECTIONS=auto and POOL_ADAPTIVE_LIMIT are read", () => {
  const base = { SUPABASE_URL: "http://127.0.0.1:54321", SUPABASE_PUBLISHABLE_KEY: "sb_publishable_x" };
  const read = (value: string, POOL_MAX_CONNECTIONS = "auto") =>
    readSupabaseEnvironment({ ...base, POOL_MAX_CONNECTIONS, POOL_ADAPTIVE_LIMIT: value }).pool;
  assertEquals(read("dry-run"), { maxConnections: "auto", adaptiveLimit: "dry-run" });
  assertEquals(read("Off", "AUTO").adaptiveLimit, "off");
  for (const [value, mode] of [["1", "on"], ["true", "on"], ["0", "off"], ["false", "off"]] as const) {
    assertEquals(read(value).adaptiveLimit, mode);
  }
  assertThrows(() => read("maybe"), ConfigError, "must be on, dry-run or off");
});

Deno.test("AutoLimit.max is the ceiling of the algorithm that is loaded later, and applies nothing before", async () => {
  const applied: number[] = [];
  const pool = {
    load: () => ({ leased: 1, hasWaiters: true }),
    adapt: (limit: number) => void applied.push(limit),
    reportLimit: () => {},
  };
  const limit = new AutoLimit(pool, { clock: new FakeClock(), random: () => 0.5, max: 200, isDryRun: false });
  limit.max = 4;
  assertEquals(applied, [INITIAL_LIMIT]);
  await limit.loaded;
  limit.max = 3;
  assertEquals(applied, [INITIAL_LIMIT, 3]);
});

Deno.test("AutoLimit.max that is set before the algorithm is loaded bounds it", async () => {
  const applied: number[] = [];
  const clock = new FakeClock();
  const pool = {
    load: () => ({ leased: 10, hasWaiters: true }),
    adapt: (limit: number) => void applied.push(limit),
    reportLimit: () => {},
  };
  const limit = new AutoLimit(pool, { clock, random: () => 0.5, max: 200, isDryRun: false });
  limit.max = 4;
  await limit.loaded;
  const call = limit.begin();
  clock.advance(20);
  limit.end(call, "overload");
  assertEquals(applied, [INITIAL_LIMIT, 2]);
});
