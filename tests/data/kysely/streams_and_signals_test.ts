import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { CompiledQuery, type Kysely, type KyselyPlugin } from "kysely";
import { kyselyOf, KyselyUnsupportedError, sql } from "../../../shared/data/mod.ts";
import { ConfigError } from "../../../shared/pool/mod.ts";
import { PooledConnection } from "../../../shared/data/kysely/connection.ts";
import { PostgresError, type QueryResult } from "../../../shared/postgres/mod.ts";
import { thrownBy } from "../../postgres/support.ts";
import { clear, leases, startDatabase, type Tables } from "./support.ts";

Deno.test("PooledConnection.cancelQuery() cancels the statement that runs, when an ignored one ends meanwhile", async () => {
  const results = [Promise.withResolvers<QueryResult>(), Promise.withResolvers<QueryResult>()];
  const signals: (AbortSignal | undefined)[] = [];
  const connection = new PooledConnection({
    query: (_text, _values, options) => {
      const result = results[signals.push(options?.signal) - 1];
      assert(result);
      return result.promise;
    },
    transaction: () => Promise.reject(new Error("not used")),
  }, undefined);
  const { signal } = new AbortController();
  const [ignored, running] = ["select 1", "select 2"].map((text) =>
    connection.executeQuery(CompiledQuery.raw(text), { signal })
  );
  const none: QueryResult = { rows: [], rowCount: 0, command: "SELECT", fields: [] };
  results[0]?.resolve(none);
  await ignored;
  await connection.cancelQuery();
  assertEquals(signals.map((one) => one?.aborted), [false, true]);
  results[1]?.resolve(none);
  await running;
});

