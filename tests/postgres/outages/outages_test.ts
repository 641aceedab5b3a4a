/** Outages with many callers, with and without the circuit breaker: what reaches the server, and what the callers meet. */
import { assert, assertEquals } from "@std/assert";
import { type PostgresConfig, PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { until } from "../../support/until.ts";
import { errorResponse, type Script, ScriptedServer } from "../scripted_server.ts";
import { Callers, median, type Met } from "./callers.ts";

/** An outage, and what was measured in it. */
interface Outage extends Met {
  /** The logins that reached the server while it was away. */
  readonly logins: number;
  readonly stats: ReturnType<PostgresConnectionManager["getStats"]>;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function managerOf({ port, user }: ScriptedServer, config: Partial<PostgresConfig> = {}): PostgresConnectionManager {
  return new PostgresConnectionManager({
    host: "127.0.0.1",
    port,
    user,
    password: "p",
    database: "d",
    poolMode: "session",
    maxConnections: 4,
    minConnections: 0,
    healthCheckIntervalMs: 0,
    connectionTimeoutMs: 300,
    acquireTimeoutMs: 10_000,
    ...config,
  });
}

/** Returns what the server does while it is away. `over` resolves when that ends. */
type Away = (over: Promise<void>) => Script;

/**
 * Runs callers through an outage.
 *
 * @param away What the server does while it is away.
 */
async function outage(away: Away, lastsMs: number, config: Partial<PostgresConfig>): Promise<Outage> {
  let isAway = false;
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  const act = away(over);
  await using server = new ScriptedServer((step, connection, texts) => isAway ? act(step, connection, texts) : false);
  await using manager = managerOf(server, config);
  const callers = new Callers(20, () => manager.query("select work"));
  await until("the callers are served", () => callers.count("ok") > 40);
  isAway = true;
  const before = server.logins;
  await pause(lastsMs);
  const logins = server.logins - before;
  isAway = false;
  end();
  const met = await callers.recover();
  await until("nothing is left", () => manager.getStats().activeConnections === 0);
  return { ...met, logins, stats: manager.getStats() };
}

/** Asserts that nothing is left of an outage. */
function assertRecovered({ stats }: Outage): void {
  const { waitingForConnection, totalCreated, totalDestroyed, totalConnections, totalAbandoned } = stats;
  assertEquals([waitingForConnection, totalCreated - totalDestroyed - totalConnections, totalAbandoned], [0, 0, 0]);
}

/** Returns the number of calls that waited before they failed. */
function waitsOf({ failedMs }: Outage): number {
  return failedMs.filter((ms) => ms > 100).length;
}

const startingUp: Away = () => async (step, connection) => {
  if (step === "startup") await connection.send(errorResponse("57P03", "the database system is starting up"));
  connection.close();
  return true;
};

Deno.test("PostgresConnectionManager.circuit rejects calls at once while the server starts up", async () => {
  const guarded = await outage(startingUp, 3_000, {});
  const plain = await outage(startingUp, 3_000, { circuitBreaker: false });
  for (const each of [guarded, plain]) {
    assertRecovered(each);
    assert(each.firstSuccessMs < 2_000, `${each.firstSuccessMs} ms`);
    // One attempt at a time, after 25 to 500 ms.
    assert(each.logins < 20, `${each.logins} logins`);
  }
  assert((guarded.outcomes.get("CIRCUIT_OPEN") ?? 0) > 500);
  // The calls before it opened wait for an attempt, and then one for each attempt.
  assert(waitsOf(guarded) < 3 * 20, `${waitsOf(guarded)} calls waited`);
  assert(median(guarded.failedMs) < median(plain.failedMs), `${median(guarded.failedMs)} ms`);
  assertEquals(guarded.stats.circuit?.state, "closed");
});

Deno.test("PostgresConnectionManager.circuit does not have calls wait for a server that does not respond", async () => {
  const silent: Away = (over) => async () => await over.then(() => false);
  const config = { queryTimeoutMs: 500, cancelTimeoutMs: 100 };
  const guarded = await outage(silent, 4_000, config);
  const plain = await outage(silent, 4_000, { ...config, circuitBreaker: false });
  for (const each of [guarded, plain]) assertRecovered(each);
  assert(median(guarded.failedMs) < 5, `${median(guarded.failedMs)} ms`);
  assert(waitsOf(guarded) < 4 * 20, `${waitsOf(guarded)} calls waited`);
  assert(median(plain.failedMs) > 100, `${median(plain.failedMs)} ms`);
  assertEquals(guarded.stats.circuit?.state, "closed");
});

Deno.test("PostgresConnectionManager.circuit bounds the connections that break under statements", async () => {
  const flapping: Away = () => (step, connection, texts) => {
    if (step !== "sync" || !texts.includes("select work")) return false;
    connection.close();
    return true;
  };
  const guarded = await outage(flapping, 3_000, {});
  const plain = await outage(flapping, 3_000, { circuitBreaker: false });
  for (const each of [guarded, plain]) assertRecovered(each);
  assert(guarded.logins * 4 < plain.logins, `${guarded.logins} logins with, ${plain.logins} without`);
  assert(guarded.firstSuccessMs < 2_000, `${guarded.firstSuccessMs} ms`);
});

Deno.test("PostgresConnectionManager serves every call that waits, where connectRetryMs covers the outage", async () => {
  const { outcomes, stats } = await outage(startingUp, 1_500, { connectRetryMs: 10_000 });
  // Those that were in flight on the four connections when it began are lost; every later one is served.
  const { ok = 0, CONNECTION_LOST: lost = 0, CONNECTION_BROKEN: broken = 0, ...others } = Object.fromEntries(outcomes);
  assertEquals(others, {});
  assert(ok > 60 && lost + broken <= 2 * 20, `${ok} were served, ${lost} lost, ${broken} not sent`);
  assertEquals(stats.circuit?.rejected, 0);
});

Deno.test("PostgresConnectionManager shares a server that is full with another manager, and serves every call", async () => {
  let limit = 10;
  await using server = new ScriptedServer(async (step, connection) => {
    if (step === "sync") return await pause(5).then(() => false);
    if (step !== "startup" || server.open <= limit) return false;
    await connection.send(errorResponse("53300", "sorry, too many clients already", "ProcessStartupPacket"));
    connection.close();
    return true;
  });
  const config = { maxConnections: 20, acquireTimeoutMs: 60_000, maxStatementsInFlight: 1 };
  await using first = managerOf(server, config);
  const callers = [new Callers(30, () => first.query("select work"))];
  await until("it is refused", () => (first.getStats().connectionLimit?.refused ?? 0) > 0);
  await using second = managerOf(server, config);
  callers.push(new Callers(30, () => second.query("select work")));
  const openOf = (manager: PostgresConnectionManager) => {
    const { activeConnections, idleConnections } = manager.getStats();
    return activeConnections + idleConnections;
  };
  await until("the second has three", () => openOf(second) >= 3);
  assert(openOf(first) <= 9, `${openOf(first)}`);
  limit = 100;
  await until(
    "both have what they need",
    () => [first, second].every((each) => each.getStats().connectionLimit?.limit === undefined),
  );
  for (const each of callers) assertEquals([...(await each.recover()).outcomes.keys()], ["ok"]);
  assertEquals([first.limits.maxConnections, second.limits.maxConnections], [20, 20]);
});
