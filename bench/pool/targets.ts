/**
 * The targets of the pool core.
 *
 * @module
 */
import type { Target as AnyTarget } from "../support/targets.ts";
import type { MeasuredMetrics, Reader } from "../support/metrics.ts";
import type { Metric } from "./cases/mod.ts";
import { CANDIDATES } from "./candidates/mod.ts";

/** A target of the pool core. */
export type Target = AnyTarget<Metric>;

const perRound = (expression: (at: Reader<Metric>) => number) => (measured: MeasuredMetrics<Metric>) =>
  measured.perRound(expression);

/** Computes how many times faster ours is than the fastest of `others`. */
const lead = (caseId: string, others: readonly string[]) => (measured: MeasuredMetrics<Metric>) =>
  Math.min(...others.map((id) => measured.timesOurs(caseId, id, "ns")));

const pools = CANDIDATES.filter(({ role }) => role === "pool");
const untimed = pools.filter(({ timeout }) => timeout === "none").map(({ id }) => id);
const timed = pools.filter(({ timeout }) => timeout !== "none").map(({ id }) => id);

function expiryTargets(thousands: number): Target[] {
  const id = `expiry_${thousands}k`;
  return [
    {
      what: `${thousands}k expire at once: longest tick`,
      relation: "at most",
      limit: 10,
      unit: "ms",
      value: perRound((at) => at(id, "ours", "longestTickMs")),
    },
    {
      what: `${thousands}k expire at once: retained heap (less than a pointer)`,
      relation: "at most",
      limit: 8,
      unit: "bytes each",
      value: perRound((at) => at(id, "ours", "retainedBytes") / (thousands * 1_000)),
    },
  ];
}

/** All targets, in report order. */
export const TARGETS: readonly Target[] = [
  {
    what: "one caller, less one reading of the clock, to the floor",
    relation: "at most",
    limit: 2,
    unit: "×",
    value: perRound((at) => (at("one", "ours") - at("sync", "clock_date")) / at("one", "floor")),
  },
  {
    what: "one caller: faster than the fastest pool without a timeout",
    relation: "at least",
    limit: 3,
    unit: "×",
    value: lead("one", untimed),
  },
  {
    what: "one caller: faster than p-limit, which leases nothing",
    relation: "at least",
    limit: 3,
    unit: "×",
    value: lead("one", ["p_limit"]),
  },
  {
    what: "one caller: faster than the fastest pool with a timeout",
    relation: "at least",
    limit: 11,
    unit: "×",
    value: lead("one", timed),
  },
  {
    what: "tryLease and release, to two calls of an array's pop and push",
    relation: "at most",
    limit: 2,
    unit: "×",
    value: perRound((at) => at("sync", "ours_try") / at("sync", "bare_array")),
  },
  {
    what: "100 callers, to the floor with one shared timer",
    relation: "at most",
    limit: 1.6,
    unit: "×",
    value: perRound((at) => at("callers", "ours") / at("callers", "floor_timer")),
  },
  {
    what: "100 callers: faster than the fastest pool with a timeout",
    relation: "at least",
    limit: 6,
    unit: "×",
    value: lead("callers", timed),
  },
  {
    what: "100 callers: heap per operation",
    relation: "at most",
    limit: 600,
    unit: "bytes",
    value: perRound((at) => at("bytes", "ours", "bytes")),
  },
  {
    what: "100k waiters, to the floor with one shared timer",
    relation: "at most",
    limit: 1.4,
    unit: "×",
    value: perRound((at) => at("crowd_100k", "ours") / at("crowd_100k", "floor_timer")),
  },
  {
    what: "from 10k to 100k waiters: growth of the cost of each, to the floor's",
    relation: "at most",
    limit: 1,
    unit: "×",
    value: perRound((at) => {
      const growth = (id: string) => at("crowd_100k", id) / at("crowd_10k", id);
      return growth("ours") / growth("floor_timer");
    }),
  },
  {
    what: "10k expire at once: time per waiter",
    relation: "at most",
    limit: 4,
    unit: "µs",
    value: perRound((at) => at("expiry_10k", "ours") / 1_000),
  },
  ...expiryTargets(10),
  ...expiryTargets(50),
  {
    what: "a million leases: retained heap",
    relation: "at most",
    limit: 65_536,
    unit: "bytes",
    value: perRound((at) => at("retention", "ours", "retainedBytes")),
  },
  {
    what: "a metrics recorder, one caller",
    relation: "at most",
    limit: 1.1,
    unit: "×",
    value: (measured) => measured.timesOurs("one", "ours_subscriber", "ns"),
  },
  {
    what: "a metrics recorder, 100 callers",
    relation: "at most",
    limit: 1.1,
    unit: "×",
    value: (measured) => measured.timesOurs("callers", "ours_subscriber", "ns"),
  },
];
