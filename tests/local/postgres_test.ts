import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { StackError } from "../../local/stack_error.ts";
import { generateKeys } from "../../local/keys.ts";
import { startPostgres } from "../../local/mod.ts";
import { migrate } from "../../local/postgres/migrations.ts";
import { prepareDatabase } from "../../local/postgres/roles.ts";

const quiet = { max: 1, onnotice: () => {} };

Deno.test("startPostgres() and migrate() on a real server", async (t) => {
  await using server = await startPostgres();
  const admin = postgres(server.url, quiet);
  const keys = generateKeys();
  const as = (user: string, password: string) =>
    postgres(Object.assign(new URL(server.url), { username: user, password }).href, quiet);

  await t.step("prepareDatabase() prepares a database once", async () => {
    const authSchema = () => Promise.resolve("create schema auth; create table auth.users (id uuid primary key);");
    assertEquals(await prepareDatabase(admin, keys, authSchema), true);
    assertEquals(await prepareDatabase(admin, keys, authSchema), false);
  });

  const owner = as("postgres", keys.databasePassword);

  await t.step("migrate() applies each file once, in order, and records it as the CLI does", async () => {
    const files = [
      { name: "1_one.sql", text: "create table one (id int);" },
      {
        name: "2_two.sql",
        text: "set search_path = ''; create table public.two (id int); insert into public.one values (1);",
      },
    ];
    assertEquals(await migrate(owner, files, "insert into two values (1);"), {
      applied: ["1_one.sql", "2_two.sql", "seed.sql"],
      warnings: [],
    });
    assertEquals(await migrate(owner, files, "insert into two values (1);"), { applied: [], warnings: [] });
    assertEquals([...await owner`select * from one`, ...await owner`select * from two`].length, 2);
    assertEquals(
      [...await owner`select version, name, statements from supabase_migrations.schema_migrations order by version`],
      files.map(({ name, text }) => ({ version: name[0], name: name.slice(2, 5), statements: [text] })),
    );

    const changed = await migrate(owner, [{ name: "1_one.sql", text: "-- edited" }], "-- another seed");
    assertEquals(changed.applied, []);
    assertEquals(changed.warnings.length, 3);
    for (
      const [index, words] of ["1_one.sql was edited", "Migration 2 was applied", "seed.sql was changed"].entries()
    ) {
      assertStringIncludes(changed.warnings[index] ?? "", words);
      assertStringIncludes(changed.warnings[index] ?? "", "--reset");
    }
  });

  await t.step("migrate() names a file that fails with its line, and rolls it back", async () => {
    const files = [{ name: "3_three.sql", text: "create table three (id int);\n\nselect * from nowhere;\n" }];
    const error = await assertRejects(() => migrate(owner, files, undefined), StackError, "3_three.sql, line 3");
    assertEquals(error.code, "MIGRATION_FAILED");
    assertEquals([...await owner`select to_regclass('public.three') as three`], [{ three: null }]);
    assertEquals([...await owner`select from supabase_migrations.schema_migrations where version = '3'`].length, 0);
  });

  await t.step("prepareDatabase() creates the roles of the hosted platform", async () => {
    const [role] = await owner`select rolsuper from pg_roles where rolname = current_user`;
    assertEquals(role, { rolsuper: false });
    const login = as("authenticator", keys.authenticatorPassword);
    await assertRejects(() => login`select * from one`, Error, "permission denied");
    const rows = await login.begin(async (sql) => {
      await sql`set local role authenticated`;
      await sql`select set_config('request.jwt.claims', '{"sub":"7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04","role":"authenticated"}', true)`;
      return await sql`select auth.uid() as uid, auth.role() as role, auth.jwt() ->> 'sub' as sub`;
    });
    assertEquals([...rows], [{
      uid: "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04",
      role: "authenticated",
      sub: "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04",
    }]);
    await login.end();
    const wrong = as("postgres", "wrong");
    await assertRejects(() => wrong`select 1`, Error, "password authentication failed");
    await wrong.end();
  });

  await owner.end();
  await admin.end();

  await t.step("kill() and stop() lose no committed row and keep the port", async () => {
    for (const end of [() => server.kill(), () => server.stop()]) {
      await end();
      await assertRejects(() => Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(server.url).port) }));
      await server.start();
      const sql = postgres(server.url, quiet);
      assertEquals([...await sql`select * from one`].length, 1);
      await sql.end();
    }
  });

  await t.step("startPostgres() listens on loopback only, and not on a socket file", async () => {
    const sql = postgres(server.url, quiet);
    const [row] = await sql`select current_setting('listen_addresses') as addresses,
      current_setting('unix_socket_directories') as sockets, current_setting('data_directory') as folder, version()`;
    assertEquals([row?.addresses, row?.sockets], ["127.0.0.1", ""]);
    assertMatch(row?.version ?? "", /PostgreSQL 18/);
    await sql.end();
    await server[Symbol.asyncDispose]();
    assert(await Deno.stat(row?.folder.replace(/\/data$/, "")).then(() => false, () => true), "its folder is deleted");
  });
});
