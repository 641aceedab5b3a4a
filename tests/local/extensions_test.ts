import { assertEquals, assertStringIncludes } from "@std/assert";
import { SQL_EXTENSIONS } from "../../local/postgres/extensions/catalog.ts";

Deno.test("docs/local_database.md lists every extension of SQL_EXTENSIONS", async () => {
  const text = await Deno.readTextFile(new URL("../../docs/local_database.md", import.meta.url));
  assertEquals(SQL_EXTENSIONS.filter(({ name }) => !text.includes(`\`${name}\``)).map(({ name }) => name), []);
});

Deno.test("SQL_EXTENSIONS have different names and scripts that end", () => {
  const names = SQL_EXTENSIONS.map(({ name }) => name);
  assertEquals(new Set(names).size, names.length);
  for (const { sql } of SQL_EXTENSIONS) assertStringIncludes(sql.trimEnd().slice(-1), ";");
});
