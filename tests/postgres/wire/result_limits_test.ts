import { assertEquals } from "@std/assert";
import { driverOptions } from "../../../shared/postgres/connection/connection_factory.ts";
import { BackendConnection } from "../../../shared/postgres/connection/backend_connection.ts";
import { ConnectionLostError, parsePostgresConfig, ResultTooLargeError } from "../../../shared/postgres/mod.ts";
import { codeOf, systemClock } from "../../../shared/resilience/mod.ts";
import { TestDatabase, thrownBy } from "../support.ts";
import { SERVER_MAJOR } from "../server_version.ts";

Deno.test("PostgresConnectionManager with a limit of results", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1, maxResultBytes: 100_000 });
  manager.on("error", () => {});
  await manager.query("create table item (n int)");

  await t.step("query() returns what fits, and rejects what does not with ResultTooLargeError", async () => {
    const size = async (text: string) => (await manager.query<{ n: number }>(text)).rows.length;
    assertEquals(await size("select repeat('x', 90000)"), 1);
    assertEquals(await size("select g from generate_series(1, 1000) g"), 1_000);
    for (
      const text of [
        "select repeat('x', 100000)",
        "select repeat('x', 60000)::bytea",
        "select repeat('x', 60000), repeat('y', 60000)",
        "select g from generate_series(1, 2000) g",
        "select from generate_series(1, 2000)",
        "select array(select g from generate_series(1, 50000) g)",
        "do $$ begin raise exception '%', repeat('x', 200000); end $$",
      ]
    ) {
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
