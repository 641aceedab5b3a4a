import { assert, assertEquals } from "@std/assert";
import { driverOptions } from "../../../shared/postgres/connection/connection_factory.ts";
import { BackendConnection } from "../../../shared/postgres/connection/backend_connection.ts";
import { ConnectionLostError, parsePostgresConfig, ResultTooLargeError } from "../../../shared/postgres/mod.ts";
import { codeOf, systemClock } from "../../../shared/resilience/mod.ts";
import { claimsOf, TestDatabase, thrownBy } from "../support.ts";
import { SERVER_MAJOR } from "../server_version.ts";

const TOO_LARGE: readonly string[] = [
  "select repeat('x', 100000)",
  "select repeat('x', 110000)::bytea",
  "select repeat('x', 60000), repeat('y', 60000)",
  "select g from generate_series(1, 2000) g",
  "select g from generate_series(1, 3000000) g",
  "select from generate_series(1, 2000)",
  "select array(select g from generate_series(1, 50000) g)",
  "do $$ begin raise exception '%', repeat('x', 200000); end $$",
];

Deno.test("PostgresConnectionManager with a limit of results", async (t) => {
  await using database = await TestDatabase.start();
  // A busy machine takes long to pass a cancel request on: after that the connection would be closed.
  const limits = { maxConnections: 1, maxResultBytes: 100_000, cancelTimeoutMs: 60_000, acquireTimeoutMs: 60_000 };
  const manager = database.manager(limits);
  manager.on("error", () => {});
  await manager.query("create table item (n int)");

  await t.step("query() returns what fits, and rejects what does not with ResultTooLargeError", async () => {
    const size = async (text: string) => (await manager.query<{ n: number }>(text)).rows.length;
    assertEquals(await size("select repeat('x', 90000)"), 1);
    assertEquals(await size("select g from generate_series(1, 1000) g"), 1_000);
    for (const text of TOO_LARGE) {
      await thrownBy(() => manager.query(text), ResultTooLargeError);
      assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }], text);
    }
  });

  await t.step("query() counts each result by itself, and notices in none", async () => {
    const noisy = "do $$ begin for i in 1..100 loop raise notice '%', repeat('x', 10000); end loop; end $$";
    for (let times = 0; times < 3; times++) {
      assertEquals((await manager.query("select repeat('x', 60000) as x")).rows.length, 1);
      await manager.query(noisy);
    }
  });

  await t.step("transaction() rolls back when a result is too large", async () => {
    const error = await thrownBy(
      () =>
        manager.transaction(async (tx) => {
          await tx.query("insert into item values (1)");
          await tx.query("select repeat('x', 200000)");
        }),
      ResultTooLargeError,
    );
    assertEquals(error.retry, "permanent");
    assertEquals((await manager.query("select count(*)::int as n from item")).rows, [{ n: 0 }]);
  });

  await t.step("a result that is too large ends its statement, and not its connection", async () => {
    const pid = async () => (await manager.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid;
    const before = await pid();
    for (const text of TOO_LARGE) await thrownBy(() => manager.query(text), ResultTooLargeError);
    assertEquals(await pid(), before);
    await using connection = await manager.lease();
    for (const text of TOO_LARGE) await thrownBy(() => connection.query(text), ResultTooLargeError);
    assertEquals((await connection.query("select pg_backend_pid() as pid")).rows, [{ pid: before }]);
  });

  await t.step("a list whose result is too large is committed or rolled back, and its outcome is known", async () => {
    await using authenticator = database.manager(limits, "authenticator");
    authenticator.on("error", () => {});
    await manager.query("grant all on item to authenticated");
    const caller = authenticator.as(claimsOf("11111111-1111-1111-1111-111111111111"));
    const insert = "insert into item values (1)";
    const large = "insert into item select 0 from generate_series(1, 300) returning repeat('x', 60000)";
    const outcomes = () => [manager, authenticator].map((each) => each.getStats().transactions);
    const before = outcomes().reduce((sum, { committed }) => sum + committed, 0);
    for (const text of [...TOO_LARGE, large]) {
      for (const pool of [manager, caller]) {
        for (let times = 0; times < 2; times++) {
          await thrownBy(() => pool.transaction([{ query: insert }, { query: text }]), ResultTooLargeError);
          await thrownBy(() => pool.query(text), ResultTooLargeError);
        }
      }
    }
    const committed = outcomes().reduce((sum, each) => sum + each.committed, 0) - before;
    const { rows: [row] } = await manager.query<{ n: number }>("select count(*)::int as n from item where n = 1");
    assertEquals(outcomes().map(({ unknown }) => unknown), [0, 0]);
    // Each committed list has left its row. Others are single statements of the caller.
    assert((row?.n ?? 0) <= committed, `${row?.n} rows of ${committed} transactions`);
  });

  await t.step("query() of others on the same connection returns their own results", async () => {
    const quick = "select $1::int as n";
    for (let times = 0; times < 20; times++) await manager.query(quick, [times]);
    const large = thrownBy(() => manager.query(TOO_LARGE[3] ?? ""), ResultTooLargeError);
    const rows = await Promise.all(Array.from({ length: 20 }, (_, n) => manager.query(quick, [n])));
    assertEquals(rows.map((each) => each.rows), Array.from({ length: 20 }, (_, n) => [{ n }]));
    await large;
  });

  await t.step("requests behind one whose result is too large reject with ConnectionLostError", async () => {
    const options = driverOptions(parsePostgresConfig({ ...database.options(), maxResultBytes: 100_000 }));
    const never = new AbortController().signal;
    const connection = await BackendConnection.open(options, systemClock, never, { onDeath: () => {} });
    const large = connection.start([{ text: "select repeat('x', 200000)" }]).results;
    const behind = connection.start([{ text: "select 1" }]).results;
    await thrownBy(() => large, ResultTooLargeError);
    const lost = await thrownBy(() => behind, ConnectionLostError);
    assertEquals(codeOf(lost.cause), "RESULT_TOO_LARGE");
  });
});

Deno.test("BackendConnection.settings has what the server reports, as it is now", async () => {
  await using database = await TestDatabase.start();
  const options = driverOptions(parsePostgresConfig(database.options()));
  const never = new AbortController().signal;
  const deaths: Error[] = [];
  const connection = await BackendConnection.open(options, systemClock, never, {
    onDeath: (reason) => deaths.push(reason),
  });
  const { settings } = connection;
  for (const name of ["server_version", "DateStyle", "IntervalStyle", "TimeZone", "in_hot_standby"]) {
    assertEquals(typeof settings.get(name), "string", name);
  }
  // Reported since version 18.
  const reportsPath = SERVER_MAJOR >= 18;
  assertEquals(typeof settings.get("search_path"), reportsPath ? "string" : "undefined");
  const path = settings.get("search_path");
  await connection.run([{ text: "set time zone 'Asia/Tokyo'" }, { text: "set datestyle to german" }]);
  assertEquals([settings.get("TimeZone"), settings.get("DateStyle")], ["Asia/Tokyo", "German, DMY"]);
  await connection.run([{ text: "begin" }, { text: "set local search_path to pg_temp" }]);
  if (reportsPath) assertEquals(settings.get("search_path"), "pg_temp");
  await connection.run([{ text: "rollback" }]);
  assertEquals(settings.get("search_path"), path);
  // Text in another encoding would be decoded into wrong characters.
  const lost = await thrownBy(() => connection.run([{ text: "set client_encoding to latin1" }]), ConnectionLostError);
  assertEquals([codeOf(lost.cause), deaths.length], ["CLIENT_ENCODING_UNSUPPORTED", 1]);
});
