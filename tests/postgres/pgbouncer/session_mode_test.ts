import { assertEquals } from "@std/assert";
import { type PostgresConfig, PostgresConnectionManager, QueryTimeoutError } from "../../../shared/postgres/mod.ts";
import { component } from "../../support/components.ts";
import { TcpProxy } from "../../support/tcp_proxy.ts";
import { claimsOf, type Login, TestDatabase, thrownBy } from "../support.ts";
import { PgBouncer, POOL_SIZE } from "./pgbouncer.ts";
import { WireTap } from "./wire_tap.ts";

const pgbouncer = component("pgbouncer");

Deno.test({
  name: `PostgresConnectionManager behind PgBouncer in session mode${pgbouncer.note}`,
  ignore: pgbouncer.ignore,
  async fn(t) {
    await using database = await TestDatabase.start();
    await using bouncer = await PgBouncer.start(database, "session");
    const { host = "", port = 0 } = bouncer.options();
    await using proxy = await TcpProxy.start({ host, port });
    const manager = (config: Partial<PostgresConfig>, login: Login = "superuser") =>
      new PostgresConnectionManager({
        ...bouncer.options(login),
        port: proxy.port,
        minConnections: 0,
        maxConnections: POOL_SIZE,
        healthCheckIntervalMs: 0,
        ...config,
      });

    await t.step("poolMode auto assumes transaction mode", async () => {
      const tap = new WireTap(proxy);
      await using found = manager({});
      await using login = manager({}, "authenticator");
      const id = crypto.randomUUID();
      for (let round = 0; round < 3; round++) {
        const got = await Promise.all(
          Array.from({ length: 20 }, (_, n) => found.query<{ n: number }>("select $1::int as n", [n])),
        );
        assertEquals(got.map(({ rows }) => rows[0]?.n), Array.from({ length: 20 }, (_, n) => n));
        const { rows } = await login.as(claimsOf(id)).query("select auth.uid()::text as id");
        assertEquals(rows, [{ id }]);
      }
      assertEquals([found.getStats().poolMode, [...tap.statementNames]], ["transaction", []]);
    });

    await t.step("poolMode session prepares statements and keeps the session for its holder", async () => {
      const tap = new WireTap(proxy);
      await using declared = manager({ poolMode: "session", maxConnections: 1 });
      for (let n = 0; n < 3; n++) assertEquals((await declared.query("select $1::int as n", [n])).rows, [{ n }]);
      assertEquals(tap.statementNames.size, 1);
      {
        await using connection = await declared.lease();
        await connection.query("set work_mem = '9MB'");
        assertEquals((await connection.query("show work_mem")).rows, [{ work_mem: "9MB" }]);
      }
      assertEquals((await declared.query("show work_mem")).rows, [{ work_mem: "4MB" }]);
      await thrownBy(() => declared.query("select pg_sleep(20)", [], { timeoutMs: 50 }), QueryTimeoutError);
      assertEquals((await declared.query("select 1 as n")).rows, [{ n: 1 }]);
      assertEquals(declared.getStats().totalCreated, 1);
    });

    await t.step("PgBouncer clears the session for its next client", async () => {
      {
        await using first = manager({ poolMode: "session", maxConnections: 1 });
        const held = await first.lease();
        await held.query("set work_mem = '9MB'");
        await held.query("select pg_advisory_lock(7)");
        // Closed, not released: the library clears nothing.
        await first.shutdown(0);
      }
      await using second = manager({ poolMode: "session" });
      assertEquals((await second.query("show work_mem")).rows, [{ work_mem: "4MB" }]);
      assertEquals((await second.query("select pg_try_advisory_lock(7) as free")).rows, [{ free: true }]);
    });
  },
});
