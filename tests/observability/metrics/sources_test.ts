/** Counters over pools that end and begin again, and the names of pools. */
import { assertEquals } from "@std/assert";
import {
  MAX_LABEL_LENGTH,
  MetricsRegistry,
  type MetricsSnapshot,
  observePool,
  POOL_LABEL,
  toPrometheusText,
} from "../../../shared/observability/mod.ts";
import { totalOf } from "../../../shared/observability/metrics/sources.ts";
import { testPool } from "../../support/pool.ts";
import { ScriptedPool, shown } from "./scripted_pool.ts";

const CREATED = "db_client_connection_created_total";

function poolsOf(snapshot: MetricsSnapshot, name = "db_client_connection_max"): (string | undefined)[] {
  const series = snapshot.metrics.find((metric) => metric.name === name)?.series ?? [];
  return series.map(({ labels }) => labels[POOL_LABEL]);
}

Deno.test("observePool() goes on counting when a pool is created again under the same name", () => {
  const registry = new MetricsRegistry();
  for (const expected of [9, 18, 27]) {
    const pool = new ScriptedPool();
    observePool(registry, pool, "x");
    // It is read twice, and counts once.
    registry.snapshot();
    const snapshot = registry.snapshot();
    assertEquals(shown(snapshot, CREATED), [String(expected)]);
    assertEquals(shown(snapshot, "db_client_connection_timeouts_total"), [String(expected / 9 * 5)]);
    assertEquals(shown(snapshot, "db_client_retries_total"), [String(expected / 9 * 3)]);
    assertEquals(shown(snapshot, "db_client_transactions_total")[0], `committed ${expected / 9 * 4}`);
    pool.emit("closed", {});
  }
});

Deno.test("observePool() counts what a pool has counted between the last read and its end", () => {
  const registry = new MetricsRegistry();
  const pool = new ScriptedPool();
  const metrics = observePool(registry, pool, "x");
  registry.snapshot();
  pool.totals = { ...pool.totals, totalCreated: 12 };
  metrics[Symbol.dispose]();
  assertEquals(shown(registry.snapshot(), CREATED), ["12"]);
  // Observed again, it adds only what is new.
  observePool(registry, pool, "x");
  pool.totals = { ...pool.totals, totalCreated: 13 };
  assertEquals(shown(registry.snapshot(), CREATED), ["13"]);
});

Deno.test("observePool() keeps the counts of a ResourcePool that is shut down and replaced", async () => {
  const registry = new MetricsRegistry();
  for (const expected of ["2", "4"]) {
    const { pool, clock } = testPool({ maxConnections: 2 });
    observePool(registry, pool, "x", clock);
    const leases = [await pool.lease(), await pool.lease()];
    for (const lease of leases) lease.release();
    await pool.shutdown();
    const snapshot = registry.snapshot();
    assertEquals(shown(snapshot, CREATED), [expected]);
    assertEquals(shown(snapshot, "db_client_connection_destroyed_total"), [`shutdown ${expected}`]);
    assertEquals(shown(snapshot, "db_client_connections"), []);
  }
});

Deno.test("observePool() survives a pool whose statistics end with it", () => {
  const registry = new MetricsRegistry();
  const pool = new ScriptedPool();
  const metrics = observePool(registry, pool, "x");
  registry.snapshot();
  pool.getStats = () => {
    throw new Error("closed");
  };
  registry.snapshot();
  metrics[Symbol.dispose]();
  assertEquals(shown(registry.snapshot(), CREATED), ["9"]);
});

Deno.test("observePool() keeps the name of a pool from another until it ends, and frees it once", () => {
  const registry = new MetricsRegistry();
  const first = observePool(registry, new ScriptedPool(), "x");
  first[Symbol.dispose]();
  using _second = observePool(registry, new ScriptedPool(), "x");
  first[Symbol.dispose]();
  using _third = observePool(registry, new ScriptedPool(), "x");
  assertEquals(poolsOf(registry.snapshot()), ["x", "x 2"]);
});

Deno.test("observePool() tells pools with long names apart", () => {
  const registry = new MetricsRegistry();
  const name = `${"x".repeat(61)}\u{1F600}${"y".repeat(10_000)}`;
  for (let i = 0; i < 12; i++) observePool(registry, new ScriptedPool(), name);
  const names = poolsOf(registry.snapshot());
  assertEquals(new Set(names).size, 12);
  assertEquals(names.every((each) => each && each.length <= MAX_LABEL_LENGTH && each.isWellFormed()), true);
});

Deno.test("observePool() leaves no value of an ended pool in the series of all others", () => {
  const registry = new MetricsRegistry();
  const all = Array.from({ length: 60 }, () => observePool(registry, new ScriptedPool(), "x"));
  registry.snapshot();
  for (const metrics of all) metrics[Symbol.dispose]();
  assertEquals(registry.snapshot().metrics.filter(({ type }) => type === "gauge"), []);
  // Counters stay, and those of all others are added up.
  const other = shown(registry.snapshot(), CREATED).at(-1);
  assertEquals(other, `other ${10 * 9}`);
});

Deno.test("observePool() removes the state of a circuit that no longer exists, so that others have room", () => {
  const registry = new MetricsRegistry();
  const pool = new ScriptedPool();
  observePool(registry, pool, "x");
  for (let i = 0; i < 120; i++) {
    pool.states = { [`functions/${i}`]: { state: "open" } };
    assertEquals(shown(registry.snapshot(), "db_client_circuit_state"), [`functions/${i} 2`]);
  }
});

Deno.test("observePool() shows the circuit of Postgres beside those of the project", () => {
  const registry = new MetricsRegistry();
  const pool = Object.assign(new ScriptedPool(), { circuit: { snapshot: () => ({ state: "half-open" }) } });
  pool.states = { rest: { state: "closed" } };
  observePool(registry, pool, "x");
  assertEquals(shown(registry.snapshot(), "db_client_circuit_state"), ["rest 0", "postgres 1"]);
});

Deno.test("totalOf() adds what is new, begins again with a total that falls, and ignores what is not a number", () => {
  const registry = new MetricsRegistry();
  const counter = registry.counter("sent_total");
  const count = totalOf(registry, {}, "sent", counter.with());
  for (const total of [3, 3, 5, NaN, undefined, Infinity, 2, 2]) count(total);
  assertEquals(toPrometheusText(registry.snapshot()).match(/^sent_total .*$/m)?.[0], "sent_total 7");
});
