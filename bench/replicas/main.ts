/**
 * `deno task bench:replicas`: compares groups of a primary and its standby with
 * the plain manager on the primary, in one process, in interleaved rounds: 100
 * callers on 10 connections to each server.
 *
 * @module
 */
import { ReplicatedDatabase } from "../../tests/postgres/replication.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { MeasuredMetrics } from "../support/metrics.ts";
import { plotResults } from "../support/plot.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { checkTargets, type Target } from "../support/targets.ts";
import { heading, medianOf, section, targetTable, timesOursOf } from "../support/text.ts";
import { CASE_IDS, type Metric, openCases, WORK } from "./cases.ts";

const HELP = `Usage: deno task bench:replicas [options]

Compares groups of a primary and its standby with the plain manager on the primary:
100 callers on 10 connections to each server, in interleaved rounds.

  --quick          Fewer and shorter rounds
  --rounds <n>     The number of counted rounds (default 31, quick 5)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   The folder for replicas.json and replicas.svg (default
                   bench/results for a whole run; none for a quick or partial one)
  --strict         Exit with 1 when a target is missed
  --help           Print this
`;

const BUDGET_MS = { full: 300, quick: 150 };
const WARM_UPS = 4;

/** The targets of groups: writes beside a standby, and reads on the same server. */
export const TARGETS: readonly Target<Metric>[] =
  ([["insert", "ours"], ["read", "only"], ["function", "only"]] as const)
    .map(([id, candidate]) => ({
      what: `${WORK[id].title}: the plain manager, to a group${candidate === "only" ? " of the same server" : ""}`,
      relation: "at most",
      limit: 1.1,
      unit: "×",
      value: (measured) => measured.perRound((at) => at(id, "plain") / at(id, candidate)),
    }));

const bench: Bench<Results<Metric>> = {
  caseIds: CASE_IDS,
  rounds: { full: 31, quick: 5 },
  name: "replicas",
  help: HELP,
  collects: false,
  async measure({ quick, rounds, only }, onRounds) {
    await using resources = new AsyncDisposableStack();
    const database = resources.use(await ReplicatedDatabase.start());
    const [row] = await database.sql(0, "show server_version");
    const here = { ...environment(["pg"]), postgres: String(row?.["server_version"]) };
    const cases = (await openCases(database, quick ? BUDGET_MS.quick : BUDGET_MS.full, resources))
      .filter(({ id }) => only.length === 0 || only.includes(id));
    const samples = new Samples();
    await runRounds(cases, samples, { rounds, warmUps: WARM_UPS, onRound: onRounds(WARM_UPS + rounds) });
    const measured = new MeasuredMetrics<Metric>(cases, samples, "perSecond");
    return gather(measured, checkTargets(measured, TARGETS), { environment: here, rounds, quick });
  },
  report: (results) =>
    heading(results) +
    Object.entries(WORK).map(([caseId, { title }]) =>
      section(title, results, [
        { caseId, metric: "perSecond", title: "per second" },
        { caseId, metric: "p99Ms", title: "p99 ms" },
      ], medianOf)
    ).join("") +
    section(
      "per second, times a scope of a group",
      results,
      Object.entries(WORK).map(([caseId, { title }]) => ({ caseId, metric: "perSecond" as const, title })),
      timesOursOf,
    ) +
    targetTable(results.targets),
  plot: (results) =>
    plotResults(
      "A primary and its standby beside the plain manager",
      results,
      Object.entries(WORK).map(([caseId, { title }]) => ({
        caseId,
        metric: "perSecond" as const,
        title: `100 callers on 10 connections, ${title}: per second`,
      })),
    ),
};

if (import.meta.main) await runBench(bench, Deno.args);
