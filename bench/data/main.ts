/**
 * `deno task bench:data`: compares `kyselyOf` and the query builder with Kysely
 * on `pg`, and with the same statements as text, in one process with one server,
 * in interleaved rounds: 100 callers on 10 connections.
 *
 * @module
 */
import { BenchDatabase } from "../postgres/database.ts";
import { WORK } from "../postgres/work.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { MeasuredMetrics } from "../support/metrics.ts";
import { type Panel, plotResults } from "../support/plot.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { checkTargets, type Target } from "../support/targets.ts";
import { heading, medianOf, section, targetTable, timesOursOf } from "../support/text.ts";
import { CASE_IDS, FULL, type Metric, openCases, type Size } from "./cases.ts";

const HELP = `Usage: deno task bench:data [options]

Compares kyselyOf and the query builder with Kysely on pg, and with the same
statements as text: 100 callers on 10 connections, in interleaved rounds.

  --quick          Fewer and shorter rounds
  --rounds <n>     The number of counted rounds (default 31, quick 5)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   The folder for data.json and data.svg (default bench/results
                   for a whole run; none for a quick or partial one)
  --strict         Exit with 1 when a target is missed
  --help           Print this
`;

const QUICK: Size = { budgetMs: 200, compilations: 2_000 };
const WARM_UPS = 4;

/** The targets of the data layer. */
export const TARGETS: readonly Target<Metric>[] = [
  ...WORK.flatMap(({ id, title }) =>
    (["ours", "builder"] as const).map((candidate): Target<Metric> => ({
      what: `${title}: ${candidate === "ours" ? "kyselyOf" : "the query builder"}, to Kysely on pg`,
      relation: "at least",
      limit: 1.3,
      unit: "×",
      value: (measured) => measured.perRound((at) => at(id, candidate) / at(id, "kysely_pg")),
    }))
  ),
  {
    what: "one row: time that kyselyOf adds to a plain statement, to Kysely's compile time",
    relation: "at most",
    limit: 2,
    unit: "×",
    value: (measured) =>
      measured.perRound((at) =>
        (1e6 / at("one", "ours") - 1e6 / at("one", "plain")) / at("compile", "kysely", "setupUs")
      ),
  },
  {
    what: "one row: time that the query builder adds to a plain statement, to Kysely's compile time",
    relation: "at most",
    limit: 2,
    unit: "×",
    value: (measured) =>
      measured.perRound((at) =>
        (1e6 / at("one", "builder") - 1e6 / at("one", "plain")) / at("compile", "kysely", "setupUs")
      ),
  },
];

const PANELS: readonly Panel<Metric>[] = [
  ...WORK.map(({ id, title }): Panel<Metric> => ({
    caseId: id,
    metric: "perSecond",
    title: `100 callers on 10 connections, ${title}: per second`,
  })),
  { caseId: "compile", metric: "setupUs", title: "One row, compiled alone: µs" },
];

const bench: Bench<Results<Metric>> = {
  caseIds: CASE_IDS,
  rounds: { full: 31, quick: 5 },
  name: "data",
  help: HELP,
  collects: false,
  async measure({ quick, rounds, only }, onRounds) {
    const load = environment(["kysely", "pg"]);
    await using resources = new AsyncDisposableStack();
    const database = resources.use(await BenchDatabase.start());
    const here = { ...load, postgres: await database.version() };
    const cases = openCases(database, quick ? QUICK : FULL, resources)
      .filter(({ id }) => only.length === 0 || only.includes(id));
    const samples = new Samples();
    await runRounds(cases, samples, { rounds, warmUps: WARM_UPS, onRound: onRounds(WARM_UPS + rounds) });
    const measured = new MeasuredMetrics<Metric>(cases, samples, "perSecond");
    return gather(measured, checkTargets(measured, TARGETS), { environment: here, rounds, quick });
  },
  report: (results) =>
    heading(results) +
    WORK.map(({ id, title }) =>
      section(title, results, [
        { caseId: id, metric: "perSecond", title: "per second" },
        { caseId: id, metric: "p99Ms", title: "p99 ms" },
      ], medianOf)
    ).join("") +
    section(
      "per second, times kyselyOf",
      results,
      WORK.map(({ id, title }) => ({ caseId: id, metric: "perSecond" as const, title })),
      timesOursOf,
    ) +
    section("compiled alone", results, [{ caseId: "compile", metric: "setupUs", title: "µs" }], medianOf) +
    targetTable(results.targets),
  plot: (results) => plotResults("Kysely and the query builder on pooled connections", results, PANELS),
};

if (import.meta.main) await runBench(bench, Deno.args);
