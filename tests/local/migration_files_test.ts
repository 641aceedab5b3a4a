import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parseConfig } from "../../local/config/mod.ts";
import { StackError } from "../../local/stack_error.ts";
import { parseMigrationName, readPatterns, readSqlFiles } from "../../local/postgres/migrations/files.ts";
import { impliedExtensions } from "../../local/postgres/migrations/implied.ts";
import { isPrivileged, kindOf } from "../../local/postgres/migrations/kinds.ts";
import { rewriteStatement } from "../../local/postgres/migrations/rewrite.ts";
import { partsOf, splitStatements, withoutComments } from "../../local/postgres/migrations/split.ts";

const texts = (sql: string) => splitStatements(sql).map(({ text }) => text);

Deno.test("splitStatements() splits at the semicolons that end statements only", () => {
  const cases: [string, string[]][] = [
    ["select 1; select 2", ["select 1", "select 2"]],
    ["select ';', 'it''s;', \";\"; select 2;", ["select ';', 'it''s;', \";\"", "select 2"]],
    ["select E'it\\'s;'; select 2;", ["select E'it\\'s;'", "select 2"]],
    ["-- a; b\nselect 1; /* ; /* ; */ ; */ select 2;", ["-- a; b\nselect 1", "/* ; /* ; */ ; */ select 2"]],
    ["do $$ begin perform 1; end $$; select 2", ["do $$ begin perform 1; end $$", "select 2"]],
    ["do $a$ select $$;$$; $a$; select 2", ["do $a$ select $$;$$; $a$", "select 2"]],
    ["select $1; select a$b$; select c$b$", ["select $1", "select a$b$", "select c$b$"]],
    ["create rule r as on insert to t do also (select 1; select 2); x", [
      "create rule r as on insert to t do also (select 1; select 2)",
      "x",
    ]],
    [
      "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3;",
      ["create function f() returns int begin atomic select case when true then 1 end; select 2; end", "select 3"],
    ],
    ["begin; select 1; end; select 2;", ["begin", "select 1", "end", "select 2"]],
    [";;\n ; ", []],
    ["select 'open; select 2;", ["select 'open; select 2"]],
    ["-- only a comment\n", ["-- only a comment"]],
  ];
  for (const [sql, expected] of cases) assertEquals(texts(sql), expected, sql);
  assertEquals(splitStatements("a;\n\n  b;").map(({ offset }) => offset), [0, 6]);
});

Deno.test("kindOf() finds statements that control transactions or cannot run in one", () => {
  const cases: Record<string, string[]> = {
    begin: ["BEGIN", "begin transaction isolation level serializable", "start transaction", "-- x\nbegin"],
    commit: ["commit", "END", "commit and chain"],
    rollback: ["rollback", "abort"],
    savepoint: ["savepoint a", "release a", "rollback to a", "rollback to savepoint a"],
    copy: ["copy t (a) from stdin", "COPY t FROM stdin WITH csv"],
    outside: [
      "create index concurrently i on t (a)",
      "create unique index concurrently if not exists i on t (a)",
      "drop index concurrently i",
      "reindex index concurrently i",
      "reindex (verbose) table concurrently t",
      "vacuum analyze t",
      "alter system set work_mem = '1MB'",
      "cluster t using i",
      "create database d",
      "alter table t detach partition p concurrently",
      "do $$ begin perform 1; commit; end $$",
      "/* a */ create /* b */ index -- c\n concurrently i on t (a)",
    ],
    session: [
      "reset session authorization",
      "SET SESSION AUTHORIZATION 'postgres'",
      "set local session authorization default",
    ],
    plain: [
      "create index i on t (a)",
      "select 'begin'",
      "create table concurrently (id int)",
      "do $$ begin perform 1; end $$",
      "commit prepared 'a'",
      "endpoint",
    ],
  };
  for (const [kind, statements] of Object.entries(cases)) {
    for (const statement of statements) assertEquals(kindOf(statement), kind, statement);
  }
});

Deno.test("isPrivileged() finds what the hosted platform lets postgres do", () => {
  const privileged = [
    "create event trigger e on ddl_command_end execute function f()",
    'create policy "p" on storage.objects for select using (true)',
    'CREATE POLICY p ON "storage"."objects" USING (true)',
    "drop policy if exists p on storage.objects",
    "drop trigger t on auth.users",
    "alter role authenticator set pgrst.db_schemas = 'public, app'",
    "comment on extension pgcrypto is 'x'",
    "create publication p for all tables",
    "do $$ begin create policy p on storage.objects for select using (true); end $$",
  ];
  const ordinary = [
    "create policy p on public.notes for select using (true)",
    "alter table storage.objects enable row level security",
    "create trigger t after insert on auth.users for each row execute function f()",
    "alter role supabase_admin set search_path = x",
    "create function f() returns void language plpgsql as $$ begin drop trigger t on auth.users; end $$",
  ];
  assertEquals(privileged.filter((text) => !isPrivileged(text)), []);
  assertEquals(ordinary.filter(isPrivileged), []);
});

