/**
 * `deno task bench:cache`: compares hits of the cache with `lru-cache` and with
 * bare `ioredis`, and counts the loads of many callers that miss one key.
 *
 * @module
 */
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import { plotResults } from "../support/plot.ts";
import type { Results } from "../support/results.ts";
import type { Target } from "../support/targets.ts";
import { type Column, heading, medianOf, section, targetTable } from "../support/text.ts";
import { CASE_IDS, FULL, type Metric, openCases, type Size } from "./cases.ts";

const HELP = `Usage: deno task bench:cache [options]

Measures hits in memory beside lru-cache, hits in Redis beside bare ioredis, and
how often the loader is called when 1,000 callers miss one key at once. It starts
a Redis of its own, which needs redis-server: apt-get install redis-server

  --quick          Fewer and shorter rounds
  --rounds <n>     How many rounds are counted (default 15, quick 3)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where cache.json and cache.svg go (default bench/results
                   for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a target does not hold
  --help           Print this
`;

const QUICK: Size = { hits: 100_000, reads: 1_500 };

/** The targets of the cache. */
export const TARGETS: readonly Target<Metric>[] = [
  {
    what: "a hit in memory, to an awaited `lru-cache` get",
    relation: "at most",
    limit: 1.3,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("memory", "get", "ns") / at("memory", "lru", "ns")),
  },
  {
    what: "a hit in memory by `getOrLoad`, to an awaited `lru-cache` get",
    relation: "at most",
    limit: 1.3,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("memory", "getOrLoad", "ns") / at("memory", "lru", "ns")),
  },
  {
    what: "a hit in Redis by `getOrLoad`, to bare `ioredis`: reads per second of one caller",
    relation: "at least",
    limit: 0.95,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("redis", "ours") / at("redis", "ioredis")),
  },
  {
    what: "hits in Redis by `getOrLoad`, to bare `ioredis`: reads per second of 100 callers",
    relation: "at least",
    limit: 0.95,
    unit: "×",
    value: (measured) => measured.perRound((at) => at("redis_100", "ours") / at("redis_100", "ioredis")),
  },
  {
    what: "loads when 1,000 callers miss one key at once, to one",
    relation: "at most",
    limit: 1,
    unit: "×",
    value: (measured) =>
      measured.perRound((at) => Math.max(at("misses", "memory", "loads"), at("misses", "redis", "loads"))),
  },
];

const NS: readonly Column<Metric>[] = [{ caseId: "memory", metric: "ns", title: "ns" }];
const READS: readonly Column<Metric>[] = [
  { caseId: "redis", metric: "perSecond", title: "1 caller, reads/s" },
  { caseId: "redis_100", metric: "perSecond", title: "100 callers, reads/s" },
];
const LOADS: readonly Column<Metric>[] = [{ caseId: "misses", metric: "loads", title: "loads" }];

const bench: Bench<Results<Metric>> = {
  name: "cache",
  help: HELP,
  caseIds: CASE_IDS,
  rounds: { full: 15, quick: 3 },
  collects: false,
  async measure(options, onRounds) {
    const here = environment(["ioredis", "lru-cache"]);
    await using resources = new AsyncDisposableStack();
    const cases = await openCases(options.quick ? QUICK : FULL, resources);
    return await measurePhases([{ cases, warmUps: 1 }], {
      options,
      onRounds,
      environment: here,
      metric: "perSecond",
      targets: TARGETS,
    });
  },
  report: (results) =>
    heading(results) + section("a hit in memory", results, NS, medianOf) +
    section("a hit in Redis", results, READS, medianOf) + section("misses", results, LOADS, medianOf) +
    targetTable(results.targets),
  plot: (results) =>
    plotResults("The cache", results, [
      { caseId: "memory", metric: "ns", title: "A hit in memory, in ns" },
      { caseId: "redis", metric: "perSecond", title: "A hit in Redis, one caller: reads per second" },
      { caseId: "redis_100", metric: "perSecond", title: "Hits in Redis, 100 callers: reads per second" },
    ]),
};

if (import.meta.main) await runBench(bench, Deno.args);
