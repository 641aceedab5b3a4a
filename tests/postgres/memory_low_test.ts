/** Tests a manager while memory is low. */
import { assert, assertEquals } from "@std/assert";
import { garbageCollector } from "../support/collect_garbage.ts";
import { until } from "../support/until.ts";
import { TestDatabase } from "./support.ts";

Deno.test("PostgresConnectionManager.setMemoryLow() drops statements and idle connections, and halves the limit", async (t) => {
  await using database = await TestDatabase.start();

  await t.step("idle connections above the floor are closed, and at most half are leased", async () => {
    const manager = database.manager({ minConnections: 1, maxConnections: 4 });
    const held = await Promise.all([1, 2, 3, 4].map(() => manager.lease()));
    for (const connection of held.splice(0)) connection.release();
    await until("all are idle", () => manager.getStats().idleConnections === 4);
    manager.setMemoryLow(true);
    await until("one is left", () => manager.getStats().totalConnections === 1);
    held.push(await manager.lease(), await manager.lease());
    const third = manager.lease();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals([manager.getStats().activeConnections, manager.getStats().waitingForConnection], [2, 1]);
    manager.setMemoryLow(false);
    held.push(await third);
    for (const connection of held) connection.release();
    assertEquals(manager.getStats().totalMemoryLow, 1);
  });

  await t.step("statements are dropped, closed at the server with the next request, and prepared again", async () => {
    const manager = database.manager({ minConnections: 1, maxConnections: 1 });
    const prepared = async () => {
      const { rows } = await manager.query<{ text: string }>(
        "select statement as text from pg_prepared_statements where statement like 'select 1 as n%'",
      );
      return rows.length;
    };
    const run = async () => {
      for (let n = 0; n < 30; n++) {
        const { rows } = await manager.query(`select 1 as n${n}, $1::int as given`, [n]);
        assertEquals(rows, [{ [`n${n}`]: 1, given: n }]);
      }
    };
    await run();
    assertEquals(await prepared(), 30);
    manager.setMemoryLow(true);
    await prepared(); // closes them, and then reads
    assertEquals(await prepared(), 0);
    await run();
    assertEquals(await prepared(), 30);
  });

  await t.step("statements under way, prepared ones and those that wait for a description, go on", async () => {
    const manager = database.manager({ minConnections: 1, maxConnections: 2 });
    let running = 8;
    const callers = Array.from({ length: running }, async (_, caller) => {
      for (let n = 0; n < 150; n++) {
        const name = `n${(caller + n) % 12}`;
        // Without a cast the server describes the parameter before its value is sent.
        const { rows } = await manager.query(`select $1::int as ${name}, n from generate_series(1, 3) n where n < $2`, [
          n,
          3,
        ]);
        assertEquals(rows, [{ [name]: n, n: 1 }, { [name]: n, n: 2 }]);
      }
      running--;
    });
    let drops = 0;
    while (running > 0) {
      manager.setMemoryLow(++drops % 3 !== 0);
      await new Promise((resolve) => setTimeout(resolve, drops % 4));
    }
    await Promise.all(callers);
    assert(drops > 10, `${drops}`);
    manager.setMemoryLow(false);
    // The server keeps what the connection keeps, and nothing that was dropped.
    const connection = await manager.lease();
    const { rows } = await connection.query<{ n: number }>(
      "select count(distinct name)::int as n from pg_prepared_statements",
    );
    connection.release();
    assert((rows[0]?.n ?? 99) <= 14, `${rows[0]?.n} statements`);
  });

  await t.step("a transaction that is open goes on", async () => {
    const manager = database.manager({ minConnections: 0, maxConnections: 1 });
    const rows = await manager.transaction(async (tx) => {
      await tx.query("select $1::int as n", [1]);
      manager.setMemoryLow(true);
      return (await tx.query("select $1::int as n", [2])).rows;
    });
    assertEquals(rows, [{ n: 2 }]);
  });

  await t.step("memory is freed", async () => {
    const manager = database.manager({ minConnections: 4, maxConnections: 4, maxPreparedStatements: 1_000 });
    const held = await Promise.all([1, 2, 3, 4].map(() => manager.lease()));
    for (const [at, connection] of held.entries()) {
      for (let n = 0; n < 250; n++) {
        await connection.query(`select $1::int as a, $2::text as b /* ${at} ${n} ${"x".repeat(3_000)} */`, [n, "b"]);
      }
      connection.release();
    }
    const collect = garbageCollector();
    const usedMb = () => {
      collect();
      return Deno.memoryUsage().heapUsed / 2 ** 20;
    };
    const before = usedMb();
    manager.setMemoryLow(true);
    const after = usedMb();
    console.log(`${before.toFixed(1)} MB before, ${after.toFixed(1)} MB after`);
    assert(after < before - 2, `${before} MB before, ${after} MB after`);
  });
});