Deno.test("rewriteStatement() drops what the stand-ins cannot take, and keeps lines", () => {
  assertEquals(
    rewriteStatement("create extension if not exists \"vector\" with schema extensions version '0.5.1'"),
    'create extension if not exists "vector" with schema extensions ',
  );
  assertEquals(rewriteStatement("create extension hstore version '1.8'"), "create extension hstore version '1.8'");
  assertEquals(
    rewriteStatement("create table t (a geography(Point, 4326), b extensions.geometry(MultiPolygon), c geometry)"),
    "create table t (a geography, b extensions.geometry, c geometry)",
  );
  assertEquals(
    rewriteStatement('create extension "pgsodium" with schema "pgsodium"'),
    'create schema if not exists pgsodium; create extension "pgsodium" with schema "pgsodium"',
  );
  assertEquals(
    rewriteStatement("create index on t using hnsw (lower(e) vector_l2_ops) with (\n m = 16,\n ef_construction = 64)"),
    "create index on t using hnsw (lower(e) vector_l2_ops) \n\n",
  );
  assertEquals(
    rewriteStatement("create index on t using gin (a) with (x = 1)"),
    "create index on t using gin (a) with (x = 1)",
  );
  // Strings of rows are data.
  for (
    const text of [
      "insert into t values ('create extension vector version 1.0'), ('using hnsw (a b) with (m = 1)')",
      "comment on table t is 'create extension supabase_vault, geometry(Point, 4326)'",
      "with a as (select 'geometry(Point)') select * from a",
    ]
  ) assertEquals(rewriteStatement(text), text);
  assertEquals(
    rewriteStatement("insert into t select x::geometry(Point, 4326), 'geometry(Point, 4326)'"),
    "insert into t select x::geometry, 'geometry(Point, 4326)'",
  );
  assertEquals(
    rewriteStatement("do $$ begin execute 'create index on t using hnsw (e vector_l2_ops) with (m = 1)'; end $$"),
    "do $$ begin execute 'create index on t using hnsw (e vector_l2_ops) '; end $$",
  );
});

Deno.test("impliedExtensions() finds extensions that are used and that no file creates", () => {
  const file = (text: string) => ({ path: "x.sql", text });
  assertEquals(impliedExtensions([file("select cron.schedule('a', '* * * * *', 'select 1');")]), ["pg_cron"]);
  assertEquals(
    impliedExtensions([
      file("select cron.schedule('a', '* * * * *', 'select 1');"),
      file('create extension "pg_cron";'),
    ]),
    [],
  );
  assertEquals(impliedExtensions([file("-- net.http_post()\ncreate table t (e vector(3));")]), ["vector"]);
});

Deno.test("parseMigrationName() accepts the names that the Supabase CLI accepts", () => {
  const names = ["1_a.sql", "20250101000000_a-b.up.sql", "20250101000000_.sql"];
  assertEquals(names.map((name) => parseMigrationName(name)?.version), ["1", "20250101000000", "20250101000000"]);
  const others = ["20250730153237-a_b.sql", "20250730153238.sql", "1_a.SQL", "1_a.sql.bak", "a_1.sql", "1 _a.sql"];
  assertEquals(others.map(parseMigrationName), others.map(() => undefined));
});

