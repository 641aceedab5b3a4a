/**
 * Summaries of a fleet: its totals, its functions, and the circuits that most isolates have open.
 *
 * @module
 */
import type { CircuitSnapshot } from "../../resilience/mod.ts";
import { sumStats } from "./stats.ts";
import { type FleetPercentiles, percentilesOf, sumTimes } from "./times.ts";
import type { FleetIsolate, FleetPoolStats } from "./types.ts";

/** The totals of some isolates. */
export interface FleetTotals {
  /** The number of isolates that report. */
  readonly isolates: number;
  /** The sums of their statistics. */
  readonly stats: FleetPoolStats;
}

/** The totals of one function in one region. */
export interface FleetGroup extends FleetTotals {
  readonly function: string;
  readonly region: string;
  /** The failed requests since its isolates started, by code. */
  readonly errors: Readonly<Record<string, number>>;
  /** The retries since its isolates started. */
  readonly retries: number;
  /** The waits for slots in the last minutes. */
  readonly wait: FleetPercentiles;
  /** The times for which slots were leased in the last minutes. */
  readonly use: FleetPercentiles;
}

/** Adds up all isolates. */
export function totalsOf(isolates: readonly FleetIsolate[]): FleetTotals {
  return { isolates: isolates.length, stats: sumStats(isolates.map(({ stats }) => stats)) };
}

/** Adds up the isolates of each function and region. */
export function groupsOf(isolates: readonly FleetIsolate[]): FleetGroup[] {
  const groups = new Map<string, Pick<FleetIsolate, "function" | "region"> & { readonly members: FleetIsolate[] }>();
  for (const isolate of isolates) {
    const { function: name, region } = isolate;
    const key = `${name} ${region}`;
    const group = groups.get(key);
    if (group) group.members.push(isolate);
    else groups.set(key, { function: name, region, members: [isolate] });
  }
  return [...groups.entries()].sort(([a], [b]) => a < b ? -1 : 1).map(([, { members, ...named }]) => {
    // A map: a code may be the name of a member that every object has.
    const counts = new Map<string, number>();
    for (const member of members) {
      for (const [code, count] of Object.entries(member.errors)) counts.set(code, (counts.get(code) ?? 0) + count);
    }
    const errors = Object.fromEntries(counts);
    const retries = members.reduce((sum, member) => sum + member.retries, 0);
    const wait = percentilesOf(sumTimes(members.flatMap((member) => member.wait ?? [])));
    const use = percentilesOf(sumTimes(members.flatMap((member) => member.use ?? [])));
    return { ...named, ...totalsOf(members), errors, retries, wait, use };
  });
}

/** The age from which on a report says nothing about the present state of a target, in ms. */
const CURRENT_MS = 15_000;

/**
 * Returns the circuits that more than half of the isolates have open, of those that reported the target within 15 s. One
 * that an operator has forced does not count: that is about one isolate.
 */
export function openCircuits(isolates: readonly FleetIsolate[]): Readonly<Record<string, CircuitSnapshot>> {
  const byTarget = new Map<string, CircuitSnapshot[]>();
  for (const { ageMs, circuits } of isolates) {
    if (ageMs > CURRENT_MS) continue;
    for (const [target, circuit] of Object.entries(circuits)) {
      if ("forced" in circuit && circuit.forced) continue;
      byTarget.set(target, [...byTarget.get(target) ?? [], circuit]);
    }
  }
  const open = new Map<string, CircuitSnapshot>();
  for (const [target, circuits] of byTarget) {
    const opened = circuits.filter(({ state }) => state !== "closed");
    if (opened.length * 2 <= circuits.length) continue;
    const delays = opened.map((circuit) => circuit.state === "open" ? circuit.retryAfterMs ?? 0 : 0);
    open.set(target, { state: "open", retryAfterMs: Math.max(...delays) });
  }
  return Object.fromEntries(open);
}
