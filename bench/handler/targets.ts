/**
 * The targets of the handler.
 *
 * @module
 */
import type { Target } from "../support/targets.ts";
import type { MeasuredMetrics } from "../support/metrics.ts";
import { CANDIDATES } from "./candidates.ts";
import type { Metric } from "./metrics.ts";

/** Computes the ratio of the throughput of `id` to that of `other`. */
const throughput = (id: string, other: string) => (measured: MeasuredMetrics<Metric>) =>
  measured.perRound((at) => at("handlers", id) / at("handlers", other));

/** Computes the ratio of our p99 to the lowest p99 of `others`. */
const p99 = (others: readonly string[]) => (measured: MeasuredMetrics<Metric>) =>
  Math.max(
    ...others.map((id) => measured.perRound((at) => at("handlers", "ours", "p99Ms") / at("handlers", id, "p99Ms"))),
  );

const others = CANDIDATES.filter(({ inTargets }) => inTargets);
const idsOf = (verifies: boolean) => others.filter((other) => other.verifies === verifies).map(({ id }) => id);

/** All targets, in report order. */
export const TARGETS: readonly Target<Metric>[] = [
  {
    what: "requests per second, to withSupabase",
    relation: "at least",
    limit: 3.5,
    unit: "×",
    value: throughput("ours", "with_supabase"),
  },
  {
    what: "requests per second, to a shared client that verifies nothing",
    relation: "at least",
    limit: 0.85,
    unit: "×",
    value: throughput("ours", "shared"),
  },
  {
    what: "requests per second without remembered tokens, to withSupabase",
    relation: "at least",
    limit: 1.25,
    unit: "×",
    value: throughput("ours_no_memory", "with_supabase"),
  },
  {
    what: "requests per second with metrics, fleet and log, to none",
    relation: "at least",
    limit: 0.95,
    unit: "×",
    value: throughput("ours_observed", "ours"),
  },
  {
    what: "p99, to the best candidate that verifies",
    relation: "at most",
    limit: 1,
    unit: "×",
    value: p99(idsOf(true)),
  },
  {
    what: "p99, to a shared client that verifies nothing",
    relation: "at most",
    limit: 1,
    unit: "×",
    value: p99(idsOf(false)),
  },
  {
    what: "a view: time, without its from()",
    relation: "at most",
    limit: 1.5,
    unit: "µs",
    value: (measured) => measured.perRound((at) => at("steps", "view", "cpuUs") - at("steps", "from", "cpuUs")),
  },
  {
    what: "the metrics of a lease: time",
    relation: "at most",
    limit: 0.5,
    unit: "µs",
    value: (measured) =>
      measured.perRound((at) => at("steps", "lease_observed", "cpuUs") - at("steps", "lease", "cpuUs")),
  },
  {
    what: "a view: heap, without its from()",
    relation: "at most",
    limit: 1_500,
    unit: "bytes",
    value: (measured) => measured.perRound((at) => at("bytes", "view", "bytes") - at("bytes", "from", "bytes")),
  },
  {
    what: "a million leases: retained heap",
    relation: "at most",
    limit: 65_536,
    unit: "bytes",
    value: (measured) => measured.perRound((at) => at("retention", "lease", "retainedBytes")),
  },
];
