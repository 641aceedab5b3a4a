import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { growthOf, promises, shownChange } from "../../bench/report/promises.ts";
import { type BenchmarkName, BENCHMARKS, Figures, readStored, type StoredResults } from "../../bench/report/stored.ts";
import { renderReport, renderStoredReport, RESULTS } from "../../bench/report/mod.ts";
import type { SoakResults } from "../../bench/soak/results.ts";
import type { Results } from "../../bench/support/results.ts";

const ENVIRONMENT = {
  cpu: "A",
  cores: 2,
  os: "linux",
  deno: "2.9",
  v8: "15",
  postgres: "18.4",
  peers: { pg: "8" },
  load: 0.5,
  at: "2026-01-02T03:04:05Z",
};

type Values = Readonly<Record<string, Readonly<Record<string, number>>>>;

/** Returns results with one case: the medians by candidate and metric. */
function resultsOf(caseId: string, values: Values, more: object = {}): Results<string> {
  const ours = values["ours"] ?? {};
  return {
    environment: ENVIRONMENT,
    rounds: 3,
    quick: false,
    targets: [{ what: "fast", relation: "at most", limit: 2, unit: "×", value: 3, met: false }],
    cases: [{
      id: caseId,
      title: `case ${caseId}`,
      metrics: [...new Set(Object.values(values).flatMap((metrics) => Object.keys(metrics)))],
      candidates: Object.entries(values).map(([id, metrics]) => ({
        id,
        title: `candidate ${id}`,
        measured: Object.fromEntries(
          Object.entries(metrics).map(([metric, median]) => [metric, {
            median,
            low: median,
            high: median,
            count: 3,
            timesOurs: median / (ours[metric] ?? NaN),
          }]),
        ),
      })),
    }],
    ...more,
  };
}

/** Returns results with more than one case. */
function joined(...all: Results<string>[]): Results<string> {
  const [first] = all;
  assert(first);
  return { ...first, cases: all.flatMap(({ cases }) => cases) };
}

const burst = (before: number, ours: number) =>
  resultsOf("burst", {
    per_request: { meanMs: before, requestsPerSecond: 100, backends: 20, sockets: 100, heapMb: 60, failedPercent: 0 },
    ours: { meanMs: ours, requestsPerSecond: 100, backends: 20, sockets: 20, heapMb: 40, failedPercent: 0 },
  }, {
    heap: {
      per_request: Array.from({ length: 30 }, (_, at) => [at, 60]),
      ours: Array.from({ length: 30 }, (_, at) => [at, 40]),
    },
  });

const SOAK: SoakResults = {
  environment: ENVIRONMENT,
  minutes: 30,
  series: [{
    id: "heap",
    title: "Live heap",
    unit: "MB",
    samples: Array.from({ length: 20 }, (_, at) => [at, 10] as const),
    growth: { first: 10, last: 10, allowed: 3, trend: 0, grows: false },
  }],
  load: [{ title: "selects", sent: 5_000, failed: 3 }],
  faults: { "killed database": 2 },
};

function stored(benchmarks: Partial<Record<BenchmarkName, Results<string>>>, soak?: SoakResults): StoredResults {
  return { benchmarks: new Map(Object.entries(benchmarks) as [BenchmarkName, Results<string>][]), soak };
}

const postgres = joined(
  resultsOf("setup", { per_request: { setupUs: 4_000 }, ours: { setupUs: 2 } }),
  resultsOf("one", { per_request: { p50Ms: 100, perSecond: 300 }, ours: { p50Ms: 1, perSecond: 60_000 } }),
  resultsOf("overload", {
    per_request: { peakBackends: 90, failedPercent: 12 },
    ours: { peakBackends: 10, failedPercent: 0 },
  }),
);

const handler = resultsOf("steps", { client: { cpuUs: 40 }, from: { cpuUs: 4 }, lease: { cpuUs: 3 }, ours: {} });

const of = (results: StoredResults) =>
  Object.fromEntries(promises(new Figures(results)).map(({ what, ...promise }) => [what, promise]));

Deno.test("promises() computes each change from the stored results, for HTTP clients and for direct Postgres", () => {
  const all = of(stored({ compare: burst(200, 190), postgres, handler }, SOAK));
  assertEquals(Object.values(all).map(({ postgres }) => postgres.holds), Array(7).fill(true));
  assertEquals(all["Connection set-up time"]?.http, { value: "−93 % (44 to 3 µs)", holds: false });
  assertEquals(all["Connection set-up time"]?.postgres.value, "−99.95 % (4,000 to 2 µs)");
  assertEquals(all["Response time, database-heavy"]?.http, { value: "−5.0 % (200 to 190 ms)", holds: false });
  assertEquals(all["Throughput, concurrent requests"]?.http.holds, false);
  assertEquals(all["Database connections"]?.http.value, "0 % (20 to 20 backends of the Data API)");
  assertEquals(all["Peak connections, 100 requests"]?.http.holds, true);
  // Nothing failed: neither better nor worse.
  assertEquals(all["Connection-related failures"]?.http, { value: "0 % to 0 %", holds: undefined });
  assertEquals(all["Connection-related failures"]?.postgres.value, "12 % to 0 %");
  assertEquals(all["Memory"]?.http.holds, true);
  assertEquals(all["Memory"]?.postgres.value, "0 % in 30 minutes of soak");
});

