import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { StackError } from "../../local/stack_error.ts";
import { generateKeys } from "../../local/keys.ts";
import { startPostgres } from "../../local/mod.ts";
import type { Migration, SqlFile } from "../../local/postgres/migrations/files.ts";
import { migrate } from "../../local/postgres/migrations/mod.ts";
import { prepareDatabase } from "../../local/postgres/platform/mod.ts";

const quiet = { max: 1, onnotice: () => {} };

Deno.test("startPostgres() and migrate() on a real server", async (t) => {
  await using server = await startPostgres();
  const admin = postgres(server.url, quiet);
  const keys = generateKeys();
  const as = (user: string, password: string) =>
    postgres(Object.assign(new URL(server.url), { username: user, password }).href, quiet);

  await t.step("prepareDatabase() prepares a database once", async () => {
    assertEquals(await prepareDatabase(admin, keys), true);
    assertEquals(await prepareDatabase(admin, keys), false);
  });

  const owner = as("postgres", keys.databasePassword);
  // A connection of its own has the search path of the database.
  const applier = postgres(server.url, quiet);
  const migrations = (texts: Record<string, string>): Migration[] =>
    Object.entries(texts).map(([file, text]) => ({
      version: file.split("_")[0] ?? "",
      name: file.replace(/^\d+_|\.sql$/g, ""),
      path: `supabase/migrations/${file}`,
      text,
    }));
  const seed = (text: string) => ({ path: "supabase/seed.sql", text });
  const apply = (texts: Record<string, string>, ...seeds: SqlFile[]) =>
    migrate(applier, { migrations: migrations(texts), seeds, warnings: [] });
  const failure = async (texts: Record<string, string>) => {
    const error = await assertRejects(() => apply(texts), StackError);
    assertEquals(error.code, "MIGRATION_FAILED");
    return error.message;
  };
  const exists = async (name: string) =>
    (await owner`select to_regclass(${name}) is not null as found`)[0]?.found as boolean;

  await t.step("migrate() applies each file once, in order, and records it as the CLI does", async () => {
    const files = {
      "1_one.sql": "create table one (id int);",
      "2_two.sql":
        "set search_path = '';\n-- a comment\ncreate table public.two (id int); insert into public.one values (1);",
    };
    assertEquals(await apply(files, seed("insert into two values (1);")), {
      applied: ["1_one.sql", "2_two.sql", "seed.sql"],
      warnings: [],
    });
    assertEquals(await apply(files, seed("insert into two values (1);")), { applied: [], warnings: [] });
    assertEquals([...await owner`select * from one`, ...await owner`select * from two`].length, 2);
    assertEquals(
      [...await owner`select version, name, statements from supabase_migrations.schema_migrations order by version`],
      [
        { version: "1", name: "one", statements: ["create table one (id int)"] },
        {
          version: "2",
          name: "two",
          statements: [
            "set search_path = ''",
            "-- a comment\ncreate table public.two (id int)",
            "insert into public.one values (1)",
          ],
        },
      ],
    );

    const changed = await apply({ "1_one.sql": "-- edited" }, seed("-- another seed"));
    assertEquals(changed.applied, []);
    assertEquals(changed.warnings.length, 3);
    for (
      const [index, words] of ["1_one.sql was edited", "Migration 2 was applied", "seed.sql was changed"].entries()
    ) {
      assertStringIncludes(changed.warnings[index] ?? "", words);
      assertStringIncludes(changed.warnings[index] ?? "", "--reset");
    }
  });

  await t.step("migrate() names file, line, statement and reason of a failure, and rolls the file back", async () => {
    const message = await failure({ "3_three.sql": "create table three (id int);\n\nselect *\n  from nowhere;\n" });
    assertStringIncludes(
      message,
      'supabase/migrations/3_three.sql, line 4: relation "nowhere" does not exist (SQLSTATE 42P01), in: select * from nowhere.',
    );
    assertStringIncludes(message, "The file was not applied: fix it, then start again.");
    assertEquals(await exists("three"), false);
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
  await applier.end();
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
