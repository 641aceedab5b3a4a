import { assertEquals, assertMatch } from "@std/assert";
import { countLevels, type Finding, toText } from "../../local/doctor/finding.ts";
import { examine } from "../../local/doctor/mod.ts";
import { TestDatabase } from "../postgres/support.ts";

const SCHEMA = `
create table public.guarded (id int);
alter table public.guarded enable row level security;
create policy own on public.guarded for select to authenticated using (true);
create table public.closed (id int);
alter table public.closed enable row level security;
create table public.wide_open (id int);
create schema private;
create table private.hidden (id int);
grant select on all tables in schema public to anon, authenticated;
`;

const FUNCTION = `
const notes = supabase.from("guarded").select();
const more = supabase.from("not_there").select();
const file = supabase.storage.from("a_bucket").list();
const list = Array.from("text");
`;

Deno.test("examine() checks login role, row-level security and missing tables of a database", async (t) => {
  await using database = await TestDatabase.start();
  await using admin = database.manager();
  for (const statement of SCHEMA.split(";\n").filter((text) => text.trim() !== "")) await admin.query(statement);
  const root = await Deno.makeTempDir({ prefix: "doctor-test-" });
  try {
    await Deno.mkdir(`${root}/supabase/functions/x`, { recursive: true });
    await Deno.writeTextFile(`${root}/supabase/config.toml`, "");
    await Deno.writeTextFile(`${root}/supabase/functions/x/index.ts`, FUNCTION);
    const run = async (login: "authenticator" | "postgres", change: Record<string, string> = {}) => {
      const { host, port, password } = database.options(login);
      const variables = {
        DB_HOST: host,
        DB_PORT: `${port}`,
        DB_NAME: "postgres",
        DB_USER: login,
        DB_PASSWORD: password,
        ...change,
      };
      const findings = await examine({ project: root, envFiles: [], offline: false }, variables);
      assertEquals(toText(findings).includes(password), false, "a password was printed");
      return findings;
    };
    const shown = (findings: readonly Finding[], check: string) =>
      findings.filter((finding) => finding.check === `database.${check}`).map(({ level, message }) =>
        `${level}: ${message}`
      );

    await t.step("tables", async () => {
      const findings = await run("authenticator");
      assertMatch(
        shown(findings, "rls")[0] ?? "",
        /^fail: .* public\.wide_open: row-level security is off$/,
        toText(findings),
      );
      assertMatch(shown(findings, "policies")[0] ?? "", /^warn: public\.closed have row-level security and no policy/);
      assertMatch(shown(findings, "missing")[0] ?? "", /^warn: the functions name not_there, which/);
      assertMatch(shown(findings, "version")[0] ?? "", /^ok: the database responds: PostgreSQL \d+/);
      assertEquals(shown(findings, "login_role"), ["ok: the login role authenticator may act for callers"]);
    });

    await t.step("a login role that is too strong", async () => {
      const findings = await run("postgres");
      assertMatch(
        shown(findings, "login_role")[0] ?? "",
        /^warn: the login role postgres .*: work on behalf of callers/,
      );
    });

    await t.step("a wrong password, and a port that nothing listens on", async () => {
      const refused = await run("authenticator", { DB_PASSWORD: "wrong-password" });
      assertMatch(shown(refused, "connect")[0] ?? "", /^fail: /);
      assertEquals(countLevels(refused).fail, 1, toText(refused));
      const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
      const { port } = listener.addr;
      listener.close();
      assertMatch(
        shown(await run("authenticator", { DB_PORT: `${port}` }), "connect")[0] ?? "",
        /^fail: .*ECONNREFUSED|refused/,
      );
    });
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
