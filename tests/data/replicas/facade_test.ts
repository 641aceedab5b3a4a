import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AcquireTimeoutError, ConfigError } from "../../../shared/pool/mod.ts";
import { PostgresReplicas, type ReplicasOptions } from "../../../shared/data/mod.ts";
import { ConnectionError, PostgresError, type PostgresPool } from "../../../shared/postgres/mod.ts";
import { namedTargets, parseReplicasConfig } from "../../../shared/data/replicas/replica_options.ts";
import { ReplicaPool } from "../../../shared/data/replicas/replica_pool.ts";
import { readReport } from "../../../shared/data/replicas/server_report.ts";
import { WrittenPosition } from "../../../shared/data/replicas/wal_position.ts";
import { primary, scriptedGroup, session, standby } from "./scripted_group.ts";

const REFUSED = new ConnectionError("ECONNREFUSED", "connect ECONNREFUSED");
const BUSY = new AcquireTimeoutError("full");

function scopeOf() {
  const poolOf = ({ name }: { readonly name: string }) => ({ name }) as unknown as PostgresPool;
  return { poolOf, written: new WrittenPosition() };
}

Deno.test("PostgresReplicas without a server: options, statistics, health, events and calls", async () => {
  const targets = [{ name: "one", host: "127.0.0.1", port: 1, password: "x", database: "d" }];
  const group = new PostgresReplicas({ targets, common: { minConnections: 0 }, failoverTimeoutMs: 50 });
  try {
    assertEquals([group.config.host, group.config.database, group.manager("two")], ["127.0.0.1", "d", undefined]);
    assertEquals([group.getStats().totalConnections, group.currentTransaction()], [0, undefined]);
    assertEquals([group.totalCount, group.idleCount, group.waitingCount], [0, 0, 0]);
    const seen: string[] = [];
    const onDown = () => seen.push("down");
    group.on("targetDown", onDown);
    group.once("targetDown", () => seen.push("once"));
    const errors: unknown[] = [];
    group.on("error", ({ error, target }) => errors.push(error.message, target));
    group.on("targetDown", () => {
      throw new Error("of a listener");
    });
    const [status] = await group.check();
    assertEquals([status?.state, status?.isPrimary], ["down", false]);
    assertEquals([seen, errors], [["down", "once"], ["of a listener", undefined]]);
    group.off("targetDown", onDown);
    assertEquals((await group.healthCheck()).healthy, false);
    const write = "insert into notes values (1)";
    const calls = [
      () => group.sql`insert into notes values (${1})`,
      () => group.lease(),
      () => group.query(write),
      () => group.transaction([{ query: write }]),
      () => group.transaction(() => 1),
    ];
    for (const call of calls) assertEquals((await assertRejects(call, Error) as { code?: string }).code, "NO_PRIMARY");
  } finally {
    await group[Symbol.asyncDispose]();
  }
});

Deno.test("ReplicaPool has the options, signal and budget of its primary, and its statistics and health", async () => {
  const group = scriptedGroup({ answers: [standby(), primary()] });
  await group.check();
  const stats = {};
  const poolOf = ({ name }: { readonly name: string }) =>
    ({
      config: { host: name },
      signal: AbortSignal.abort(name),
      retryBudget: name,
      getStats: () => stats,
      healthCheck: () => Promise.resolve(name),
    }) as unknown as PostgresPool;
  const pool = new ReplicaPool(group.router, poolOf);
  assertEquals([pool.config.host, pool.signal?.reason, pool.retryBudget as unknown], ["b", "b", "b"]);
  assertEquals([pool.getStats() === stats, await pool.healthCheck() as unknown], [true, "b"]);
  group.checks.stop();
  assertThrows(() => scriptedGroup({ answers: [] }).router.main, Error, "at least one target");
});

Deno.test("parseReplicasConfig() takes any lag, and the default for what is undefined", () => {
  const targets = ["postgres://h"];
  assertEquals(parseReplicasConfig({ targets, maxLagMs: Infinity }).maxLagMs, Infinity);
  assertEquals(parseReplicasConfig({ targets, replayWaitMs: undefined } as unknown as ReplicasOptions).replayWaitMs, 0);
  assertEquals(namedTargets({ targets: [{}, { host: "h", port: 7 }] }).map(({ name }) => name), [
    "localhost:5432",
    "h:7",
  ]);
});

