/**
 * The fleet in a health response.
 *
 * @module
 */
import type { FleetGroup, FleetIsolate, FleetPoolStats } from "../../observability/fleet/mod.ts";
import type { FleetView } from "../fleet/fleet_options.ts";

/** An isolate in a health response. */
type ShownIsolate = Pick<
  FleetIsolate,
  "isolate" | "function" | "region" | "startedAtMs" | "ageMs" | "stats" | "circuits"
>;

/** The fleet in a health response. Names and what is missing are for operators only. */
export interface FleetBody {
  /** False if the store cannot be read now. */
  readonly available: boolean;
  /** The number of isolates that report. */
  readonly isolates?: number;
  /** The sums of their statistics. */
  readonly stats?: Partial<FleetPoolStats>;
  /** The kind of the store. */
  readonly store?: string | undefined;
  /** The parts that are missing, in words. */
  readonly missing?: readonly string[] | undefined;
  /** The totals of each function and region. */
  readonly functions?: readonly FleetGroup[] | undefined;
  /** Each isolate. */
  readonly members?: readonly ShownIsolate[] | undefined;
}

/** Creates the part of a health response about the fleet: counters for everyone, names for operators. */
export async function fleetBody({ store, state, missing }: FleetView, forOperator: boolean): Promise<FleetBody> {
  if (!state) return { available: false, ...(forOperator ? { store, missing } : {}) };
  const { groupsOf, totalsOf } = await import("../../observability/fleet/mod.ts");
  const { isolates, stats } = totalsOf(state.isolates);
  if (!forOperator) {
    const { totalTimeouts: _1, maxConnections: _2, limit: _3, ...shown } = stats;
    return { available: true, isolates, stats: shown };
  }
  return {
    available: true,
    isolates,
    stats,
    store,
    missing: missing.length > 0 ? missing : undefined,
    functions: groupsOf(state.isolates),
    members: state.isolates.map(({ isolate, function: name, region, startedAtMs, ageMs, stats, circuits }) => (
      { isolate, function: name, region, startedAtMs, ageMs, stats, circuits }
    )),
  };
}
