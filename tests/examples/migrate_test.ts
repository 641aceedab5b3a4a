import { assertEquals, assertRejects } from "@std/assert";
import { migrate, readMigrations } from "../../examples/migrate.ts";
import { PostgresError } from "../../shared/postgres/mod.ts";
import { TestDatabase } from "../postgres/support.ts";

const FOLDER = new URL("../../supabase/migrations", import.meta.url).pathname;

Deno.test("migrate: applies each migration once, in order, also when two run at once", async () => {
  await using database = await TestDatabase.start();
  const pool = database.manager({ maxConnections: 2 }, "postgres");
  const migrations = await readMigrations(FOLDER);
  const runs = await Promise.all([migrate(pool, migrations), migrate(pool, migrations)]);
  assertEquals(runs.flat().sort(), migrations.map(({ name }) => name));
  assertEquals(await migrate(pool, migrations), []);
  assertEquals<unknown>(await pool.sql`select count(*)::int as n from public.transfers`, [{ n: 0 }]);
});

Deno.test("migrate: rolls back one that fails, and applies none behind it", async () => {
  await using database = await TestDatabase.start();
  const pool = database.manager();
  const migrations = [
    { name: "1.sql", text: "create table a (n int); insert into a values (1);" },
    { name: "2.sql", text: "create table b (n int); insert into missing values (1);" },
    { name: "3.sql", text: "create table c (n int);" },
  ];
  await assertRejects(() => migrate(pool, migrations), PostgresError, "missing");
  const tables = await pool.sql`select to_regclass('a') is null as a, to_regclass('b') is null as b,
    to_regclass('c') is null as c`.first();
  assertEquals(tables, { a: false, b: true, c: true });
  const fixed = migrations.map((one) => ({ ...one, text: one.text.replace("missing", "a") }));
  assertEquals(await migrate(pool, fixed), ["2.sql", "3.sql"]);
});
