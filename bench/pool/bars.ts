/**
 * What the pool core is to reach, as data.
 *
 * @module
 */
import type { Bar as AnyBar } from "../support/bars.ts";
import type { Figures, Reader } from "../support/figures.ts";
import type { Metric } from "./cases/mod.ts";
import { CONTENDERS } from "./contenders/mod.ts";

/** A bar of the pool core. */
export type Bar = AnyBar<Metric>;

const perRound = (expression: (at: Reader<Metric>) => number) => (figures: Figures<Metric>) =>
  figures.perRound(expression);

/** How many times as fast as the fastest of some others we are. */
const lead = (caseId: string, others: readonly string[]) => (figures: Figures<Metric>) =>
  Math.min(...others.map((id) => figures.timesOurs(caseId, id, "ns")));

const pools = CONTENDERS.filter(({ role }) => role === "pool");
const untimed = pools.filter(({ timeout }) => timeout === "none").map(({ id }) => id);
const timed = pools.filter(({ timeout }) => timeout !== "none").map(({ id }) => id);

function expiryBars(thousands: number): Bar[] {
  const id = `expiry_${thousands}k`;
  return [
    {
      what: `${thousands}k expire at once: longest tick`,
      relation: "at most",
      limit: 10,
      unit: "ms",
      figure: perRound((at) => at(id, "ours", "longestTickMs")),
    },
    {
      what: `${thousands}k expire at once: heap kept (less than a pointer)`,
      relation: "at most",
      limit: 8,
      unit: "bytes each",
      figure: perRound((at) => at(id, "ours", "retainedBytes") / (thousands * 1_000)),
    },
  ];
}

/** All bars, in the order of the report. */
export const BARS: readonly Bar[] = [
  {
    what: "one caller, less one reading of the clock, to the floor",
    relation: "at most",
    limit: 2,
    unit: "×",
    figure: perRound((at) => (at("one", "ours") - at("sync", "clock_date")) / at("one", "floor")),
  },
  {
    what: "one caller: faster than the fastest pool without a timeout",
    relation: "at least",
    limit: 3,
    unit: "×",
    figure: lead("one", untimed),
  },
  {
    what: "one caller: faster than p-limit, which lends nothing",
    relation: "at least",
    limit: 3,
    unit: "×",
    figure: lead("one", ["p_limit"]),
  },
  {
    what: "one caller: faster than the fastest pool with a timeout",
    relation: "at least",
    limit: 11,
    unit: "×",
    figure: lead("one", timed),
  },
  {
    what: "tryLease and release, to a bare array's pop and push, called",
    relation: "at most",
    limit: 2,
    unit: "×",
    figure: perRound((at) => at("sync", "ours_try") / at("sync", "bare_array")),
  },
  {
    what: "100 callers, to the floor with one shared timer",
    relation: "at most",
    limit: 1.6,
    unit: "×",
    figure: perRound((at) => at("callers", "ours") / at("callers", "floor_timer")),
  },
  {
    what: "100 callers: faster than the fastest pool with a timeout",
    relation: "at least",
    limit: 6,
    unit: "×",
    figure: lead("callers", timed),
  },
  {
    what: "100 callers: heap allocated by an operation",
    relation: "at most",
    limit: 600,
    unit: "bytes",
    figure: perRound((at) => at("bytes", "ours", "bytes")),
  },
  {
    what: "100k waiters, to the floor with one shared timer",
    relation: "at most",
    limit: 1.4,
    unit: "×",
    figure: perRound((at) => at("crowd_100k", "ours") / at("crowd_100k", "floor_timer")),
  },
  {
    what: "from 10k to 100k waiters: growth of the cost of each, to the floor's",
    relation: "at most",
    limit: 1,
    unit: "×",
    figure: perRound((at) => {
      const growth = (id: string) => at("crowd_100k", id) / at("crowd_10k", id);
      return growth("ours") / growth("floor_timer");
    }),
  },
  {
    what: "10k expire at once: time of each",
    relation: "at most",
    limit: 4,
    unit: "µs",
    figure: perRound((at) => at("expiry_10k", "ours") / 1_000),
  },
  ...expiryBars(10),
  ...expiryBars(50),
  {
    what: "a million leases: heap kept",
    relation: "at most",
    limit: 65_536,
    unit: "bytes",
    figure: perRound((at) => at("retention", "ours", "retainedBytes")),
  },
  {
    what: "a metrics subscriber, one caller",
    relation: "at most",
    limit: 1.1,
    unit: "×",
    figure: (figures) => figures.timesOurs("one", "ours_subscriber", "ns"),
  },
  {
    what: "a metrics subscriber, 100 callers",
    relation: "at most",
    limit: 1.1,
    unit: "×",
    figure: (figures) => figures.timesOurs("callers", "ours_subscriber", "ns"),
  },
];
