import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { withPooledPostgres } from "../../shared/http/postgres.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { PostgresConnectionManager, readPostgresEnvironment } from "../../shared/postgres/mod.ts";
import { retryTransaction, retryTransient } from "../../shared/postgres/query/attempts.ts";
import { CircuitOpenError, RetryBudget } from "../../shared/resilience/mod.ts";
import { environment } from "../http/real_rig.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { startFakeProject } from "../support/fake_project.ts";
import { until } from "../support/until.ts";
import { ScriptedServer } from "./scripted_server.ts";

/** Keeps the process alive: the timers of a pool do not. */
function keepAlive(): Disposable {
  const timer = setInterval(() => {}, 1_000);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** A manager of a server that refuses connections. */
function refused(config: ConstructorParameters<typeof PostgresConnectionManager>[0] = {}): PostgresConnectionManager {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  listener.close();
  const quiet = { minConnections: 0, maxConnections: 4, healthCheckIntervalMs: 0, connectionTimeoutMs: 100 };
  return new PostgresConnectionManager({ host: "127.0.0.1", port, ...quiet, ...Object(config) });
}

Deno.test("PostgresConnectionManager rejects acquires at once while the circuit of its server is open", async () => {
  using _alive = keepAlive();
  await using manager = refused();
  const events: string[] = [];
  manager.on("circuitOpened", ({ target, reason }) => events.push(`opened ${target.split(":")[0]} ${reason}`));
  manager.on("circuitHalfOpened", () => events.push("half-opened"));
  const codes: unknown[] = [];
  await until("the circuit rejects", async () => {
    const error = await manager.query("select 1").then(() => undefined, (error) => error);
    codes.push(error.code);
    return error instanceof CircuitOpenError;
  });
  assertEquals(codes[0], "ECONNREFUSED");
  assertEquals(events[0], "opened 127.0.0.1 consecutive failures");
  await assertRejects(() => manager.transaction(() => {}), CircuitOpenError);
  await assertRejects(() => manager.lease(), CircuitOpenError);
  const { circuit } = manager.getStats();
  assertEquals([circuit?.state, (circuit?.rejected ?? 0) >= 3], ["open", true]);
  const health = await manager.healthCheck();
  assertEquals([health.healthy, health.circuit?.state], [false, "open"]);
  assert(events.includes("half-opened"), "the health check is a probe");
});

Deno.test("PostgresConnectionManager.circuit can be read, forced and restored; none with circuitBreaker false", async () => {
  using _alive = keepAlive();
  await using manager = refused({ circuitBreaker: { openMs: 60_000 } });
  const { circuit } = manager;
  assertEquals(circuit?.snapshot(), { state: "closed" });
  circuit?.force("open");
  const error = await assertRejects(() => manager.query("select 1"), CircuitOpenError);
  assertEquals(error.retryAfterMs, undefined);
  circuit?.restore({ state: "open", retryAfterMs: 50_000 });
  const restored = await assertRejects(() => manager.query("select 1"), CircuitOpenError);
  assert((restored.retryAfterMs ?? 0) > 40_000);

  await using off = refused({ circuitBreaker: false, retryBudget: false });
  assertEquals(off.circuit, undefined);
  assertEquals(["circuit" in off.getStats(), "retryBudget" in off.getStats()], [false, false]);
  assertEquals("circuit" in await off.healthCheck(), false);
  for (let time = 0; time < 8; time++) {
    const code = await off.query("select 1").then(() => "", (error) => error.code);
    assertEquals(code, "ECONNREFUSED");
  }
});

Deno.test("PostgresConnectionManager emits no event of the circuit after its shutdown", async () => {
  const manager = refused();
  const twin = new PostgresConnectionManager({
    ...manager.config,
    connectionTimeoutMs: 90,
    healthCheckIntervalMs: 0,
  });
  assertStrictEquals(twin.circuit, manager.circuit);
  const events: string[] = [];
  manager.on("circuitOpened", () => events.push("manager"));
  twin.on("circuitOpened", () => events.push("twin"));
  await manager.shutdown();
  twin.circuit?.force("open");
  await until("it is emitted", () => events.length > 0);
  assertEquals(events, ["twin"]);
  await twin.shutdown();
});

Deno.test("PostgresConnectionManager.healthCheck() shows that the circuit has closed with its own statement", async () => {
  let breaks = true;
  await using server = new ScriptedServer((step, connection, texts) => {
    if (!breaks || step !== "sync" || !texts.includes("select work")) return false;
    connection.close();
    return true;
  });
  await using manager = new PostgresConnectionManager({
    host: "127.0.0.1",
    port: server.port,
    user: server.user,
    password: "p",
    poolMode: "session",
    minConnections: 0,
    healthCheckIntervalMs: 0,
    circuitBreaker: { openMs: 1 },
  });
  await until("the circuit opens", async () => {
    await manager.query("select work").catch(() => {});
    return manager.circuit?.snapshot().state === "open";
  });
  breaks = false;
  const health = await manager.healthCheck();
  assertEquals([health.healthy, health.circuit], [true, { state: "closed" }]);
  assertEquals(manager.circuit?.snapshot(), { state: "closed" });
});

Deno.test("circuitBreaker and retryBudget reject rules out of range, and DB_CIRCUIT_BREAKER switches the breaker off", () => {
  for (const bad of [{ circuitBreaker: { openMs: 0 } }, { retryBudget: { ratio: 2 } }, { circuitBreaker: "on" }]) {
    let issues: unknown[] = [];
    try {
      new PostgresConnectionManager({ minConnections: 0, ...Object(bad) });
    } catch (error) {
      if (error instanceof ConfigError) issues = error.issues.map(({ path }) => path);
    }
    assertEquals(issues, Object.keys(bad));
  }
  assertEquals(readPostgresEnvironment({ DB_CIRCUIT_BREAKER: "off" }).config, { circuitBreaker: false });
  assertEquals(readPostgresEnvironment({ POSTGRES_CIRCUIT_BREAKER: "1" }).config, { circuitBreaker: true });
  assertEquals(readPostgresEnvironment({ DB_RETRY_BUDGET: "off" }).config, { retryBudget: false });
});

Deno.test("retryTransient() draws on its budget, and not for what the circuit rejected", async () => {
  const clock = new FakeClock();
  const budget = new RetryBudget({ ratio: 0, reserve: 2, clock });
  const run = async (error: unknown) => {
    let attempts = 0;
    const once = () => (attempts++, Promise.reject(error));
    const options = { retries: 5, delayMs: 1, signal: undefined, idempotent: false, budget, clock };
    const ended = retryTransient(once, options).catch(() => {});
    await clock.advance(60_000);
    await ended;
    return attempts;
  };
  const refusal = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  const [first, second] = await Promise.all([run(refusal), Promise.resolve(0)]);
  assertEquals([first, second], [3, 0]);
  assertEquals(budget.getStats().refused, 1);
  await clock.advance(60_000);
  assertEquals(await run(new CircuitOpenError("t", 5)), 6);
  assertEquals(budget.getStats().refused, 1);
  assertEquals(await run(Object.assign(new Error("permanent"), { code: "28P01" })), 1);
});

Deno.test("retryTransaction() begins no attempt after its time, however late a frozen isolate goes on", async () => {
  for (const [frozenMs, expected] of [[999, 2], [1_000, 1]] as const) {
    const clock = new FakeClock();
    let attempts = 0;
    const conflict = Object.assign(new Error("serialization failure"), { code: "40001" });
    const once = () => ++attempts === 1 ? Promise.reject(conflict) : Promise.resolve("done");
    const until = clock.now() + 1_000;
    const done = retryTransaction(once, { retries: 3, signal: undefined, clock, until, undone: () => true })
      .catch((error) => error);
    await settle();
    clock.freeze(frozenMs);
    await clock.advance(0);
    assertEquals([await done, attempts], [expected === 2 ? "done" : conflict, expected]);
  }
});

Deno.test("executeQueryWithRetry() of one manager shares one budget", async () => {
  using _alive = keepAlive();
  await using manager = refused({ retryBudget: { ratio: 0, reserve: 3 }, circuitBreaker: false });
  const all = Array.from({ length: 5 }, () => manager.executeQueryWithRetry("select 1", [], 3, 1).catch(() => {}));
  await Promise.all(all);
  const { retryBudget } = manager.getStats();
  assertEquals([retryBudget?.requests, retryBudget?.retries, retryBudget?.refused], [5, 3, 5]);
});

Deno.test("withPooledPostgres responds 503 while the circuit is open, logs it, and shows it to operators", async () => {
  using _alive = keepAlive();
  await using project = startFakeProject();
  await using manager = refused();
  const lines: string[] = [];
  const handle = withPooledPostgres<unknown>(
    {
      auth: "none",
      variables: environment(project.url),
      postgres: () => manager,
      log: (line: string) => void lines.push(line),
    },
    async (_request, { postgres }) => Response.json((await postgres.query("select 1")).rows),
  );
  let response: Response | undefined;
  await until("the circuit is open", async () => {
    response = await handle(new Request("http://localhost/f"));
    const { code } = await response.json();
    return code === "CIRCUIT_OPEN";
  });
  assertEquals([response?.status, response?.headers.get("Retry-After")], [503, "1"]);
  const opened = lines.filter((line) => JSON.parse(line).event === "circuit_opened");
  assertEquals([opened.length, opened[0]?.includes("consecutive failures")], [1, true]);
  const health = (key?: string) =>
    handle(new Request("http://localhost/f/health/pool", { headers: key ? { apikey: key } : {} }));
  const shown = await (await health("sb_secret_test")).json();
  assertEquals(shown.details.circuits.postgres.state, "open");
  assertEquals((await (await health()).json()).details.circuits, undefined);
});
