/**
 * What direct Postgres is to reach, as data.
 *
 * @module
 */
import type { Bar } from "../support/bars.ts";
import type { Figures, Reader } from "../support/figures.ts";
import { type Metric, WORK } from "./cases.ts";
import { CONNECTIONS } from "./contenders.ts";

/** What a round trip over the proxy takes longer, in ms. */
export const ROUND_TRIP_MS = 10;

const perRound = (expression: (at: Reader<Metric>) => number) => (figures: Figures<Metric>) =>
  figures.perRound(expression);

/** The largest figure of any round. */
const largest = (expression: (at: Reader<Metric>) => number) => (figures: Figures<Metric>) => {
  let most = NaN;
  figures.perRound((at) => {
    const figure = expression(at);
    if (!(figure <= most) && !Number.isNaN(figure)) most = figure;
    return figure;
  });
  return most;
};

function speedBars({ id, title }: (typeof WORK)[number]): Bar<Metric>[] {
  const speed = (other: string) => perRound((at) => at(id, "ours", "perSecond") / at(id, other, "perSecond"));
  return [
    {
      what: `${title}: as fast as postgres.js`,
      relation: "at least",
      limit: 0.95,
      unit: "×",
      figure: speed("postgres"),
    },
    { what: `${title}: faster than pg Pool`, relation: "at least", limit: 1.1, unit: "×", figure: speed("pg_pool") },
    {
      what: `${title}: p99 to the better of both`,
      relation: "at most",
      limit: 1.1,
      unit: "×",
      figure: perRound((at) =>
        at(id, "ours", "p99Ms") / Math.min(at(id, "postgres", "p99Ms"), at(id, "pg_pool", "p99Ms"))
      ),
    },
    {
      what: `${title}: the most connections in any round`,
      relation: "at most",
      limit: CONNECTIONS,
      unit: "connections",
      figure: largest((at) => at(id, "ours", "peakBackends")),
    },
  ];
}

/** All bars, in the order of the report. */
export const BARS: readonly Bar<Metric>[] = [
  {
    what: "one row: faster than a connection per request",
    relation: "at least",
    limit: 50,
    unit: "×",
    figure: perRound((at) => at("one", "ours", "perSecond") / at("one", "per_request", "perSecond")),
  },
  ...WORK.flatMap(speedBars),
  {
    what: "10 ms away: a user's statement to a plain one",
    relation: "at most",
    limit: 1.2,
    unit: "×",
    figure: perRound((at) => at("latency", "user", "p50Ms") / at("latency", "plain", "p50Ms")),
  },
  {
    what: "10 ms away: what a transaction of three takes beyond its statements",
    relation: "at most",
    limit: 2,
    unit: "round trips",
    figure: perRound((at) =>
      (at("latency", "transaction", "p50Ms") - at("latency", "three_plain", "p50Ms")) / ROUND_TRIP_MS
    ),
  },
];
