/** Tests the switches of direct Postgres with functions that a server serves, on a real database. */
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { type PooledPostgresHandler, PooledPostgresService, withPooledPostgres } from "../../shared/http/postgres.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import {
  OPERATION_TYPES,
  PostgresConnectionManager,
  PostgresPools,
  readPostgresEnvironment,
} from "../../shared/postgres/mod.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { environment } from "../http/real_rig.ts";
import { TestDatabase } from "./support.ts";

/** The variables of a login. */
function variablesOf(database: TestDatabase, more: Record<string, string>): Record<string, string> {
  const { host, port, user, password } = database.options("authenticator");
  return {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: "postgres",
    DB_USER: String(user),
    DB_PASSWORD: password,
    DB_MAX_CONNECTIONS: "4",
    ...more,
  };
}

/** Serves a function, and sends it requests over HTTP. */
async function withFunction(
  database: TestDatabase,
  switches: Record<string, string>,
  handler: PooledPostgresHandler<unknown>,
  work: (
    get: (path?: string, headers?: HeadersInit) => Promise<Response>,
    managers: readonly PostgresConnectionManager[],
  ) => Promise<void>,
): Promise<void> {
  await using project = startFakeProject();
  const variables = { ...environment(project.url), ...variablesOf(database, switches) };
  // Shut down with the test, and not with the isolate.
  const managers: PostgresConnectionManager[] = [];
  const postgres = () => {
    const manager = new PostgresConnectionManager({
      minConnections: 0,
      acquireTimeoutMs: 20_000,
      ...readPostgresEnvironment(variables).config,
    });
    managers.push(manager);
    return manager;
  };
  const handle = withPooledPostgres<unknown>({ auth: "none", variables, postgres, log: () => {} }, handler);
  await using _server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => handle(request));
  const get = (path = "/f", headers: HeadersInit = {}) =>
    fetch(`http://127.0.0.1:${_server.addr.port}${path}`, { headers });
  try {
    await work(get, managers);
  } finally {
    await Promise.all(managers.map((manager) => manager.shutdown(0)));
  }
}

const pidOf: PooledPostgresHandler<unknown> = async (_request, { postgres }) => {
  const { rows } = await postgres.query<{ pid: number }>("select pg_backend_pid() as pid, pg_sleep(0.005)::text");
  return Response.json(rows[0]?.pid);
};

/** The pools of clients live as long as the isolate. */
const OF_ISOLATE = { sanitizeOps: false, sanitizeResources: false };

