import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CompiledQuery, Kysely, type KyselyPlugin } from "kysely";
import { kyselyOf, KyselyUnsupportedError, PooledPostgresDialect } from "../../../shared/data/mod.ts";
import { PooledConnection } from "../../../shared/data/kysely/connection.ts";
import { OpenTransaction } from "../../../shared/data/kysely/open_transaction.ts";
import type { Statements } from "../../../shared/data/kysely/source.ts";
import {
  CommitOutcomeUnknownError,
  type PostgresConnection,
  type PostgresQueries,
  type QueryResult,
  type Transaction,
  TransactionEndedError,
} from "../../../shared/postgres/mod.ts";

const NONE: QueryResult = { rows: [], rowCount: 0, command: "SELECT", fields: [] };

/** A source whose transactions end as `end` does once their function has returned. */
function scripted(
  end: () => Promise<never> | void = () => {},
  query: Statements["query"] = () => Promise.resolve(NONE),
) {
  const transaction = { query, ended: false, rollback: () => Promise.resolve() };
  return {
    query,
    transaction: async <T>(work: (tx: Transaction) => PromiseLike<T> | T): Promise<T> => {
      const result = await work(transaction as unknown as Transaction);
      transaction.ended = true;
      await end();
      return result;
    },
  } satisfies Statements;
}

Deno.test("PooledConnection.begin() rejects a transaction inside one that is open", async () => {
  const connection = new PooledConnection(scripted(), undefined);
  await connection.begin({});
  await assertRejects(() => connection.begin({}), KyselyUnsupportedError, "use a savepoint");
  await connection.rollback();
  await connection.begin({});
  await connection.commit();
});

Deno.test("PooledConnection.commit() releases the connection when the outcome is unknown", async () => {
  let released = 0;
  const lease = { [Symbol.dispose]: () => void released++ } as unknown as PostgresConnection;
  const source = scripted(() => Promise.reject(new CommitOutcomeUnknownError(new Error("closed"))));
  const connection = new PooledConnection(source, lease);
  await connection.begin({});
  await assertRejects(() => connection.commit(), CommitOutcomeUnknownError);
  assertEquals(released, 1);
});

Deno.test("PooledConnection.savepoint() rejects names that Postgres cannot have, and passes on what fails", async () => {
  const failure = new Error("no such savepoint");
  const connection = new PooledConnection(scripted(undefined, () => Promise.reject(failure)), undefined);
  for (const name of ["", "a\0b", 7 as unknown as string]) {
    await assertRejects(() => connection.savepoint("savepoint", name), KyselyUnsupportedError);
  }
  assertStrictEquals(await connection.savepoint("release", "one").catch((error) => error), failure);
});

Deno.test("PooledConnection.run() passes on what is thrown and is not an Error", async () => {
  const connection = new PooledConnection(scripted(undefined, () => Promise.reject("words")), undefined);
  assertEquals(await connection.run(CompiledQuery.raw("select 1")).catch((error) => error), "words");
});

Deno.test("OpenTransaction.ended is true once it has ended, by itself or by a failure", async () => {
  const ending = await OpenTransaction.begin(scripted(), {});
  assertEquals(ending.ended, false);
  await ending.commit();
  assertEquals(ending.ended, true);
  const failing = await OpenTransaction.begin(scripted(() => Promise.reject(new Error("deadline"))), {});
  await failing.rollback();
  assertEquals(failing.ended, true);
});

Deno.test("PooledConnection.forFunction() rejects what comes behind the end of a transaction, and its own goes on", async () => {
  const connection = new PooledConnection(scripted(), undefined);
  const own = connection.forFunction({});
  await own.begin({});
  assertStrictEquals(own.forFunction({}), own);
  await own.run(CompiledQuery.raw("select 1"));
  await own.rollback();
  assertStrictEquals(own.forFunction({}), own);
  await assertRejects(() => own.run(CompiledQuery.raw("select 1")), TransactionEndedError);
  await assertRejects(() => own.savepoint("savepoint", "one"), TransactionEndedError);
  await assertRejects(() => own.streamQuery(CompiledQuery.raw("select 1"), 1).next(), TransactionEndedError);
  await connection.run(CompiledQuery.raw("select 1"));
});

Deno.test("kyselyOf() applies plugins in the order in which they were added", async () => {
  const seen: string[] = [];
  const plugin = (name: string): KyselyPlugin => ({
    transformQuery: ({ node }) => node,
    transformResult: ({ result }) => {
      seen.push(name);
      return Promise.resolve(result);
    },
  });
  const executor = kyselyOf(scripted() as unknown as PostgresQueries).getExecutor()
    .withPlugins([plugin("one"), plugin("two")]);
  await executor.executeQuery(CompiledQuery.raw("select 1"));
  assertEquals(seen, ["one", "two"]);
});

Deno.test("PooledPostgresDialect cancels a statement whose signal aborts, where Kysely is asked for that", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const source = scripted(undefined, (_text, _values, options) => {
    const signal = options?.signal;
    signals.push(signal);
    return new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  });
  const lease = { ...source, [Symbol.dispose]: () => {} } as unknown as PostgresConnection;
  const db = new Kysely({
    dialect: new PooledPostgresDialect(
      { ...source, lease: () => Promise.resolve(lease) } as unknown as PostgresQueries,
    ),
  });
  const controller = new AbortController();
  const running = db.executeQuery(CompiledQuery.raw("select 1"), {
    signal: controller.signal,
    inflightQueryAbortStrategy: "cancel query",
  });
  setTimeout(() => controller.abort(new Error("left")), 5);
  await assertRejects(() => running, Error, "left");
  assert(signals[0]?.aborted);
});
