/** Giving up, trying again and misusing a transaction. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  PostgresConnectionManager,
  PostgresError,
  QueryTimeoutError,
  StatementError,
  TransactionEndedError,
  TransactionOpenError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "../../shared/postgres/mod.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { pause } from "./chaos/rig.ts";
import { claimsOf, loneExecutor, TestDatabase, thrownBy } from "./support.ts";

const USER = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";

/** An error with the SQLSTATE of a serialization failure. */
const conflict = () => Object.assign(new Error("another one was in the way"), { code: "40001" });

Deno.test("transaction() limits", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  await admin.query("create table number (n int)");
  const one = () => database.manager({ maxConnections: 1 });
  const numbers = async (manager: PostgresConnectionManager = admin) =>
    (await manager.query("select n from number order by n")).rows.map(({ n }) => n);
  const empty = () => admin.query("truncate number");

  await t.step("transaction() cancels what runs when it is aborted, whatever was aborted before", async () => {
    const manager = one();
    const given = new AbortController();
    const started = performance.now();
    const work = manager.transaction((tx) => {
      setTimeout(() => given.abort(new RangeError("mine")), 60);
      return Promise.all([tx.query("select pg_sleep(60)"), tx.query("select 1", [], { timeoutMs: 20 })]);
    }, { signal: given.signal });
    await thrownBy(() => work, RangeError);
    assert(performance.now() - started < 30_000, "it ran to its end");
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
    assertEquals(manager.getStats().totalCreated, 1);
  });

  await t.step("transaction() cancels a failed nested transaction's statement, and continues", async () => {
    const manager = one();
    const started = performance.now();
    let late: Promise<unknown> = Promise.resolve();
    await manager.transaction(async (tx) => {
      await tx.query("insert into number values (1)");
      await thrownBy(() =>
        tx.transaction((nested) =>
          nested.transaction(async (inner) => {
            await inner.query("insert into number values (2)");
            late = inner.query("select pg_sleep(60)").catch((error) => error);
            await pause(20);
            throw new RangeError("inner");
          })
        ), RangeError);
      await tx.query("insert into number values (3)");
    });
    assert(performance.now() - started < 30_000, "it ran to its end");
    assert(await late instanceof TransactionEndedError);
    assertEquals([await numbers(manager), manager.getStats().totalCreated], [[1, 3], 1]);
    await empty();
  });

  await t.step("transaction() keeps a late cancel request of an unawaited statement from later ones", async () => {
    let sent = false;
    const text = "select pg_sleep(0.06)";
    await using lone = loneExecutor(database, async ({ processId }) => {
      // The statement is through by itself before the request comes.
      const runs = "select from pg_stat_activity where pid = $1 and query = $2 and state = 'active'";
      while ((await admin.query(runs, [processId, text])).rows.length > 0) await pause(5);
      await pause(100);
      await admin.query("select pg_cancel_backend($1)", [processId]);
      return sent = true;
    });
    await using connection = await lone.lease();
    await connection.transaction(async (tx) => {
      await tx.query("insert into number values (1)");
      tx.query(text, [], { timeoutMs: 30 }).catch(() => {});
      await pause(40);
    });
    assertEquals(await numbers(), [1]);
    await connection.transaction((tx) => tx.query("select pg_sleep(0.2)"));
    assertEquals(sent, true);
    await empty();
  });

  await t.step("query() resends a cancel request that came too early", async () => {
    let requests = 0;
    await using lone = loneExecutor(database, async ({ processId }) => {
      if (++requests > 2) await admin.query("select pg_cancel_backend($1)", [processId]);
      return true;
    });
    const started = performance.now();
    await thrownBy(() => lone.executor.query("select pg_sleep(60)", [], { timeoutMs: 20 }), QueryTimeoutError);
    assert(performance.now() - started < 30_000, "it went on");
    assertEquals((await lone.executor.query("select 1 as n")).rows, [{ n: 1 }]);
  });

  await t.step("as().transaction() runs nothing when it is aborted while the role is set", async () => {
    const { host, port } = database.options();
    await using proxy = await TcpProxy.start({ host, port });
    const text = "select nextval('begun'), pg_sleep(60)";
    await admin.query("create sequence begun");
    await admin.query("grant usage on sequence begun to authenticated");
    for (const form of ["query", "list", "function"]) {
      const manager = database.manager(
        { port: proxy.port, maxConnections: 1, cancelTimeoutMs: 60_000 },
        "authenticator",
      );
      (await manager.lease()).release();
      // A cancel request takes longer than the question it is for.
      proxy.latencyMs = 30;
      const given = new AbortController();
      const { signal } = given;
      setTimeout(() => given.abort(new RangeError("mine")), 15);
      const queries = manager.as(claimsOf(USER));
      const started = performance.now();
      await thrownBy(() => {
        if (form === "query") return queries.query(text, [], { signal });
        if (form === "list") return queries.transaction([{ query: text }], { signal });
        return queries.transaction((tx) => tx.query(text), { signal });
      }, RangeError);
      assert(performance.now() - started < 30_000, `${form} took ${performance.now() - started} ms`);
      proxy.latencyMs = 0;
      assertEquals((await admin.query("select is_called from begun")).rows, [{ is_called: false }]);
    }
  });

  await t.step("transaction() bounds all attempts by timeoutMs, and reports it", async () => {
    const manager = one();
    const started = performance.now();
    const error = await thrownBy(() =>
      manager.transaction(async (tx) => {
        await tx.query("select 1");
        await pause(90);
        throw conflict();
      }, { retries: 100, timeoutMs: 200 }), Error);
    assert(performance.now() - started < 8_000, `it took ${performance.now() - started} ms`);
    // It was over in the middle of an attempt, or between two of them.
    assert(error instanceof TransactionTimeoutError || error.message === conflict().message, error.message);
    if (error instanceof TransactionTimeoutError) assertStringIncludes(error.message, " 200 ms");
  });

  await t.step("transaction() does not run again after a commit, whatever is thrown after that", async () => {
    const manager = one();
    await thrownBy(() =>
      manager.transaction(async (tx) => {
        await tx.query("insert into number values (1)");
        await tx.commit();
        throw conflict();
      }, { retries: 3 }), Error);
    assertEquals(await numbers(), [1]);
    await empty();
  });

  await t.step("transaction() retries a conflict that its function caught", async () => {
    const manager = one();
    let runs = 0;
    const result = await manager.transaction(async (tx) => {
      runs++;
      const text = runs < 3 ? "do $$ begin raise 'conflict' using errcode = '40001'; end $$" : "select 1";
      await tx.query(text).catch(() => {});
      return "through";
    }, { retries: 3 });
    assertEquals([result, runs], ["through", 3]);
  });

  await t.step("transaction() retries a conflict at COMMIT, in a new transaction each time", async () => {
    const manager = one();
    await admin.query("create sequence attempt");
    await admin.query(
      "create function conflicts() returns trigger language plpgsql as $$ begin " +
        "if nextval('attempt') < 3 then raise 'conflict' using errcode = '40P01'; end if; return null; end $$",
    );
    await admin.query(
      "create constraint trigger late after insert on number deferrable initially deferred " +
        "for each row execute function conflicts()",
    );
    const lists = [
      () => manager.transaction([{ query: "insert into number values (1)" }], { retries: 5 }),
      () => manager.transaction((tx) => tx.query("insert into number values (2)"), { retries: 5 }),
    ];
    for (const list of lists) {
      await admin.query("alter sequence attempt restart");
      await list();
    }
    assertEquals(await numbers(), [1, 2]);
    await admin.query("drop trigger late on number");
    await empty();
  });

  await t.step("PostgresConnection.transaction() rejects a second transaction and statements beside it", async () => {
    await using connection = await admin.lease();
    await connection.transaction(async (tx) => {
      await tx.query("insert into number values (1)");
      await thrownBy(() => connection.transaction(() => {}), TransactionOpenError);
      await thrownBy(() => connection.query("insert into number values (2)"), TransactionOpenError);
      await tx.rollback();
    });
    await connection.query("begin");
    await connection.query("insert into number values (3)");
    await thrownBy(() => connection.transaction(() => {}), TransactionOpenError);
    await connection.query("rollback");
    await connection.transaction((tx) => tx.query("insert into number values (4)"));
    assertEquals(await numbers(), [4]);
    await empty();
  });

  await t.step("transaction() keeps its connection when a nested transaction runs after a failure", async () => {
    const manager = one();
    const errors: Error[] = [];
    manager.on("error", ({ error }) => errors.push(error));
    for (const keep of [true, false]) {
      await thrownBy(() =>
        manager.transaction(async (tx) => {
          await tx.query("select 1 / 0").catch(() => {});
          const nested = tx.transaction((own) => own.transaction((inner) => inner.query("select 1")));
          await (keep ? nested.catch(() => {}) : nested);
        }), keep ? TransactionRolledBackError : PostgresError);
    }
    // One that has failed itself is undone, however many are in it.
    await manager.transaction(async (tx) => {
      await tx.query("insert into number values (1)");
      const nested = tx.transaction((own) => own.transaction((inner) => inner.query("select 1 / 0")));
      await thrownBy(() => nested, PostgresError);
      await tx.query("insert into number values (2)");
    });
    assertEquals([await numbers(manager), errors, manager.getStats().totalCreated], [[1, 2], [], 1]);
    await empty();
  });

  await t.step("tx.query() throws ConfigError for a bad timeoutMs", async () => {
    for (const timeoutMs of [NaN, 0, -5, "5" as unknown as number]) {
      await thrownBy(() => admin.transaction((tx) => tx.query("select 1", [], { timeoutMs })), ConfigError);
    }
  });

  await t.step("transaction() does not begin when its signal has aborted", async () => {
    await using connection = await admin.lease();
    let began = false;
    const signal = AbortSignal.abort(new RangeError("mine"));
    const begin = () => {
      began = true;
    };
    await thrownBy(() => connection.transaction(begin, { signal }), RangeError);
    await thrownBy(() => admin.transaction(begin, { signal, retries: 3 }), Error);
    assertEquals(began, false);
  });

  await t.step(
    "transaction() throws StatementError for what is not a list of statements, without a connection",
    async () => {
      const lists: unknown[] = [
        null,
        undefined,
        "select 1",
        {},
        [null],
        ["select 1"],
        [{ query: "insert into number values (1)" }, {}],
        [{ query: "insert into number values (1)" }, { query: 5 }],
        [{ query: "insert into number values (1)" }, { query: "select 1", values: "ab" }],
        Object.assign(new Array<unknown>(2), { 0: { query: "insert into number values (1)" } }),
      ];
      for (const list of lists) {
        await thrownBy(() => admin.transaction(list as []), StatementError);
      }
      assertEquals([await numbers(), admin.getStats().activeConnections], [[], 0]);
    },
  );

  await t.step(
    "as().transaction() ends at timeoutMs when the connection goes silent while the role is set",
    async () => {
      const { host, port } = database.options();
      await using proxy = await TcpProxy.start({ host, port });
      const connect = () => database.manager({ port: proxy.port, maxConnections: 1 }, "authenticator");
      const work = [
        (manager: PostgresConnectionManager) => manager.as(claimsOf(USER)).query("select 1", [], { timeoutMs: 50 }),
        (manager: PostgresConnectionManager) =>
          manager.as(claimsOf(USER)).transaction((tx) => tx.query("select 1"), { timeoutMs: 50 }),
      ];
      for (const run of work) {
        // A connection used as the login role is reset first; the login role of a new one is checked first.
        for (const used of [true, false]) {
          const manager = connect();
          if (used) await manager.query("select 1");
          else (await manager.lease()).release();
          proxy.stall();
          const started = performance.now();
          await thrownBy(() => run(manager), Error);
          assert(performance.now() - started < 20_000, `it took ${performance.now() - started} ms`);
          proxy.resume();
          assertEquals((await manager.as(claimsOf(USER)).query("select 1 as n")).rows, [{ n: 1 }]);
        }
      }
    },
  );
});
