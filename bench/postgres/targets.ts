/**
 * The targets of direct Postgres.
 *
 * @module
 */
import type { Target } from "../support/targets.ts";
import type { MeasuredMetrics, Reader } from "../support/metrics.ts";
import type { Metric } from "./cases.ts";
import { CLIENTS, pgbenchCaseId } from "./pgbench.ts";
import { CONNECTIONS, WORK, type Work } from "./work.ts";

/** The round-trip time that the proxy adds, in ms. */
export const ROUND_TRIP_MS = 10;

const perRound = (expression: (at: Reader<Metric>) => number) => (measured: MeasuredMetrics<Metric>) =>
  measured.perRound(expression);

/** Computes the maximum over all rounds. */
const largest = (expression: (at: Reader<Metric>) => number) => (measured: MeasuredMetrics<Metric>) => {
  let most = NaN;
  measured.perRound((at) => {
    const value = expression(at);
    if (!(value <= most) && !Number.isNaN(value)) most = value;
    return value;
  });
  return most;
};

function speedTargets({ id, title }: (typeof WORK)[number]): Target<Metric>[] {
  const speed = (other: string) => perRound((at) => at(id, "ours", "perSecond") / at(id, other, "perSecond"));
  return [
    {
      what: `${title}: as fast as postgres.js`,
      relation: "at least",
      limit: 0.95,
      unit: "×",
      value: speed("postgres"),
    },
    { what: `${title}: faster than pg Pool`, relation: "at least", limit: 1.1, unit: "×", value: speed("pg_pool") },
    {
      what: `${title}: p99, to the better of both`,
      relation: "at most",
      limit: 1.1,
      unit: "×",
      value: perRound((at) =>
        at(id, "ours", "p99Ms") / Math.min(at(id, "postgres", "p99Ms"), at(id, "pg_pool", "p99Ms"))
      ),
    },
    {
      what: `${title}: maximum of connections in any round`,
      relation: "at most",
      limit: CONNECTIONS,
      unit: "connections",
      value: largest((at) => at(id, "ours", "peakBackends")),
    },
  ];
}

/** The least speed beside pgbench, by the kind of work. */
const TO_PGBENCH: Readonly<Record<keyof Work, number>> = { one: 1, twenty: 0.6, transaction: 0.75 };

/** All targets, in report order. */
export const TARGETS: readonly Target<Metric>[] = [
  {
    what: "one row: faster than a connection per request",
    relation: "at least",
    limit: 50,
    unit: "×",
    value: perRound((at) => at("one", "ours", "perSecond") / at("one", "per_request", "perSecond")),
  },
  ...WORK.flatMap(speedTargets),
  ...WORK.map(({ id, title }): Target<Metric> => {
    const caseId = pgbenchCaseId(id);
    return {
      what: `${CLIENTS} callers, ${title}: to pgbench`,
      relation: "at least",
      limit: TO_PGBENCH[id],
      unit: "×",
      value: perRound((at) => at(caseId, "ours") / at(caseId, "pgbench")),
    };
  }),
  {
    what: "a lease: time, to a new connection",
    relation: "at most",
    limit: 0.05,
    unit: "×",
    value: perRound((at) => at("setup", "ours", "setupUs") / at("setup", "per_request", "setupUs")),
  },
  {
    what: "200 callers at once: connections, to a connection per request",
    relation: "at most",
    limit: 0.4,
    unit: "×",
    value: perRound((at) => at("overload", "ours", "peakBackends") / at("overload", "per_request", "peakBackends")),
  },
  {
    what: "200 callers at once: failed statements in any round",
    relation: "at most",
    limit: 0,
    unit: "%",
    value: largest((at) => at("overload", "ours", "failedPercent")),
  },
  {
    what: "10 ms away: a user's statement, to a plain one",
    relation: "at most",
    limit: 1.2,
    unit: "×",
    value: perRound((at) => at("latency", "user", "p50Ms") / at("latency", "plain", "p50Ms")),
  },
  {
    what: "10 ms away: a transaction of three, without its statements",
    relation: "at most",
    limit: 2,
    unit: "round trips",
    value: perRound((at) =>
      (at("latency", "transaction", "p50Ms") - at("latency", "three_plain", "p50Ms")) / ROUND_TRIP_MS
    ),
  },
];
