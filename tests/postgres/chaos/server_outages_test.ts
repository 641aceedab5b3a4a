/** Outages with many callers: the states of the circuit breaker, judged by what reached the server. */
import { assert, assertEquals } from "@std/assert";
import { type PostgresConfig, type PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { claimsOf } from "../support.ts";
import { Callers, median } from "../outages/callers.ts";
import { pause, Rig, until, useEverySlot } from "./rig.ts";

/** Begins to call, each time with a trivial query unless `call` is given. */
function startCallers(
  manager: PostgresConnectionManager,
  count: number,
  call: () => Promise<unknown> = () => manager.query("select 1 as n"),
): Callers {
  return new Callers(count, call);
}

/** Waits until nothing is left of the outage: no waiter, no lease, every slot usable, and the circuit closed. */
async function assertRecovered(manager: PostgresConnectionManager): Promise<void> {
  await useEverySlot(manager);
  await until("all is returned", () => manager.getStats().activeConnections === 0);
  const { waitingForConnection, totalCreated, totalDestroyed, totalConnections, totalAbandoned, circuit } = manager
    .getStats();
  assertEquals(
    [waitingForConnection, totalCreated - totalDestroyed - totalConnections, totalAbandoned, circuit?.state],
    [0, 0, 0, "closed"],
  );
}

/** The longest time until a call succeeds after the return of a server, on a busy machine: alone it takes half a second. */
const MOST_MS = 2_000;

const FAST: Partial<PostgresConfig> = { connectionTimeoutMs: 500, connectRetryMs: 0, acquireTimeoutMs: 10_000 };

Deno.test("PostgresConnectionManager.circuit in outages with many callers", async (t) => {
  await using rig = await Rig.start();
  const { proxy, database } = rig;

  await t.step(
    "rejects calls at once while a killed server is away, and closes within a second of its return",
    async () => {
      const manager = rig.manager(FAST);
      await useEverySlot(manager);
      const events: string[] = [];
      manager.on("circuitOpened", () => events.push("opened"));
      manager.on("circuitClosed", () => events.push("closed"));
      await database.server.kill();
      await until("they are gone", () => manager.getStats().totalConnections === 0);
      const before = proxy.accepted;
      const callers = startCallers(manager, 40);
      await until("the circuit rejects", () => callers.count("CIRCUIT_OPEN") > 100);
      const attemptsBefore = proxy.accepted;
      const start = performance.now();
      await pause(1_500);
      const attempts = proxy.accepted - attemptsBefore;
      // One attempt at a time, after 500 to 750 ms.
      assert(attempts <= 2 + (performance.now() - start) / 400, `${attempts} attempts`);
      // Pauses of 25 to 500 ms until it opened, and until connecting had failed for half a second.
      assert(attemptsBefore - before < 16, `${attemptsBefore - before} attempts until it opened`);
      await database.server.start();
      const outage = await callers.recover();
      assert(outage.firstSuccessMs < MOST_MS, `${outage.firstSuccessMs} ms`);
      // Those that the circuit rejects, and the failures of attempts to connect: nothing else.
      const known = ["ok", "CIRCUIT_OPEN", "ECONNRESET", "CONNECTION_CLOSED", "57P03"];
      assertEquals([...outage.outcomes.keys()].filter((code) => !known.includes(code)), []);
      await assertRecovered(manager);
      assertEquals([events[0], events.at(-1)], ["opened", "closed"]);
    },
  );

  await t.step("serves every call that waits, where connectRetryMs covers the outage", async () => {
    const manager = rig.manager({ ...FAST, connectRetryMs: 10_000 });
    await useEverySlot(manager);
    await database.server.kill();
    await until("they are gone", () => manager.getStats().totalConnections === 0);
    const calls = Array.from({ length: 40 }, () => manager.query("select 1 as n"));
    await pause(1_000);
    calls.push(...Array.from({ length: 40 }, () => manager.query("select 1 as n")));
    await database.server.start();
    assertEquals((await Promise.allSettled(calls)).filter(({ status }) => status === "rejected"), []);
    await assertRecovered(manager);
  });

  await t.step("does not have callers wait for a server that accepts connections and does not respond", async () => {
    const manager = rig.manager({ ...FAST, queryTimeoutMs: 1_000, cancelTimeoutMs: 100 });
    await useEverySlot(manager);
    proxy.stall();
    const callers = startCallers(manager, 20);
    await until("the circuit rejects", () => callers.count("CIRCUIT_OPEN") > 300);
    proxy.resume();
    proxy.reset();
    const { failedMs, firstSuccessMs } = await callers.recover();
    assert(median(failedMs) < 5, `a failed call takes ${median(failedMs)} ms`);
    // Those that were under way, and one for each attempt.
    const waited = failedMs.filter((ms) => ms > 100).length;
    assert(waited < 3 * 20, `${waited} calls waited`);
    assert(firstSuccessMs < MOST_MS, `${firstSuccessMs} ms`);
    await assertRecovered(manager);
  });

  await t.step("opens when connections break under statements, although logins succeed", async () => {
    const manager = rig.manager({ ...FAST, maxConnections: 1 });
    let flaps = true;
    proxy.tap = (from, bytes, connection) => {
      if (flaps && from === "client" && new TextDecoder().decode(bytes).includes("select 'work'")) connection.reset();
    };
    const callers = startCallers(manager, 20, () => manager.query("select 'work'"));
    await until("the circuit rejects", () => callers.count("CIRCUIT_OPEN") > 100);
    const before = proxy.accepted;
    await pause(1_500);
    const attempts = proxy.accepted - before;
    // One after 500 to 750 ms, and again.
    assert(attempts <= 6, `${attempts} connections`);
    flaps = false;
    const { firstSuccessMs } = await callers.recover();
    proxy.tap = undefined;
    assert(firstSuccessMs < MOST_MS, `${firstSuccessMs} ms`);
    await assertRecovered(manager);
  });

  await t.step("opens no connection for what waited already when losses opened it, until a probe is due", async () => {
    const manager = rig.manager({
      maxConnections: 1,
      connectionTimeoutMs: 20_000,
      connectRetryMs: 30_000,
      acquireTimeoutMs: 30_000,
      circuitBreaker: { openMs: 4_000 },
    });
    let breaks = true;
    proxy.tap = (from, bytes, connection) => {
      if (breaks && from === "client" && new TextDecoder().decode(bytes).includes("select 'work'")) connection.reset();
    };
    const opened = new Promise<void>((resolve) => manager.on("circuitOpened", () => resolve()));
    const before = proxy.accepted;
    const calls = Array.from({ length: 40 }, () => manager.query("select 'work'"));
    const settled = Promise.allSettled(calls);
    await opened;
    await pause(500);
    breaks = false;
    assertEquals(proxy.accepted - before, 5);
    // The connection of the probe serves the rest.
    assertEquals((await settled).filter(({ status }) => status === "rejected").length, 5);
    proxy.tap = undefined;
    await assertRecovered(manager);
  });

  await t.step("stays closed while the server is slow", async () => {
    const manager = rig.manager(FAST);
    proxy.latencyMs = 100;
    const results = await Promise.allSettled(Array.from({ length: 40 }, () => manager.query("select 1 as n")));
    proxy.latencyMs = 0;
    assertEquals(results.filter(({ status }) => status === "rejected"), []);
    assertEquals(manager.circuit?.snapshot(), { state: "closed" });
  });

  await t.step("loses no call when the server is stopped for two seconds and continued", async () => {
    const manager = rig.manager({
      ...FAST,
      connectionTimeoutMs: 2_000,
      connectRetryMs: 10_000,
      validateTimeoutMs: 500,
    });
    await useEverySlot(manager);
    const { rows } = await database.manager({ maxConnections: 1 }).query<{ file: string }>(
      "select pg_read_file('postmaster.pid') as file",
    );
    const postmaster = Number(rows[0]?.file.split("\n")[0]);
    const processes = [postmaster, ...await childrenOf(postmaster)];
    for (const pid of processes) Deno.kill(pid, "SIGSTOP");
    await pause(600); // idle connections are validated from here on
    const calls = Array.from({ length: 40 }, () => manager.query("select 1 as n"));
    await pause(1_400);
    for (const pid of processes) Deno.kill(pid, "SIGCONT");
    assertEquals((await Promise.allSettled(calls)).filter(({ status }) => status === "rejected"), []);
    await assertRecovered(manager);
  });

  await t.step("shares a server that is full with another pool, and serves every call", async () => {
    const direct = database.manager();
    await direct.query("alter role postgres connection limit 10");
    const config = { maxConnections: 20, acquireTimeoutMs: 30_000, createRetryDelayMs: 25 };
    const first = rig.manager(config, "postgres");
    const work = "select pg_sleep(0.02)";
    const callers = [new Callers(30, () => first.query(work))];
    await until("it is refused", () => (first.getStats().connectionLimit?.refused ?? 0) > 0);
    const second = rig.manager(config, "postgres");
    callers.push(new Callers(30, () => second.query(work)));
    const openOf = (manager: PostgresConnectionManager) => {
      const { totalConnections, creatingConnections, closingConnections } = manager.getStats();
      return totalConnections - creatingConnections - closingConnections;
    };
    await until("the second has two", () => openOf(second) >= 2);
    await pause(2_000);
    // Of ten, and the second keeps one at least.
    assert(openOf(first) <= 9, `${openOf(first)}`);
    await direct.query("alter role postgres connection limit -1");
    for (const each of callers) assertEquals([...(await each.recover()).outcomes.keys()], ["ok"]);
    for (const manager of [first, second]) await assertRecovered(manager);
  });

  await t.step("admits calls as a caller in the same way", async () => {
    const manager = rig.manager({ ...FAST, maxConnections: 2 }, "authenticator");
    const caller = manager.as(claimsOf(crypto.randomUUID()));
    await caller.query("select 1");
    await proxy.refuse();
    proxy.reset();
    const callers = startCallers(manager, 10, () => caller.query("select 1"));
    await until("the circuit rejects", () => callers.count("CIRCUIT_OPEN") > 50);
    await proxy.accept();
    const { firstSuccessMs } = await callers.recover();
    assert(firstSuccessMs < MOST_MS, `${firstSuccessMs} ms`);
    await assertRecovered(manager);
  });
});

/** Returns the processes that another one has started. */
async function childrenOf(parent: number): Promise<number[]> {
  const children: number[] = [];
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    // The name of the process, in parentheses, may hold spaces.
    if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) children.push(Number(name));
  }
  return children;
}