Deno.test("kyselyOf() streams rows and obeys signals", async (t) => {
  const { database, admin } = await startDatabase();
  await using _database = database;
  const db = kyselyOf<Tables>(admin);

  await t.step("A signal cancels a running statement at the server, on one connection", async () => {
    const lone = database.manager({ maxConnections: 1 });
    const only = kyselyOf<Tables>(lone);
    const controller = new AbortController();
    const reason = new Error("left");
    const running = sql`select pg_sleep(30)`.execute(only, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 50);
    assertStrictEquals(await running.catch((error) => error), reason);
    assertEquals(await sql`select 1 as one`.execute(only).then(({ rows }) => rows), [{ one: 1 }]);
    assertEquals(lone.getStats().totalCreated, 1);
    const { rows } = await admin.query(
      "select count(*)::int as n from pg_stat_activity where query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()",
    );
    assertEquals(rows, [{ n: 0 }]);
  });

  await t.step("A signal in a transaction cancels its statement, and the transaction rolls back", async () => {
    const signal = AbortSignal.timeout(50);
    const error = await thrownBy(() =>
      db.transaction().execute(async (tx) => {
        await tx.insertInto("note").values({ id: 1, text: "a" }).execute();
        await sql`select pg_sleep(30)`.execute(tx, { signal });
      }), DOMException);
    assertStrictEquals(error, signal.reason);
    assertEquals(await db.selectFrom("note").selectAll().execute(), []);
    assertEquals(admin.getStats().activeConnections, 0);
  });

  await t.step(
    "A signal ends the wait for the statements before in a transaction, and its own is not sent",
    async () => {
      const turn = Promise.withResolvers<void>();
      await db.transaction().execute(async (tx) => {
        const before = sql`select pg_sleep(0.5)`.execute(tx).finally(turn.resolve);
        const signal = AbortSignal.timeout(20);
        const error = await tx.insertInto("note").values({ id: 1, text: "a" }).execute({ signal }).catch((error) =>
          error
        );
        assertStrictEquals(error, signal.reason);
        assertEquals(await Promise.race([turn.promise.then(() => "late"), Promise.resolve("at once")]), "at once");
        await before;
        assertEquals(await tx.selectFrom("note").select("id").execute(), []);
      });
    },
  );

  await t.step("A signal that aborts before a statement sends nothing", async () => {
    const reason = new Error("left");
    const signal = AbortSignal.abort(reason);
    const sent = await leases(admin, async () => {
      assertStrictEquals(await db.selectFrom("note").selectAll().execute({ signal }).catch((error) => error), reason);
      const inConnection = db.connection().execute(() => Promise.resolve(), { signal });
      assertStrictEquals(await inConnection.catch((error) => error), reason);
    });
    assertEquals(sent, 0);
  });

  await t.step(
    "inflightQueryAbortStrategy lets a statement run on if asked to, and kill session is rejected",
    async () => {
      const signal = AbortSignal.timeout(30);
      const insert = sql`with late as (select pg_sleep(0.1)) insert into note select 1, null, 'a' from late`;
      await assertRejects(
        () => insert.execute(db, { signal, inflightQueryAbortStrategy: "ignore query" }),
        DOMException,
      );
      while ((await db.selectFrom("note").select("id").execute()).length === 0) {
        await new Promise((r) => setTimeout(r, 10));
      }
      const options = { signal: new AbortController().signal, inflightQueryAbortStrategy: "kill session" } as const;
      const error = await thrownBy(() => insert.execute(db, options), KyselyUnsupportedError);
      assertEquals(error.code, "KYSELY_UNSUPPORTED");
      await clear(admin);
    },
  );

  await t.step("stream() reads by a cursor, in chunks, and ends its transaction when it is left", async () => {
    await admin.query("insert into note select n, null, n::text from generate_series(1, 25) n");
    const all: number[] = [];
    for await (const { id } of db.selectFrom("note").select("id").where("id", ">", 0).orderBy("id").stream(10)) {
      all.push(id);
    }
    assertEquals(all, Array.from({ length: 25 }, (_, index) => index + 1));
    for await (const { id } of db.selectFrom("note").select("id").orderBy("id").stream(10)) if (id === 3) break;
    await assertRejects(async () => {
      const failing = db.selectFrom("note").select(sql`1 / (3 - id)`.as("x"));
      for await (const _ of failing.stream(10)) continue;
    }, PostgresError);
    const changed: number[] = [];
    for await (const { id } of db.deleteFrom("note").where("id", "<=", 3).returning("id").stream(2)) changed.push(id);
    assertEquals(changed.length, 3);
    for (const chunkSize of [2 ** 31, Number.MAX_SAFE_INTEGER]) {
      const rest = await Array.fromAsync(db.selectFrom("note").select("id").stream(chunkSize));
      assertEquals(rest.length, 22);
    }
    for (const chunkSize of [0, -1, 1.5, NaN]) {
      const error = await thrownBy(async () => {
        for await (const _ of db.selectFrom("note").selectAll().stream(chunkSize)) continue;
      }, ConfigError);
      assertEquals(error.code, "CONFIG_INVALID");
    }
    assertEquals(admin.getStats().activeConnections, 0);
    const { rows } = await admin.query("select count(*)::int as n from pg_stat_activity where state like 'idle in%'");
    assertEquals(rows, [{ n: 0 }]);
    await clear(admin);
  });

  await t.step("stream() keeps what the rows that were read have changed when it is left early", async () => {
    await admin.query(`create function put(i int) returns int language sql as
      $$ insert into note values (i, null, 'put') returning id $$`);
    const put = sql<{ id: number }>`put(n) as id`;
    const query = db.selectFrom(sql<{ n: number }>`generate_series(1, 6)`.as("n")).select(put as never);
    for await (const _ of query.stream(2)) break;
    assertEquals((await db.selectFrom("note").select("id").orderBy("id").execute()).map(({ id }) => id), [1, 2]);
    const own = new Error("mine");
    const thrown = await assertRejects(async () => {
      for await (const _ of db.selectFrom("note").select("id").stream(1)) throw own;
    }, Error);
    assertStrictEquals(thrown, own);
    assertEquals(admin.getStats().activeConnections, 0);
    await admin.query("drop function put");
    await clear(admin);
  });

  await t.step("stream() reads the rows of statements that change rows, also in a WITH", async () => {
    const read = async <R>(rows: AsyncIterable<R>) => await Array.fromAsync(rows);
    const row = { id: 1, owner: null, text: "a" };
    assertEquals(await read(db.insertInto("note").values(row).returning("id").stream(1)), [{ id: 1 }]);
    assertEquals(await read(db.updateTable("note").set({ text: "b" }).stream(1)), []);
    const gone = db.with("gone", (qb) => qb.deleteFrom("note").returning("text")).selectFrom("gone").selectAll();
    assertEquals(await read(gone.stream(1)), [{ text: "b" }]);
  });

  await t.step(
    "stream() in a transaction rejects with the reason of a signal that aborts, and with what fails",
    async () => {
      await admin.query("insert into note select n, null, n::text from generate_series(1, 4) n");
      const reason = new Error("left");
      const read = async (tx: Kysely<Tables>, signal: AbortSignal, onRow = () => {}) => {
        for await (const _ of tx.selectFrom("note").select("id").stream({ chunkSize: 1, signal })) onRow();
      };
      await db.transaction().execute(async (tx) => {
        assertStrictEquals(await read(tx, AbortSignal.abort(reason)).catch((error) => error), reason);
        const controller = new AbortController();
        const reading = read(tx, controller.signal, () => controller.abort(reason));
        assertStrictEquals(await reading.catch((error) => error), reason);
        // Between two chunks nothing was under way: the transaction goes on.
        assertEquals((await tx.selectFrom("note").select("id").execute()).length, 4);
        const slow = new AbortController();
        setTimeout(() => slow.abort(reason), 20);
        const canceled = (async () => {
          for await (
            const _ of tx.selectFrom("note").select(sql`pg_sleep(10)`.as("x")).stream({
              chunkSize: 1,
              signal: slow.signal,
            })
          ) continue;
        })();
        assertStrictEquals(await canceled.catch((error) => error), reason);
      }).catch(() => {});
      assertEquals(admin.getStats().activeConnections, 0);
      await clear(admin);
    },
  );

  await t.step("A signal ends the wait for a connection, and the result of a plugin that comes too late", async () => {
    const lone = database.manager({ maxConnections: 1 });
    const only = kyselyOf<Tables>(lone);
    const reason = new Error("left");
    const held = await lone.lease();
    const waiting = new AbortController();
    setTimeout(() => waiting.abort(reason), 20);
    const wait = only.connection().execute(() => Promise.resolve(), { signal: waiting.signal });
    assertStrictEquals(await wait.catch((error) => error), reason);
    held[Symbol.dispose]();
    const late = new AbortController();
    const plugin: KyselyPlugin = {
      transformQuery: ({ node }) => node,
      transformResult: ({ result }) => {
        late.abort(reason);
        return Promise.resolve(result);
      },
    };
    const plugged = only.withPlugin(plugin).selectFrom("note").select("id").execute({ signal: late.signal });
    assertStrictEquals(await plugged.catch((error) => error), reason);
    assertEquals(
      await only.connection().execute((own) => own.selectFrom("note").select("id").execute(), {
        signal: new AbortController().signal,
      }),
      [],
    );
  });

  await t.step("stream() interleaves with statements of its transaction, and with another stream", async () => {
    await admin.query("insert into note select n, null, n::text from generate_series(1, 4) n");
    const read = await db.transaction().execute(async (tx) => {
      const pairs: string[] = [];
      for await (const one of tx.selectFrom("note").select("id").orderBy("id").stream(1)) {
        for await (const two of tx.selectFrom("note").select("id").where("id", "<=", 2).orderBy("id").stream(1)) {
          pairs.push(`${one.id}${two.id}`);
        }
        if (one.id === 2) break;
      }
      return pairs;
    });
    assertEquals(read, ["11", "12", "21", "22"]);
    await clear(admin);
  });

  await t.step("stream() ends when its signal aborts, and frees its connection", async () => {
    await admin.query("insert into note select n, null, n::text from generate_series(1, 4) n");
    const controller = new AbortController();
    const reason = new Error("left");
    const error = await (async () => {
      for await (const _ of db.selectFrom("note").selectAll().stream({ chunkSize: 1, signal: controller.signal })) {
        controller.abort(reason);
      }
    })().catch((error) => error);
    assertStrictEquals(error, reason);
    while (admin.getStats().activeConnections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await clear(admin);
  });
});
