import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { CallerError, LoginRoleError, PostgresError, type PostgresQueries } from "../../shared/postgres/mod.ts";
import { SERVER_MAJOR } from "./server_version.ts";
import { claimsOf, countedConnection, TestDatabase, thrownBy } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";
const BOB = "0b4d3a77-54b7-4f0b-8d0d-6f6a7c1e2f05";

const SCHEMA = [
  "create table note (id int generated always as identity, owner uuid not null default auth.uid(), text text)",
  "alter table note enable row level security",
  "create policy own on note to authenticated using (owner = auth.uid()) with check (owner = auth.uid())",
  // A later one may be refused at COMMIT.
  "create table parent (id int primary key)",
  "create table late (parent int references parent deferrable initially deferred, owner uuid default auth.uid())",
  "create table open (n int, who text default current_user)",
  "create function leave_behind() returns void language plpgsql as $$ begin " +
  "perform set_config('my.setting', 'left', false); perform pg_advisory_lock(7); execute 'listen hidden'; end $$",
  "grant all on all tables in schema public to anon, authenticated",
  "revoke all on note from anon",
];

/** Shows what may have outlived a transaction on a connection. */
const LEFTOVERS = `select current_user = session_user as own_role,
  coalesce(current_setting('request.jwt.claims', true), '') as claims,
  coalesce(current_setting('my.setting', true), '') as setting,
  current_setting('work_mem') as work_mem,
  (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) as locks,
  (select count(*)::int from pg_listening_channels()) as channels,
  (select count(*)::int from pg_cursors where is_holdable) as cursors,
  (select count(*)::int from pg_prepared_statements where from_sql) as prepared,
  (select count(*)::int from pg_class where relnamespace = pg_my_temp_schema()) as temporary,
  pg_current_xact_id_if_assigned() is null as no_transaction`;

const CLEAN = {
  own_role: true,
  claims: "",
  setting: "",
  work_mem: "4MB",
  locks: 0,
  channels: 0,
  cursors: 0,
  prepared: 0,
  temporary: 0,
  no_transaction: true,
};

