import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { StackError } from "../../local/stack_error.ts";
import { generateKeys } from "../../local/keys.ts";
import { startPostgres } from "../../local/mod.ts";
import type { Migration, SqlFile } from "../../local/postgres/migrations/files.ts";
import { migrate } from "../../local/postgres/migrations/mod.ts";
import { PLATFORM_SCRIPTS, PLATFORM_VERSION, prepareDatabase } from "../../local/postgres/platform/mod.ts";

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

  await t.step("prepareDatabase() refuses data of another version, and says how to create it again", async () => {
    const [mark] = await admin`select shobj_description('supabase_admin'::regrole, 'pg_authid') as text`;
    const outdated = async () => {
      const error = await assertRejects(() => prepareDatabase(admin, keys), StackError);
      assertEquals(error.code, "DATA_OUTDATED");
      assertStringIncludes(error.message, "--reset");
      return error.message;
    };
    await admin`comment on role supabase_admin is 'local stack, platform version 9999'`;
    assertStringIncludes(await outdated(), "a later version");
    // Data from before the version was recorded: with the role of Auth it is the first, without it an older one.
    await admin`comment on role supabase_admin is null`;
    assertEquals(await prepareDatabase(admin, keys), false);
    await admin`alter role supabase_auth_admin rename to another`;
    assertStringIncludes(await outdated(), "an earlier version");
    await admin`alter role another rename to supabase_auth_admin`;
    await admin.unsafe(`comment on role supabase_admin is '${mark?.text}'`);
    assertEquals(await prepareDatabase(admin, keys), false);
  });

  await t.step("PLATFORM_VERSION is that of PLATFORM_SCRIPTS", async () => {
    const bytes = new TextEncoder().encode(PLATFORM_SCRIPTS.join("\n"));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex().slice(0, 12);
    // After a change of a script: increment the version if a service needs the change, then write both here.
    assertEquals([PLATFORM_VERSION, hash], [1, "af8e06f17a2a"]);
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

  await t.step("migrate() sends rows together, in order, and names the first statement that fails", async () => {
    const rows = Array.from({ length: 250 }, (_, n) => `insert into many values (${n}, 'a''; b');`);
    const table = "create table many (id int primary key, body text);";
    await apply({
      "300_many.sql": [
        table,
        ...rows,
        "select set_config('app.n', count(*)::text, false) from many;",
        "do $$ begin assert current_setting('app.n') = '250'; end $$;",
      ].join("\n"),
    });
    const message = await failure({
      "301_more.sql": [...rows.map((row) => row.replace("(", "(1000 + ")), "insert into many values (7);", ...rows]
        .join("\n"),
    });
    assertStringIncludes(message, "supabase/migrations/301_more.sql, line 251: duplicate key value");
    assertStringIncludes(message, "insert into many values (7)");
    assertEquals([...await owner`select count(*)::int as n from many`], [{ n: 250 }]);
  });

  await t.step("migrate() runs statements outside of a transaction where they need it", async () => {
    const outside = "create table four (id int);\ncreate index concurrently four_id on four (id);\nvacuum four;\n" +
      "reindex index concurrently four_id;\ncluster four using four_id;\ninsert into four values (1);";
    assertEquals((await apply({ "4_four.sql": outside })).applied, ["4_four.sql"]);
    assertEquals([...await owner`select * from four`].length, 1);
    assertEquals([...await owner`select * from supabase_migrations.applied_in_part`], []);
    const denied = await failure({ "4_four.sql": outside, "5_five.sql": "alter system set work_mem = '8MB';" });
    assertStringIncludes(denied, 'permission denied to set parameter "work_mem"');
  });

  await t.step("migrate() continues a file that was applied in part, and never applies a statement twice", async () => {
    const files = {
      "6_six.sql": "begin;\ncreate table six (id int);\ncommit;\ncreate table sixth (id int);\nselect 1/0;",
    };
    const message = await failure(files);
    assertStringIncludes(message, "6_six.sql, line 5: division by zero");
    assertStringIncludes(message, "its first 3 statements are committed");
    assertStringIncludes(message, "--reset");
    assertEquals([await exists("six"), await exists("sixth")], [true, false]);
    assertStringIncludes(await failure(files), "division by zero", "the second start stops at the same statement");
    const edited = { "6_six.sql": files["6_six.sql"].replace("six (", "other (") };
    assertStringIncludes(await failure(edited), "was applied in part, and its first 3 statements were edited since");
    assertEquals((await apply({ "6_six.sql": files["6_six.sql"].replace("1/0", "1/1") })).applied, ["6_six.sql"]);
    assertEquals(await exists("sixth"), true);
    const rolledBack = { "7_seven.sql": "create table seven (id int); rollback; create table seventh (id int);" };
    assertEquals((await apply(rolledBack)).applied, ["7_seven.sql"]);
    assertEquals([await exists("seven"), await exists("seventh")], [false, true]);
  });

  await t.step("migrate() explains what the Supabase CLI refuses as well", async () => {
    const cases: [string, ...string[]][] = [
      ["savepoint a;", "SAVEPOINT can only be used in transaction blocks"],
      ["copy one from stdin;\n1\n\\.\n", "COPY … FROM STDIN needs psql"],
      ["\\restrict abc\nselect 1;", "syntax error", "commands of psql"],
      ["create table t (c ltree);", 'type "ltree" does not exist', "extensions.ltree"],
      ["alter table storage.objects enable row level security;", "must be owner of table objects", "hosted project"],
      ["select * from net.http_request_queue;", "create extension if not exists pg_net"],
      ["insert into one values (1), (1); create unique index on one (id);", "Detail: Key (id)=(1) is duplicated."],
      ["create extension plv8;", 'the extension "plv8" is not part of the local stack', "Functions in JavaScript"],
    ];
    for (const [text, ...expected] of cases) {
      const message = await failure({ "8_eight.sql": text });
      for (const words of expected) assertStringIncludes(message, words);
    }
    assertStringIncludes(await failure({ "8_a.sql": "select 1;", "8_b.sql": "select 2;" }), "have the same version, 8");
  });

  await t.step("migrate() grants for one statement what the hosted platform grants", async () => {
    const report = await apply({
      "9_nine.sql": `
        create policy "Avatars" on storage.objects for select using (bucket_id = 'avatars');
        drop policy "Avatars" on storage.objects;
        do $$ begin create policy "Own" on storage.objects for select using (owner_id = auth.uid()::text); end $$;
        create function public.on_ddl() returns event_trigger language plpgsql as $$ begin end $$;
        create event trigger on_ddl on ddl_command_end execute function public.on_ddl();
        alter role authenticator set pgrst.db_aggregates_enabled = 'true';
        comment on extension pgcrypto is 'x';
        create function public.on_user() returns trigger language plpgsql security definer as $$ begin return new; end $$;
        create trigger on_user after insert on auth.users for each row execute function public.on_user();
        drop trigger on_user on auth.users;
        set session_replication_role = replica;
      `,
    });
    assertEquals(report.applied, ["9_nine.sql"]);
    assertEquals([...await owner`select rolsuper from pg_roles where rolname = 'postgres'`], [{ rolsuper: false }]);
    assertEquals([...await owner`select policyname from pg_policies where schemaname = 'storage'`], [{
      policyname: "Own",
    }]);
    const superuser = ["reset session authorization", "set session authorization default"];
    for (const [index, statement] of superuser.entries()) {
      assertStringIncludes(
        await failure({ [`9${index}_session.sql`]: `${statement}; create role r superuser;` }),
        "permission denied to create role",
      );
    }
    assertStringIncludes(
      await failure({ "99_session.sql": "set session authorization supabase_admin;" }),
      "permission denied to set session authorization",
    );
    const other = await failure({
      "10_ten.sql": "create policy p on storage.objects using (true); create role r superuser;",
    });
    assertStringIncludes(other, "permission denied to create role");
    assertEquals([...await owner`select rolsuper from pg_roles where rolname = 'postgres'`], [{ rolsuper: false }]);
  });

  await t.step("stand-ins of extensions keep, compute and warn once by name", async () => {
    const report = await apply({
      "11_extensions.sql": `
        create extension if not exists vector with schema extensions version '0.5.0';
        create extension pg_net; create extension pgmq; create extension pgjwt schema extensions;
        create table items (id int, embedding vector(3));
        create index on items using hnsw (embedding vector_cosine_ops) with (m = 16, ef_construction = 64);
        create index on items using ivfflat (embedding vector_l2_ops) with (lists = 10);
        insert into items values (1, '[1,2,3]'), (2, '{3,1,2}');
        create extension postgis schema extensions;
        create table places (id int, at geography(Point, 4326));
        create index on places using gist (at);
        insert into places values (1, st_setsrid(st_makepoint(13.405, 52.52), 4326)), (2, 'POINT(2.3522 48.8566)');
        select cron.schedule('nightly', '0 3 * * *', 'select 1');
        select pgmq.create('jobs'), vault.create_secret('secret', 'name');
        select pgmq.send('jobs', '{"n": 1}');
        select net.http_post('http://127.0.0.1/hook', '{"a": 1}');
      `,
    });
    for (
      const words of ["pg_cron is used, but no migration creates it", "pg_net is a stand-in", "vector is a stand-in"]
    ) {
      assertEquals(report.warnings.filter((line) => line.includes(words)).length, 1, words);
    }
    const near = await owner`select id, embedding <-> '[3,1,2]' as d from items order by embedding <-> '[3,1,2]'`;
    assertEquals(near.map(({ id }) => id), [2, 1]);
    assertEquals([near[0]?.d, Number(near[1]?.d.toFixed(6))], [0, 2.44949]);
    await assertRejects(() => owner`insert into items values (3, '[1,2]')`, Error, "expected 3 dimensions, not 2");
    assertEquals([...await owner`select jobname, schedule from cron.job`], [{
      jobname: "nightly",
      schedule: "0 3 * * *",
    }]);
    assertEquals([...await owner`select message from pgmq.read('jobs', 30, 1)`], [{ message: { n: 1 } }]);
    assertEquals([...await owner`select message from pgmq.read('jobs', 30, 1)`], []);
    assertEquals([...await owner`select decrypted_secret as s from vault.decrypted_secrets`], [{ s: "secret" }]);
    assertEquals([...await owner`select url from net.http_request_queue`], [{ url: "http://127.0.0.1/hook" }]);
    const [km] = await owner`select round(st_distance(a.at, b.at) / 1000) as d from places a, places b
      where a.id = 1 and b.id = 2`;
    assertEquals(km?.d, 877, "from Berlin to Paris");
    // The example of jwt.io.
    const [jwt] = await owner`select extensions.sign(
      '{"sub":"1234567890","name":"John Doe","iat":1516239022}', 'your-256-bit-secret') as token`;
    assertStringIncludes(jwt?.token, ".SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c");
  });

  await t.step("VECTOR accepts, prints and refuses values as pgvector does, on every way into a column", async () => {
    const [printed] = await owner`select ' [ 1.50 ,-.5e1,1e-50 ] '::vector::text as v, '{1,2}'::vector::text as array,
      '[65519,0.1,1e-9,65504]'::halfvec::text as h, '{3:1.5,1:0,2:-2}/5'::sparsevec::text as s,
      array[1,2.5]::vector::text as a, '[0,2]'::vector::sparsevec::text as vs, '{2:2}/2'::sparsevec::vector::text as sv,
      '{1:1,3:2}/3'::sparsevec <-> '{1:1,3:5}/3' as d, B'1010' <~> B'1100' as hamming`;
    assertEquals({ ...printed }, {
      v: "[1.5,-5,0]",
      array: "[1,2]",
      h: "[65504,0.099975586,0,65504]",
      s: "{2:-2,3:1.5}/5",
      a: "[1,2.5]",
      vs: "{2:2}/2",
      sv: "[0,2]",
      d: 3,
      hamming: 2,
    });
    for (
      const [value, code, message, detail] of [
        ["'[1,x]'::vector", "22P02", 'invalid input syntax for type vector: "[1,x]"'],
        [
          "'1,2'::vector",
          "22P02",
          'invalid input syntax for type vector: "1,2"',
          'Vector contents must start with "[".',
        ],
        [
          "'[1]2'::halfvec",
          "22P02",
          'invalid input syntax for type halfvec: "[1]2"',
          "Junk after closing right brace.",
        ],
        ["'[1,,2]'::halfvec", "22P02", 'invalid input syntax for type halfvec: "[1,,2]"'],
        ["'[ ]'::vector", "22000", "vector must have at least 1 dimension"],
        ["'[1,NaN]'::vector", "22000", "NaN not allowed in vector"],
        ["'[-inf]'::halfvec", "22000", "infinite value not allowed in halfvec"],
        ["'[1e39]'::vector", "22003", '"1e39" is out of range for type vector'],
        ["'[65520]'::halfvec", "22003", '"65520" is out of range for type halfvec'],
        ["('[' || repeat('1,', 16000) || '1]')::vector", "54000", "vector cannot have more than 16000 dimensions"],
        ["'[1]'::vector(2)", "22000", "expected 2 dimensions, not 1"],
        ["'[1]'::vector(0)", "22023", "dimensions for type vector must be at least 1"],
        ["'[1]'::vector(16001)", "22023", "dimensions for type vector cannot exceed 16000"],
        ["array[[1]]::vector", "22000", "array must be 1-D"],
        ["array[1, null]::vector", "22004", "array must not contain nulls"],
        ["array['NaN'::float8]::halfvec", "22000", "NaN not allowed in halfvec"],
        ["'{1:1}'::sparsevec", "22P02", 'invalid input syntax for type sparsevec: "{1:1}"', "Unexpected end of input."],
        ["'{4:1}/3'::sparsevec", "22000", "sparsevec index out of bounds"],
        ["'{1:1,1:2}/3'::sparsevec", "22000", "sparsevec indices must not contain duplicates"],
        ["'{1:1}/3'::sparsevec(4)", "22000", "expected 4 dimensions, not 3"],
      ]
    ) {
      const error = await assertRejects(async () => await owner.unsafe(`select ${value}`), postgres.PostgresError);
      assertEquals([error.code, error.message, error.detail], [code, message, detail], value);
    }
    await owner.begin(async (sql) => {
      await sql`select set_config('request.jwt.claims', '{"role": "anon"}', true)`;
      const [array] = await sql`select '1,2.50,1e-7'::vector::text as list, '5'::halfvec::text as one`;
      assertEquals({ ...array }, { list: "[1,2.5,1e-07]", one: "[5]" });
    });
    await owner`create table vectors (e vector, h halfvec(2))`;
    for (
      const insert of [
        "insert into vectors (e) values ('[1,x]')",
        'insert into vectors (e) select e from jsonb_to_recordset(\'[{"e": "x"}]\') as r (e vector)',
        "do $$ declare value vector := 'x'; begin end $$",
        "alter table vectors alter e set default '[]'",
        "insert into vectors (h) select h from jsonb_to_recordset('[{\"h\": [1,2,3]}]') as r (h halfvec)",
      ]
    ) await assertRejects(async () => await owner.unsafe(insert), postgres.PostgresError, undefined, insert);
    assertEquals([...await owner`select from vectors`].length, 0);
    const types = await owner`select format_type(atttypid, atttypmod) as name, atttypmod as modifier from pg_attribute
      where attrelid = 'vectors'::regclass and attnum > 0 order by attnum`;
    assertEquals([...types], [{ name: "vector", modifier: -1 }, { name: "halfvec(2)", modifier: 2 }]);
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
