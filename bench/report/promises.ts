/**
 * The improvements that the specification expects, beside what was measured.
 *
 * @module
 */
import { median } from "../support/statistics.ts";
import { shown, shownFigure } from "../support/text.ts";
import type { Figures } from "./stored.ts";

/** A measured value of a promise. */
export interface Measured {
  /** The value as text: `−93 % (43.7 to 3.02 µs)`. */
  readonly value: string;
  /** True if the promise holds; `undefined` if it was not measured. */
  readonly holds: boolean | undefined;
}

/** A promise, and what was measured of it. */
export interface Promised {
  /** The subject. */
  readonly what: string;
  /** The expectation of the specification. */
  readonly specified: string;
  /** A client per request, and pooled clients, on the local stack. */
  readonly http: Measured;
  /** The reason, printed if the promise does not hold for HTTP clients. */
  readonly whyNot: string;
  /** A connection per request, and the pool of direct Postgres. */
  readonly postgres: Measured;
  /** The values that are compared. */
  readonly compared: string;
}

const NOT_MEASURED: Measured = { value: "not measured", holds: undefined };

/** Formats a change in percent, without decimals where they mean nothing. Only a loss of all is −100 %. */
export function shownChange(percent: number): string {
  const digits = percent > -100 && percent < -99 ? 2 : Math.abs(percent) < 10 ? 1 : 0;
  const text = Math.abs(percent).toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  if (Number(text.replaceAll(",", "")) === 0) return "0 %";
  return `${percent < 0 ? "−" : "+"}${text} %`;
}

/** Describes a change from one value to another. */
function changed(
  percent: number,
  from: number,
  to: number,
  unit: string,
  holds: (percent: number) => boolean,
): Measured {
  if (Number.isNaN(percent)) return NOT_MEASURED;
  return {
    value: `${shownChange(percent)} (${shownFigure(from)} to ${shownFigure(to)} ${unit})`,
    holds: holds(percent),
  };
}

function failures(from: number, to: number): Measured {
  if (Number.isNaN(from) || Number.isNaN(to)) return NOT_MEASURED;
  // Nothing to reduce is no improvement, and no fault.
  return {
    value: `${shownFigure(from)} % to ${shownFigure(to)} %`,
    holds: from === 0 && to === 0 ? undefined : to < from,
  };
}

/**
 * Returns the growth of a series in percent: the median of its last third to that of the first, after a warm-up of a
 * fifth. `NaN` for fewer than ten values.
 */
export function growthOf(values: readonly number[]): number {
  if (values.length < 10) return NaN;
  const steady = values.slice(Math.ceil(values.length / 5));
  const third = Math.floor(steady.length / 3);
  return (median(steady.slice(-third)) / median(steady.slice(0, third)) - 1) * 100;
}

/** Adds the used heap during bursts, in which garbage waits for the collector, to the live heap of the soak. */
function httpMemory(figures: Figures): Measured {
  const soaked = soakedMemory(figures);
  if (soaked === NOT_MEASURED) return NOT_MEASURED;
  const maxima = ["per_request", "ours"].map((id) => figures.median("compare", "burst", id, "heapMb"));
  if (maxima.some(Number.isNaN)) return soaked;
  return {
    ...soaked,
    value: `${soaked.value}; maximum in bursts, garbage included, ${maxima.map(shown).join(" to ")} MB`,
  };
}

/** Returns the growth of the soak's process, which has both pools. */
function soakedMemory(figures: Figures): Measured {
  const { soak } = figures;
  const heap = soak?.series.find(({ id }) => id === "heap");
  if (!soak || !heap) return NOT_MEASURED;
  return {
    value: `${shownChange(growthOf(heap.samples.map(([, value]) => value)))} in ${
      shownFigure(soak.minutes)
    } minutes of soak`,
    holds: !heap.growth.grows,
  };
}