Deno.test("manager.as()", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  for (const text of SCHEMA) await admin.query(text);
  const manager = database.manager({ maxConnections: 1 }, "authenticator");
  const alice = manager.as(claimsOf(ALICE));
  const bob = manager.as(claimsOf(BOB));
  const anonymous = manager.as("anonymous");
  const leftovers = async () => (await manager.query(LEFTOVERS)).rows[0];

  await t.step("as() applies row-level security to queries, lists and transactions", async () => {
    await alice.query("insert into note (text) values ('one')");
    await alice.transaction([{ query: "insert into note (text) values ($1)", values: ["two"] }]);
    await alice.transaction(async (tx) => {
      await tx.query("insert into note (text) values ('three')");
      await tx.transaction((nested) => nested.query("insert into note (text) values ('four')"));
    });
    await bob.query("insert into note (text) values ('of bob')");
    const texts = async (queries: PostgresQueries) =>
      (await queries.query("select text from note order by id")).rows.map(({ text }) => text);
    assertEquals(await texts(alice), ["one", "two", "three", "four"]);
    assertEquals(await texts(bob), ["of bob"]);
    const stolen = await thrownBy(
      () => bob.query("insert into note (owner, text) values ($1, 'x')", [ALICE]),
      PostgresError,
    );
    assertEquals(stolen.code, "42501");
    assertEquals((await bob.query("delete from note where owner = $1", [ALICE])).rowCount, 0);
    assertEquals((await thrownBy(() => texts(anonymous), PostgresError)).code, "42501");
  });

  await t.step("as() sets role and claims for one transaction", async () => {
    const who = "select current_user as role, session_user as login, auth.uid() as uid, auth.role() as claimed";
    assertEquals((await alice.query(who)).rows, [
      { role: "authenticated", login: "authenticator", uid: ALICE, claimed: "authenticated" },
    ]);
    assertEquals((await anonymous.query(who)).rows, [
      { role: "anon", login: "authenticator", uid: null, claimed: "anon" },
    ]);
    assertEquals(await leftovers(), CLEAN);
    assertEquals((await thrownBy(() => manager.query("select from note"), PostgresError)).code, "42501");
  });

  await t.step("as() keeps two concurrent callers on one connection apart", async () => {
    const uid = async (queries: PostgresQueries) => (await queries.query("select auth.uid() as uid")).rows[0]?.["uid"];
    const got = await Promise.all(
      Array.from({ length: 50 }, (_, n) => uid(n % 3 === 0 ? anonymous : n % 3 === 1 ? alice : bob)),
    );
    assertEquals(got, Array.from({ length: 50 }, (_, n) => n % 3 === 0 ? null : n % 3 === 1 ? ALICE : BOB));
  });

  for (
    const text of [
      "select set_config('my.setting', 'left', false)",
      "select leave_behind()",
      "set work_mem = '8MB'",
      "select pg_advisory_lock(42)",
      "prepare stmt as select 1",
      "declare held cursor with hold for select 1",
      "create temporary table temporary (n int)",
      "set role anon",
      "reset role",
      "do $$ begin perform set_config('my.setting', 'left', false); perform pg_advisory_lock(7); execute 'listen c' ; execute 'prepare p as select 1'; end $$",
    ]
  ) {
    await t.step(`as() clears the connection after ${JSON.stringify(text.slice(0, 60))}`, async () => {
      const temporary = "grant temporary on database postgres to authenticated";
      if (text.includes("temporary")) await admin.query(temporary);
      for (const work of [() => alice.query(text), () => alice.transaction((tx) => tx.query(text))]) {
        await work().catch((error) => assert(error instanceof PostgresError, String(error)));
        assertEquals(await leftovers(), CLEAN);
        assertEquals((await bob.query("select auth.uid() as uid")).rows, [{ uid: BOB }]);
      }
    });
  }

  await t.step("as() runs on a connection without state of the login role", async () => {
    const seen = "select coalesce(current_setting('my.setting', true), '') as setting";
    for (const read of [() => alice.query(seen), () => alice.transaction((tx) => tx.query(seen))]) {
      await manager.query("select leave_behind()");
      assertEquals((await read()).rows, [{ setting: "" }]);
    }
  });

  await t.step("as() grants no rights after RESET ROLE", async () => {
    for (const text of ["reset role", "set session authorization default"]) {
      const error = await thrownBy(() =>
        alice.transaction(async (tx) => {
          await tx.query(text);
          await tx.query("select * from note");
        }), PostgresError);
      assertEquals(error.code, "42501", text);
    }
  });

  await t.step("as() runs no statement, or undoes it, whatever step fails", async () => {
    const insert = "insert into open (n) values (1)";
    const count = async () => (await admin.query("select count(*)::int as n from open")).rows[0]?.["n"];
    // BEGIN: the server refuses it while another transaction's mode is set.
    await assertRejects(() => alice.transaction([{ query: insert }], { isolationLevel: "nonsense" as "serializable" }));
    // The role: taken from the login.
    await admin.query("revoke authenticated from authenticator");
    assertEquals((await thrownBy(() => alice.query(insert), PostgresError)).code, "42501");
    assertEquals(
      (await thrownBy(() => alice.transaction((tx) => tx.query(insert)), PostgresError)).code,
      "42501",
    );
    assertEquals(await count(), 0);
    await admin.query("grant authenticated to authenticator");
    // The statement itself.
    assertEquals(
      (await thrownBy(() => alice.query("with x as (insert into open (n) values (1)) select 1 / 0"), PostgresError))
        .code,
      "22012",
    );
    // COMMIT.
    assertEquals(
      (await thrownBy(() => alice.query("insert into late (parent) values (1)"), PostgresError)).code,
      "23503",
    );
    assertEquals((await admin.query("select from late")).rowCount, 0);
    assertEquals(await count(), 0);
    assertEquals(await leftovers(), CLEAN);
    await alice.query(insert);
    assertEquals((await admin.query("select who from open")).rows, [{ who: "authenticated" }]);
  });

  await t.step("as() throws CallerError for claims that do not identify a user, before anything is sent", async () => {
    const bad: Record<string, Record<string, unknown>> = {
      "role": { role: "service_role" },
      "role ": { role: "postgres" },
      "sub": { sub: "" },
      "exp": { exp: "tomorrow" },
    };
    for (const [claim, claims] of Object.entries(bad)) {
      const error = assertThrows(() => manager.as(claimsOf(ALICE, claims)), CallerError);
      assertStringIncludes(error.message, claim.trim());
    }
    const roles = [
      "AUTHENTICATED",
      "authenticated ",
      '"authenticated"',
      "authenticated; reset role",
      "none",
      ["anon"],
      null,
    ];
    for (const role of roles) assertThrows(() => manager.as(claimsOf(ALICE, { role })), CallerError, "role claim");
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    const none: unknown[] = [null, undefined, "", "authenticated", 5, {}, { claims: null }, { claims: "x" }];
    none.push({ claims: () => {} }, claimsOf(ALICE, { big: 1n }), claimsOf(ALICE, circular));
    for (const caller of none) assertThrows(() => manager.as(caller as "anonymous"), CallerError, "claims");
    const expired = manager.as(claimsOf(ALICE, { exp: Math.floor(Date.now() / 1_000) - 1 }));
    assertStringIncludes((await thrownBy(() => expired.query("select 1"), CallerError)).message, "expired");
  });

  await t.step("as() checks the claims that it sends", async () => {
    const uid = "select auth.uid() as uid, auth.role() as role";
    const { claims } = claimsOf(ALICE);
    const other = { ...claims, toJSON: () => ({ ...claims, role: "service_role" }) };
    assertThrows(() => manager.as({ claims: other }), CallerError, "role claim");
    let reads = 0;
    const shifty = {
      ...claims,
      get sub() {
        return reads++ === 0 ? ALICE : BOB;
      },
    };
    const acting = manager.as({ claims: shifty });
    for (let time = 0; time < 2; time++) {
      assertEquals((await acting.query(uid)).rows, [{ uid: ALICE, role: "authenticated" }]);
    }
    for (const name of ['it\'s "q" \\ $1 ü 😀', "x".repeat(1_000_000), "'; reset role; --"]) {
      const named = manager.as(claimsOf(ALICE, { name }));
      const { rows } = await named.query("select auth.uid() as uid, auth.jwt() ->> 'name' as name");
      assertEquals(rows, [{ uid: ALICE, name }]);
    }
  });

  await t.step("as() rejects a login role that is too strong, unless trustedLogin names it", async () => {
    const refusal = async (config: Record<string, string>, login: "superuser" | "postgres") => {
      const strong = database.manager(config, login);
      return await thrownBy(() => strong.as("anonymous").query("select 1"), LoginRoleError);
    };
    assertStringIncludes((await refusal({}, "superuser")).message, "superuser");
    assertStringIncludes((await refusal({}, "postgres")).message, "bypasses row-level security");
    assertStringIncludes((await refusal({ trustedLogin: "other" }, "postgres")).message, "trustedLogin");
    const trusted = database.manager({ trustedLogin: "postgres" }, "postgres");
    assertEquals((await trusted.as("anonymous").query("select current_user as role")).rows, [{ role: "anon" }]);

    const weak = async (change: string, undo: string, expected: string) => {
      for (const text of change.split(";")) await admin.query(text);
      const own = database.manager({}, "authenticator");
      const error = await thrownBy(() => own.as("anonymous").query("select 1"), LoginRoleError);
      assertStringIncludes(error.message, expected);
      await admin.query(undo);
    };
    await weak("alter role authenticator createrole", "alter role authenticator nocreaterole", "may create roles");
    // Until version 16, inheritance was an attribute of the member.
    const [inherit, noInherit] = SERVER_MAJOR >= 16
      ? ["grant anon to authenticator with inherit true", "grant anon to authenticator with inherit false"]
      : ["alter role authenticator inherit", "alter role authenticator noinherit"];
    await weak(inherit, noInherit, "inherits");
    const onlySet = SERVER_MAJOR >= 16 ? " with inherit false, set true" : "";
    for (const strength of ["superuser", "bypassrls", "createrole", "replication"]) {
      await weak(
        `create role strong ${strength}; grant strong to authenticator${onlySet}`,
        "drop role strong",
        "may become a stronger role",
      );
    }
    await weak("grant select on note to authenticator", "revoke select on note from authenticator", "rights on tables");
    await weak("alter table open owner to authenticator", "alter table open owner to supabase_admin", "owns objects");
  });

  await t.step("as().query() takes one round trip", async () => {
    await using counted = countedConnection(database, "authenticator");
    const own = counted.manager;
    await own.as("anonymous").query("select 1");
    await own.as("anonymous").query("select 1");
    counted.reset();
    await own.as("anonymous").query("select 1");
    assertEquals(counted.turns(), 1);
    counted.reset();
    await own.as("anonymous").transaction([{ query: "select 1" }, { query: "select 2" }, { query: "select 3" }]);
    assertEquals(counted.turns(), 1);
    counted.reset();
    await own.as("anonymous").transaction(async (tx) => {
      await tx.query("select 1");
      await tx.query("select 2");
      await tx.query("select 3");
    });
    assertEquals(counted.turns(), 4);
  });
});
