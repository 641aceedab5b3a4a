import { assertEquals } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { type PostgresConnectionManager, StatementError } from "../../shared/postgres/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

// deno-lint-ignore no-explicit-any -- as a program without types may call it
type Untyped = Record<keyof PostgresConnectionManager, any>;

Deno.test("PostgresConnectionManager rejects invalid arguments by name, and sends nothing", async () => {
  await using database = await TestDatabase.start();
  const manager: PostgresConnectionManager = database.manager({ maxConnections: 1 });
  const untyped = manager as unknown as Untyped;
  for (const timeoutMs of [0, -1, NaN, "5"]) {
    await thrownBy(() => untyped.query("select 1", [], { timeoutMs }), ConfigError);
    await thrownBy(() => untyped.transaction(() => 1, { timeoutMs }), ConfigError);
    await thrownBy(async () => {
      await using connection = await manager.lease();
      await (connection as unknown as Untyped).query("select 1", [], { timeoutMs });
    }, ConfigError);
  }
  for (const work of [undefined, null, "select 1", [null], ["select 1"]]) {
    await thrownBy(() => untyped.transaction(work), StatementError);
  }
  const noText = {
    toString: () => {
      throw new Error("no text");
    },
  };
  for (const query of [undefined, 5, null, "a\0b", { text: "select 1" }, Symbol("select 1"), noText]) {
    await thrownBy(() => untyped.query(query), StatementError);
    await thrownBy(async () => {
      await using connection = await manager.lease();
      await (connection as unknown as Untyped).query(query);
    }, StatementError);
  }
  for (const values of [null, "x", { a: 1 }]) {
    await thrownBy(() => untyped.query("select 1", values), StatementError);
  }
  for (const [retries, delayMs] of [[-1, 1], [NaN, 1], [Infinity, 1], [1.5, 1], ["3", 1], [1, -1], [1, NaN]]) {
    await thrownBy(() => untyped.executeQueryWithRetry("select 1", [], retries, delayMs), RangeError);
    await thrownBy(() => untyped.executeTransactionWithRetry([], retries, delayMs), RangeError);
  }
  assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
  assertEquals([manager.getStats().totalCreated, manager.getStats().activeConnections], [1, 0]);
});
