/**
 * `deno task bench:postgres`: compares direct Postgres with pg, postgres.js and
 * a connection per request, in one process with one server, in interleaved
 * rounds; prints a report and writes the results. pgbench, a client in C, is
 * measured beside ours where it is installed (`apt-get install postgresql`).
 *
 * - 100 callers use 10 connections; with a connection per request, ten at a time.
 * - The server shares the machine, so every value includes its work.
 * - A TCP proxy that forwards each chunk 5 ms later simulates distance.
 * - With more callers than the server accepts connections, a connection per
 *   request is not limited: the rejected ones count as failed.
 *
 * @module
 */
import { type Bench, runBench } from "../support/command.ts";
import { environment } from "../support/environment.ts";
import { measurePhases } from "../support/measure.ts";
import type { Results } from "../support/results.ts";
import { ROUND_TRIP_MS, TARGETS } from "./targets.ts";
import { latencyCase, type Metric, type Setup, throughputCases } from "./cases.ts";
import { CANDIDATES } from "./candidates.ts";
import { connectionCases, OVERLOAD_CALLERS } from "./connections.ts";
import { BenchDatabase } from "./database.ts";
import { LatencyProxy } from "./latency_proxy.ts";
import { pgbenchCaseId, pgbenchCases } from "./pgbench.ts";
import { WORK } from "./work.ts";
import { plot, report } from "./report.ts";

const CASE_IDS: readonly string[] = [
  ...WORK.map(({ id }) => id),
  ...WORK.map(({ id }) => pgbenchCaseId(id)),
  "latency",
  "setup",
  "overload",
];
const WARM_UPS = 8;

const HELP = `Usage: deno task bench:postgres [options]

Compares direct Postgres with pg, postgres.js, pgbench (if it is installed) and a
connection per request, in interleaved rounds, and checks its targets.

  --quick          Fewer rounds
  --rounds <n>     The number of counted rounds (default 31, quick 9)
  --only <cases>   Measure only these, separated by commas:
                   ${CASE_IDS.join(", ")}
  --out <folder>   The folder for postgres.json and postgres.svg (default bench/results
                   for a whole run; none for a quick or partial one)
  --strict         Exit with 1 when a target is missed
  --help           Print this
`;

const bench: Bench<Results<Metric>> = {
  caseIds: CASE_IDS,
  rounds: { full: 31, quick: 9 },
  name: "postgres",
  help: HELP,
  collects: false,
  async measure(options, onRounds) {
    const load = environment(["pg", "postgres"]);
    await using database = await BenchDatabase.start();
    const here = { ...load, postgres: await database.version() };
    const { owner } = database;
    await using proxy = new LatencyProxy(owner.host, owner.port, ROUND_TRIP_MS / 2);
    const setups = CANDIDATES.map((candidate): Setup => {
      const name = `bench_${candidate.id}`;
      return { candidate, name, opened: candidate.open(owner, name) };
    });
    const ours = setups.find(({ candidate }) => candidate.id === "ours");
    if (!ours) throw new Error("There is no candidate of ours");
    await using pgbench = await pgbenchCases(owner, ours.opened);
    const latency = latencyCase(database, proxy.port);
    // A server of their own: they use up its connections.
    await using crowded = await BenchDatabase.start();
    const connections = connectionCases(crowded, OVERLOAD_CALLERS);
    try {
      const many = throughputCases(setups, database);
      const cases = [...many, ...pgbench.cases, latency.case, ...connections.cases];
      return await measurePhases([{ cases, warmUps: WARM_UPS }], {
        options,
        onRounds,
        environment: here,
        metric: "perSecond",
        targets: TARGETS,
      });
    } finally {
      await latency.close();
      await connections.close();
      for (const { opened } of setups) await opened.close();
    }
  },
  report,
  plot,
};

if (import.meta.main) await runBench(bench, Deno.args);
