import { assertEquals } from "@std/assert";
import { open, rows } from "./opened_connection.ts";
import { TestDatabase } from "./support.ts";

Deno.test("BackendConnection.run() returns the values, columns and counts of a statement", async (t) => {
  await using database = await TestDatabase.start();
  await using opened = await open(database);
  const { connection } = opened;

  await t.step("run() returns values as they were sent", async () => {
    const at = new Date("2026-02-03T04:05:06.789Z");
    const values = [
      1.5,
      true,
      null,
      undefined,
      "ü \"'\\",
      at,
      [1, null, 3],
      { a: [1, "x"] },
      new Uint8Array([0, 255]),
      9007199254740993n,
    ];
    const types = ["float8", "bool", "int", "text", "text", "timestamptz", "int[]", "jsonb", "bytea", "int8"];
    const text = `select ${types.map((type, index) => `$${index + 1}::${type} as v${index}`).join(", ")}`;
    const [row] = await rows(connection, text, values) as [Record<string, unknown>];
    const { v8: bytes, ...rest } = row;
    assertEquals([...bytes as Uint8Array], [0, 255]);
    assertEquals(Object.values(rest), [
      1.5,
      true,
      null,
      null,
      "ü \"'\\",
      at,
      [1, null, 3],
      { a: [1, "x"] },
      "9007199254740993",
    ]);
    assertEquals(
      await rows(
        connection,
        "select '0044-03-15 00:00:00+00 BC'::timestamptz as ides, 'infinity'::timestamptz as never",
      ),
      [
        { ides: new Date("-000043-03-15T00:00:00Z"), never: Infinity },
      ],
    );
  });

  await t.step("run() accepts any column name", async () => {
    const [row] = await rows(connection, `select 1 as "__proto__", 2 as "constructor", 3 as n`) as [
      Record<string, unknown>,
    ];
    assertEquals(Object.entries(row), [["__proto__", 1], ["constructor", 2], ["n", 3]]);
    assertEquals(Object.getPrototypeOf(row), Object.prototype);
  });

  await t.step("run() returns the last of several columns with one name, null or not", async () => {
    assertEquals(await rows(connection, "select 1 as id, null::int as id"), [{ id: null }]);
    assertEquals(await rows(connection, "select null::int as id, 2 as id, 'x' as name, 3 as id"), [{
      id: 3,
      name: "x",
    }]);
  });

  await t.step("run() returns command and rowCount", async () => {
    const commands = [
      "create table done (n int)",
      "insert into done values (1), (2)",
      "update done set n = 3",
      "delete from done",
      "drop table done",
      "",
    ];
    const results = await connection.run(commands.map((text) => ({ text })));
    assertEquals(results.map(({ command, rowCount }) => [command, rowCount]), [
      ["CREATE", null],
      ["INSERT", 2],
      ["UPDATE", 2],
      ["DELETE", 2],
      ["DROP", null],
      ["", null],
    ]);
    const [{ fields } = { fields: [] }] = await connection.run([{ text: "select 1 as a, 'x'::text as b where false" }]);
    assertEquals(fields, [{ name: "a", dataTypeID: 23 }, { name: "b", dataTypeID: 25 }]);
  });
});
