import { assert, assertEquals, assertRejects } from "@std/assert";
import { TARGETS } from "../../bench/postgres/targets.ts";
import { latencyCase, type Metric, type Setup, throughputCases } from "../../bench/postgres/cases.ts";
import { CANDIDATES } from "../../bench/postgres/candidates.ts";
import { CONNECTIONS, WORK } from "../../bench/postgres/work.ts";
import { connectionCases } from "../../bench/postgres/connections.ts";
import type { Measurement } from "../../bench/support/case.ts";
import { BenchDatabase } from "../../bench/postgres/database.ts";
import { LatencyProxy } from "../../bench/postgres/latency_proxy.ts";
import { pgbenchCases, pgbenchPath } from "../../bench/postgres/pgbench.ts";
import { component } from "../support/components.ts";
import { checkTargets } from "../../bench/support/targets.ts";
import { MeasuredMetrics } from "../../bench/support/metrics.ts";
import { Samples } from "../../bench/support/rounds.ts";

Deno.test("bench:postgres", async (t) => {
  await using database = await BenchDatabase.start();
  const { owner } = database;

  for (const candidate of CANDIDATES) {
    await t.step(
      `open() of "${candidate.title}" does the work of every case within its connections`,
      async () => {
        const name = `test_${candidate.id}`;
        const opened = candidate.open(owner, name);
        try {
          assertEquals([await opened.one(1), await opened.twenty(1), await opened.transaction(1)], [1, 20, 3]);
          database.watch(name);
          const rows = await Promise.all(Array.from({ length: 40 }, (_, n) => opened.one(n + 1)));
          assertEquals(rows, new Array(40).fill(1));
          assert(await database.peak() <= CONNECTIONS);
        } finally {
          await opened.close();
        }
      },
    );
  }

  await t.step("LatencyProxy delays both directions", async () => {
    await using proxy = new LatencyProxy(owner.host, owner.port, 20);
    const latency = latencyCase(database, proxy.port, 2);
    try {
      const measured: Record<string, number> = {};
      for (const { id, measure } of latency.case.candidates) {
        // The first time pays for connecting.
        await measure();
        measured[id] = (await measure()).p50Ms ?? NaN;
      }
      // One round trip of 40 ms each, but for those of three statements: how many these take is tested with the manager.
      for (const id of ["plain", "list", "user"]) assert((measured[id] ?? NaN) >= 38, JSON.stringify(measured));
      for (const id of ["three_plain", "transaction", "user_transaction"]) {
        assert((measured[id] ?? NaN) >= 115, JSON.stringify(measured));
      }
    } finally {
      await latency.close();
    }
  });

  await t.step(
    "connectionCases() measures the time until a connection is usable, and counts rejected ones",
    async () => {
      const connections = connectionCases(database, 120);
      const measured = new Map<string, Measurement<Metric>>();
      try {
        for (const { id, candidates } of connections.cases) {
          for (const candidate of candidates) {
            // The first time, a pool connects.
            await candidate.measure();
            measured.set(`${id} ${candidate.id}`, await candidate.measure());
          }
        }
      } finally {
        await connections.close();
      }
      const of = (key: string, metric: Metric) => measured.get(key)?.[metric] ?? NaN;
      assert(of("setup ours", "setupUs") < of("setup per_request", "setupUs"));
      // The server accepts 100 connections. A busy machine may not open more at once.
      const peak = of("overload per_request", "peakBackends");
      assert(
        of("overload per_request", "failedPercent") > 0 || peak < 100,
        `every connection was accepted, of ${peak}`,
      );
      assertEquals(of("overload ours", "failedPercent"), 0);
      assert(of("overload ours", "peakBackends") <= CONNECTIONS);
      assert(of("overload per_request", "peakBackends") > CONNECTIONS);
    },
  );

  const pgbench = component("pgbench", { path: pgbenchPath() });
  await t.step({
    name: `pgbenchCases() measures the same work by pgbench and by ours${pgbench.note}`,
    ignore: pgbench.ignore,
    async fn() {
      const ours = CANDIDATES.find(({ id }) => id === "ours")?.open(owner, "test_beside_pgbench");
      assert(ours);
      try {
        await using opened = await pgbenchCases(owner, ours);
        for (const { id, candidates } of opened.cases) {
          assertEquals(candidates.map((candidate) => candidate.id), ["pgbench", "ours"]);
          for (const { measure } of candidates) assert(((await measure()).perSecond ?? NaN) > 0, id);
        }
        await using failing = await pgbenchCases({ ...owner, password: "wrong" }, ours);
        await assertRejects(async () => await failing.cases[0]?.candidates[0]?.measure(), Error, "pgbench failed");
      } finally {
        await ours.close();
      }
    },
  });

  await t.step("TARGETS read cases and candidates that exist", async () => {
    const setups = CANDIDATES.map((candidate): Setup => {
      const idle = {
        one: () => Promise.resolve(1),
        twenty: () => Promise.resolve(20),
        transaction: () => Promise.resolve(3),
      };
      return { candidate, name: candidate.id, opened: { ...idle, close: () => Promise.resolve() } };
    });
    const latency = latencyCase(database, owner.port);
    const connections = connectionCases(database);
    const [setup] = setups;
    assert(setup);
    // It is not run.
    await using beside = await pgbenchCases(owner, setup.opened, "pgbench");
    const cases = [...throughputCases(setups, database), ...beside.cases, latency.case, ...connections.cases];
    const samples = new Samples();
    for (const { id, metrics, candidates } of cases) {
      for (const candidate of candidates) for (const metric of metrics) samples.add(id, candidate.id, metric, 7);
    }
    await latency.close();
    await connections.close();
    const targetTable = checkTargets(new MeasuredMetrics<Metric>(cases, samples, "perSecond"), TARGETS);
    assertEquals(targetTable.filter(({ met }) => met === undefined), []);
    assertEquals(targetTable.length, 1 + 5 * WORK.length + 5);
  });
});
