/** Tests statements that fail while they, or others behind them, wait for a description of their parameters. */
import { assertEquals } from "@std/assert";
import { PostgresError } from "../../shared/postgres/mod.ts";
import { open } from "./opened_connection.ts";
import { TestDatabase } from "./support.ts";

Deno.test("query() rejects a statement that the server cannot describe, and runs those around it", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1, queryTimeoutMs: 5_000 });
  const codeOf = (error: unknown) => error instanceof PostgresError ? error.code : error;

  for (const value of [1, "x", new Date(0), { a: 1 }]) {
    await t.step(`with a ${typeof value} as its value`, async () => {
      const failed = await manager.query("select * from missing where id = $1", [value]).catch(codeOf);
      assertEquals(failed, "42P01");
    });
  }

  await t.step("in a list of statements", async () => {
    const list = [{ query: "select 1" }, { query: "select $1::missing", values: [1] }, { query: "select 3" }];
    assertEquals(await manager.transaction(list).catch(codeOf), "42704");
  });

  await t.step("behind a statement that fails, another one is described and sent once", async () => {
    await using connection = await manager.lease();
    const outcomes = await Promise.all([
      connection.query("select 1 / 0").catch(codeOf),
      connection.query("select $1::date as day", [new Date(0)]).then(({ rows }) => rows.length),
      connection.query("select $1::missing", [1]).catch(codeOf),
      connection.query("select $1::int[] as list", [[1, 2]]).then(({ rows }) => rows),
    ]);
    assertEquals(outcomes, ["22012", 1, "42704", [{ list: [1, 2] }]]);
  });

  await t.step("behind a statement that fails, another one is asked for once", async () => {
    await using opened = await open(database);
    const { connection } = opened;
    const types: string[] = [];
    const write = connection.write.bind(connection);
    connection.write = (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      for (let at = 0; at < bytes.length; at += 1 + view.getUint32(at + 1)) {
        types.push(String.fromCharCode(view.getUint8(at)));
      }
      write(bytes);
    };
    const failing = connection.start([{ text: "select 1 / 0" }]).results.catch(codeOf);
    const described = connection.start([{ text: "select $1::date as day", values: [new Date(0)] }]);
    assertEquals([await failing, (await described.results)[0]?.rows.length], ["22012", 1]);
    // Parse and Describe of the second are sent once: then its Bind and Execute.
    assertEquals(types.slice(-3).join(""), "BES");
    assertEquals(types.filter((type) => type === "D").length, types.filter((type) => type === "P").length);
  });
});
