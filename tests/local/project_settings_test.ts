import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import postgres from "postgres";
import { type Stack, startStack } from "../../local/mod.ts";
import { createProject } from "./fixture.ts";

const MIGRATION = `
create schema app;
grant usage on schema app to anon, authenticated, service_role;
create table app.things (id int primary key);
insert into app.things select generate_series(1, 10);
grant select on app.things to anon, service_role;
create schema helpers;
grant usage on schema helpers to anon, service_role;
create function helpers.seven() returns int language sql as 'select 7';
create function app.via_search_path() returns int language plpgsql as $$ begin return seven(); end $$;
create table public.hidden (id int primary key);
`;

const CONFIG = `
[api]
schemas = ["app"]
extra_search_path = ["helpers"]
max_rows = 3
[db]
major_version = 15
[db.settings]
work_mem = "7MB"
[db.seed]
sql_paths = ["./seeds/*.sql", "./seeds/b.sql"]
[storage.buckets.images]
public = true
file_size_limit = "1KiB"
allowed_mime_types = ["image/png"]
[db.vault]
token = "env(VAULT_TOKEN)"
[auth]
jwt_expiry = 120
minimum_password_length = 12
[auth.email]
otp_length = 8
`;

const json = { "content-type": "application/json" };

function signUp(stack: Stack, email: string, password: string): Promise<Response> {
  return fetch(`${stack.authUrl}/signup`, {
    method: "POST",
    headers: { ...json, apikey: stack.publishableKey },
    body: JSON.stringify({ email, password }),
  });
}

Deno.test("startStack() follows [api], [auth] and [db] of config.toml", async (t) => {
  await using project = await createProject();
  await project.write("supabase/config.toml", CONFIG);
  await project.write("supabase/.env", "VAULT_TOKEN=from-the-file\n");
  await project.write("supabase/seeds/b.sql", "insert into app.things values (102);");
  await project.write("supabase/seeds/a.sql", "insert into app.things values (101);");
  await project.write("supabase/migrations/20260102000000_app.sql", MIGRATION);
  await using stack = await startStack({ root: project.root, ephemeral: true });
  const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
  const get = (path: string) => fetch(`${stack.restUrl}/${path}`, { headers: { apikey: stack.publishableKey } });

  await t.step("[api] schemas, extra_search_path and max_rows", async () => {
    const things = await get("things?select=id");
    assertEquals([things.status, (await things.json()).length], [200, 3]);
    const hidden = await get("hidden");
    await hidden.body?.cancel();
    assertEquals(hidden.status, 404);
    const seven = await get("rpc/via_search_path");
    assertEquals([seven.status, await seven.text()], [200, "7"]);
  });

  await t.step("[auth] jwt_expiry and minimum_password_length", async () => {
    const short = await signUp(stack, "a@example.com", "elevenchars");
    assertEquals([short.status, (await short.json()).error_code], [422, "weak_password"]);
    const session = await (await signUp(stack, "a@example.com", "twelve-chars")).json();
    assertEquals(session.expires_in, 120);
    const claims = JSON.parse(atob(session.access_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    assertEquals(claims.exp - claims.iat, 120);
  });

  await t.step("[db] major_version, settings, seed and vault, and [storage.buckets]", async () => {
    const [row] = await sql`select version(), current_setting('work_mem') as memory,
      (select array_agg(id order by id) from app.things where id > 100) as seeded,
      (select decrypted_secret from vault.decrypted_secrets where name = 'token') as token`;
    assertMatch(row?.version, /^PostgreSQL 15/);
    assertEquals([row?.memory, row?.seeded, row?.token], ["7MB", [101, 102], "from-the-file"]);
    assertEquals([...await sql`select id, public, file_size_limit, allowed_mime_types from storage.buckets`], [
      { id: "images", public: true, file_size_limit: "1024", allowed_mime_types: ["image/png"] },
    ]);
    assertEquals(
      [...await sql`select path from supabase_migrations.seed_files order by path`].map(({ path }) => path),
      ["supabase/seeds/a.sql", "supabase/seeds/b.sql"],
    );
  });
  await sql.end();
});

Deno.test("startStack() follows settings that turn parts off", async () => {
  await using project = await createProject();
  await project.write(
    "supabase/config.toml",
    `
    [api]
    auto_expose_new_tables = false
    [auth]
    enable_signup = false
    [db.seed]
    enabled = false
    [auth.hook.send_email]
    enabled = true
    uri = "pg-functions://postgres/public/hook"
    `,
  );
  await using stack = await startStack({ root: project.root, ephemeral: true });
  const signedUp = await signUp(stack, "a@example.com", "long-enough-password");
  assertEquals([signedUp.status, (await signedUp.json()).error_code], [422, "signup_disabled"]);
  const sql = postgres(stack.dbUrl, { max: 1, onnotice: () => {} });
  assertEquals([...await sql`select * from public.greetings`], []);
  const [row] = await sql`select has_table_privilege('anon', 'public.greetings', 'select') as exposed`;
  assertEquals(row?.exposed, false);
  await sql.end();
  const hooks = stack.warnings.filter((line) => line.includes("auth.hook.send_email.enabled"));
  assertEquals(hooks.length, 1, stack.warnings.join("\n"));
  assertStringIncludes(hooks[0] ?? "", "has no effect: the local Auth calls no hooks");
  assert(!stack.warnings.some((line) => line.includes("uri")));
});
