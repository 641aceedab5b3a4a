/** The extension by itself. tests/postgres/prisma/ runs it in a client of Prisma. */
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { MetricsCollector, metricsCollector, prismaMetrics } from "../../../shared/observability/mod.ts";

/** A lazy promise, as those of Prisma: it runs once its `then` is called. */
class LazyPromise<R> extends Promise<R> {
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }
  started = 0;
  override then<A = R, B = never>(
    fulfilled?: ((value: R) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    this.started++;
    return super.then(fulfilled, rejected);
  }
}

Deno.test("prismaMetrics() reports each operation, and returns or throws what it does", async () => {
  const collector = new MetricsCollector();
  const { query: { $allOperations } } = prismaMetrics(collector);
  const row = { id: 1n };
  assertStrictEquals(await $allOperations({ args: row, query: (args) => Promise.resolve(args) }), row);
  const error = new Error("P2002");
  const thrown = await assertRejects(() => $allOperations({ args: 0, query: () => Promise.reject(error) }));
  assertStrictEquals(thrown, error);
  const { count, failed } = collector.getMetrics().prisma.query;
  assertEquals([count, failed], [2, 1]);
});

Deno.test("prismaMetrics() reports to the collector of the isolate by default", async () => {
  const before = metricsCollector.getMetrics().prisma.query.count;
  await prismaMetrics().query.$allOperations({ args: {}, query: () => Promise.resolve(1) });
  assertEquals(metricsCollector.getMetrics().prisma.query.count, before + 1);
});

Deno.test("prismaMetrics() rejects with what query() throws, and reports it as a failure", async () => {
  const collector = new MetricsCollector();
  const error = new TypeError("before it ran");
  const operation = prismaMetrics(collector).query.$allOperations({
    args: {},
    query: (): Promise<number> => {
      throw error;
    },
  });
  assertStrictEquals(await assertRejects(() => operation), error);
  assertEquals(collector.getMetric("prisma.query.failed"), 1);
});

Deno.test("prismaMetrics() returns the result, and throws the error, when the collector throws or rejects", async () => {
  const collectors = [
    {
      trackPrismaQuery: () => {
        throw new Error("the collector");
      },
    },
    { trackPrismaQuery: () => Promise.reject(new Error("the collector, later")) },
  ];
  for (const collector of collectors) {
    const { query: { $allOperations } } = prismaMetrics(collector);
    assertEquals(await $allOperations({ args: {}, query: () => Promise.resolve("a row") }), "a row");
    const error = new Error("P2025");
    const thrown = await assertRejects(() => $allOperations({ args: {}, query: () => Promise.reject(error) }));
    assertStrictEquals(thrown, error);
  }
});

Deno.test("prismaMetrics() runs a lazy operation once, with the arguments that it got, and measures until it ends", async () => {
  const reports: [number, boolean][] = [];
  const extension = prismaMetrics({
    trackPrismaQuery: (durationMs, failed) => void reports.push([durationMs, failed]),
  });
  let end = (_: string) => {};
  const lazy = new LazyPromise<string>((resolve) => void (end = resolve));
  const args = { where: { balance: 2n ** 63n - 1n } };
  const got: unknown[] = [];
  const operation = extension.query.$allOperations({
    args,
    query: (given) => {
      got.push(given);
      return lazy;
    },
  });
  // Operations of one tick reach Prisma in that tick, which batches them.
  assertEquals([got.length, got[0] === args], [1, true]);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assertEquals([lazy.started, reports.length], [1, 0]);
  end("done");
  assertEquals(await operation, "done");
  assertEquals([lazy.started, got.length, reports.length, reports[0]?.[1]], [1, 1, 1, false]);
  assertEquals((reports[0]?.[0] ?? 0) >= 15, true, String(reports));
});

Deno.test("prismaMetrics() reports a duration and an outcome, and nothing of arguments, results and errors", async () => {
  const secret = "sb_secret_of_a_query";
  const reports: unknown[][] = [];
  const collector = new MetricsCollector();
  const extension = prismaMetrics({
    trackPrismaQuery: (...report) => {
      reports.push(report);
      collector.trackPrismaQuery(...report);
    },
  });
  const { $allOperations } = extension.query;
  const args = { strings: ["select "], values: [secret] };
  await $allOperations({ args, query: () => Promise.resolve([{ secret }]) });
  await assertRejects(() => $allOperations({ args, query: () => Promise.reject(new Error(secret)) }));
  assertEquals(reports.map((report) => report.map((value) => typeof value)), [["number", "boolean"], [
    "number",
    "boolean",
  ]]);
  assertEquals(JSON.stringify([reports, collector.getMetrics(), extension]).includes(secret), false);
});