Deno.test("switches of direct Postgres", OF_ISOLATE, async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const backends = async () => {
    const text = "select count(*)::int as n from pg_stat_activity where usename = 'authenticator'";
    return (await admin.query<{ n: number }>(text)).rows[0]?.n ?? NaN;
  };

  await t.step(
    "DB_POOL_ENABLED=off opens a connection for each statement and keeps none",
    () =>
      withFunction(database, { DB_POOL_ENABLED: "off", DB_MIN_CONNECTIONS: "3" }, pidOf, async (get) => {
        const pids: number[] = [];
        for (let request = 0; request < 4; request++) {
          const response = await get();
          assertEquals(response.status, 200);
          pids.push(await response.json());
          assertEquals(response.headers.get("X-Pool-Idle-Connections"), "0");
        }
        assertEquals(new Set(pids).size, 4);
        const responses = await Promise.all(Array.from({ length: 16 }, () => get()));
        for (const response of responses) pids.push(await response.json());
        assertEquals(responses.map(({ status }) => status), Array(16).fill(200));
        assertEquals(new Set(pids).size, 20, "each has its own");
        assert(responses.every(({ headers }) => Number(headers.get("X-Pool-Total-Connections")) <= 4));
        await until("the server has closed them", async () => await backends() === 0);
        const health = await (await get("/f/health/pool", { apikey: "sb_secret_test" })).json();
        assertEquals([health.status, health.details.testQuery.success], ["pass", true]);
        assertEquals(health.details.switchedOff, ["DB_POOL_ENABLED=off"]);
        const { totalConnections, idleConnections, totalCreated, totalDestroyed } = health.details.stats;
        assertEquals([totalConnections, idleConnections, totalCreated, totalDestroyed], [0, 0, 20, 20]);
      }),
  );

  await t.step(
    "with DB_POOL_ENABLED=on the connection is kept",
    () =>
      withFunction(database, { DB_POOL_ENABLED: "on", DB_MIN_CONNECTIONS: "0" }, pidOf, async (get, managers) => {
        const pids: number[] = [];
        for (let request = 0; request < 8; request++) {
          pids.push(await (await get()).json());
          // The response does not wait until its connection is reset and idle again.
          await until("its connection is idle", () => managers.every((each) => each.getStats().idleConnections === 1));
        }
        assertEquals([new Set(pids).size, await backends()], [1, 1]);
      }),
  );

  await t.step("DB_POOL_ENABLED=off runs transactions and leases, and resize() keeps the floor at 0", async () => {
    const manager = database.manager({ enabled: false, maxConnections: 2 });
    await manager.transaction(async (tx) => {
      const [one, two] = [await tx.query("select pg_backend_pid()"), await tx.query("select pg_backend_pid()")];
      assertEquals(one.rows, two.rows);
    });
    {
      await using connection = await manager.lease();
      await connection.query("create temp table kept (n int)");
      assertEquals((await connection.query("select n from kept")).rows, []);
      assertEquals((await connection.query("select count(*)::int as n from pg_prepared_statements")).rows, [{ n: 0 }]);
    }
    manager.resize({ minConnections: 2 });
    await until("the last one is closed", () => manager.getStats().totalConnections === 0);
    assertEquals(manager.limits, { maxConnections: 2, minConnections: 0, reservedConnections: 0 });
  });

  await t.step("DB_RETRIES=off runs each transaction and operation once, whatever asks for more", async () => {
    class Notes extends PooledPostgresService {
      run(): Promise<unknown> {
        return this.withRetry((connection) => connection.query(CONFLICT), 4, 1);
      }
    }
    const CONFLICT = "do $$ begin perform nextval('attempts'); raise exception using errcode = '40001'; end $$";
    await admin.query("create sequence attempts");
    const attempts = async () => {
      const { rows } = await admin.query<{ n: number }>("select nextval('attempts')::int as n");
      await admin.query("select setval('attempts', 1, false)");
      return (rows[0]?.n ?? NaN) - 1;
    };
    await attempts();
    for (const [retries, expected] of [[false, [1, 1, 1, 1]], [true, [4, 3, 5, 3]]] as const) {
      const manager = database.manager({ retries, maxRetries: 2, retryDelayMs: 1 });
      const counts: number[] = [];
      const count = async (work: Promise<unknown>) => {
        await assertRejects(() => work, Error);
        counts.push(await attempts());
      };
      await count(manager.transaction((tx) => tx.query(CONFLICT), { retries: 3 }));
      await count(manager.executeQueryWithRetry(CONFLICT));
      await count(new Notes(manager).run());
      await count(manager.executeTransactionWithRetry([{ query: CONFLICT }]));
      assertEquals(counts, [...expected]);
    }
  });

  await t.step("DB_RETRIES=off rejects at the first failed connect, and a function recovers by itself", async () => {
    await withFunction(database, { DB_RETRIES: "off", DB_PORT: "1" }, pidOf, async (get) => {
      const response = await get();
      await response.body?.cancel();
      assertEquals(response.status, 503);
    });
    const connects = async (retries: boolean) => {
      const errors: unknown[] = [];
      await using manager = new PostgresConnectionManager({
        ...{ host: "127.0.0.1", port: 1, minConnections: 0, retries },
        connectionTimeoutMs: 300,
      });
      manager.on("error", ({ error }) => errors.push(error));
      await assertRejects(() => manager.query("select 1"), Error);
      return errors.length;
    };
    assertEquals(await connects(false), 1);
    assert(await connects(true) > 1);
  });

  await t.step("DB_PRIORITIES=off leaves one pool for all operation types, and one for another login", async () => {
    const variables = variablesOf(database, {
      DB_PRIORITIES: "off",
      DB_HIGH_PRIORITY_MAX: "1",
      DB_LOW_PRIORITY_MIN: "1",
    });
    {
      await using pools = PostgresPools.fromEnv(variables);
      const [high, low, own] = OPERATION_TYPES.map((type) => pools.getPool(type));
      assertStrictEquals(high, low);
      assertStrictEquals(high, own);
      assertEquals(high?.config.maxConnections, 4);
      assertEquals((await pools.getPool("admin").query("select 1 as n")).rows, [{ n: 1 }]);
      assertEquals(Object.keys(pools.getStats()), ["highPriority"]);
    }
    const { user, password } = database.options("postgres");
    await using pools = PostgresPools.fromEnv({
      ...variables,
      DB_ADMIN_USER: String(user),
      DB_ADMIN_PASSWORD: password,
    });
    assertStrictEquals(pools.getPool("highPriority"), pools.getPool("lowPriority"));
    const { rows } = await pools.getPool("admin").query("select current_user::text as name");
    assertEquals(rows, [{ name: "postgres" }]);
  });

  await t.step("DB_PRIORITIES=off serves every lane in the order of arrival", async () => {
    const manager = database.manager({ priorities: false, maxConnections: 2, reservedConnections: 1 });
    const held = [await manager.lease(), await manager.lease({ lane: "admin" })];
    const order: string[] = [];
    const waiting = (["low", "normal", "admin"] as const).map(async (lane) => {
      await using _connection = await manager.lease({ lane });
      order.push(lane);
    });
    for (const connection of held) connection.release();
    await Promise.all(waiting);
    assertEquals(order, ["low", "normal", "admin"]);
  });

  await t.step("DB_HEALTH_CHECKS=off asks nothing, on request and at an interval, and says so", () =>
    withFunction(
      database,
      { DB_HEALTH_CHECKS: "off", DB_HEALTH_CHECK_INTERVAL: "5" },
      pidOf,
      async (get) => {
        const health = await (await get("/f/health/pool")).json();
        assertEquals([health.status, health.details.testQuery], ["pass", { success: true, skipped: true }]);
        assertEquals(health.notes?.length, 1);
        await new Promise((resolve) => setTimeout(resolve, 60));
        assertEquals(await backends(), 0);
        assertEquals((await get()).status, 200);
        const detailed = await (await get("/f/health/pool", { apikey: "sb_secret_test" })).json();
        assertEquals(detailed.details.switchedOff, ["DB_HEALTH_CHECKS=off"]);
      },
    ));

  await t.step("a function works with everything off", () =>
    withFunction(
      database,
      {
        DB_POOL_ENABLED: "off",
        DB_RETRIES: "off",
        DB_PRIORITIES: "off",
        DB_HEALTH_CHECKS: "off",
        POOL_ENABLED: "off",
        POOL_RETRIES: "off",
      },
      pidOf,
      async (get) => {
        const responses = await Promise.all(Array.from({ length: 12 }, () => get()));
        const pids = await Promise.all(responses.map((response) => response.json()));
        assertEquals(responses.map(({ status }) => status), Array(12).fill(200));
        assertEquals(new Set(pids).size, 12);
        const health = await (await get("/f/health/pool", { apikey: "sb_secret_test" })).json();
        assertEquals(health.details.switchedOff, [
          ...["POOL_ENABLED=off", "POOL_RETRIES=off"],
          ...["DB_POOL_ENABLED=off", "DB_RETRIES=off", "DB_PRIORITIES=off", "DB_HEALTH_CHECKS=off"],
        ]);
      },
    ));
});

