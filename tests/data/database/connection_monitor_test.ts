/** The monitors of the specification, on a database and a cache. */
import { assert, assertEquals } from "@std/assert";
import { db, initializeDatabase, pools, shutdownDatabase } from "../../../shared/data/mod.ts";
import { ConnectionHealthMonitor, connectionMonitor, monitors } from "../../../shared/observability/mod.ts";
import { TestDatabase } from "../../postgres/support.ts";
import { redisServer, TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";

const SMALL = { minConnections: 0, maxConnections: 2 };

Deno.test({
  name:
    `connectionMonitor checks the database and Redis from their initialization to their shutdown${redisServer.note}`,
  ignore: redisServer.ignore,
  fn: monitored,
});

async function monitored(): Promise<void> {
  const before = Deno.env.get("REDIS_URL");
  await using redis = await TestRedis.start();
  await using database = await TestDatabase.start();
  Deno.env.set("REDIS_URL", `redis://127.0.0.1:${redis.port}`);
  try {
    assertEquals(await connectionMonitor.checkHealth(), {});
    await initializeDatabase({
      postgres: { ...database.options(), healthCheckIntervalMs: 0 },
      priorities: { highPriority: SMALL, lowPriority: SMALL, admin: SMALL },
      variables: {},
    });
    await db.getCache().set("key", 1, 60);
    await db.getCache().get("key");
    connectionMonitor.start();
    const health = await connectionMonitor.checkHealth();
    assertEquals([health.postgres?.status, health.redis?.status], ["healthy", "healthy"]);
    assertEquals(connectionMonitor.isHealthy(), true);
    assert(connectionMonitor.getHealthHistory("postgres").length > 0);

    const monitor = new ConnectionHealthMonitor(pools.highPriority, "highPriority");
    await using _connection = await pools.highPriority.lease();
    monitor.updateMetrics();
    const { totalConnections, idleConnections, waitingRequests } = monitor.metrics;
    assertEquals([totalConnections, idleConnections, waitingRequests], [
      pools.highPriority.totalCount,
      totalConnections - 1,
      0,
    ]);

    for (const each of Object.values(monitors)) each.updateMetrics();
    assertEquals(monitors.highPriority.metrics.totalConnections, pools.highPriority.totalCount);
    // Counting creates no pool.
    assertEquals(monitors.lowPriority.metrics.totalConnections, 0);

    const failures: string[] = [];
    using _errors = connectionMonitor.on("connection-error", (service) => failures.push(service));
    await using admin = database.manager();
    await admin.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
    await until("the error of the pool is emitted", () => failures.includes("postgres"));

    await redis.kill();
    await until("Redis is unhealthy", async () => {
      await db.getCache().get("key").catch(() => {});
      return (await connectionMonitor.checkHealth()).redis?.status === "unhealthy";
    });
    assertEquals(connectionMonitor.isHealthy(), false);
  } finally {
    connectionMonitor.stop();
    await shutdownDatabase(0);
    if (before === undefined) Deno.env.delete("REDIS_URL");
    else Deno.env.set("REDIS_URL", before);
  }
  assertEquals(await connectionMonitor.checkHealth(), {});
  monitors.highPriority.updateMetrics();
  assertEquals(monitors.highPriority.metrics.totalConnections, 0);
}
