import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ConnectionWrapper, Kysely, kyselyOf, PooledPostgresDialect, sql } from "../../../shared/data/mod.ts";
import { OutsideTransactionError, TransactionEndedError } from "../../../shared/postgres/mod.ts";
import { claimsOf, thrownBy } from "../../postgres/support.ts";
import { clear, startDatabase, type Tables } from "./support.ts";

const ALICE = claimsOf("00000000-0000-4000-8000-00000000000a");

Deno.test("The function of a Kysely transaction", async (t) => {
  const { database, admin } = await startDatabase();
  await using _database = database;
  const db = kyselyOf<Tables>(admin);
  const forms: [string, Kysely<Tables>][] = [
    ["kyselyOf()", db],
    ["withSchema()", db.withSchema("public")],
    [
      "withPlugin()",
      db.withPlugin({ transformQuery: ({ node }) => node, transformResult: ({ result }) => Promise.resolve(result) }),
    ],
    ["withoutPlugins()", db.withoutPlugins()],
  ];

  for (const [name, form] of forms) {
    await t.step(`${name}: work on the pool inside is rejected, and the transaction goes on`, async () => {
      await form.transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "a" }).execute();
        const error = await thrownBy(() => admin.query("select 1"), OutsideTransactionError);
        assertEquals(error.code, "OUTSIDE_TRANSACTION");
        await thrownBy(() => form.selectFrom("note").selectAll().execute(), OutsideTransactionError);
        await thrownBy(() => form.transaction().execute(() => Promise.resolve()), OutsideTransactionError);
        await admin.query("select 1", [], { outsideTransaction: true });
        assertEquals((await tx.selectFrom("note").select("id").execute()).length, 1);
      });
      assertEquals(admin.currentTransaction(), undefined);
      assertEquals((await form.selectFrom("note").select("id").execute()).length, 1);
      await clear(admin);
    });
  }

  await t.step("setIsolationLevel() and setAccessMode() change nothing of that", async () => {
    await db.transaction().setIsolationLevel("serializable").setAccessMode("read only").execute(async () => {
      await thrownBy(() => admin.query("select 1"), OutsideTransactionError);
    });
  });

  await t.step("db.query() and db.withTransaction() join it, until it has ended", async () => {
    const facade = new ConnectionWrapper(admin);
    const go = Promise.withResolvers<void>();
    let late: Promise<unknown> = Promise.resolve();
    const failed = db.transaction().execute(async (tx) => {
      await facade.query("insert into note values (1, null, 'joined')");
      await facade.withTransaction(() => facade.query("insert into note values (2, null, 'nested')"));
      assertEquals((await tx.selectFrom("note").select("id").execute()).length, 2);
      late = go.promise.then(() => facade.query("insert into note values (3, null, 'late')"));
      late.catch(() => {});
      throw new Error("undo");
    });
    assertEquals((await failed.catch((error) => error)).message, "undo");
    go.resolve();
    await thrownBy(() => late, TransactionEndedError);
    assertEquals(await db.selectFrom("note").selectAll().execute(), []);
  });

  await t.step("connection() is outside, before and after the transaction in it", async () => {
    await db.connection().execute(async (own) => {
      await admin.query("select 1");
      const running = own.transaction().execute(async (tx) => {
        await tx.selectFrom("note").select("id").execute();
        await thrownBy(() => admin.query("select 1"), OutsideTransactionError);
      });
      await admin.query("select 1");
      await running;
      await admin.query("select 1");
      const controlled = await own.startTransaction().execute();
      await admin.query("select 1");
      await controlled.commit().execute();
      await admin.query("select 1");
    });
  });

  await t.step("startTransaction() has no function, and marks nothing", async () => {
    const tx = await db.startTransaction().execute();
    await admin.query("select 1");
    await tx.rollback().execute();
    await admin.query("select 1");
  });

  await t.step("other callers are not affected, and the caller's own work is rejected", async () => {
    const login = database.manager({}, "authenticator");
    const alice = login.as(ALICE);
    await kyselyOf<Tables>(alice).transaction().execute(async (tx) => {
      await tx.selectFrom("note").select("id").execute();
      await thrownBy(() => alice.query("select 1"), OutsideTransactionError);
      await login.query("select 1");
      await admin.query("select 1");
    });
  });

  await t.step("kyselyOf(transaction) nests: the innermost transaction is the current one", async () => {
    await admin.transaction(async (outer) => {
      await kyselyOf<Tables>(outer).transaction().execute(async (tx) => {
        await tx.selectFrom("note").select("id").execute();
        const inner = admin.currentTransaction();
        assert(inner !== undefined && inner !== outer);
      });
      assertStrictEquals(admin.currentTransaction(), outer);
    });
  });

  await t.step("new Kysely({ dialect }) calls the function itself: it is not marked", async () => {
    // Kysely awaits the driver, and then calls the function in its own async context, which a driver cannot set without
    // setting that of the code around `transaction()` on `connection()`, too.
    const plain = new Kysely<Tables>({ dialect: new PooledPostgresDialect(admin) });
    await plain.transaction().execute(async (tx) => {
      const { rows: [own] } = await sql<{ xid: string }>`select pg_current_xact_id()::text as xid`.execute(tx);
      const { rows: [other] } = await admin.query("select pg_current_xact_id()::text as xid");
      assert(own?.xid !== other?.["xid"]);
      assertEquals(admin.currentTransaction(), undefined);
    });
  });
});
