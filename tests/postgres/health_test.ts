import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { CreateFailedError } from "../../shared/pool/mod.ts";
import type { PostgresConnectionManager } from "../../shared/postgres/mod.ts";
import { TcpProxy } from "../support/tcp_proxy.ts";
import { TestDatabase } from "./support.ts";

/** Records the events of health. */
function watch(manager: PostgresConnectionManager): string[] {
  const events: string[] = [];
  manager.on("healthCheckFailed", () => events.push("failed"));
  manager.on("recovered", () => events.push("recovered"));
  return events;
}

/** Longer than a result is reused. */
const pause = () => new Promise((resolve) => setTimeout(resolve, 1_050));

Deno.test("PostgresConnectionManager.healthCheck()", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const backends = async () => {
    const text = "select count(*)::int as n from pg_stat_activity where usename = 'authenticator'";
    return (await admin.query<{ n: number }>(text)).rows[0]?.n;
  };

  await t.step("is healthy while transactions hold every connection and others wait", async () => {
    const manager = database.manager({ maxConnections: 2 }, "authenticator");
    const events = watch(manager);
    const { promise: release, resolve } = Promise.withResolvers<void>();
    const held = [1, 2].map(() => manager.transaction((tx) => tx.query("select 1").then(() => release)));
    const waiting = Array.from(
      { length: 10 },
      () => manager.lease({ acquireTimeoutMs: 500 }).then(() => "leased", () => "refused"),
    );
    for (let check = 0; check < 2; check++) {
      const { healthy, readOnly, stats } = await manager.healthCheck();
      assertEquals([healthy, readOnly, stats.totalConnections <= 2], [true, false, true]);
      await pause();
    }
    resolve();
    await Promise.all(held);
    assertEquals(await Promise.all(waiting), Array(10).fill("refused"));
    assertEquals(events, []);
    await manager.shutdown(0);
  });

  await t.step(
    "is healthy at the server's limit of connections if one of the pool serves, and names the limit",
    async () => {
      await admin.query("alter role authenticator connection limit 1");
      const manager = database.manager({ maxConnections: 2, acquireTimeoutMs: 2_000 }, "authenticator");
      const events = watch(manager);
      await manager.query("select 1");
      assertEquals((await manager.healthCheck()).healthy, true);
      assertEquals(events, []);
      await using other = await manager.lease();
      await pause();
      const busy = await manager.healthCheck();
      assertEquals(busy.healthy, false);
      assertStringIncludes(String(busy.error), "too many connections");
      other.release();
      await pause();
      assertEquals((await manager.healthCheck()).healthy, true);
      assertEquals(events, ["failed", "recovered"]);

      const empty = database.manager({}, "authenticator");
      const { healthy, error, durationMs } = await empty.healthCheck();
      assertEquals([healthy, error instanceof CreateFailedError], [false, true]);
      assertStringIncludes(String(error), "too many connections");
      // It ends before its timeout.
      assert(durationMs < 4_500, `${durationMs} ms`);
      await admin.query("alter role authenticator connection limit -1");
      await Promise.all([manager.shutdown(0), empty.shutdown(0)]);
    },
  );

  await t.step("is unhealthy before a server that hangs, and recovers with it", async () => {
    const { host, port } = database.options();
    await using proxy = await TcpProxy.start({ host, port });
    const manager = database.manager({ host: "127.0.0.1", port: proxy.port, acquireTimeoutMs: 1_000 }, "authenticator");
    const events = watch(manager);
    assertEquals((await manager.healthCheck()).healthy, true);
    proxy.stall();
    await pause();
    const { healthy, error, durationMs } = await manager.healthCheck();
    assertEquals([healthy, durationMs < 4_500], [false, true]);
    assertStringIncludes(String(error), "timed out");
    proxy.resume();
    await pause();
    assertEquals((await manager.healthCheck()).healthy, true);
    assertEquals(events, ["failed", "recovered"]);
    await manager.shutdown(0);
  });

  await t.step("reports a database that only reads, which is healthy", async () => {
    await admin.query("alter database postgres set default_transaction_read_only = on");
    const manager = database.manager({}, "authenticator");
    const { healthy, readOnly } = await manager.healthCheck();
    assertEquals([healthy, readOnly], [true, true]);
    await manager.shutdown(0);
    await database.manager({}).transaction(
      [{ query: "alter database postgres reset default_transaction_read_only" }],
      { readOnly: false },
    );
  });

  await t.step("leaves no connection open", async () => {
    const manager = database.manager({}, "authenticator");
    await manager.healthCheck();
    for (let tries = 0; await backends() !== 0 && tries < 1_500; tries++) {
      await new Promise((done) => setTimeout(done, 20));
    }
    assertEquals([await backends(), manager.getStats().totalConnections], [0, 0]);
  });
});
