/**
 * Faults of the metrics, each of which a test must catch.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

const BUCKETS = "observability/metrics/buckets.ts";
const INSTRUMENTS = "observability/metrics/instruments.ts";
const NAMES = "observability/metrics/names.ts";
const REGISTRY = "observability/metrics/registry.ts";
const SNAPSHOT = "observability/metrics/snapshot.ts";
const TEXT = "observability/metrics/prometheus.ts";
const SOURCES = "observability/metrics/sources.ts";
const POOL = "observability/metrics/observe_pool.ts";
const POOL_NAMES = "observability/metrics/pool_instruments.ts";
const SHARE = "observability/metrics/error_share.ts";
const TYPE = "observability/metrics/error_type.ts";
const REQUESTS = "observability/metrics/request_metrics.ts";
const CACHE = "observability/metrics/observe_cache.ts";
const CACHE_TOTALS = "observability/metrics/cache_totals.ts";
const COLLECTOR = "observability/metrics/collector.ts";
const COLLECTED = "observability/metrics/collected.ts";
const PRISMA = "observability/metrics/prisma.ts";
const LINK = "http/metrics/metrics_link.ts";
const EARLY = "http/metrics/early_pool.ts";

/** The faults, in files of `shared/`. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: BUCKETS,
    find: "const from = at === 0 ? Math.min(0, bound) : bounds[at - 1] ?? 0;",
    replace: "const from = bound;",
    what: "a percentile is the bound of its bucket",
  },
  {
    file: BUCKETS,
    find: "other >= bound",
    replace: "other > bound",
    what: "a bucket that both bounds have is moved to the next one",
  },
  {
    file: BUCKETS,
    find: "bound > bounds[at - 1]",
    replace: "bound >= bounds[at - 1]",
    what: "two buckets have one bound",
  },
  {
    file: BUCKETS,
    find: "[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],",
    replace: "[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000],",
    what: "the bounds of times are in ms",
  },
  {
    file: INSTRUMENTS,
    find: "while (value > (bounds[at] as number)) at++;",
    replace: "while (value >= (bounds[at] as number)) at++;",
    what: "a value that equals a bound counts in the next bucket",
  },
  {
    file: INSTRUMENTS,
    find: "    if (Number.isFinite(count) && count > 0) this.value = plus(this.value, count);",
    replace: "    this.value = plus(this.value, count);",
    what: "a counter falls",
  },
  {
    file: INSTRUMENTS,
    find: "    if (value > 0) this.sum = plus(this.sum, value);",
    replace: "    this.sum = plus(this.sum, value);",
    what: "a clock that jumps back lowers a sum",
  },
  {
    file: INSTRUMENTS,
    find: "    if (!Number.isFinite(value)) return;\n    let at",
    replace: "    let at",
    what: "what is not a number counts as a time",
  },
  {
    file: INSTRUMENTS,
    find: "  return Number.isFinite(next) ? next : Math.sign(next) * Number.MAX_VALUE;",
    replace: "  return next;",
    what: "a sum that is too large hides its series",
  },
  {
    file: INSTRUMENTS,
    find: "this.all.size >= maxSeries &&",
    replace: "this.all.size > 100_000 &&",
    what: "callers add series without bounds",
  },
  {
    file: INSTRUMENTS,
    find: "        if (series.read !== read) return;\n",
    replace: "",
    what: "an observer of a gauge that ends takes the next one with it",
  },
  {
    file: NAMES,
    find: '.slice(0, maxLength).replace(CONTROL, " ")',
    replace: ".slice(0, maxLength)",
    what: "a label value begins a line of output",
  },
  {
    file: NAMES,
    find: "plain.toWellFormed()",
    replace: "plain",
    what: "a label value has half a character",
  },
  {
    file: NAMES,
    find: "MAX_LABEL_LENGTH = 64",
    replace: "MAX_LABEL_LENGTH = 6_400",
    what: "a label value is as long as a caller likes",
  },
  {
    file: NAMES,
    find: " &&\n    !RESERVED_SUFFIX.test(name)",
    replace: "",
    what: "a metric has the name of a line of a histogram",
  },
  {
    file: NAMES,
    find: 'name !== "le" && name !== "quantile"',
    replace: "true",
    what: "a label is that of a bucket",
  },
  {
    file: REGISTRY,
    find: "if (this.#metrics.size < MAX_METRICS) this.#metrics",
    replace: "this.#metrics",
    what: "names from input add metrics without bounds",
  },
  {
    file: TEXT,
    find: ".replaceAll('\"', '\\\\\"')",
    replace: "",
    what: "a quote ends a label value",
  },
  {
    file: TEXT,
    find: '.replaceAll("\\\\", "\\\\\\\\")',
    replace: "",
    what: "a backslash escapes the end of a label value",
  },
  {
    file: TEXT,
    find: "    total += counts[at] ?? 0;",
    replace: "    total = counts[at] ?? 0;",
    what: "buckets are not cumulative",
  },
  {
    file: TEXT,
    find: "  total += counts[bounds.length] ?? 0;\n",
    replace: "",
    what: "values beyond the last bound are missing in +Inf and _count",
  },
  {
    file: SNAPSHOT,
    find: 'metric.merge === "max" ? Math.max(a, b) : a + b',
    replace: "a + b",
    what: "shares of isolates are added up",
  },
  {
    file: SNAPSHOT,
    find: "      if (entry.metric.type !== metric.type) continue;\n",
    replace: "",
    what: "isolates of two versions mix a histogram with a gauge",
  },
  {
    file: SNAPSHOT,
    find: "counts: rebucket(each.counts ?? [], bounds, to)",
    replace: "counts: each.counts ?? []",
    what: "buckets of two versions are added up by their position",
  },
  {
    file: SNAPSHOT,
    find: "names.sort().map(",
    replace: "names.map(",
    what: "labels in another order are another series",
  },
  {
    file: SNAPSHOT,
    find: "{ ...series.labels, ...added }",
    replace: "{ ...added, ...series.labels }",
    what: "an isolate reports in the name of another one",
  },
  {
    file: SNAPSHOT,
    find: "const MAX_SERIES = 501;",
    replace: "const MAX_SERIES = 500;",
    what: "the series of all others is cut off",
  },
  {
    file: SOURCES,
    find: "series.add(now >= before ? now - before : now);",
    replace: "series.add(now - before);",
    what: "a total that begins again is not counted",
  },
  {
    file: SOURCES,
    find: "    counted.set(key, now);",
    replace: "",
    what: "each read counts all over",
  },
  {
    file: SOURCES,
    find: "labelValue(labelValue(name).slice(0, MAX_LABEL_LENGTH - suffix.length)) + suffix",
    replace: "labelValue(name) + suffix",
    what: "two pools with long names are one",
  },
  {
    file: SOURCES,
    find: "      isHeld = false;\n",
    replace: "",
    what: "a pool that ended frees the name of its successor",
  },
  {
    file: POOL,
    find: ", { [Symbol.dispose]: () => this.#countLast(count) }",
    replace: "",
    what: "what a pool has counted before its end is lost",
  },
  {
    file: POOL,
    find: "(waits[lane] ?? waitsOf(lane)).observe(ms / 1_000)",
    replace: "(waits[lane] ?? waitsOf(lane)).observe(ms)",
    what: "waits are in ms",
  },
  {
    file: POOL,
    find: 'if (source !== "listener") errors',
    replace: "errors",
    what: "a listener that throws is an error of a connection",
  },
  {
    file: POOL,
    find: "METHODS.has(method) ? method",
    replace: "true ? method",
    what: "a caller's method is a label",
  },
  {
    file: POOL,
    find: "status >= 500 ? String(status) : undefined;",
    replace: "status >= 400 ? String(status) : undefined;",
    what: "an error of a caller is a failed operation",
  },
  {
    file: POOL,
    find: 'if (work.kind !== "transaction") ended(operationOf(work), durationMs, errorType);\n          else ',
    replace: "ended(operationOf(work), durationMs, errorType);\n          ",
    what: "a transaction is an operation beside its statements",
  },
  {
    file: POOL,
    find: "  series.set(undefined);\n",
    replace: "",
    what: "the value of an ended pool stays in the series of all others",
  },
  {
    file: POOL,
    find: "      removeGauge(own);\n",
    replace: "",
    what: "a circuit that no longer exists stays open",
  },
  {
    file: POOL_NAMES,
    find: 'utilization: share("',
    replace: 'utilization: gauge("',
    what: "the utilization of a fleet exceeds 100 %",
  },
  {
    file: POOL_NAMES,
    find: '"db_client_connection_pending_requests"',
    replace: '"db_client_connection_waiting_requests"',
    what: "a metric has another name than OpenTelemetry's",
  },
  {
    file: SHARE,
    find: "    if (failed || this.#total < 16 || (this.#total & 15) === 0) this.#turn();\n",
    replace: "",
    what: "failures of a moment ago are forgotten if the share was not read for long",
  },
  {
    file: TYPE,
    find: " && /^[\\w.-]{1,64}$/.test(code)",
    replace: "",
    what: "an error names a series as it likes",
  },
  {
    file: REQUESTS,
    find: "wait.observe(waitedMs / 1_000);",
    replace: "wait.observe(upstreamMs / 1_000);",
    what: "a request waits for as long as for the project",
  },
  {
    file: CACHE,
    find: '[all.reads, read("redis", "error"), ({ redis }) => redis?.failedReads],',
    replace: '[all.reads, read("redis", "miss"), ({ redis }) => redis?.failedReads],',
    what: "an outage of Redis is a miss",
  },
  {
    file: CACHE,
    find: "      attempt(update);\n",
    replace: "",
    what: "what a cache has counted before its end is lost",
  },
  {
    file: CACHE_TOTALS,
    find: "this.#attached.has(cache) ? undefined : statsOf(cache)",
    replace: "statsOf(cache)",
    what: "a cache that is attached twice counts from the second time on",
  },
  {
    file: COLLECTOR,
    find: "reply.some(hasValue)",
    replace: "true",
    what: "a list without a value is a hit",
  },
  {
    file: COLLECTOR,
    find: "if (failed || found.length > 0) this",
    replace: "this",
    what: "a write to Redis is a miss",
  },
  {
    file: COLLECTOR,
    find: 'if (work.kind !== "transaction") track',
    replace: "track",
    what: "a transaction is a query beside its statements",
  },
  {
    file: COLLECTOR,
    find: "durationMs >= slowMs",
    replace: "durationMs > slowMs",
    what: "a query that takes as long as a slow one is not slow",
  },
  {
    file: COLLECTOR,
    find: '      pool.on?.("closed" as never, end),\n',
    replace: "",
    what: "the connections of a closed pool stay",
  },
  {
    file: COLLECTED,
    find: "      Math.max(min, Math.min(quantileOf(TIME_BUCKETS, this.#times.counts, share) * 1_000, max));",
    replace: "      quantileOf(TIME_BUCKETS, this.#times.counts, share) * 1_000;",
    what: "a percentile lies outside of what was measured",
  },
  {
    file: COLLECTED,
    find: "this.#times.observe(ms / 1_000)",
    replace: "this.#times.observe(ms)",
    what: "percentiles are in s",
  },
  {
    file: PRISMA,
    find: "observe(() => collector.trackPrismaQuery(durationMs, failed), () => {});",
    replace: "collector.trackPrismaQuery(durationMs, failed);",
    what: "a collector that throws changes the result of Prisma",
  },
  {
    file: PRISMA,
    find: "          failed = false;\n",
    replace: "",
    what: "every operation of Prisma counts as failed",
  },
  {
    file: PRISMA,
    find: "const result = await query(args);",
    replace: "await Promise.resolve(); const result = await query(args);",
    what: "operations of one tick reach Prisma later, which does not batch them",
  },
  {
    file: PRISMA,
    find: "const result = await query(args);",
    replace: "const result = await query(structuredClone(args));",
    what: "an operation of Prisma gets a copy of its arguments",
  },
  {
    file: PRISMA,
    find: "performance.now() - since",
    replace: "0",
    what: "operations of Prisma take no time",
  },
  {
    file: EARLY,
    find: "for (const ms of this.#uses) recorder.useTime(ms);",
    replace: "",
    what: "leases before metrics are loaded are lost",
  },
  {
    file: EARLY,
    find: "for (const event of this.#events.get(name) ?? []) listener(event as never);",
    replace: "",
    what: "events before metrics are loaded are lost",
  },
  {
    file: EARLY,
    find: "if (this.#recorder) pass(ended, this.#recorder);\n      else ",
    replace: "",
    what: "statements that end while metrics are loaded are lost",
  },
  {
    file: EARLY,
    find: "if (list.length < MAX_EARLY) list",
    replace: "list",
    what: "events pile up while metrics are loaded",
  },
  {
    file: EARLY,
    find: "    if (this.#isClosed) metrics[Symbol.dispose]();\n",
    replace: "",
    what: "the connections of a pool that ended before metrics were loaded stay",
  },
  {
    file: LINK,
    find: "this.#earlyRequests.length < MAX_EARLY",
    replace: "true",
    what: "requests pile up while metrics are loaded",
  },
  {
    file: LINK,
    find: 'secretKey !== undefined && memberOf(globalThis, "EdgeRuntime") !== undefined',
    replace: "secretKey !== undefined",
    what: "metrics are on outside of edge functions",
  },
  {
    file: LINK,
    find: "  ofRegistries.set(registry, link);\n",
    replace: "",
    what: "a pool that two handlers use is counted twice",
  },
];
