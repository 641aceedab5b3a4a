/**
 * What the handler is to reach, as data.
 *
 * @module
 */
import type { Bar } from "../support/bars.ts";
import type { Figures } from "../support/figures.ts";
import { CONTENDERS } from "./contenders.ts";
import type { Metric } from "./metrics.ts";

/** How many times as many requests a second `id` answers as `other`. */
const throughput = (id: string, other: string) => (figures: Figures<Metric>) =>
  figures.perRound((at) => at("handlers", id) / at("handlers", other));

/** The p99 of ours to the least one of `others`. */
const p99 = (others: readonly string[]) => (figures: Figures<Metric>) =>
  Math.max(
    ...others.map((id) => figures.perRound((at) => at("handlers", "ours", "p99Ms") / at("handlers", id, "p99Ms"))),
  );

const others = CONTENDERS.filter(({ withinBars }) => withinBars);
const idsOf = (verifies: boolean) => others.filter((other) => other.verifies === verifies).map(({ id }) => id);

/** All bars, in the order of the report. */
export const BARS: readonly Bar<Metric>[] = [
  {
    what: "requests a second, to withSupabase",
    relation: "at least",
    limit: 3.5,
    unit: "×",
    figure: throughput("ours", "with_supabase"),
  },
  {
    what: "requests a second, to a shared client that verifies nothing",
    relation: "at least",
    limit: 0.85,
    unit: "×",
    figure: throughput("ours", "shared"),
  },
  {
    what: "requests a second without the memory, to withSupabase",
    relation: "at least",
    limit: 1.25,
    unit: "×",
    figure: throughput("ours_no_memory", "with_supabase"),
  },
  {
    what: "p99, to the best of those that verify",
    relation: "at most",
    limit: 1,
    unit: "×",
    figure: p99(idsOf(true)),
  },
  {
    what: "p99, to a shared client that verifies nothing",
    relation: "at most",
    limit: 1,
    unit: "×",
    figure: p99(idsOf(false)),
  },
  {
    what: "a view: time, that of its from() taken off",
    relation: "at most",
    limit: 1.5,
    unit: "µs",
    figure: (figures) => figures.perRound((at) => at("parts", "view", "cpuUs") - at("parts", "from", "cpuUs")),
  },
  {
    what: "a view: heap, that of its from() taken off",
    relation: "at most",
    limit: 1_500,
    unit: "bytes",
    figure: (figures) => figures.perRound((at) => at("bytes", "view", "bytes") - at("bytes", "from", "bytes")),
  },
  {
    what: "a million leases: heap kept",
    relation: "at most",
    limit: 65_536,
    unit: "bytes",
    figure: (figures) => figures.perRound((at) => at("retention", "lease", "retainedBytes")),
  },
];