for (const name of ["DB_POOL_ENABLED", "DB_RETRIES", "DB_PRIORITIES", "DB_HEALTH_CHECKS"]) {
  Deno.test(`${name} names itself and the values it may have when it has another one`, () => {
    for (const value of ["of", "no", "2", "disabled"]) {
      const error = assertThrows(() => readPostgresEnvironment({ [name]: value }), ConfigError);
      const message = `is ${JSON.stringify(value)}, must be on or off, true or false, 1 or 0`;
      assertEquals(error.issues, [{ path: name, message }]);
    }
    for (const value of ["on", "OFF", "true", "False", "1", "0"]) readPostgresEnvironment({ [name]: value });
  });
}

Deno.test("DB_ADAPTIVE_LIMIT takes the words of switches, and dry-run", () => {
  for (
    const [value, mode] of [
      ...[["on", "on"], ["TRUE", "on"], ["1", "on"], ["Off", "off"], ["False", "off"], ["0", "off"]] as const,
      ["Dry-Run", "dry-run"],
    ] as const
  ) {
    assertEquals(readPostgresEnvironment({ DB_ADAPTIVE_LIMIT: value }).config, { adaptiveLimit: mode });
  }
  const bad = () => readPostgresEnvironment({ DB_ADAPTIVE_LIMIT: "no" });
  assertThrows(bad, ConfigError, 'is "no", must be on, dry-run or off');
});
