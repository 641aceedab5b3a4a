import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { type PostgresConfig, PostgresConnectionManager, PostgresPools } from "../../shared/postgres/mod.ts";
import { ConnectTimeoutError, PoolerRefusedError, PostgresError } from "../../shared/postgres/mod.ts";
import { failureChain } from "../../shared/resilience/failure.ts";
import { pause } from "./chaos/rig.ts";
import { errorResponse, ScriptedServer } from "./scripted_server.ts";

function configOf(
  { port, user }: { port: number; user: string },
  config: Partial<PostgresConfig> = {},
): Partial<PostgresConfig> {
  return {
    host: "127.0.0.1",
    port,
    user,
    password: "hunter2",
    database: "d",
    minConnections: 0,
    healthCheckIntervalMs: 0,
    poolMode: "session",
    ...config,
  };
}

/** Returns what a query throws, and how long it took, in ms. */
async function failureOf(run: () => Promise<unknown>): Promise<{ error: Error; tookMs: number }> {
  const start = performance.now();
  // The timers of a pool do not keep a process alive.
  const alive = setInterval(() => {}, 1_000);
  try {
    await run();
  } catch (error) {
    assertInstanceOf(error, Error);
    return { error, tookMs: performance.now() - start };
  } finally {
    clearInterval(alive);
  }
  throw new Error("nothing was thrown");
}

/** Returns whether an error or one that it wraps is of a class. */
function wraps<E>(error: unknown, type: new (...args: never[]) => E): boolean {
  return failureChain(error).some((link) => link instanceof type);
}

Deno.test("PostgresConnectionManager shows a refusal that comes late, after one login", async () => {
  await using server = new ScriptedServer(async (step, connection) => {
    if (step !== "startup") return false;
    // Longer than connectionTimeoutMs, and shorter than three times that.
    await pause(1_200);
    await connection.send(errorResponse("XX000", "(ECIRCUITBREAKER) too many authentication failures"));
    connection.close();
    return true;
  });
  const config = configOf(server, { connectionTimeoutMs: 1_000, acquireTimeoutMs: 60_000 });
  await using manager = new PostgresConnectionManager(config);
  const { error, tookMs } = await failureOf(() => manager.query("select 1"));
  assert(wraps(error, PoolerRefusedError), error.message);
  assert(error.message.includes("(ECIRCUITBREAKER) too many authentication failures"), error.message);
  assert(tookMs < 20_000, `${tookMs}`);
  assertEquals(server.logins, 1);
});

Deno.test("PostgresConnectionManagers of an isolate log in at most five times with credentials that are refused", async () => {
  await using server = new ScriptedServer(async (step, connection) => {
    if (step !== "password") return false;
    await connection.send(errorResponse("28P01", 'password authentication failed for user "u"', "auth_failed"));
    connection.close();
    return true;
  });
  const random = () => 0;
  const managers = Array.from({ length: 3 }, (_, index) =>
    new PostgresConnectionManager(
      // Different passwords count together: the server bans the address.
      configOf(server, { password: `wrong${index % 2}`, createRetryDelayMs: 1 }),
      { random },
    ));
  const pools = new PostgresPools(configOf(server), {}, { random });
  const end = performance.now() + 3_500;
  while (performance.now() < end || server.logins < 2) {
    const all = [...managers, pools.getPool("highPriority"), pools.getPool("lowPriority")];
    await Promise.all(all.map(async (manager) => {
      const { error } = await failureOf(() => manager.query("select 1"));
      assert(!error.message.includes("hunter2") && !error.message.includes("wrong"), error.message);
    }));
    await pause(20);
  }
  assert(server.logins <= 5, `${server.logins} logins`);
  const { error } = await failureOf(() => managers[0]?.query("select 1") ?? Promise.reject());
  assert(wraps(error, PostgresError), error.message);
  await Promise.all([...managers.map((manager) => manager.shutdown(0)), pools.shutdown(0)]);
});

Deno.test("PostgresConnectionManager logs in at most five times when working credentials are refused at once", async () => {
  let refuses = false;
  await using server = new ScriptedServer(async (step, connection) => {
    if (step !== "password" || !refuses) return false;
    await pause(20);
    await connection.send(errorResponse("28P01", "password authentication failed", "auth_failed"));
    connection.close();
    return true;
  });
  await using manager = new PostgresConnectionManager(configOf(server, { maxConnections: 30 }));
  const first = await manager.lease();
  refuses = true;
  const before = server.logins;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 29 }, () => manager.lease({ acquireTimeoutMs: 2_000 })),
  );
  assert(outcomes.every(({ status }) => status === "rejected"));
  assert(server.logins - before <= 5, `${server.logins - before} logins`);
  first.release();
});

Deno.test("PostgresConnectionManager opens many connections at once, five logins at a time", async () => {
  let running = 0;
  let most = 0;
  await using server = new ScriptedServer(async (step) => {
    if (step !== "password") return false;
    most = Math.max(most, ++running);
    await pause(10);
    running--;
    return false;
  });
  await using manager = new PostgresConnectionManager(configOf(server, { maxConnections: 40 }));
  const leases = await Promise.all(Array.from({ length: 40 }, () => manager.lease({ acquireTimeoutMs: 60_000 })));
  assertEquals([leases.length, server.logins], [40, 40]);
  assert(most <= 5, `${most} at once`);
  for (const lease of leases) lease.release();
});

Deno.test("PostgresConnectionManager rejects with ConnectTimeoutError before a server that is silent", async () => {
  await using server = new ScriptedServer(() => true);
  const config = configOf(server, { connectionTimeoutMs: 100, acquireTimeoutMs: 60_000 });
  await using manager = new PostgresConnectionManager(config);
  const { error, tookMs } = await failureOf(() => manager.query("select 1"));
  assertInstanceOf(error, ConnectTimeoutError);
  assert(error.message.includes("did not complete the login within 300 ms"), error.message);
  assert(tookMs >= 290 && tookMs < 20_000, `${tookMs}`);
});

Deno.test("PostgresConnectionManager rejects with ECONNREFUSED after connectionTimeoutMs, and later with connectRetryMs", async () => {
  for (const [connectRetryMs, least] of [[0, 300], [900, 900]] as const) {
    const config = configOf({ port: 1, user: "u" }, {
      connectionTimeoutMs: 300,
      connectRetryMs,
      createRetryDelayMs: 5,
      acquireTimeoutMs: 60_000,
    });
    await using manager = new PostgresConnectionManager(config);
    const { error, tookMs } = await failureOf(() => manager.query("select 1"));
    assertEquals("code" in error && error.code, "ECONNREFUSED");
    assert("http" in error && JSON.stringify(error.http).includes("503"));
    assert(tookMs >= least - 5 && tookMs < least + 20_000, `${tookMs}`);
  }
});
