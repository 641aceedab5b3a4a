import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, PoolClosedError } from "../../shared/pool/mod.ts";
import { OPERATION_TYPES, POSTGRES_PRESETS, type PostgresConfig, PostgresPools } from "../../shared/postgres/mod.ts";

/** Returns the options of the manager of each operation type. */
async function configsOf(variables: Record<string, string>) {
  // No server listens there: nothing ever connects.
  await using pools = PostgresPools.fromEnv({ DB_HOST: "127.0.0.1", DB_PORT: "1", ...variables });
  const configs = OPERATION_TYPES.map((type) => pools.getPool(type).config);
  await pools.shutdown(0);
  return (...options: (keyof (typeof configs)[number])[]) =>
    configs.map((config) => options.map((option) => config[option]));
}

Deno.test("PostgresPools has the limits and timeouts of the specification by default", async () => {
  const of = await configsOf({});
  assertEquals(of("maxConnections", "minConnections"), [[30, 10], [10, 2], [5, 1]]);
  assertEquals(of("idleTimeoutMs", "connectionTimeoutMs"), [[30_000, 2_000], [60_000, 5_000], [30_000, 2_000]]);
  assertEquals(of("user"), [["postgres"], ["postgres"], ["postgres"]]);
});

Deno.test("PostgresPools gives each priority its own limits, timeouts and login", async () => {
  const of = await configsOf({
    DB_USER: "app",
    DB_MAX_CONNECTIONS: "99",
    DB_HIGH_PRIORITY_MAX: "6",
    DB_HIGH_PRIORITY_ACQUIRE_TIMEOUT: "1500",
    DB_LOW_PRIORITY_MIN: "0",
    DB_LOW_PRIORITY_IDLE_TIMEOUT: "1000",
    POSTGRES_LOW_PRIORITY_QUERY_TIMEOUT: "Infinity",
    DB_ADMIN_USER: "root",
    DB_ADMIN_PASSWORD: "hunter2",
    DB_ADMIN_CONNECTION_TIMEOUT: "4000",
  });
  assertEquals(of("maxConnections", "minConnections"), [[6, 6], [10, 0], [5, 1]]);
  assertEquals(of("user"), [["app"], ["app"], ["root"]]);
  assertEquals(of("acquireTimeoutMs", "queryTimeoutMs"), [[1_500, 30_000], [30_000, Infinity], [30_000, 30_000]]);
  assertEquals(of("idleTimeoutMs", "connectionTimeoutMs"), [[30_000, 2_000], [1_000, 5_000], [30_000, 4_000]]);
});

Deno.test("PostgresPools.fromEnv() is small with the preset edge by default", async () => {
  const sizes = async (variables: Record<string, string>) =>
    (await configsOf({ DB_PRESET: "edge", ...variables }))("maxConnections", "minConnections");
  assertEquals(await sizes({}), [[4, 0], [2, 0], [1, 0]]);
  assertEquals(await sizes({ DB_LOW_PRIORITY_MAX: "3" }), [[4, 0], [3, 0], [1, 0]]);
  assert((POSTGRES_PRESETS.edge.maxConnections ?? Infinity) <= 4);
});

Deno.test("PostgresPools lists the errors of all pools in one ConfigError", () => {
  const bad = {
    highPriority: { maxConnections: 2, minConnections: 3 },
    lowPriority: { port: 0 },
    admin: { maxWaiterz: 1 } as Partial<PostgresConfig>,
  };
  const error = assertThrows(() => new PostgresPools({}, bad), ConfigError);
  assertEquals(error.issues.map(({ path }) => path), [
    "highPriority.minConnections",
    "lowPriority.port",
    "admin.maxWaiterz",
  ]);
});

Deno.test("PostgresPools accepts the option names of pg for each priority, and rejects an option with its alias", async () => {
  await using pools = new PostgresPools({ retryAttempts: 5 }, { admin: { max: 3, min: 0, idleTimeoutMillis: 9 } });
  const { maxConnections, minConnections, idleTimeoutMs, maxRetries } = pools.getPool("admin").config;
  assertEquals([maxConnections, minConnections, idleTimeoutMs, maxRetries], [3, 0, 9, 5]);
  const both = { highPriority: { max: 1, maxConnections: 2 }, lowPriority: { min: 1, minConnections: 1 } };
  const { issues } = assertThrows(() => new PostgresPools({}, both), ConfigError);
  assertEquals(issues.map(({ path }) => path), ["highPriority.max", "lowPriority.min"]);
});

Deno.test("PostgresPools.getStats() has the managers that were used, and none is opened after the shutdown", async () => {
  await using pools = PostgresPools.fromEnv({ DB_HOST: "127.0.0.1", DB_PORT: "1", DB_PRESET: "edge" });
  assertEquals(pools.getStats(), {});
  pools.getPool("lowPriority");
  assertEquals(Object.keys(pools.getStats()), ["lowPriority"]);
  assertEquals(pools.getStats().lowPriority?.maxConnections, 2);
  await pools.shutdown(0);
  // It is there, for its configuration, and leases nothing.
  const late = pools.getPool("admin");
  await assertRejects(() => late.query("select 1"), PoolClosedError);
});
