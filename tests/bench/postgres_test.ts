import { assert, assertEquals } from "@std/assert";
import { BARS } from "../../bench/postgres/bars.ts";
import { latencyCase, type Metric, type Stand, throughputCases, WORK } from "../../bench/postgres/cases.ts";
import { CONNECTIONS, CONTENDERS } from "../../bench/postgres/contenders.ts";
import { BenchDatabase } from "../../bench/postgres/database.ts";
import { LatencyProxy } from "../../bench/postgres/latency_proxy.ts";
import { judge } from "../../bench/support/bars.ts";
import { Figures } from "../../bench/support/figures.ts";
import { Samples } from "../../bench/support/rounds.ts";

Deno.test("the Postgres benchmark", async (t) => {
  await using database = await BenchDatabase.start();
  const { owner } = database;

  for (const contender of CONTENDERS) {
    await t.step(
      `${contender.title}: does the work of every case, on no more connections than it may have`,
      async () => {
        const name = `test_${contender.id}`;
        const session = contender.open(owner, name);
        try {
          assertEquals([await session.one(1), await session.twenty(1), await session.transaction(1)], [1, 20, 3]);
          database.watch(name);
          const rows = await Promise.all(Array.from({ length: 40 }, (_, n) => session.one(n + 1)));
          assertEquals(rows, new Array(40).fill(1));
          assert(await database.peak() <= CONNECTIONS);
        } finally {
          await session.close();
        }
      },
    );
  }

  await t.step("the proxy takes its time in both directions", async () => {
    await using proxy = new LatencyProxy(owner.host, owner.port, 20);
    const latency = latencyCase(database, proxy.port, 2);
    try {
      const figures: Record<string, number> = {};
      for (const { id, measure } of latency.case.entrants) {
        // The first time pays for connecting.
        await measure();
        figures[id] = (await measure()).p50Ms ?? NaN;
      }
      // One round trip of 40 ms each, but for those of three statements: how many these take is tested with the manager.
      for (const id of ["plain", "list", "user"]) assert((figures[id] ?? NaN) >= 38, JSON.stringify(figures));
      for (const id of ["three_plain", "transaction", "user_transaction"]) {
        assert((figures[id] ?? NaN) >= 115, JSON.stringify(figures));
      }
    } finally {
      await latency.close();
    }
  });

  await t.step("every bar asks for what is measured", async () => {
    const stands = CONTENDERS.map((contender): Stand => {
      const idle = {
        one: () => Promise.resolve(1),
        twenty: () => Promise.resolve(20),
        transaction: () => Promise.resolve(3),
      };
      return { contender, name: contender.id, session: { ...idle, close: () => Promise.resolve() } };
    });
    const latency = latencyCase(database, owner.port);
    const cases = [...throughputCases(stands, database), latency.case];
    const samples = new Samples();
    for (const { id, metrics, entrants } of cases) {
      for (const entrant of entrants) for (const metric of metrics) samples.add(id, entrant.id, metric, 7);
    }
    await latency.close();
    const verdicts = judge(new Figures<Metric>(cases, samples, "perSecond"), BARS);
    assertEquals(verdicts.filter(({ holds }) => holds === undefined), []);
    assertEquals(verdicts.length, 1 + 4 * WORK.length + 2);
  });
});
