import { assertEquals } from "@std/assert";
import { LoginRoleError } from "../../shared/postgres/mod.ts";
import { TestDatabase, thrownBy } from "./support.ts";

Deno.test("as() that rejects a strong login leaves nothing behind that runs in a later transaction", async () => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const names = ["log_min_duration_statement", "log_min_error_statement", "log_statement", "log_duration"];
  const values = ["7777000", "panic", "ddl", "on"];
  for (const [index, name] of names.entries()) {
    await admin.query(`alter role anon set ${name} = '${values[index]}'`);
  }
  const strong = database.manager({ maxConnections: 1 });
  const show = `select ${names.map((name) => `current_setting('${name}') as ${name}`).join(", ")}`;
  const before = (await strong.query(show)).rows;
  await thrownBy(() => strong.as("anonymous").query("select 1"), LoginRoleError);
  const seen = await strong.transaction(async (tx) => {
    const rows: unknown[] = [];
    for (let round = 0; round < 10; round++) rows.push((await tx.query(show)).rows);
    return rows;
  });
  assertEquals(seen, Array.from({ length: 10 }, () => before));
});
