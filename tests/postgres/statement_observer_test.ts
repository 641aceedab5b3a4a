/** Observers of statements and transactions. */
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ObservedTimes,
  type ObservedWork,
  PostgresConnectionManager,
  PostgresError,
  QueryTimeoutError,
  type StatementObserver,
} from "../../shared/postgres/mod.ts";
import { TestDatabase } from "./support.ts";

interface Observed {
  readonly work: ObservedWork;
  readonly times: ObservedTimes;
  outcome: unknown;
}

/** An observer that notes what it observes, in the order in which it settles. */
class Notes implements StatementObserver {
  readonly all: Observed[] = [];

  async observe<T>(work: ObservedWork, times: ObservedTimes, run: () => Promise<T>): Promise<T> {
    const observed: Observed = { work, times, outcome: "returned" };
    try {
      return await run();
    } catch (error) {
      observed.outcome = error;
      throw error;
    } finally {
      this.all.push(observed);
    }
  }

  take(): readonly (readonly [string, ...string[]])[] {
    return this.all.splice(0).map(({ work: { kind, texts } }) => [kind, ...texts] as const);
  }
}

const CALLER = { claims: { sub: "8a3c", role: "authenticated", exp: 4_000_000_000 } };

Deno.test("PostgresConnectionManager.observeStatements()", async (t) => {
  await using database = await TestDatabase.start();
  const options = { ...database.options(), minConnections: 0, maxConnections: 1, healthCheckIntervalMs: 0 };
  await using manager = new PostgresConnectionManager({ ...options, trustedLogin: database.options().user ?? "" });
  const notes = new Notes();
  const subscription = manager.observeStatements(notes);

  await t.step("separates connecting, waiting and execution", async () => {
    await manager.query("SELECT pg_sleep(0.05)");
    const [first] = notes.all.splice(0);
    assert(first && first.times.connectMs > 0 && first.times.executionMs >= 49, JSON.stringify(first?.times));
    const held = await manager.lease();
    const waiting = manager.query("SELECT 1 AS one");
    await new Promise((resolve) => setTimeout(resolve, 60));
    held.release();
    assertEquals((await waiting).rows, [{ one: 1 }]);
    const [second] = notes.all.splice(0);
    assert(second && second.times.waitedMs >= 59 && second.times.connectMs === 0, JSON.stringify(second?.times));
  });

  await t.step("observes each way to run a statement once, and statements of a transaction inside of it", async () => {
    await manager.sql`SELECT ${1}::int AS one`;
    await manager.transaction([{ query: "SELECT 1" }, { query: "SELECT 2" }]);
    await manager.transaction(async (tx) => {
      await tx.query("SELECT 3");
    });
    {
      await using connection = await manager.lease();
      await connection.query("SELECT 4");
      await connection.transaction(async (tx) => {
        await tx.query("SELECT 5");
      });
    }
    assertEquals(notes.take(), [
      ["statement", "SELECT $1::int AS one"],
      ["list", "SELECT 1", "SELECT 2"],
      ["statement", "SELECT 3"],
      ["transaction"],
      ["statement", "SELECT 4"],
      ["statement", "SELECT 5"],
      ["transaction"],
    ]);
  });

  await t.step("observes failures, and the time of what had no connection", async () => {
    await assertRejects(() => manager.query("SELECT 1/0"), PostgresError);
    await assertRejects(() => manager.query("SELECT pg_sleep(5)", [], { timeoutMs: 20 }), QueryTimeoutError);
    await assertRejects(() => manager.query(1 as never));
    await assertRejects(() => manager.transaction(1 as never));
    await assertRejects(() => manager.transaction([undefined] as never));
    assertEquals(notes.all.every(({ outcome }) => outcome instanceof Error), true);
    assertEquals(notes.all.length, 5);
    notes.take();
    await using _held = await manager.lease();
    await assertRejects(() => manager.query("SELECT 1", [], { acquireTimeoutMs: 40 }));
    const [late] = notes.all.splice(0);
    assert(late && late.times.waitedMs >= 39 && late.times.executionMs === 0, JSON.stringify(late?.times));
  });

  await t.step("keeps the admit of a call, and observes callers", async () => {
    let admitted = 0;
    await manager.query("SELECT 1", [], { admit: () => void admitted++ });
    assertEquals(admitted, 1);
    await manager.as(CALLER).query("SELECT 6").catch(() => {});
    assertEquals(notes.take().length, 2);
  });

  await t.step("passes the same times to several observers, until their subscriptions end", async () => {
    const other = new Notes();
    const second = manager.observeStatements(other);
    await manager.query("SELECT 7");
    assertStrictEquals(other.all[0]?.times, notes.all[0]?.times);
    assertEquals([other.take(), notes.take()], [[["statement", "SELECT 7"]], [["statement", "SELECT 7"]]]);
    second[Symbol.dispose]();
    subscription[Symbol.dispose]();
    await manager.query("SELECT 8");
    assertEquals([other.all.length, notes.all.length], [0, 0]);
  });
});