/** Returns the promises of the specification, in its order. */
export function promises(figures: Figures): Promised[] {
  const { median, change } = {
    median: figures.median.bind(figures),
    change: figures.change.bind(figures),
  };
  const clientUs = median("handler", "steps", "client", "cpuUs") + median("handler", "steps", "from", "cpuUs");
  const leaseUs = median("handler", "steps", "lease", "cpuUs");
  const atMost = (limit: number) => (percent: number) => percent <= limit;
  const atLeast = (limit: number) => (percent: number) => percent >= limit;
  const compare = (metric: string, unit: string, holds: (percent: number) => boolean) =>
    changed(
      change("compare", "burst", "per_request", metric),
      median("compare", "burst", "per_request", metric),
      median("compare", "burst", "ours", metric),
      unit,
      holds,
    );
  const direct = (caseId: string, metric: string, unit: string, holds: (percent: number) => boolean) =>
    changed(
      change("postgres", caseId, "per_request", metric),
      median("postgres", caseId, "per_request", metric),
      median("postgres", caseId, "ours", metric),
      unit,
      holds,
    );
  return [
    {
      what: "Connection set-up time",
      specified: "−95 %",
      http: changed((leaseUs / clientUs - 1) * 100, clientUs, leaseUs, "µs", atMost(-95)),
      whyNot: "A client is not a connection: creating one takes microseconds, not the 50 to 100 ms that the " +
        "specification assumes, and Deno's `fetch` keeps the sockets of all clients open. The pool saves most of a " +
        "small cost.",
      postgres: direct("setup", "setupUs", "µs", atMost(-95)),
      compared: "HTTP: CPU time of `createClient` and `from()`, and of a lease and its `from()` (`bench:handler`). " +
        "Postgres: time until a connection is usable (`bench:postgres`, case setup).",
    },
    {
      what: "Response time, database-heavy",
      specified: "−20…40 %",
      http: compare("meanMs", "ms", atMost(-20)),
      whyNot: "Both send the same requests over the sockets that `fetch` keeps, and the Data API is the bottleneck. " +
        "The pool makes a request wait in its own queue instead of the server's.",
      postgres: direct("one", "p50Ms", "ms", atMost(-20)),
      compared: "HTTP: mean of 100 concurrent requests (`bench:compare`). Postgres: p50 of 100 callers, one row each " +
        "(`bench:postgres`, case one).",
    },
    {
      what: "Throughput, concurrent requests",
      specified: "+50…100 %",
      http: compare("requestsPerSecond", "requests/s", atLeast(50)),
      whyNot:
        "The Data API serves as many requests per second from new clients as from pooled ones: see response time.",
      postgres: direct("one", "perSecond", "statements/s", atLeast(50)),
      compared: "The same runs as the response time.",
    },
    {
      what: "Database connections",
      specified: "−60…80 %",
      http: compare("backends", "backends of the Data API", atMost(-60)),
      whyNot:
        "The Data API has a pool of connections of its own, whose size no client changes. What the pool bounds is " +
        "the sockets to it: see the next row.",
      postgres: direct("overload", "peakBackends", "connections", atMost(-60)),
      compared:
        "HTTP: maximum of connections to Postgres during 100 concurrent requests (`bench:compare`). Postgres: " +
        "maximum of connections of 200 callers at once (`bench:postgres`, case overload).",
    },
    {
      what: "Peak connections, 100 requests",
      specified: "100 to 20",
      http: compare("sockets", "sockets", atMost(-60)),
      whyNot: "The limit of the pool was not below the number of sockets that the requests used.",
      postgres: direct("overload", "peakBackends", "connections", atMost(-60)),
      compared: "HTTP: maximum of sockets to the stack, with `maxConnections: 20`. Postgres: as in the row above.",
    },
    {
      what: "Connection-related failures",
      specified: "reduced",
      http: failures(
        median("compare", "burst", "per_request", "failedPercent"),
        median("compare", "burst", "ours", "failedPercent"),
      ),
      whyNot: "Pooled requests failed at least as often as those of new clients.",
      postgres: failures(
        median("postgres", "overload", "per_request", "failedPercent"),
        median("postgres", "overload", "ours", "failedPercent"),
      ),
      compared: "HTTP: requests of `bench:compare` that failed; with none on either side there is nothing to reduce. " +
        "Postgres: statements of 200 callers at once that failed, on a server that accepts 100 connections.",
    },
    {
      what: "Memory",
      specified: "flat, not linear growth",
      http: httpMemory(figures),
      whyNot: "The live heap of a process with both pools grew during the soak.",
      postgres: soakedMemory(figures),
      compared:
        "HTTP and Postgres: the live heap of a process with both pools (`deno task soak`): the median of its last third, " +
        "to that of the first, after a warm-up. The maximum: the used heap of a process during `bench:compare`. Unpooled " +
        "clients are garbage: they do not grow linearly either.",
    },
  ];
}