Deno.test("promises() follows the figures: what holds is not a constant", () => {
  const all = of(stored({ compare: burst(200, 150) }));
  assertEquals(all["Response time, database-heavy"]?.http.holds, true);
  const [series] = SOAK.series;
  assert(series);
  const growing = { ...SOAK, series: [{ ...series, growth: { ...series.growth, grows: true } }] };
  assertEquals(of(stored({}, growing))["Memory"]?.postgres.holds, false);
});

Deno.test("promises() says what was not measured", () => {
  for (const { http, postgres } of Object.values(of(stored({})))) {
    for (const measured of [http, postgres]) assertEquals(measured, { value: "not measured", holds: undefined });
  }
});

Deno.test("growthOf() compares the last third with the first after a warm-up; shownChange() rounds", () => {
  const warming = Array.from({ length: 50 }, (_, at) => at < 10 ? at : 20);
  assertEquals(growthOf(warming), 0);
  assertEquals(growthOf(Array.from({ length: 15 }, (_, at) => at < 8 ? 10 : 15)), 50);
  assertEquals(growthOf([1, 2]), NaN);
  assertEquals([-93.4, -99.953, -100, 3.25, 0.01, 12_345.6].map(shownChange), [
    "−93 %",
    "−99.95 %",
    "−100 %",
    "+3.3 %",
    "0 %",
    "+12,346 %",
  ]);
});

Deno.test("renderReport() shows promises, reasons, environment, tables, targets, plots and the soak", () => {
  const report = renderReport(stored({ compare: burst(200, 190), postgres, handler }, SOAK), {
    command: "deno task bench --full",
    plots: "results/",
  });
  assertMatch(
    report,
    /^\| Response time.*\| −20…40 % +\| \*\*does not hold\*\*: −5\.0 %.*\| \*\*holds\*\*: −99 %/m,
  );
  assertMatch(report, /^- \*\*Response time, database-heavy\.\*\* Both send the same requests/m);
  assert(!/^- \*\*Memory\.\*\* The live heap of a process/m.test(report), "a reason for what holds");
  assertStringIncludes(report, "- A, 2 cores, linux; Deno 2.9, V8 15");
  assertMatch(
    report,
    /^\| `bench:postgres` +\| 2026-01-02 03:04 \| 3 +\| full +\| 0\.50 .*PostgreSQL 18\.4, pg 8 +\|$/m,
  );
  assertMatch(report, /^\| `bench:pool` +\| not measured/m);
  assertMatch(report, /^\| \*\*candidate ours\*\* +\| 1 \(1–1\) +\| 1\.00 /m);
  assertMatch(report, /^\| fast +\| 3\.00 × +\| at most 2\.00 \| MISSED \|$/m);
  assertStringIncludes(report, "![Direct Postgres](results/postgres.svg)");
  assertStringIncludes(report, "30 minutes of load on the local stack, with faults (2 × killed database)");
  assertMatch(report, /^\| Live heap, MB \| 10 .*\| flat +\|$/m);
  assertMatch(report, /^\| selects \| 5,000 \| 3 +\|$/m);
  assert(!report.includes("quick mode") && !report.includes("NaN"));
});

Deno.test("renderReport() warns of figures of a quick run, and renders without any results", () => {
  const options = { command: "deno task bench", plots: "" };
  const quick = { ...postgres, quick: true };
  assertStringIncludes(renderReport(stored({ postgres: quick }), options), "do not quote these figures");
  assertMatch(renderReport(stored({}), options), /^## The pool core\n\nNot measured\.$/m);
});

Deno.test("bench/report.md has every stored result: run `deno task docs` when it differs", async () => {
  const text = await Deno.readTextFile(new URL("../../bench/report.md", import.meta.url));
  assertEquals(text === await renderStoredReport(), true, "bench/report.md is out of date: run deno task docs");
  const { benchmarks } = await readStored(RESULTS);
  assertEquals([...benchmarks.keys()], [...BENCHMARKS]);
  for (const [, plot = ""] of text.matchAll(/\]\((results\/[^)]+)\)/g)) {
    assert((await Deno.stat(new URL(`../../bench/${plot}`, import.meta.url))).isFile, plot);
  }
});
