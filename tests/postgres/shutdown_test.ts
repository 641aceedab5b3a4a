import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { ConfigError, LeaseRevokedError, PoolClosedError } from "../../shared/pool/mod.ts";
import { type PostgresConnectionManager, type PostgresHealth, QueryTimeoutError } from "../../shared/postgres/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { pause, until } from "./chaos/rig.ts";
import { claimsOf, TestDatabase, thrownBy } from "./support.ts";

/** Returns the number of running statements with this text. */
async function running(admin: PostgresConnectionManager, text: string): Promise<number> {
  const { rows } = await admin.query("select from pg_stat_activity where state = 'active' and query = $1", [text]);
  return rows.length;
}

Deno.test("PostgresConnectionManager.shutdown() and restarts of the server", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();

  await t.step("shutdown() rejects acquires at once, lets work finish, and aborts what does not", async () => {
    await using silent = await TcpProxy.start(database.options());
    silent.stall();
    const connecting = database.manager({ port: silent.port });
    connecting.on("error", ({ error }) => assert(false, error.message));
    const refused = thrownBy(() => connecting.query("select 1"), PoolClosedError);
    await until("it connects", () => silent.accepted === 1);
    await connecting.shutdown();
    await refused;

    const manager = database.manager({ maxConnections: 2 });
    const finishing = manager.query("select pg_sleep(0.1), 1 as n");
    const text = "select pg_sleep(22)";
    // Cancelled at the server, for a reason that is ours.
    const cut = thrownBy(() => manager.query(text), LeaseRevokedError);
    await until("it runs", async () => await running(admin, text) === 1);
    const over = manager.shutdown(300);
    await thrownBy(() => manager.query("select 1"), PoolClosedError);
    assertEquals((await finishing).rows[0]?.["n"], 1);
    await over;
    await cut;
    await until("it was cancelled at the server", async () => await running(admin, text) === 0);
    await manager.shutdown();
    assertEquals(manager.getStats().totalConnections, 0);
  });

  await t.step("shutdown() changes nothing when it rejects an invalid deadline", async () => {
    const manager = database.manager({ maxConnections: 1 });
    await thrownBy(() => manager.shutdown(NaN), ConfigError);
    assertEquals((await manager.healthCheck()).healthy, true);
    await thrownBy(() => manager.query("select pg_sleep(21)", [], { timeoutMs: 50 }), QueryTimeoutError);
  });

  await t.step("shutdown() rejects the work it aborts with LeaseRevokedError", async () => {
    const text = "select pg_sleep(23)";
    const user = claimsOf(crypto.randomUUID());
    const kinds: ((manager: PostgresConnectionManager) => Promise<unknown>)[] = [
      (manager) => manager.transaction(async (tx) => void await tx.query(text)),
      (manager) => manager.transaction([{ query: text }]),
      (manager) => manager.as(user).query(text),
    ];
    for (const run of kinds) {
      const manager = database.manager({ maxConnections: 1 }, "authenticator");
      const cut = thrownBy(() => run(manager), LeaseRevokedError);
      await until("it runs", async () => await running(admin, text) === 1);
      await manager.shutdown(0);
      await cut;
      await until("it was cancelled at the server", async () => await running(admin, text) === 0);
    }
  });

  await t.step(
    "PostgresConnectionManager uses a server again soon after its return, and emits recovered",
    async () => {
      const manager = database.manager({ maxConnections: 4, minConnections: 2, acquireTimeoutMs: 60_000 });
      const watcher = database.manager({ acquireTimeoutMs: 100, healthCheckIntervalMs: 20 });
      const failures: Error[] = [];
      const checks: PostgresHealth[] = [];
      const recoveries: number[] = [];
      watcher.on("healthCheckFailed", (error) => failures.push(error));
      watcher.on("healthCheck", (health) => checks.push(health));
      watcher.on("recovered", ({ downMs }) => recoveries.push(downMs));
      await Promise.all([manager.query("select 1"), watcher.query("select 1", [], { acquireTimeoutMs: 60_000 })]);
      await database.server.kill();
      const during = manager.query("select 1 as n").then(({ rows }) => rows, (error) => error);
      await until("it is seen", () => failures.length > 0);
      assertStrictEquals(checks.find(({ healthy }) => !healthy)?.error, failures[0]);
      await pause(1_000);
      await database.server.start();
      const back = performance.now();
      assertEquals((await manager.query("select 1 as n")).rows, [{ n: 1 }]);
      assert(performance.now() - back < 10_000, `it took ${performance.now() - back} ms`);
      await during;
      // A check that is slow on a busy machine ends later, and emits an event too.
      await until("the event", () => recoveries.some((downMs) => downMs >= 900));
    },
  );
});
