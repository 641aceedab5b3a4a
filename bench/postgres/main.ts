/**
 * `deno task bench:postgres`: measures direct Postgres beside pg, postgres.js
 * and a connection per request, all in one process against one server, in
 * interleaved rounds; prints what was found, and writes it down.
 *
 * - 10 connections and 100 callers, unless each request makes its own connection, ten at a time then.
 * - The server shares the machine: what it takes is in every figure.
 * - Distance is a TCP proxy that passes each chunk on 5 ms later, in both directions.
 *
 * @module
 */
import { judge } from "../support/bars.ts";
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { Figures } from "../support/figures.ts";
import { gather, type Results } from "../support/results.ts";
import { runRounds, Samples } from "../support/rounds.ts";
import { BARS, ROUND_TRIP_MS } from "./bars.ts";
import { latencyCase, type Metric, type Stand, throughputCases, WORK } from "./cases.ts";
import { CONTENDERS } from "./contenders.ts";
import { BenchDatabase } from "./database.ts";
import { LatencyProxy } from "./latency_proxy.ts";
import { plot } from "./plot.ts";
import { report } from "./report.ts";

const CASE_IDS: readonly string[] = [...WORK.map(({ id }) => id), "latency"];
const WARM_UPS = 8;

const HELP = `Usage: deno task bench:postgres [options]

Measures direct Postgres beside pg, postgres.js and a connection per request,
in interleaved rounds, and says which of its bars hold.

  --quick          Fewer rounds
  --rounds <n>     How many rounds are counted (default 31, quick 9)
  --only <cases>   Measure only these, separated by commas: ${CASE_IDS.join(", ")}
  --out <folder>   Where postgres.json and postgres.svg go (default bench/results
                   for a whole run; a quick or partial one writes none)
  --strict         Exit with 1 when a bar does not hold
  --help           Print this
`;

const bench: Bench<Results<Metric>> = {
  caseIds: CASE_IDS,
  rounds: { full: 31, quick: 9 },
  name: "postgres",
  help: HELP,
  collects: false,
  async measure({ quick, rounds, only }, onRounds) {
    const here = environment(["pg", "postgres"]);
    await using database = await BenchDatabase.start();
    const { owner } = database;
    await using proxy = new LatencyProxy(owner.host, owner.port, ROUND_TRIP_MS / 2);
    const stands = CONTENDERS.map((contender): Stand => {
      const name = `bench_${contender.id}`;
      return { contender, name, session: contender.open(owner, name) };
    });
    const latency = latencyCase(database, proxy.port);
    try {
      const cases = [...throughputCases(stands, database), latency.case]
        .filter(({ id }) => only.length === 0 || only.includes(id));
      const samples = new Samples();
      await runRounds(cases, samples, { rounds, warmUps: WARM_UPS, onRound: onRounds(WARM_UPS + rounds) });
      const figures = new Figures<Metric>(cases, samples, "perSecond");
      return gather(figures, judge(figures, BARS), { environment: here, rounds, quick });
    } finally {
      await latency.close();
      for (const { session } of stands) await session.close();
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
