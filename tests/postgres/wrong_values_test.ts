/** Values that the server rejects: they come from users, and must cost other callers nothing. */
import { assertEquals } from "@std/assert";
import { type PostgresConnectionManager, PostgresError } from "../../shared/postgres/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

const TEXT = "SELECT 'found' AS name WHERE $1::int > 0 AND $2::uuid IS NOT NULL";
const RIGHT = [1, "00000000-0000-4000-8000-000000000000"];
const WRONG = [1, "not a uuid"];

/** Returns when the server prepared the statements of a manager's only connection. */
async function preparedAt(manager: PostgresConnectionManager): Promise<unknown> {
  const text = "SELECT name, prepare_time::text FROM pg_prepared_statements WHERE statement <> $1 ORDER BY name";
  const list = () => manager.query(text, ["none"], { prepare: false });
  return (await list()).rows;
}

Deno.test("wrong values", async (t) => {
  await using database = await TestDatabase.start();

  await t.step("leave what is prepared as it was", async () => {
    const manager = database.manager({ maxConnections: 1 });
    for (const text of [TEXT, "SELECT 1 AS one", "SELECT $1::int / $2::int AS quotient"]) {
      for (let run = 0; run < 2; run++) {
        await manager.query(text, text === TEXT ? RIGHT : text.includes("$1") ? [4, 2] : []);
      }
    }
    const before = await preparedAt(manager);
    for (let run = 0; run < 3; run++) {
      assertEquals((await thrownBy(() => manager.query(TEXT, WRONG), PostgresError)).code, "22P02");
      const divided = manager.query("SELECT $1::int / $2::int AS quotient", [1, 0]);
      assertEquals((await thrownBy(() => divided, PostgresError)).code, "22012");
    }
    assertEquals((await manager.query(TEXT, RIGHT)).rows, [{ name: "found" }]);
    assertEquals(await preparedAt(manager), before);
  });

  for (const prepare of [true, false]) {
    await t.step(`are rejected while others run the same statement, ${prepare ? "" : "not "}prepared`, async () => {
      const manager = database.manager({ maxConnections: 2, prepare });
      await manager.query(TEXT, RIGHT);
      let isRunning = true;
      const others = Array.from({ length: 20 }, async () => {
        while (isRunning) await manager.query(TEXT, RIGHT);
      });
      try {
        for (let run = 0; run < 5; run++) {
          const error = await thrownBy(
            () => manager.query(TEXT, WRONG, { signal: AbortSignal.timeout(5_000) }),
            PostgresError,
          );
          assertEquals(error.code, "22P02");
        }
      } finally {
        isRunning = false;
        await Promise.all(others);
      }
    });
  }

  await t.step("are read as their new type once a column was altered", async () => {
    const manager = database.manager({ maxConnections: 1, prepare: false });
    await manager.query("CREATE TABLE altered (id int, at date)");
    const text = "INSERT INTO altered VALUES ($1, $2) RETURNING id::text, at::text";
    await manager.query(text, [1, "2026-01-01"]);
    // By another manager, so that this one is not notified.
    await database.manager().query("ALTER TABLE altered ALTER id TYPE boolean USING true, ALTER at TYPE text");
    assertEquals((await manager.query(text, [true, "never"])).rows, [{ id: "true", at: "never" }]);
  });
});