Deno.test("namedTargets() rejects a server that is listed twice, unless a pooler or a function decides where it leads", () => {
  const connect = () => Promise.reject(new Error("not called"));
  const twice: readonly ReplicasOptions["targets"][] = [
    [{ name: "a", host: "DB", password: "hunter2" }, { name: "b", host: "db", port: 5432 }],
    [{ name: "a" }, "postgres://localhost"],
    [{ name: "a", database: "d" }, { name: "b", host: "localhost", database: "d" }],
  ];
  for (const targets of twice) {
    const error = assertThrows(() => namedTargets({ targets }), ConfigError, "the same server as another target");
    assert(error.message.includes("targets.1") && !error.message.includes("hunter2"), error.message);
  }
  const once: readonly ReplicasOptions["targets"][] = [
    [{ name: "a", host: "db", database: "app_rw" }, { name: "b", host: "db", database: "app_ro" }],
    [{ name: "a", host: "db", user: "app.one" }, { name: "b", host: "db", user: "app.two" }],
    [{ name: "a", host: "db", options: "reference=one" }, { name: "b", host: "db", options: "reference=two" }],
    [{ name: "a", connect }, { name: "b", connect }],
    [{ name: "a", host: "db", port: 1 }, { name: "b", host: "db", port: 2 }],
  ];
  for (const targets of once) assertEquals(namedTargets({ targets }).length, 2);
});

Deno.test("readReport() reads what a server does not say as unknown", () => {
  const nothing = { role: "primary", readOnly: false, timeline: 0, position: undefined, lagMs: 0, system: undefined };
  assertEquals(readReport(undefined), { ...nothing, role: "primary" });
  assertEquals(readReport({ standby: true, followed: 3, lag: -1, system: 5 }), {
    ...nothing,
    role: "standby",
    timeline: 3,
  });
});

Deno.test("ReplicaRouter.write() waits a moment before it sends a write to the same primary again", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const times: number[] = [];
  const writing = group.router.write({}, scopeOf(), () => {
    times.push(group.clock.now());
    return times.length < 3 ? Promise.reject(REFUSED) : Promise.resolve("sent");
  });
  for (let step = 0; step < 10; step++) await group.clock.advance(10);
  assertEquals(await writing, "sent");
  assertEquals(times.map((at) => at - (times[0] ?? 0)), [0, 20, 40]);
  group.checks.stop();
});

Deno.test("ReplicaRouter.readFunction() passes on that the only target is busy, and tries another one first", async () => {
  for (const [answers, sent] of [[[primary()], 1], [[primary(), standby()], 2]] as const) {
    const group = scriptedGroup({ answers });
    await group.check();
    const names: string[] = [];
    const running = group.router.readFunction({}, scopeOf(), (pool) => {
      names.push((pool as unknown as { readonly name: string }).name);
      return names.length < 2 ? Promise.reject(BUSY) : Promise.resolve("read");
    }, () => false);
    if (sent === 1) assertEquals(await assertRejects(() => running), BUSY);
    else assertEquals(await running, "read");
    assertEquals(new Set(names).size, sent);
    group.checks.stop();
  }
});

Deno.test("ReplicaRouter.readFunction() runs again on the only target that is left, after a check and a pause", async () => {
  const group = scriptedGroup({ answers: [primary(), REFUSED] });
  await group.check();
  const conflict = new PostgresError({ code: "57P01", severity: "FATAL", message: "terminating connection" });
  const times: number[] = [];
  const running = group.router.readFunction({}, scopeOf(), () => {
    times.push(group.clock.now());
    return times.length < 4 ? Promise.reject(conflict) : Promise.resolve("read");
  }, () => false);
  for (let step = 0; step < 20; step++) await group.clock.advance(10);
  assertEquals(await running, "read");
  assert((times.at(-1) ?? 0) - (times[0] ?? 0) >= 20, String(times));
  group.checks.stop();
});

Deno.test("Topology.waitForReadable() resolves once a target may be read from", async () => {
  const group = scriptedGroup({ answers: [REFUSED] });
  await group.check();
  const now = group.clock.now();
  const waiting = group.topology.waitForReadable({ since: now, until: now + 1_000, signal: undefined });
  const [a] = group.targets;
  assert(a);
  a.answer = standby();
  await group.clock.advance(100);
  assertEquals((await waiting).map(({ name }) => name), ["a"]);
  group.checks.stop();
});

Deno.test("ReplicaRouter reads on the primary after a lease, on sessions that are not on a standby", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const scope = scopeOf();
  scope.written.lease();
  const admitted: boolean[] = [];
  const run = (
    pool: PostgresPool,
    { admit }: { readonly admit?: ((s: ReturnType<typeof session>) => void) | undefined },
  ) => {
    admit?.(session(false, Infinity));
    admitted.push(admit !== undefined);
    return Promise.resolve((pool as unknown as { readonly name: string }).name);
  };
  assertEquals(await group.router.readFunction({}, scope, run, () => false), "a");
  assertEquals(admitted, [true]);
  group.checks.stop();
});
