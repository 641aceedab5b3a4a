import { assert, assertEquals } from "@std/assert";
import { PostgresError, type PostgresPool } from "../../shared/postgres/mod.ts";
import { ATTEMPT_LIFETIME_MS, ROLE_SETTINGS_LIFETIME_MS } from "../../shared/postgres/caller/role_settings.ts";
import { systemClock } from "../../shared/resilience/mod.ts";
import { PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { SERVER_MAJOR } from "./server_version.ts";
import { claimsOf, countedConnection, TestDatabase, thrownBy } from "./support.ts";

const ALICE = "7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04";

/** A clock that a test moves forward. */
function movableClock() {
  let offsetMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + offsetMs };
  clock.setTimer = systemClock.setTimer.bind(systemClock);
  return { clock, move: (ms: number) => offsetMs += ms };
}

async function show(pool: PostgresPool, name: string): Promise<unknown> {
  return (await pool.query("select current_setting($1, true) as value", [name])).rows[0]?.["value"];
}

Deno.test("as() applies the settings of the caller's role", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const errors: string[] = [];
  const alterAll = async (...texts: string[]) => {
    for (const text of texts) await admin.query(text);
  };
  const manager = (config = {}) => {
    const created = database.manager({ maxConnections: 1, ...config }, "authenticator");
    created.on("error", ({ error, source }) => source === "settings" && errors.push(error.message));
    return created;
  };
  await admin.query("create table note (n int)");
  await admin.query("grant all on note to authenticated, anon");

  await t.step("statement_timeout ends a query, a list, a transaction and a statement of a lease", async () => {
    await alterAll("alter role authenticated set statement_timeout = '300ms'");
    const pool = manager();
    const alice = pool.as(claimsOf(ALICE));
    const slow = "select pg_sleep(2)";
    const codes: string[] = [];
    const attempt = async (work: () => Promise<unknown>) => codes.push((await thrownBy(work, PostgresError)).code);
    await attempt(() => alice.query(slow));
    await attempt(() => alice.transaction([{ query: slow }]));
    await attempt(() => alice.transaction((tx) => tx.query(slow)));
    {
      await using connection = await alice.lease();
      await attempt(() => connection.query(slow));
      await attempt(() => connection.transaction((tx) => tx.query(slow)));
    }
    assertEquals(codes, Array(5).fill("57014"));
    // Each statement has the whole time, and the login role and other callers keep their own settings.
    await alice.transaction([{ query: "select pg_sleep(0.2)" }, { query: "select pg_sleep(0.2)" }]);
    assertEquals(await show(alice, "statement_timeout"), "300ms");
    assertEquals(await show(pool.as("anonymous"), "statement_timeout"), "3s");
    assertEquals(await show(pool, "statement_timeout"), "8s");
  });

  await t.step("the options of a transaction win over them", async () => {
    const alice = manager().as(claimsOf(ALICE));
    const options = { statementTimeoutMs: 5_000 };
    const text = "select current_setting('statement_timeout') as value";
    const { rows } = await alice.transaction((tx) => tx.query(text), options);
    assertEquals(rows, [{ value: "5s" }]);
    assertEquals((await alice.transaction([{ query: text }], options))[0]?.rows, [{ value: "5s" }]);
  });

  await t.step(
    "isolation, read-only and deferrable modes hold from the beginning, unless options say otherwise",
    async () => {
      await alterAll(
        "alter role authenticated set default_transaction_isolation = 'serializable'",
        "alter role authenticated set default_transaction_read_only = 'yes'",
        "alter role authenticated set default_transaction_deferrable = on",
      );
      const alice = manager().as(claimsOf(ALICE));
      const text = "select current_setting('transaction_isolation') as level, " +
        "current_setting('transaction_read_only') as read_only, current_setting('transaction_deferrable') as deferrable";
      assertEquals((await alice.query(text)).rows, [{ level: "serializable", read_only: "on", deferrable: "on" }]);
      assertEquals((await thrownBy(() => alice.query("insert into note values (1)"), PostgresError)).code, "25006");
      const other = { isolationLevel: "repeatable read", readOnly: false, deferrable: false } as const;
      const { rows } = await alice.transaction((tx) => tx.query(text), other);
      assertEquals(rows, [{ level: "repeatable read", read_only: "off", deferrable: "off" }]);
      await alterAll("alter role authenticated reset all");
    },
  );

  await t.step(
    "custom settings, search_path, TimeZone, and those of the database win over those of the role",
    async () => {
      await alterAll(
        "create schema tenant",
        "create table tenant.only_here (n int)",
        "grant usage on schema tenant to authenticated",
        "alter role authenticated set app.tenant = 'a''b=c'",
        "alter role authenticated set \"App.Other\" = 'x'",
        "alter role authenticated in database postgres set app.tenant = 'here'",
        'alter role authenticated set search_path = tenant, "$user", public',
        "alter role authenticated set timezone = 'Asia/Shanghai'",
        "create database other",
        "alter role authenticated in database other set app.tenant = 'elsewhere'",
      );
      const pool = manager();
      const alice = pool.as(claimsOf(ALICE));
      assertEquals(await show(alice, "app.tenant"), "here");
      assertEquals(await show(alice, "app.other"), "x");
      assertEquals(await show(alice, "search_path"), 'tenant, "$user", public');
      assertEquals((await alice.query("select to_regclass('only_here')::text as name")).rows, [{ name: "only_here" }]);
      assertEquals(await show(alice, "timezone"), "Asia/Shanghai");
      assertEquals((await alice.query("select '2026-08-24T12:00:00Z'::timestamptz as at")).rows, [
        { at: new Date("2026-08-24T12:00:00Z") },
      ]);
      assertEquals([await show(pool, "app.tenant"), await show(pool.as("anonymous"), "app.tenant")], ["", ""]);
      await alterAll("alter role authenticated reset all", "alter role authenticated in database postgres reset all");
    },
  );

  await t.step("what would change results, the caller or the request is left out", async () => {
    await alterAll(
      "alter role authenticated set datestyle = 'SQL, DMY'",
      "alter role authenticated set intervalstyle = 'sql_standard'",
      "alter role authenticated set bytea_output = 'escape'",
      "alter role authenticated set extra_float_digits = -10",
      "alter role authenticated set client_encoding = 'LATIN1'",
      "alter role authenticated set standard_conforming_strings = off",
      "alter role authenticated set role = 'service_role'",
      `alter role authenticated set "request.jwt.claims" = '{"sub":"eve"}'`,
      "alter role authenticated set app.kept = 'yes'",
    );
    const alice = manager().as(claimsOf(ALICE));
    const text = "select '2026-08-24'::date as day, '1 day'::interval as span, '\\x00ff'::bytea as bytes, " +
      "0.1::float8 as number, 'a\\b' as text, current_user as who, auth.uid() as uid, current_setting('app.kept') as kept";
    const expected = (await admin.query(text.replace("current_setting('app.kept')", "'yes'"))).rows[0];
    assertEquals((await alice.query(text)).rows, [{ ...expected, who: "authenticated", uid: ALICE }]);
    await alterAll("alter role authenticated reset all");
  });

  await t.step("what the login role may not set is left out and reported once, and GRANT SET allows it", async () => {
    await alterAll(
      "alter role authenticated set log_min_duration_statement = 1000",
      "alter role authenticated set app.a = '1'",
    );
    const { clock, move } = movableClock();
    const pool = new PostgresConnectionManager({
      ...database.options("authenticator"),
      minConnections: 0,
      healthCheckIntervalMs: 0,
    }, { clock });
    pool.on("error", ({ error, source }) => source === "settings" && errors.push(error.message));
    const alice = pool.as(claimsOf(ALICE));
    assertEquals([await show(alice, "app.a"), await show(alice, "log_min_duration_statement")], ["1", "-1"]);
    move(ROLE_SETTINGS_LIFETIME_MS);
    assertEquals(await show(alice, "app.a"), "1");
    assertEquals(errors.length, 1);
    assert(errors[0]?.includes("log_min_duration_statement"), errors[0]);
    // GRANT SET came with version 15.
    if (SERVER_MAJOR >= 15) {
      await alterAll("grant set on parameter log_min_duration_statement to authenticator");
      assertEquals(await show(manager().as(claimsOf(ALICE)), "log_min_duration_statement"), "1s");
    }
    move(ATTEMPT_LIFETIME_MS - ROLE_SETTINGS_LIFETIME_MS);
    // What was refused is tried again.
    assertEquals(await show(alice, "log_min_duration_statement"), SERVER_MAJOR >= 15 ? "1s" : "-1");
    assertEquals(errors.length, 1);
    if (SERVER_MAJOR >= 15) {
      await alterAll("revoke set on parameter log_min_duration_statement from authenticator");
      move(ATTEMPT_LIFETIME_MS);
      assertEquals(await show(alice, "log_min_duration_statement"), "-1");
      assertEquals(errors.length, 2);
    }
    await pool.shutdown(0);
    await alterAll("alter role authenticated reset all");
  });

  await t.step("a database that hides its catalog: no setting is applied, and that is reported", async () => {
    await alterAll(
      "alter role authenticated set statement_timeout = '7s'",
      "revoke select on pg_catalog.pg_db_role_setting from public",
    );
    errors.length = 0;
    const pool = manager();
    const alice = pool.as(claimsOf(ALICE));
    assertEquals((await alice.query("select 1 as n")).rows, [{ n: 1 }]);
    assert(await show(alice, "statement_timeout") !== "7s");
    assertEquals(errors.length, 1, errors.join("\n"));
    await alterAll(
      "grant select on pg_catalog.pg_db_role_setting to public",
      "alter role authenticated reset statement_timeout",
    );
    errors.length = 0;
  });

  await t.step("more settings than a function has arguments", async () => {
    for (let n = 0; n < 120; n++) await admin.query(`alter role authenticated set app.n${n} = '${n}'`);
    const alice = manager().as(claimsOf(ALICE));
    assertEquals([await show(alice, "app.n0"), await show(alice, "app.n119")], ["0", "119"]);
    assertEquals((await alice.query("select auth.uid() as uid, current_user as role")).rows, [
      { uid: ALICE, role: "authenticated" },
    ]);
    await alterAll("alter role authenticated reset all");
  });

  await t.step("a change takes effect within a minute, and costs no other round trip", async () => {
    const { clock, move } = movableClock();
    const options = { ...database.options("authenticator"), minConnections: 0, healthCheckIntervalMs: 0 };
    const pool = new PostgresConnectionManager(options, { clock });
    const alice = pool.as(claimsOf(ALICE));
    assertEquals(await show(alice, "app.changed"), null);
    await alterAll("alter role authenticated set app.changed = 'now'");
    move(ROLE_SETTINGS_LIFETIME_MS - 1_000);
    assertEquals(await show(alice, "app.changed"), null);
    move(1_000);
    assertEquals(await show(alice, "app.changed"), "now");
    await pool.shutdown(0);
    await using counted = countedConnection(database, "authenticator");
    const user = counted.manager.as(claimsOf(ALICE));
    await user.query("select 1");
    counted.reset();
    for (let round = 0; round < 3; round++) assertEquals(await show(user, "app.changed"), "now");
    assertEquals(counted.turns(), 3);
  });
});