Deno.test("readSqlFiles() reads roles, migrations and seeds, and names what it leaves out", async () => {
  const root = await Deno.makeTempDir();
  const write = async (path: string, text = "select 1;") => {
    await Deno.mkdir(`${root}/${path.slice(0, path.lastIndexOf("/"))}`, { recursive: true });
    await Deno.writeTextFile(`${root}/${path}`, text);
  };
  try {
    await write("supabase/migrations/20200101000000_init.sql");
    await write("supabase/migrations/20250101000000_a.sql", "\uFEFFselect 1;");
    await write("supabase/migrations/20250730153237-98fd.sql");
    await write("supabase/migrations/README.md");
    await write("supabase/migrations/20250101000001_folder/x.sql");
    await write("supabase/seeds/b/two.sql");
    await write("supabase/seeds/b/one.sql");
    await write("supabase/seeds/a.sql");
    await write("data/extra.sql");
    await write("supabase/roles.sql", "create role r;");
    const toml = `[db.seed]\nsql_paths = ["./seeds/a.sql", "seeds/**/*.sql", "../data/*.sql", "./none.sql"]`;
    const read = await readSqlFiles(`${root}/supabase`, parseConfig(toml, "config.toml").db);
    assertEquals(read.roles?.text, "create role r;");
    assertEquals(read.migrations, [{
      version: "20250101000000",
      name: "a",
      path: "supabase/migrations/20250101000000_a.sql",
      text: "select 1;",
    }]);
    assertEquals(read.seeds.map(({ path }) => path), [
      "supabase/seeds/a.sql",
      "supabase/seeds/b/one.sql",
      "supabase/seeds/b/two.sql",
      "data/extra.sql",
    ]);
    for (
      const [index, words] of [
        "20200101000000_init.sql is not applied, as by the Supabase CLI",
        "20250101000000_a.sql begins with a byte order mark",
        "20250730153237-98fd.sql is not applied, as by the Supabase CLI",
        "names ./none.sql, which matches no file",
      ].entries()
    ) assertStringIncludes(read.warnings[index] ?? "", words);
    assertEquals(read.warnings.length, 4);
    const off = `[db.migrations]\nenabled = false\n[db.seed]\nenabled = false`;
    const none = await readSqlFiles(`${root}/supabase`, parseConfig(off, "config.toml").db);
    assertEquals([none.migrations.length, none.seeds.length], [0, 0]);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("readSqlFiles() refuses files that Postgres would not get as they are", async () => {
  const bytes = (...parts: (string | number)[]) =>
    new Uint8Array(parts.flatMap((part) => typeof part === "number" ? [part] : [...new TextEncoder().encode(part)]));
  const cases: [Uint8Array<ArrayBuffer>, string][] = [
    [bytes("insert into t values ('caf", 0xe9, "');"), "is not encoded in UTF-8"],
    [bytes(0xff, 0xfe, "s", 0, "q", 0), "is not encoded in UTF-8"],
    [bytes("s", 0, "q", 0), "contains a NUL character"],
    [bytes("select 'a", 0, "b'"), "contains a NUL character"],
  ];
  const root = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${root}/supabase/migrations`, { recursive: true });
    for (const [content, words] of cases) {
      await Deno.writeFile(`${root}/supabase/migrations/1_a.sql`, content);
      const error = await assertRejects(
        () => readSqlFiles(`${root}/supabase`, parseConfig("", "config.toml").db),
        StackError,
      );
      assertEquals(error.code, "MIGRATION_FAILED");
      assertStringIncludes(error.message, `supabase/migrations/1_a.sql ${words}`);
    }
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("readPatterns() matches as the Supabase CLI does, and names a folder", async () => {
  const root = await Deno.makeTempDir();
  try {
    for (const path of ["a.sql", "b.sql", "{x}.sql", "[.sql", "sub/c.sql", "sub/deep/d.sql", ".hidden.sql"]) {
      await Deno.mkdir(`${root}/supabase/seeds/${path}`.replace(/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/supabase/seeds/${path}`, "select 1;");
    }
    const match = async (...patterns: string[]) =>
      (await readPatterns(`${root}/supabase`, patterns, "db.seed.sql_paths")).files.map(({ path }) =>
        path.replace("supabase/seeds/", "")
      );
    assertEquals(await match("seeds/**/*.sql"), ["sub/c.sql"]);
    assertEquals(await match("./seeds/*.sql"), [".hidden.sql", "[.sql", "a.sql", "b.sql", "{x}.sql"]);
    assertEquals(await match("seeds/[!a].sql", "seeds/[^b].sql"), ["a.sql", "[.sql"]);
    assertEquals(await match("seeds/{x}.sql", "seeds/{a,b}.sql", "seeds/\\[.sql"), ["{x}.sql", "[.sql"]);
    assertEquals(await match("seeds/b.sql", "seeds/[ab].sql"), ["b.sql", "a.sql"]);
    const error = await assertRejects(() => match("./seeds/"), StackError);
    assertStringIncludes(error.message, "db.seed.sql_paths names ./seeds/, which is a folder");
    assertStringIncludes(error.message, "./seeds/*.sql");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});

Deno.test("partsOf() returns parts that together are the statement", () => {
  const sql = `select 'a--b', "c'd", $x$ ' $x$ -- e'\n /* f /* ' */ */ e'\\'' , 1 from t`;
  assertEquals(partsOf(sql).map(({ text }) => text).join(""), sql);
  assertEquals(partsOf(sql).filter(({ kind }) => kind !== "code"), [
    { kind: "string", text: "'a--b'" },
    { kind: "dollar", text: "$x$ ' $x$" },
    { kind: "comment", text: "-- e'\n" },
    { kind: "comment", text: "/* f /* ' */ */" },
    { kind: "string", text: "e'\\''" },
  ]);
  assertEquals(withoutComments("create /* a */ index -- b\n concurrently"), "create   index   concurrently");
});

Deno.test("splitStatements() splits long files", () => {
  const long = `insert into t values ${"('it''s', $$;$$, 1.5e3, e'\\\\'), ".repeat(20_000)}(1);`.repeat(5);
  assertEquals(splitStatements(long).length, 5);
});
