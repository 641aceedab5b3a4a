import { assertEquals } from "@std/assert";
import { type FleetIsolate, groupsOf, openCircuits, totalsOf } from "../../../shared/observability/fleet/mod.ts";
import { parseEvaluation, parseIsolate, parseState } from "../../../shared/observability/fleet/parse.ts";
import type { CircuitSnapshot } from "../../../shared/resilience/mod.ts";
import { reportOf, statsOf } from "./reports.ts";

const isolateOf = (id: string, isolate: Partial<FleetIsolate> = {}): FleetIsolate => ({
  ...reportOf(id),
  ageMs: 1_000,
  ...isolate,
});

const OPEN: CircuitSnapshot = { state: "open", retryAfterMs: 300 };
const CLOSED: CircuitSnapshot = { state: "closed" };

Deno.test("totalsOf() adds up the statistics of all isolates", () => {
  const { isolates, stats } = totalsOf([
    isolateOf("a", { stats: statsOf({ activeConnections: 3, waitingForConnection: 2 }) }),
    isolateOf("b", { stats: statsOf({ activeConnections: 4 }) }),
  ]);
  assertEquals([isolates, stats.activeConnections, stats.waitingForConnection, stats.limit], [2, 7, 2, 20]);
  assertEquals(totalsOf([]).stats.totalConnections, 0);
});

Deno.test("groupsOf() adds up each function and region, with errors, retries and percentiles", () => {
  const counts = [0, 0, 10];
  const groups = groupsOf([
    isolateOf("a", { wait: { counts, maxMs: 5 } }),
    isolateOf("b", { errors: { ACQUIRE_TIMEOUT: 2, CIRCUIT_OPEN: 1 }, wait: { counts, maxMs: 4 } }),
    isolateOf("c", { region: "eu-central-1" }),
    isolateOf("d", { function: "accounts" }),
  ]);
  assertEquals(groups.map((group) => [group.function, group.region, group.isolates]), [
    ["accounts", "local", 1],
    ["budgets", "eu-central-1", 1],
    ["budgets", "local", 2],
  ]);
  const both = groups[2];
  assertEquals([both?.errors, both?.retries], [{ ACQUIRE_TIMEOUT: 3, CIRCUIT_OPEN: 1 }, 4]);
  assertEquals([both?.wait.count, both?.wait.maxMs, both?.use.count], [20, 5, 0]);
});

Deno.test("groupsOf() and openCircuits() count names that every object has", () => {
  const errors = { constructor: 2, toString: 3 };
  Object.defineProperty(errors, "__proto__", { value: 4, enumerable: true });
  const circuits = Object.fromEntries([["__proto__", OPEN], ["constructor", OPEN]]);
  const isolates = [parseIsolate({ errors, circuits }), parseIsolate({ errors, circuits })];
  const counts = new Map(Object.entries(groupsOf(isolates)[0]?.errors ?? {}));
  assertEquals([counts.get("constructor"), counts.get("toString"), counts.get("__proto__")], [4, 6, 8]);
  assertEquals(Object.keys(openCircuits(isolates)), ["__proto__", "constructor"]);
});

Deno.test("openCircuits() returns what more than half of the isolates have open, of those that know the target", () => {
  const open = openCircuits([
    isolateOf("a", { circuits: { rest: OPEN, auth: OPEN } }),
    isolateOf("b", { circuits: { rest: { state: "half-open", probes: 1 }, auth: CLOSED } }),
    isolateOf("c", { circuits: { rest: CLOSED, storage: { state: "open" } } }),
    isolateOf("d", { circuits: {} }),
  ]);
  assertEquals(open, { rest: { state: "open", retryAfterMs: 300 }, storage: { state: "open", retryAfterMs: 0 } });
});

Deno.test("openCircuits() ignores reports older than 15 s, and circuits that are forced", () => {
  assertEquals(openCircuits([isolateOf("a", { circuits: { rest: OPEN }, ageMs: 15_001 })]), {});
  assertEquals(openCircuits([isolateOf("a", { circuits: { rest: { state: "open", forced: true } } })]), {});
});

Deno.test("parseIsolate() gives neutral values to whatever is malformed, and safe names", () => {
  const odd = parseIsolate({
    isolate: 'x"\n{evil}',
    function: "f".repeat(500),
    stats: { activeConnections: -4, limit: NaN, totalAcquired: "7" },
    circuits: { rest: "open", auth: { state: "half-open", probes: -1 } },
    errors: { "a b": 2, c: "3" },
    slowRequests: [null, { requestId: 7 }],
    wait: { counts: [1, "2"], maxMs: 9 },
  });
  assertEquals([odd.isolate, odd.function.length, odd.region], ["x___evil_", 64, "unknown"]);
  assertEquals([odd.stats.activeConnections, odd.stats.limit, odd.stats.totalAcquired], [0, 0, 0]);
  assertEquals(odd.circuits, { rest: CLOSED, auth: { state: "half-open", probes: 0 } });
  assertEquals(odd.errors, { a_b: 2, c: 0 });
  assertEquals(odd.slowRequests.length, 2);
  assertEquals([odd.wait?.counts[0], odd.wait?.counts[1], odd.use], [1, 0, undefined]);
  for (const value of [undefined, null, 7, "x", [], {}]) assertEquals(parseIsolate(value).isolate, "unknown");
});

Deno.test("parseState() and parseEvaluation() read no more than a store keeps", () => {
  const many = Array.from({ length: 20_000 }, (_, n) => ({ atMs: n + 1 }));
  const all = { version: 1, nowMs: 5, isolates: many, samples: many, alerts: many };
  const { isolates, samples, alerts } = parseState(all, "full");
  assertEquals([isolates.length, samples.length, samples.at(-1)?.atMs, alerts.length], [500, 10_100, 20_000, 1_000]);
  const evaluation = parseEvaluation(all);
  assertEquals([evaluation?.samples.length, evaluation?.alerts.length], [10_100, 1_000]);
});

Deno.test("parseState() says what a store of an older version lacks", () => {
  const { missing } = parseState({ version: 1, isolates: [] }, "full");
  assertEquals(missing.map((text) => text.split(":")[0]), ["samples", "alerts"]);
  assertEquals(parseState(null, "totals").missing.length, 2);
  assertEquals(parseState({ version: 1, isolates: [{ omitted: ["metrics"] }] }, "totals").missing.length, 1);
});
