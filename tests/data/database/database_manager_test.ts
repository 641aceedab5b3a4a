/** Tests initialization and shutdown as the specification of the database layer uses them. */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import {
  createQueryBuilder,
  DatabaseManager,
  DatabaseNotInitializedError,
  db,
  executeQueryWithRetry,
  executeTransactionWithRetry,
  getDatabaseHealth,
  getPool,
  initializeDatabase,
  pools,
  shutdownDatabase,
} from "../../../shared/data/mod.ts";
import { CacheClosedError } from "../../../shared/cache/mod.ts";
import { ConfigError, PoolError } from "../../../shared/pool/mod.ts";
import { OutsideTransactionError, PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { TestDatabase } from "../../postgres/support.ts";

const SMALL = { minConnections: 0, maxConnections: 2 };
const PRIORITIES = { highPriority: SMALL, lowPriority: SMALL, admin: SMALL };

/** Options of one connection to the database, and no variable of this process. */
function optionsOf(database: TestDatabase) {
  const postgres = { ...database.options(), healthCheckIntervalMs: 0 };
  return { postgres, priorities: PRIORITIES, variables: {} };
}

/** Each call that needs an initialized database. */
const CALLS: Readonly<Record<string, () => unknown>> = {
  "db.query()": () => db.query("SELECT 1"),
  "db.sql": async () => await db.sql`SELECT 1`,
  "db.withTransaction()": () => db.withTransaction(() => Promise.resolve()),
  "db.getQueryBuilder()": () => db.getQueryBuilder().from("t").get(),
  "db.getCache()": () => db.getCache(),
  "db.as()": () => db.as("anonymous"),
  "getDatabaseHealth()": () => getDatabaseHealth(),
  "executeQueryWithRetry()": () => executeQueryWithRetry("SELECT 1"),
  "executeTransactionWithRetry()": () => executeTransactionWithRetry([{ query: "SELECT 1" }]),
  "getPool()": () => getPool("admin"),
  "pools.highPriority": () => pools.highPriority,
  "pools.lowPriority": () => pools.lowPriority,
  "pools.admin": () => pools.admin,
};

async function assertEachRejects(reason: string): Promise<void> {
  for (const [name, call] of Object.entries(CALLS)) {
    const error = await assertRejects(async () => await call(), DatabaseNotInitializedError, reason, name);
    assertEquals(error.code, "DATABASE_NOT_INITIALIZED");
  }
}

Deno.test("the database of the isolate, from its initialization to its shutdown", async (t) => {
  await using database = await TestDatabase.start();

  await t.step("before initializeDatabase(), each call fails with what to do", async () => {
    await assertEachRejects("it is not initialized. Await initializeDatabase() first");
    await shutdownDatabase();
  });

  await t.step("while it is being initialized, too", async () => {
    const initializing = initializeDatabase(optionsOf(database));
    await Promise.resolve().then(() => Promise.resolve());
    await assertRejects(() => db.query("SELECT 1"), DatabaseNotInitializedError, "it is being initialized");
    await assertRejects(() => createQueryBuilder().from("t").get(), DatabaseNotInitializedError);
    await initializing;
  });

  await t.step("concurrent and later calls of initializeDatabase() are one", async () => {
    const pool = getPool();
    await Promise.all([initializeDatabase(), initializeDatabase(optionsOf(database)), initializeDatabase()]);
    assertStrictEquals(getPool(), pool);
    // Whatever the order in which the options were written.
    const { variables, priorities, postgres } = optionsOf(database);
    const reversed = Object.fromEntries(Object.entries(postgres).reverse());
    await initializeDatabase({ variables, priorities, postgres: reversed });
    const other = { ...optionsOf(database), priorities: {} };
    const error = await assertRejects(() => initializeDatabase(other), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), ["options"]);
  });

  await t.step("the calls of the specification", async () => {
    assertEquals<unknown>(await db.query("SELECT $1::int AS n", [1]), [{ n: 1 }]);
    const health = await getDatabaseHealth();
    assertEquals([health.healthy, health.status, Object.keys(health.pools)], [true, "healthy", ["highPriority"]]);
    await db.getCache().set("user:1", { id: 1, name: "John" }, 3600);
    assertEquals<unknown>(await db.getCache().get("user:1"), { id: 1, name: "John" });
    assertEquals((await getDatabaseHealth()).cache?.memory.hits, 1);
    const { rows } = await executeQueryWithRetry("SELECT $1::int AS n", [2]);
    assertEquals(rows, [{ n: 2 }]);
    const results = await executeTransactionWithRetry(
      [
        { query: "CREATE TABLE t (n int)", values: [] },
        { query: "INSERT INTO t VALUES ($1)", values: [1] },
      ],
      3,
      1000,
    );
    assertEquals(results.map(({ command }) => command), ["CREATE", "INSERT"]);
    assertEquals(await db.getQueryBuilder().from("t").where("n", "=", 1).get(), [{ n: 1 }]);
    // Without a source, a query builder runs on the same pool, and joins its transactions.
    await db.withTransaction(async () => {
      await db.query("INSERT INTO t VALUES (2)");
      assertEquals(await createQueryBuilder().from("t").count(), 2);
      await createQueryBuilder().from("t").where("n", "=", 2).delete();
    });
    await assertRejects(
      () => db.withTransaction(() => executeQueryWithRetry("SELECT 1")),
      OutsideTransactionError,
    );
    await pools.lowPriority.query("SELECT count(*) FROM t");
    const client = await pools.admin.connect();
    await client.query("SELECT 1");
    client.release();
    assertStrictEquals(getPool("lowPriority"), pools.lowPriority);
    assertStrictEquals(getPool("highPriority"), getPool());
    assertStrictEquals(getPool("other" as never), pools.highPriority);
    assert(pools.admin instanceof PostgresConnectionManager);
    assertEquals(Object.keys((await getDatabaseHealth()).pools), ["highPriority", "lowPriority", "admin"]);
  });

  await t.step(
    "shutdownDatabase() ends all pools; then each call says so, and initializeDatabase() works again",
    async () => {
      const pool = getPool();
      await Promise.all([shutdownDatabase(), shutdownDatabase()]);
      await assertRejects(() => pool.query("SELECT 1"), PoolError);
      await assertEachRejects("it was shut down. Await initializeDatabase() to use it again");
      // It must not connect by itself, perhaps to another database.
      await assertRejects(() => createQueryBuilder().from("t").get(), DatabaseNotInitializedError);
      await initializeDatabase(optionsOf(database));
      assertEquals<unknown>(await db.query("SELECT n FROM t"), [{ n: 1 }]);
      // One that begins while the shutdown is under way waits for it.
      const held = await getPool().connect();
      let ended = false;
      const ending = shutdownDatabase(100).then(() => ended = true);
      await initializeDatabase(optionsOf(database));
      assert(ended);
      await ending;
      held[Symbol.dispose]();
      assert(getPool() !== pool);
      assertEquals((await db.query("SELECT 1")).length, 1);
      await shutdownDatabase();
    },
  );
});

