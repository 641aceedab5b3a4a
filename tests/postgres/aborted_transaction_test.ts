/** Transactions whose caller aborts them, and connections that a scope releases. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { ConfigError, LeaseReleasedError } from "../../shared/pool/mod.ts";
import { StatementError } from "../../shared/postgres/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

Deno.test("PostgresConnectionManager: aborted transactions, limits and releases", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1 });
  await manager.query("create table seen (n int)");
  const rows = async () => (await manager.query("select n from seen order by n")).rows.map(({ n }) => n);

  await t.step(
    "transaction() rejects with the reason although its function ignores the abort and returns",
    async () => {
      const controller = new AbortController();
      const reason = new RangeError("the caller left");
      const later: unknown[] = [];
      const error = await thrownBy(() =>
        manager.transaction(async (tx) => {
          await tx.query("insert into seen values (1)");
          controller.abort(reason);
          later.push(await tx.query("insert into seen values (2)").catch((error) => error));
          return "returned";
        }, { signal: controller.signal }), RangeError);
      assertStrictEquals(error, reason);
      assertStrictEquals(later[0], reason);
      assertEquals(await rows(), []);
    },
  );

  await t.step("transaction() rejects with the reason although its function did not await a statement", async () => {
    const controller = new AbortController();
    const reason = new RangeError("the caller left");
    await thrownBy(() =>
      manager.transaction((tx) => {
        tx.query("insert into seen values (3)").catch(() => {});
        controller.abort(reason);
        return "returned";
      }, { signal: controller.signal }), RangeError);
    assertEquals(await rows(), []);
  });

  await t.step("a connection is released at the end of its scope, and once only", async () => {
    let kept;
    {
      using connection = await manager.lease();
      kept = connection;
      assertEquals((await connection.query("select 1 as n")).rows, [{ n: 1 }]);
      assertEquals(manager.getStats().activeConnections, 1);
    }
    assertEquals(manager.getStats().activeConnections, 0);
    const released = kept;
    await thrownBy(() => released.query("select 1"), LeaseReleasedError);
    // Disposing of it again releases nothing that another holder has.
    const other = await manager.lease();
    released[Symbol.dispose]();
    assertEquals(manager.getStats().activeConnections, 1);
    other.release();
  });

  await t.step("resize() changes the limits of a running manager, and rejects bad ones by name", async () => {
    const small = database.manager({ maxConnections: 1 });
    const first = await small.lease();
    const waiting = small.lease();
    assertEquals(small.getStats().waitingForConnection, 1);
    small.resize({ maxConnections: 2 });
    const second = await waiting;
    assertEquals([small.getStats().activeConnections, small.getStats().maxConnections], [2, 2]);
    await thrownBy(() => Promise.resolve().then(() => small.resize({ maxConnections: -1 })), ConfigError);
    for (const connection of [first, second]) connection.release();
  });

  await t.step("query() rejects invalid options of a statement by name, and sends nothing", async () => {
    const before = manager.getStats().totalAcquired;
    // deno-lint-ignore no-explicit-any -- as a program without types may call it
    const query = manager.query.bind(manager) as any;
    for (
      const [options, says] of [
        [{ prepare: "no" }, "prepare must be true or false"],
        [{ paramTypes: "int4" }, "paramTypes must be an array"],
        [{ types: 5 }, "types must be an object"],
        [{ types: null }, "types must be an object"],
      ] as const
    ) {
      const error = await thrownBy(() => query("select $1", [1], options), StatementError);
      assertEquals(error.message.includes(says), true, error.message);
    }
    assertEquals(manager.getStats().totalAcquired, before);
    for (const type of ["mood", -1, 1.5, 2 ** 33, {}]) {
      const error = await thrownBy(() => query("select $1", [1], { paramTypes: [type] }), StatementError);
      assertEquals(error.message.startsWith("The type of $1 in paramTypes must be the name"), true, error.message);
    }
    // One that is not declared is inferred.
    assertEquals((await query("select $1::int as n", [1], { paramTypes: [undefined] })).rows, [{ n: 1 }]);
    assertEquals((await query("select $1::int as n, $2 as t", [1, "x"], { paramTypes: [null, "text"] })).rows, [
      { n: 1, t: "x" },
    ]);
  });

  await t.step("query() sends no text with U+0000, whatever its type", async () => {
    for (const text of ["select $1", "select $1::int", "select $1::text"]) {
      const error = await thrownBy(() => manager.query(text, ["a\0b"]), StatementError);
      assertEquals(/\$1/.test(error.message) && !error.message.includes("a\0b"), true, error.message);
    }
    assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
  });
});
