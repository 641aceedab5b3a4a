import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { type Kysely } from "kysely";
import {
  ConnectionWrapper,
  kyselyOf,
  type KyselySource,
  KyselyUnsupportedError,
  sql,
} from "../../../shared/data/mod.ts";
import {
  ConnectionBrokenError,
  NestedTransactionOpenError,
  PostgresError,
  type PostgresQueries,
  TransactionEndedError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "../../../shared/postgres/mod.ts";
import { thrownBy } from "../../postgres/support.ts";
import { clear, startDatabase, type Tables } from "./support.ts";

Deno.test("transaction() throws an error of the commit that is frozen as it is", async () => {
  const frozen = Object.freeze(new Error("left"));
  const source = {
    query: () => Promise.reject(frozen),
    transaction: async (work: (tx: never) => unknown): Promise<never> => {
      await work({ rollback: () => Promise.resolve() } as never);
      throw frozen;
    },
  } as unknown as PostgresQueries;
  const thrown = await assertRejects(() => kyselyOf(source).transaction().execute(() => Promise.resolve()), Error);
  assertStrictEquals(thrown, frozen);
});
Deno.test("kyselyOf() runs transactions", async (t) => {
  const { database, admin } = await startDatabase();
  await using _database = database;
  const db = kyselyOf<Tables>(admin);

  await t.step("transaction() commits, rolls back, and passes isolation level and access mode on", async () => {
    await db.transaction().setIsolationLevel("serializable").setAccessMode("read only").execute(async (tx) => {
      const { rows } = await sql<Record<string, string>>`
        select current_setting('transaction_isolation') as level, current_setting('transaction_read_only') as read`
        .execute(tx);
      assertEquals(rows, [{ level: "serializable", read: "on" }]);
    });
    const mine = new Error("mine");
    const thrown = await thrownBy(() =>
      db.transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "a" }).execute();
        throw mine;
      }), Error);
    assertStrictEquals(thrown, mine);
    assertEquals(await db.selectFrom("note").selectAll().execute(), []);
    await thrownBy(
      () => db.transaction().setIsolationLevel("snapshot").execute(() => Promise.resolve()),
      KyselyUnsupportedError,
    );
    assertEquals(admin.getStats().activeConnections, 0);
  });

  await t.step("transaction() rejects when a statement failed and its error was caught", async () => {
    const error = await thrownBy(() =>
      db.transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "a" }).execute();
        await tx.insertInto("note").values({ id: 1, text: "a" }).execute().catch(() => {});
      }), TransactionRolledBackError);
    assertEquals((error.cause as PostgresError).code, "23505");
    assertEquals(await db.selectFrom("note").selectAll().execute(), []);
    assertEquals(admin.getStats().activeConnections, 0);
  });

  await t.step(
    "transaction() ends at the deadline of the options, and frees its connection while its function runs on",
    async () => {
      const bounded = kyselyOf<Tables>(admin, { transactions: { timeoutMs: 50 } });
      const { promise: held, resolve: end } = Promise.withResolvers<void>();
      let late: unknown;
      const outcome = bounded.transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "a" }).execute();
        await held;
        late = await tx.selectFrom("note").selectAll().execute().catch((error) => error);
        return "returned";
      });
      while (admin.getStats().activeConnections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      end();
      await assertRejects(() => outcome, TransactionTimeoutError);
      assert(late instanceof TransactionTimeoutError);
      assertEquals(await db.selectFrom("note").selectAll().execute(), []);
    },
  );

  await t.step("startTransaction() has savepoints, whose names are quoted", async () => {
    const tx = await db.startTransaction().execute();
    await tx.insertInto("note").values({ id: 1, text: "a" }).execute();
    const name = 'odd " name; drop table note';
    const inner = await tx.savepoint(name).execute();
    await inner.insertInto("note").values({ id: 1, text: "b" }).execute().catch(() => {});
    await inner.rollbackToSavepoint(name).execute();
    await inner.insertInto("note").values({ id: 2, text: "b" }).execute();
    await inner.releaseSavepoint(name).execute();
    await tx.commit().execute();
    assertEquals((await db.selectFrom("note").select("id").orderBy("id").execute()).map(({ id }) => id), [1, 2]);
    assertEquals(admin.getStats().activeConnections, 0);
    await clear(admin);
  });

  await t.step("startTransaction() releases its connection when COMMIT is refused, without a rollback()", async () => {
    await admin.query(
      "create table child (id int primary key, note int references note deferrable initially deferred)",
    );
    const tx = await db.startTransaction().execute();
    await sql`insert into child values (1, 99)`.execute(tx);
    const error = await thrownBy(() => tx.commit().execute(), PostgresError);
    assertEquals(error.code, "23503");
    assertEquals([tx.isRolledBack, admin.getStats().activeConnections], [true, 0]);
    await admin.query("drop table child");
  });

  await t.step("connection() keeps its session, in and between transactions", async () => {
    await db.connection().execute(async (own) => {
      await own.transaction().execute((tx) =>
        sql`create temp table picked on commit preserve rows as select 1 as id`.execute(tx)
      );
      const { rows } = await sql`select id from picked`.execute(own);
      assertEquals(rows, [{ id: 1 }]);
    });
    await assertRejects(() => sql`select id from picked`.execute(db), PostgresError);
  });

  await t.step("a statement that comes behind the end of its transaction is rejected, on every source", async () => {
    // Kysely waits for the log before it notes the end of a transaction.
    const log = () => new Promise<void>((resolve) => setTimeout(resolve, 30));
    const late = async (source: KyselySource) => {
      let late: Promise<unknown> = Promise.resolve();
      const undone = kyselyOf<Tables>(source, { log }).transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "undone" }).execute();
        late = new Promise((resolve) => setTimeout(resolve, 15))
          .then(() => tx.insertInto("note").values({ id: 2, text: "late" }).execute());
        late.catch(() => {});
        throw new RangeError("undo");
      });
      await assertRejects(() => undone, RangeError);
      await thrownBy(() => late, TransactionEndedError);
    };
    await late(admin);
    await late(new ConnectionWrapper(admin).queries);
    {
      await using connection = await admin.lease();
      await late(connection);
    }
    await admin.transaction((tx) => late(tx));
    assertEquals(await db.selectFrom("note").select("id").execute(), []);
  });

  await t.step("connection() that returns before the transaction in it closes its connection", async () => {
    const [begun, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let late: Promise<unknown> = Promise.resolve();
    const lone = database.manager({ maxConnections: 1 });
    const only = kyselyOf<Tables>(lone);
    await only.connection().execute(async (own) => {
      late = own.transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "left open" }).execute();
        begun.resolve();
        await go.promise;
        await tx.insertInto("note").values({ id: 2, text: "late" }).execute();
      });
      late.catch(() => {});
      await begun.promise;
    });
    await only.transaction().execute(async (tx) => {
      await tx.insertInto("note").values({ id: 3, text: "of another" }).execute();
      go.resolve();
      await thrownBy(() => late, ConnectionBrokenError);
    });
    assertEquals(await db.selectFrom("note").select("id").execute(), [{ id: 3 }]);
    await clear(admin);
  });

  await t.step("kyselyOf(transaction) joins the transaction, and nests as savepoints", async () => {
    await admin.transaction(async (tx) => {
      const joined = kyselyOf<Tables>(tx);
      await joined.insertInto("note").values({ id: 1, text: "a" }).execute();
      await joined.transaction().execute(async (inner) => {
        await inner.insertInto("note").values({ id: 1, text: "b" }).execute();
      }).catch(() => {});
      await joined.transaction().execute(async (inner) => {
        await inner.insertInto("note").values({ id: 2, text: "b" }).execute();
        await assertRejects(() => joined.selectFrom("note").selectAll().execute(), NestedTransactionOpenError);
      });
      const streamed: number[] = [];
      for await (const { id } of joined.selectFrom("note").select("id").orderBy("id").stream(1)) streamed.push(id);
      assertEquals(streamed, [1, 2]);
      await assertRejects(
        () => joined.transaction().setIsolationLevel("serializable").execute(() => Promise.resolve()),
        KyselyUnsupportedError,
      );
    });
    assertEquals((await db.selectFrom("note").select("id").execute()).length, 2);
    let kept: Kysely<Tables> | undefined;
    await admin.transaction((tx) => Promise.resolve(void (kept = kyselyOf<Tables>(tx))));
    await assertRejects(
      () => kept?.selectFrom("note").selectAll().execute() ?? Promise.resolve(),
      TransactionEndedError,
    );
    await clear(admin);
  });

  await t.step("kyselyOf(transaction) is retried with it after a serialization failure", async () => {
    let attempts = 0;
    await admin.transaction(async (tx) => {
      attempts++;
      await kyselyOf<Tables>(tx).insertInto("note").values({ id: attempts, text: "a" }).execute();
      if (attempts < 3) await tx.query("do $$ begin raise exception using errcode = '40001'; end $$");
    }, { retries: 3 });
    assertEquals([attempts, await db.selectFrom("note").select("id").execute()], [3, [{ id: 3 }]]);
    await clear(admin);
  });

  await t.step(
    "kyselyOf(connection) runs on a leased connection, and connection() needs a source that can lease",
    async () => {
      await using connection = await admin.lease();
      const own = kyselyOf<Tables>(connection);
      await sql`set statement_timeout = '7s'`.execute(own);
      const { rows } = await own.connection().execute((same) => sql`show statement_timeout`.execute(same));
      assertEquals(rows, [{ statement_timeout: "7s" }]);
      const queries: PostgresQueries = { query: admin.query.bind(admin), transaction: admin.transaction.bind(admin) };
      const unleased = kyselyOf<Tables>(queries);
      assertEquals(await unleased.transaction().execute((tx) => tx.selectFrom("note").selectAll().execute()), []);
      for await (const _ of unleased.selectFrom("note").selectAll().stream()) continue;
      const kept = unleased.connection().execute((same) => same.selectFrom("note").selectAll().execute());
      await assertRejects(() => kept, KyselyUnsupportedError);
    },
  );
});