Deno.test("DatabaseManager", async (t) => {
  await using database = await TestDatabase.start();

  await t.step(
    "initialize() rejects with the failure to connect, leaves nothing, and can be called again",
    async () => {
      await using manager = new DatabaseManager();
      const { postgres } = optionsOf(database);
      const wrong = { ...optionsOf(database), postgres: { ...postgres, password: "wrong" } };
      await assertRejects(() => manager.initialize(wrong), PoolError, "password authentication failed");
      assertEquals(manager.initialized, false);
      await assertRejects(() => manager.db.query("SELECT 1"), DatabaseNotInitializedError);
      await manager.initialize(optionsOf(database));
      assertEquals(manager.initialized, true);
    },
  );

  await t.step("initialize() leaves nothing when a pool cannot be created, and can be called again", async () => {
    let isBroken = true;
    await using manager = new DatabaseManager({
      get random() {
        if (isBroken) throw new RangeError("no random numbers");
        return Math.random;
      },
    });
    await assertRejects(() => manager.initialize({ variables: {} }), RangeError);
    isBroken = false;
    await manager.initialize(optionsOf(database));
    assertEquals(manager.initialized, true);
  });

  await t.step("the cache of a caller is part of the health, and ends with the database", async () => {
    const manager = new DatabaseManager();
    await manager.initialize(optionsOf(database));
    const caller = manager.db.as("anonymous");
    const cache = caller.getCache();
    await cache.set("key", 1, 60);
    assert((await manager.getHealth()).cache !== undefined);
    await manager.shutdown();
    await assertRejects(() => cache.get("key"), CacheClosedError);
    assertThrows(() => caller.getCache(), DatabaseNotInitializedError);
  });

  await t.step("initialize() rejects bad options and variables by name", async () => {
    await using manager = new DatabaseManager();
    const bad = { variables: { DB_PORT: "no" } };
    const { issues } = await assertRejects(() => manager.initialize(bad), ConfigError);
    assertEquals(issues.map(({ path }) => path), ["DB_PORT"]);
    const both = { variables: {}, postgres: { max: 1, maxConnections: 2 } };
    const error = await assertRejects(() => manager.initialize(both), ConfigError);
    assertEquals(error.issues, [{
      path: "max",
      message: "is an alias of maxConnections, which is set too: set one of them",
    }]);
  });

  await t.step("initialize() reads the environment, which options override", async () => {
    await using manager = new DatabaseManager();
    const { host, port, password } = database.options();
    const login = { DB_HOST: host, DB_PORT: `${port}`, DB_NAME: "postgres", DB_PASSWORD: password };
    const sizes = { DB_HIGH_PRIORITY_MAX: "3", DB_HIGH_PRIORITY_MIN: "0", DB_RETRY_DELAY: "7" };
    await manager.initialize({
      variables: { ...login, ...sizes, DB_USER: "missing_role" },
      postgres: { user: database.options().user ?? "", retryAttempts: 1 },
    });
    const { maxConnections, maxRetries, retryDelayMs } = manager.getPool().config;
    assertEquals([maxConnections, maxRetries, retryDelayMs], [3, 1, 7]);
  });

  await t.step("shutdown() during an initialization ends it", async () => {
    await using manager = new DatabaseManager();
    const initializing = manager.initialize(optionsOf(database));
    initializing.catch(() => {});
    await Promise.resolve().then(() => Promise.resolve());
    await manager.shutdown();
    await assertRejects(() => initializing, PoolError);
    assertThrows(() => manager.getPool(), DatabaseNotInitializedError);
  });

  await t.step("shutdown() right behind initialize() wins: nothing is opened", async () => {
    await using manager = new DatabaseManager();
    const initializing = manager.initialize(optionsOf(database));
    const ending = manager.shutdown();
    await assertRejects(() => initializing, DatabaseNotInitializedError, "it was shut down");
    await ending;
    assertEquals(manager.initialized, false);
    // Also behind one that waits for a shutdown.
    await manager.initialize(optionsOf(database));
    const first = manager.shutdown();
    const waiting = manager.initialize(optionsOf(database));
    waiting.catch(() => {});
    await Promise.all([first, manager.shutdown()]);
    await assertRejects(() => waiting, DatabaseNotInitializedError, "it was shut down");
  });

  await t.step("shutdown() with an invalid deadline reports it, and shuts down", async () => {
    const manager = new DatabaseManager();
    await manager.initialize(optionsOf(database));
    const pool = manager.getPool();
    await assertRejects(() => manager.shutdown(-1), ConfigError);
    await assertRejects(() => pool.query("SELECT 1"), PoolError);
  });

  await t.step("getHealth() tells a pool of lower priority from the one that serves users", async () => {
    await using manager = new DatabaseManager();
    await manager.initialize(optionsOf(database));
    await manager.pools.lowPriority.query("SELECT 1");
    await manager.pools.lowPriority.shutdown();
    const degraded = await manager.getHealth();
    assertEquals([degraded.healthy, degraded.status], [true, "degraded"]);
    await manager.pools.highPriority.shutdown();
    const unhealthy = await manager.getHealth();
    assertEquals([unhealthy.healthy, unhealthy.status], [false, "unhealthy"]);
  });
});
