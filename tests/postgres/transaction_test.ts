import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import {
  NestedTransactionOpenError,
  PostgresConnectionManager,
  PostgresError,
  Transaction,
  TransactionEndedError,
  TransactionRolledBackError,
  TransactionTimeoutError,
} from "../../shared/postgres/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

/** The numbers in the table `number`, in order. */
async function numbers(manager: PostgresConnectionManager): Promise<unknown[]> {
  const { rows } = await manager.query("select n from number order by n");
  return rows.map(({ n }) => n);
}

const insert = (transaction: Transaction, n: number) => transaction.query("insert into number values ($1)", [n]);

Deno.test("manager.transaction()", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager();
  await manager.query("create table number (n int primary key)");
  const empty = () => manager.query("truncate number");

  await t.step("transaction() commits when its function returns, and resolves with its result", async () => {
    assertEquals(await manager.transaction(async (tx) => (await insert(tx, 1)).rowCount), 1);
    assertEquals(await numbers(manager), [1]);
    await empty();
  });

  await t.step("transaction() rolls back and rejects with what its function throws", async () => {
    const error = new Error("mine");
    const thrown = await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        throw error;
      }), Error);
    assertStrictEquals(thrown, error);
    assertEquals(await numbers(manager), []);
  });

  await t.step(
    "query() of a transaction cancels a statement whose signal aborts, and sends none afterwards",
    async () => {
      const reason = new Error("left");
      const controller = new AbortController();
      const thrown = await thrownBy(() =>
        manager.transaction(async (tx) => {
          await insert(tx, 1);
          setTimeout(() => controller.abort(reason), 50);
          await tx.query("select pg_sleep(30)", [], { signal: controller.signal });
        }), Error);
      assertStrictEquals(thrown, reason);
      const untouched = manager.transaction(async (tx) => {
        const aborted = await tx.query("insert into number values (7)", [], { signal: controller.signal })
          .catch((error) => error);
        assertStrictEquals(aborted, reason);
        await insert(tx, 2);
      });
      await untouched;
      assertEquals(await numbers(manager), [2]);
      await empty();
    },
  );

  await t.step("transaction() rolls back earlier statements when one fails", async () => {
    const error = await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        await insert(tx, 1);
      }), PostgresError);
    assertEquals(error.code, "23505");
    assertEquals(await numbers(manager), []);
  });

  await t.step("transaction() rejects with TransactionRolledBackError when its function caught an error", async () => {
    const error = await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        await insert(tx, 1).catch(() => {});
        return "fine";
      }), TransactionRolledBackError);
    assertEquals((error.cause as PostgresError).code, "23505");
    assertEquals(await numbers(manager), []);
  });

  await t.step("tx.transaction() is a savepoint at any depth", async () => {
    await manager.transaction(async (tx) => {
      await insert(tx, 1);
      await tx.transaction(async (second) => {
        await insert(second, 2);
        await second.transaction((third) => insert(third, 3));
        await thrownBy(() =>
          second.transaction(async (third) => {
            await insert(third, 4);
            await third.transaction((fourth) => insert(fourth, 5));
            await insert(third, 4);
          }), PostgresError);
        await insert(second, 6);
      });
      await thrownBy(() =>
        tx.transaction(async (second) => {
          await insert(second, 7);
          throw new RangeError("undone");
        }), RangeError);
      await insert(tx, 8);
    });
    assertEquals(await numbers(manager), [1, 2, 3, 6, 8]);
    await empty();
  });

  await t.step("tx.transaction() undoes itself when its function caught an error", async () => {
    await manager.transaction(async (tx) => {
      await insert(tx, 1);
      await thrownBy(() =>
        tx.transaction(async (nested) => {
          await insert(nested, 2);
          await insert(nested, 2).catch(() => {});
        }), TransactionRolledBackError);
      await insert(tx, 3);
    });
    assertEquals(await numbers(manager), [1, 3]);
    await empty();
  });

  await t.step("tx.query() rejects while a nested transaction is open", async () => {
    await manager.transaction(async (tx) => {
      await tx.transaction(async (nested) => {
        await thrownBy(() => insert(tx, 1), NestedTransactionOpenError);
        await thrownBy(() => tx.commit(), NestedTransactionOpenError);
        await thrownBy(() => tx.transaction(() => {}), NestedTransactionOpenError);
        await insert(nested, 2);
      });
      await insert(tx, 3);
    });
    assertEquals(await numbers(manager), [2, 3]);
    await empty();
  });

  await t.step("tx.query() rejects after the end, also when it was not awaited", async () => {
    let late: Promise<unknown> = Promise.resolve();
    await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        late = tx.transaction(async (nested) => {
          await nested.query("select pg_sleep(0.05)");
          await insert(nested, 2);
        }).catch((error) => error);
      }), NestedTransactionOpenError);
    assert(await late instanceof Error);
    assertEquals(await numbers(manager), []);
  });

  await t.step("tx.commit() and tx.rollback() end the transaction", async () => {
    const result = await manager.transaction(async (tx) => {
      await insert(tx, 1);
      await tx.commit();
      assertEquals(tx.ended, true);
      assertEquals(await numbers(manager), [1]);
      await thrownBy(() => insert(tx, 2), TransactionEndedError);
      await thrownBy(() => tx.commit(), TransactionEndedError);
      await thrownBy(() => tx.rollback(), TransactionEndedError);
      return "committed";
    });
    assertEquals(result, "committed");
    assertEquals(
      await manager.transaction(async (tx) => {
        await insert(tx, 2);
        await tx.transaction(async (nested) => {
          await insert(nested, 3);
          await nested.rollback();
        });
        assertEquals((await tx.query("select count(*)::int as n from number")).rows, [{ n: 2 }]);
        await tx.rollback();
        return "rolled back";
      }),
      "rolled back",
    );
    assertEquals(await numbers(manager), [1]);
    await empty();
  });

  await t.step("tx.commit() is not undone by a later throw", async () => {
    await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        await tx.commit();
        throw new RangeError("late");
      }), RangeError);
    assertEquals(await numbers(manager), [1]);
    await empty();
  });

  await t.step("transaction() sends nothing without a statement", async () => {
    const before = manager.getStats().transactions.committed;
    assertEquals(await manager.transaction(() => 5), 5);
    await manager.transaction((tx) => tx.transaction(() => {}));
    assertEquals(manager.getStats().transactions.committed, before + 2);
  });

  await t.step("transaction() has the requested isolation, access mode and limits, for itself only", async () => {
    const settings = ["transaction_isolation", "transaction_read_only", "transaction_deferrable", "statement_timeout"];
    settings.push("idle_in_transaction_session_timeout");
    const shown = settings.map((name) => `current_setting('${name}') as ${name}`).join(", ");
    const inside = await manager.transaction(async (tx) => (await tx.query(`select ${shown}`)).rows[0], {
      isolationLevel: "serializable",
      readOnly: true,
      deferrable: true,
      statementTimeoutMs: 1_234,
      idleInTransactionSessionTimeoutMs: 5_000,
    });
    assertEquals(inside, {
      transaction_isolation: "serializable",
      transaction_read_only: "on",
      transaction_deferrable: "on",
      statement_timeout: "1234ms",
      idle_in_transaction_session_timeout: "5s",
    });
    assertEquals((await manager.query(`select ${shown}`)).rows[0], {
      transaction_isolation: "read committed",
      transaction_read_only: "off",
      transaction_deferrable: "off",
      statement_timeout: "0",
      idle_in_transaction_session_timeout: "0",
    });
  });

  await t.step("transaction() lists bad options, and runs nothing", async () => {
    const error = await thrownBy(() =>
      manager.transaction((tx) => insert(tx, 1), {
        isolationLevel: "read committed; drop table number" as "serializable",
        readOnly: "no" as unknown as boolean,
        deferrable: null as unknown as boolean,
        statementTimeoutMs: -1,
        idleInTransactionSessionTimeoutMs: 0.5,
      }), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), [
      "isolationLevel",
      "readOnly",
      "deferrable",
      "statementTimeoutMs",
      "idleInTransactionSessionTimeoutMs",
    ]);
    assertEquals(await numbers(manager), []);
  });

  await t.step("transaction() fails at statementTimeoutMs of the server", async () => {
    const error = await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        await tx.query("select pg_sleep(10)");
      }, { statementTimeoutMs: 20 }), PostgresError);
    assertEquals(error.code, "57014");
    assertEquals(await numbers(manager), []);
  });

  await t.step("transaction() commits a list as a whole, with one result per statement", async () => {
    const results = await manager.transaction([
      { query: "insert into number values ($1), ($2)", values: [1, 2] },
      { query: "select n from number order by n" },
      { query: "delete from number where n = $1 returning n", values: [1] },
    ]);
    assertEquals(results.map(({ command, rowCount, rows }) => [command, rowCount, rows]), [
      ["INSERT", 2, []],
      ["SELECT", 2, [{ n: 1 }, { n: 2 }]],
      ["DELETE", 1, [{ n: 1 }]],
    ]);
    await thrownBy(() =>
      manager.transaction([
        { query: "insert into number values (3)" },
        { query: "insert into number values (2)" },
        { query: "insert into number values (4)" },
      ]), PostgresError);
    assertEquals(await numbers(manager), [2]);
    assertEquals(await manager.transaction([]), []);
    await empty();
  });

  await t.step("transaction() rejects at COMMIT for a deferred constraint, and keeps nothing", async () => {
    await manager.query("create table child (n int references number (n) deferrable initially deferred)");
    for (
      const work of [
        () => manager.transaction((tx) => tx.query("insert into child values (99)")),
        () => manager.transaction([{ query: "insert into child values (99)" }]),
      ]
    ) assertEquals((await thrownBy(work, PostgresError)).code, "23503");
    assertEquals((await manager.query("select from child")).rowCount, 0);
    await manager.query("drop table child");
  });

  await t.step("transaction() succeeds after a conflict with retries, and rejects without", async () => {
    await manager.query("create table account (id int primary key, cents int)");
    await manager.query("insert into account values (1, 0)");
    let runs = 0;
    const deposit = (retries: number) =>
      manager.transaction(async (tx) => {
        runs++;
        const { rows } = await tx.query<{ cents: number }>("select cents from account where id = 1");
        await tx.query("select pg_sleep(0.02)");
        await tx.query("update account set cents = $1 where id = 1", [(rows[0]?.cents ?? NaN) + 1]);
      }, { isolationLevel: "serializable", retries });
    await Promise.all([deposit(20), deposit(20), deposit(20), deposit(20)]);
    assertEquals((await manager.query("select cents from account")).rows, [{ cents: 4 }]);
    assert(runs > 4, `they did not conflict: ${runs} runs`);
    const outcomes = await Promise.allSettled([deposit(0), deposit(0), deposit(0)]);
    const refused = outcomes.filter((outcome) => outcome.status === "rejected").map(({ reason }) => reason.code);
    assert(refused.length > 0 && refused.every((code) => code === "40001"), String(refused));
  });

  await t.step("transaction() retries the loser of a deadlock", async () => {
    await manager.query("insert into account values (2, 0), (3, 0)");
    await manager.query("alter role supabase_admin set deadlock_timeout = '20ms'");
    const other = database.manager();
    const swap = (first: number, second: number) =>
      other.transaction(async (tx) => {
        await tx.query("update account set cents = cents + 1 where id = $1", [first]);
        await tx.query("select pg_sleep(0.03)");
        await tx.query("update account set cents = cents + 1 where id = $1", [second]);
      }, { retries: 5 });
    await Promise.all([swap(2, 3), swap(3, 2)]);
    assertEquals((await manager.query("select cents from account where id > 1")).rows, [{ cents: 2 }, { cents: 2 }]);
    assert(other.getStats().transactions.rolledBack > 0, "there was no deadlock");
  });

  await t.step("transaction() rolls back at timeoutMs, whatever its function waits for", async () => {
    const { promise: never } = Promise.withResolvers<never>();
    const started = performance.now();
    await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        await never;
      }, { timeoutMs: 50 }), TransactionTimeoutError);
    await thrownBy(() =>
      manager.transaction(async (tx) => {
        await insert(tx, 1);
        await tx.query("select pg_sleep(60)");
      }, { timeoutMs: 50 }), TransactionTimeoutError);
    assert(performance.now() - started < 30_000);
    assertEquals(await numbers(manager), []);
    const { rows } = await manager.query(
      "select from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()",
    );
    assertEquals(rows.length, 0);
  });

  await t.step("getStats() counts transactions and their durations", async () => {
    const before = manager.getStats().transactions;
    await manager.transaction((tx) => tx.query("select pg_sleep(0.03)"));
    const after = manager.getStats().transactions;
    assertEquals(after.committed, before.committed + 1);
    assert(after.totalMs - before.totalMs >= 25);
    assert(after.longestMs >= 25);
  });

  assertEquals(manager.getStats().activeConnections, 0);
});
