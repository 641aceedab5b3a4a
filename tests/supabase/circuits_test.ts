/** Tests the circuit breakers and the retry budget of a pool. */
import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { type SupabasePoolConfig } from "../../shared/supabase/mod.ts";
import { parseSupabasePoolConfig, readSupabaseEnvironment, SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { createRig, PUBLISHABLE } from "./support.ts";

Deno.test("SupabaseConnectionPool opens the circuit of a target, and emits events with its name", async () => {
  await using rig = createRig({ circuitBreaker: { consecutiveFailures: 3, openMs: 60_000 } });
  const { pool, project } = rig;
  const events: unknown[] = [];
  pool.on("circuitOpened", ({ target, reason }) => events.push(["opened", target, reason]));
  pool.once("circuitClosed", ({ target }) => events.push(["closed", target]));
  project.answer = () => new Response("down", { status: 503 });
  await using lease = await pool.lease({ retryReads: false });
  for (let i = 0; i < 5; i++) await lease.client.from("budgets").select();
  assertEquals(project.requests.length, 3);
  assertEquals(pool.circuits.snapshot().rest?.state, "open");
  const { details } = await pool.healthCheck();
  assertEquals(details.circuits?.rest?.state, "open");
  pool.circuits.force("rest", "closed");
  await settle();
  assertEquals(events, [["opened", "rest", "consecutive failures"], ["closed", "rest"]]);
});

Deno.test("SupabaseConnectionPool emits circuitHalfOpened and circuitClosed after a probe, and errors of listeners", async () => {
  await using rig = createRig({ circuitBreaker: { consecutiveFailures: 1, openMs: 1 } });
  const { pool, project } = rig;
  const events: string[] = [];
  pool.on("circuitHalfOpened", ({ target }) => events.push(`half-opened ${target}`));
  const onClosed = () => {
    events.push("closed");
    throw new Error("a listener");
  };
  pool.on("circuitClosed", onClosed);
  pool.on("error", ({ source }) => events.push(`error of a ${source}`));
  project.answer = () => new Response("down", { status: 503 });
  await using lease = await pool.lease({ retryReads: false });
  await lease.client.from("budgets").insert({});
  project.answer = () => Response.json([]);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await lease.client.from("budgets").insert({});
  assertEquals(events, ["half-opened rest", "closed", "error of a listener"]);
  pool.off("circuitClosed", onClosed);
});

Deno.test("SupabaseConnectionPool without circuitBreaker sends every call, and has no circuits", async () => {
  await using rig = createRig({ circuitBreaker: false, retryBudget: false });
  const { pool, project } = rig;
  project.answer = () => new Response("down", { status: 503 });
  await using lease = await pool.lease({ retryReads: false });
  for (let i = 0; i < 20; i++) await lease.client.from("budgets").insert({});
  assertEquals([project.requests.length, pool.circuits.snapshot(), pool.retryBudget], [20, {}, undefined]);
  assertThrows(() => pool.circuits.force("rest", "open"), ConfigError, "circuitBreaker: is false");
  assertThrows(() => pool.circuits.seed({ rest: { state: "closed" } }), ConfigError, "circuitBreaker: is false");
});

Deno.test("PoolCircuits rejects targets and states that are none, and its circuits stay as they are", async () => {
  await using rig = createRig();
  const { force, seed } = rig.pool.circuits as unknown as Record<"force" | "seed", (...values: unknown[]) => void>;
  const call = (method: typeof force, ...values: unknown[]) => () => method.apply(rig.pool.circuits, values);
  for (const state of ["OPEN", null, 1]) assertThrows(call(force, "rest", state), ConfigError, "state: ");
  for (const target of [5, null, undefined]) assertThrows(call(force, target, "open"), ConfigError, "target: ");
  for (const states of [null, "x", undefined]) assertThrows(call(seed, states), ConfigError, "states: ");
  for (const state of [null, 5, { state: "ajar" }]) assertThrows(call(seed, { rest: state }), ConfigError, "rest: ");
  assertEquals(rig.pool.circuits.snapshot(), { rest: { state: "closed" } });
});

Deno.test("PoolCircuits.seed() restores what snapshot() of another pool returned", async () => {
  await using one = createRig();
  await using other = createRig();
  one.pool.circuits.force("storage", "open");
  one.pool.circuits.seed({ rest: { state: "open", retryAfterMs: 300 } });
  const states = structuredClone(one.pool.circuits.snapshot());
  other.pool.circuits.seed(states);
  assertEquals(other.pool.circuits.snapshot().storage, { state: "open", forced: true });
  assertEquals(other.pool.circuits.snapshot().rest?.state, "open");
});

Deno.test("SupabaseConnectionPool goes on at once after a freeze of minutes with an open circuit", async () => {
  const clock = new FakeClock();
  let down = true;
  let sent = 0;
  const fetch = () => {
    sent++;
    return down ? Promise.reject(new TypeError("error sending request")) : Promise.resolve(Response.json([7]));
  };
  const pool = SupabaseConnectionPool.getInstance("http://frozen.test", PUBLISHABLE, { fetch }, { clock });
  try {
    await using scope = pool.scope();
    for (let i = 0; i < 10; i++) await scope.client().from("a").insert([]);
    assertEquals(pool.circuits.snapshot().rest?.state, "open");
    clock.freeze(600_000);
    down = false;
    assertEquals((await scope.client().from("a").insert([])).error, null);
    assertEquals([sent, pool.circuits.snapshot()], [11, { rest: { state: "closed" } }]);
  } finally {
    await pool.shutdown(0);
  }
});

Deno.test("SupabaseConnectionPool.retryBudget is shared by the clients and services of the pool", async () => {
  await using rig = createRig({ circuitBreaker: false, retryBudget: { ratio: 0, reserve: 2 } });
  const { pool, project } = rig;
  project.answer = () => new Response("down", { status: 503, headers: { "Retry-After": "0" } });
  const scope = pool.scope();
  assertStrictEquals(pool.as({ token: "x" }).retryBudget, pool.retryBudget);
  assertStrictEquals(scope.retryBudget, pool.retryBudget);
  for (let i = 0; i < 5; i++) await scope.client().from("budgets").select();
  await scope.close().drained;
  assertEquals(project.requests.length, 5 + 2);
  assertEquals([pool.retryBudget?.getStats().retries, pool.retryBudget?.getStats().requests], [2, 5]);
});

Deno.test("circuitBreaker and retryBudget reject bad values, and take switches from the environment", () => {
  const bad = {
    circuitBreaker: [1, "on", null, { openMs: 0 }, { failureRatio: 0 }, { failureRatio: 1.1 }, { maxProbes: 1.5 }, {
      target: "x",
    }],
    retryBudget: [1, { ratio: -0.1 }, { ratio: 2 }, { reserve: 0.5 }, { reserves: 1 }],
  };
  for (const [option, values] of Object.entries(bad)) {
    for (const value of values) {
      assertThrows(() => parseSupabasePoolConfig({ [option]: value } as never), ConfigError, option);
    }
  }
  const good: Partial<SupabasePoolConfig> = {
    circuitBreaker: { openMs: 1, failureRatio: 1 },
    retryBudget: { ratio: 0, reserve: 0 },
  };
  assertEquals(parseSupabasePoolConfig(good).circuitBreaker, good.circuitBreaker);
  const { pool } = readSupabaseEnvironment({
    SUPABASE_URL: "http://x.test",
    SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE,
    POOL_CIRCUIT_BREAKER: "off",
    POOL_RETRY_BUDGET: "1",
  });
  assertEquals([pool.circuitBreaker, pool.retryBudget], [false, true]);
});

Deno.test("SupabaseConnectionPool.getInstance() compares the rules of circuitBreaker by value", async () => {
  const url = "http://compared.test";
  const pool = SupabaseConnectionPool.getInstance(url, PUBLISHABLE, { circuitBreaker: { openMs: 5, maxProbes: 2 } });
  try {
    const same = { circuitBreaker: { maxProbes: 2, openMs: 5 } };
    assertStrictEquals(SupabaseConnectionPool.getInstance(url, PUBLISHABLE, same), pool);
    for (const circuitBreaker of [true, false, { openMs: 6, maxProbes: 2 }]) {
      assertThrows(
        () => SupabaseConnectionPool.getInstance(url, PUBLISHABLE, { circuitBreaker }),
        ConfigError,
        "circuitBreaker",
      );
    }
  } finally {
    await pool.shutdown(0);
  }
});
