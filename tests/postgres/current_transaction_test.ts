import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import {
  OutsideTransactionError,
  type PostgresPool,
  type Transaction,
  TransactionEndedError,
} from "../../shared/postgres/mod.ts";
import { markOf, nextPool, runInContext, runMarked } from "../../shared/postgres/transaction/current_transaction.ts";
import { garbageCollector } from "../support/collect_garbage.ts";
import { claimsOf, TestDatabase, thrownBy } from "./support.ts";

const ALICE = claimsOf("00000000-0000-4000-8000-00000000000a");
const BOB = claimsOf("00000000-0000-4000-8000-00000000000b");

/** Identifies the transaction that a statement runs in. */
const XID = "select pg_current_xact_id()::text as xid";

async function xidOf(queries: Pick<PostgresPool, "query"> | Transaction, options = {}): Promise<unknown> {
  const { rows: [row] } = await queries.query(XID, [], options);
  return row?.["xid"];
}

Deno.test("PostgresPool inside the function of a transaction", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 6 });
  const callers = database.manager({ maxConnections: 6 }, "authenticator");
  await manager.query("create table number (n int primary key)");

  await t.step("query(), a list, transaction() and lease() are rejected, and the transaction goes on", async () => {
    const before = manager.getStats().totalAcquired;
    const kept = await manager.transaction(async (tx) => {
      await tx.query("insert into number values (1)");
      await thrownBy(() => manager.query("insert into number values (2)"), OutsideTransactionError);
      await thrownBy(() => manager.transaction([{ query: "select 1" }]), OutsideTransactionError);
      await thrownBy(() => manager.transaction((other) => other.query("select 1")), OutsideTransactionError);
      await thrownBy(() => manager.lease(), OutsideTransactionError);
      await thrownBy(() => manager.connect(), OutsideTransactionError);
      const error = await thrownBy(() => manager.executeQueryWithRetry("select 1"), OutsideTransactionError);
      assertEquals([error.code, error.retry], ["OUTSIDE_TRANSACTION", "permanent"]);
      await thrownBy(() => manager.executeTransactionWithRetry([{ query: "select 1" }]), OutsideTransactionError);
      return (await tx.query("select n from number")).rows;
    });
    assertEquals(kept, [{ n: 1 }]);
    assertEquals(manager.getStats().totalAcquired - before, 1);
  });

  await t.step("outsideTransaction: true runs query(), transaction() and lease() by themselves", async () => {
    await manager.transaction(async (tx) => {
      const own = await xidOf(tx);
      assert(own !== await xidOf(manager, { outsideTransaction: true }));
      assert(own !== await manager.transaction((other) => xidOf(other), { outsideTransaction: true }));
      await using connection = await manager.lease({ outsideTransaction: true });
      assert(own !== await xidOf(connection));
    });
  });

  await t.step("a health check inside is not affected", async () => {
    const { healthy } = await manager.transaction(() => manager.healthCheck());
    assert(healthy);
  });

  await t.step("a transaction of a leased connection rejects work on its pool in the same way", async () => {
    await using connection = await manager.lease();
    await connection.transaction(async () => {
      await thrownBy(() => manager.query("select 1"), OutsideTransactionError);
    });
    await manager.query("select 1");
  });

  await t.step("currentTransaction() returns the innermost open transaction, and undefined outside", async () => {
    assertEquals(manager.currentTransaction(), undefined);
    await manager.transaction(async (tx) => {
      assertStrictEquals(manager.currentTransaction(), tx);
      await tx.transaction(async (nested) => {
        await nested.query("select 1");
        assertStrictEquals(manager.currentTransaction(), nested);
        assertStrictEquals(tx.currentTransaction(), nested);
        await thrownBy(() => manager.query("select 1"), OutsideTransactionError);
      });
      assertStrictEquals(manager.currentTransaction(), tx);
      assertStrictEquals(tx.currentTransaction(), tx);
    });
    assertEquals(manager.currentTransaction(), undefined);
  });

  await t.step("as() never joins another caller's transaction, and rejects its own", async () => {
    const [alice, bob] = [callers.as(ALICE), callers.as(BOB)];
    await alice.transaction(async (tx) => {
      const own = await xidOf(tx);
      const user = "select auth.uid() as id";
      assertEquals((await bob.query(user)).rows, [{ id: BOB.claims["sub"] }]);
      assertEquals((await tx.query(user)).rows, [{ id: ALICE.claims["sub"] }]);
      assert(own !== await xidOf(bob));
      assert(own !== await xidOf(callers));
      assertEquals([bob.currentTransaction(), callers.currentTransaction()], [undefined, undefined]);
      await thrownBy(() => alice.query("select 1"), OutsideTransactionError);
      // Another token of the same user: its claims may differ, so it does not join either.
      const elevated = callers.as(claimsOf(String(ALICE.claims["sub"]), { aal: "aal2" }));
      await thrownBy(() => Promise.resolve(elevated.currentTransaction()), OutsideTransactionError);
      assertStrictEquals(callers.as(ALICE).currentTransaction(), tx);
      await thrownBy(() => elevated.query("select 1"), OutsideTransactionError);
      // One within the other: both are open.
      await bob.transaction(async (other) => {
        await other.query(user);
        assertStrictEquals(alice.currentTransaction(), tx);
        assertStrictEquals(bob.currentTransaction(), other);
        await thrownBy(() => alice.query("select 1"), OutsideTransactionError);
        await thrownBy(() => bob.query("select 1"), OutsideTransactionError);
      });
    });
    await callers.transaction(async () => {
      assertEquals((await alice.query("select auth.uid() as id")).rows, [{ id: ALICE.claims["sub"] }]);
      await thrownBy(() => callers.query("select 1"), OutsideTransactionError);
    });
    await callers.as("anonymous").transaction(async () => {
      await thrownBy(() => callers.as("anonymous").query("select 1"), OutsideTransactionError);
    });
  });

  await t.step("a statement that the function returns, and that runs when it is awaited, is inside", async () => {
    await thrownBy(() => manager.transaction(() => manager.sql`select 1`), OutsideTransactionError);
    const lazy: PromiseLike<unknown> = { then: (...args) => manager.query("select 1").then(...args) };
    await thrownBy(() => manager.transaction(() => lazy), OutsideTransactionError);
    await manager.transaction((tx) => tx.transaction((nested) => nested.sql`select 1`));
  });

  await t.step("another manager is not affected", async () => {
    const other = database.manager();
    await manager.transaction(async (tx) => {
      assert(await xidOf(tx) !== await xidOf(other));
      assertEquals(other.currentTransaction(), undefined);
    });
  });

  await t.step("other requests, interleaved, are not affected", async () => {
    const inside = Promise.withResolvers<void>();
    const open = manager.transaction(async (tx) => {
      await tx.query("select 1");
      inside.resolve();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await tx.query("select 1");
    });
    await inside.promise;
    assertEquals(manager.currentTransaction(), undefined);
    await manager.query("select 1");
    await open;
  });

  await t.step(
    "work that the function started and did not await is rejected once the transaction has ended",
    async () => {
      const go = Promise.withResolvers<void>();
      let detached: Promise<unknown>[] = [];
      const late = async (work: () => Promise<unknown>) => {
        await go.promise;
        return await work();
      };
      await manager.transaction(async (tx) => {
        await tx.query("select 1");
        detached = [
          late(() => manager.query("select 1")),
          late(() => manager.transaction((other) => other.query("select 1"))),
          late(() => manager.lease()),
          late(() => tx.query("select 1")),
          new Promise((resolve, reject) => {
            setTimeout(() => go.promise.then(() => manager.query("select 1")).then(resolve, reject), 0);
          }),
        ];
      });
      go.resolve();
      for (const one of detached) {
        const error = await thrownBy(() => one, TransactionEndedError);
        assertEquals(error.code, "TRANSACTION_ENDED");
      }
      // What follows the transaction is not inside.
      await manager.query("select 1");
    },
  );

  await t.step("late work inside a transaction of another pool, or of another caller, is rejected", async () => {
    const other = database.manager();
    const go = Promise.withResolvers<void>();
    const late: Promise<unknown>[] = [];
    await manager.transaction(async (tx) => {
      await tx.query("select 1");
      for (const within of [other, callers.as(ALICE)]) {
        late.push(go.promise.then(() =>
          within.transaction(async (inner) => {
            await inner.query("select 1");
            await thrownBy(() => manager.query("select 1"), TransactionEndedError);
            await within.transaction(async () => {
              await thrownBy(() => manager.transaction([{ query: "select 1" }]), TransactionEndedError);
            }, { outsideTransaction: true });
            await manager.query("select 1", [], { outsideTransaction: true });
            return "committed";
          })
        ));
      }
    });
    go.resolve();
    assertEquals(await Promise.all(late), ["committed", "committed"]);
  });

  await t.step("late work of late work without end keeps a bounded number of marks", async () => {
    const transaction = {} as Transaction;
    const next = (left: number): Promise<number> => {
      const mark = markOf({ pool: nextPool(), identity: "login", claims: undefined }, transaction);
      return runMarked(mark, () => {
        mark.open = undefined;
        mark.returned = true;
        return left > 0
          ? next(left - 1)
          : runInContext((context) => (Reflect.get(context, "outer") as unknown[]).length);
      }, transaction);
    };
    assertEquals([await next(3), await next(200)], [4, 16]);
  });

  await t.step(
    "currentTransaction() of a transaction is itself outside of its function, and once it has ended",
    async () => {
      const begun = Promise.withResolvers<Transaction>();
      const end = Promise.withResolvers<void>();
      const running = manager.transaction(async (tx) => {
        begun.resolve(tx);
        await end.promise;
      });
      const tx = await begun.promise;
      assertStrictEquals(tx.currentTransaction(), tx);
      end.resolve();
      await running;
      assertStrictEquals(tx.currentTransaction(), tx);
    },
  );

  await t.step("detached work runs with outsideTransaction, also in a transaction of its own", async () => {
    let detached: Promise<unknown> = Promise.resolve();
    await manager.transaction(async (tx) => {
      await tx.query("select 1");
      detached = (async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        await manager.query("select 1", [], { outsideTransaction: true });
        return await manager.transaction(async (own) => {
          assertStrictEquals(manager.currentTransaction(), own);
          return await xidOf(own);
        }, { outsideTransaction: true });
      })();
    });
    assert(await detached);
  });

  await t.step(
    "after tx.commit() and tx.rollback(), the function may use the pool, and what it left may not",
    async () => {
      for (const end of ["commit", "rollback"] as const) {
        const go = Promise.withResolvers<void>();
        let late: Promise<unknown> = Promise.resolve();
        await manager.transaction(async (tx) => {
          await tx.transaction(async (nested) => {
            await nested.query("select 1");
            await nested[end]();
            assertStrictEquals(manager.currentTransaction(), tx);
            await thrownBy(() => manager.query("select 1"), OutsideTransactionError);
          });
          await tx[end]();
          assertEquals(manager.currentTransaction(), undefined);
          await manager.query("select 1");
          late = go.promise.then(() => manager.query("select 1"));
        });
        go.resolve();
        await thrownBy(() => late, TransactionEndedError);
      }
    },
  );

  await t.step("each promise of Promise.all() inside is rejected, and the transaction can go on", async () => {
    const outcomes = await manager.transaction(async (tx) => {
      const settled = await Promise.allSettled([
        tx.query("select 1"),
        manager.query("select 1"),
        manager.query("select 1"),
        tx.query("select 2"),
      ]);
      await tx.query("select 3");
      return settled.map(({ status }) => status);
    });
    assertEquals(outcomes, ["fulfilled", "rejected", "rejected", "fulfilled"]);
    await thrownBy(
      () => manager.transaction((tx) => Promise.all([tx.query("select 1"), manager.query("select 1")])),
      OutsideTransactionError,
    );
  });

  await t.step("a listener belongs to its caller, and a promise's callback to its creator", async () => {
    const target = new EventTarget();
    const called: Promise<unknown>[] = [];
    target.addEventListener("go", () => called.push(manager.query("select 1").catch((error) => error)));
    const signal = Promise.withResolvers<void>();
    const before = signal.promise.then(() => manager.query("select 1"));
    await manager.transaction(async (tx) => {
      await tx.query("select 1");
      target.dispatchEvent(new Event("go"));
      signal.resolve();
      await before;
    });
    target.dispatchEvent(new Event("go"));
    const [inside, outside] = await Promise.all(called);
    assert(inside instanceof OutsideTransactionError);
    assert(!(outside instanceof Error));
  });

  await t.step("a generator belongs to its reader, and a stream's source to its creator", async () => {
    const list = async function* () {
      for (let n = 0; n < 2; n++) yield await manager.query("select 1");
    };
    const before = list();
    let after: AsyncGenerator<unknown> | undefined;
    let stream: ReadableStream<unknown> | undefined;
    await manager.transaction(async (tx) => {
      await tx.query("select 1");
      await thrownBy(() => before.next(), OutsideTransactionError);
      after = list();
      stream = new ReadableStream({
        async start(controller) {
          controller.enqueue(await manager.query("select 1").catch((error) => error));
        },
        async pull(controller) {
          await manager.query("select 1", [], { outsideTransaction: true });
          controller.close();
        },
      }, { highWaterMark: 0 });
    });
    assertEquals((await after?.next())?.done, false);
    const chunks = await Array.fromAsync(stream ?? []);
    assert(chunks[0] instanceof OutsideTransactionError);
  });

  await t.step("a transaction that failed to begin, timed out or was aborted leaves no mark", async () => {
    const wrong = { isolationLevel: "none" as never };
    await manager.transaction(() => Promise.resolve(), wrong).catch(() => {});
    await manager.query("select 1");
    let inside: Promise<unknown> = Promise.resolve();
    const ended = Promise.withResolvers<void>();
    await manager.transaction(async (tx) => {
      inside = ended.promise.then(() => manager.query("select 1"));
      inside.catch(() => {});
      await tx.query("select pg_sleep(10)");
    }, { timeoutMs: 30 }).catch(() => {});
    ended.resolve();
    await thrownBy(() => inside, TransactionEndedError);
    await manager.query("select 1");
  });

  await t.step("each retry of a transaction is one of its own", async () => {
    const seen = new Set<unknown>();
    await manager.transaction(async (tx) => {
      await tx.query("select 1");
      assertStrictEquals(manager.currentTransaction(), tx);
      seen.add(tx);
      if (seen.size < 3) await tx.query("do $$ begin raise exception 'again' using errcode = '40001'; end $$");
    }, { retries: 5 });
    assertEquals(seen.size, 3);
  });

  await t.step("the async context keeps nothing of a transaction that has ended", async () => {
    let context: (<R>(run: () => R) => R) | undefined;
    const reference = await manager.transaction(async (tx) => {
      await tx.query("select 1");
      context = AsyncLocalStorage.snapshot() as typeof context;
      return new WeakRef(tx);
    });
    const collect = garbageCollector();
    for (let n = 0; n < 50 && reference.deref(); n++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collect();
    }
    assertEquals(reference.deref(), undefined);
    await thrownBy(() => context?.(() => manager.query("select 1")) ?? Promise.resolve(), TransactionEndedError);
  });
});
