import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { MAX_TIMER_MS } from "../../../shared/resilience/mod.ts";
import { AcquireTimeoutError, ConfigError } from "../../../shared/pool/mod.ts";
import { PostgresReplicas, TargetUnknownError } from "../../../shared/data/mod.ts";
import { ReplicaPool } from "../../../shared/data/replicas/replica_pool.ts";
import { ReplicaTarget } from "../../../shared/data/replicas/replica_target.ts";
import { waitForChecks } from "../../../shared/data/replicas/target_checks.ts";
import { createTargets, poolsOf } from "../../../shared/data/replicas/target_pools.ts";
import type { PostgresConnectionManager, PostgresPool } from "../../../shared/postgres/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { until } from "../../support/until.ts";
import { primary, scriptedGroup, standby } from "./scripted_group.ts";

/** A group whose pools note what is sent to them, and its pool as one scope. */
async function start(knownToRead: boolean, reads: "a" | "b") {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const busy = group.targets[reads === "a" ? 1 : 0]?.target;
  busy?.load.begin(group.clock.now() - 1_000);
  const sent: string[] = [];
  for (const { target } of group.targets) Object.assign(target.manager, { onlyReads: () => knownToRead });
  const poolOf = ({ name }: ReplicaTarget) => {
    const query = (text: string) => {
      sent.push(`${name} ${text}`);
      return Promise.resolve({ rows: [] });
    };
    const transaction = ([{ query }]: [{ query: string }], { readOnly }: { readOnly?: boolean }) => {
      sent.push(`${name} begin${readOnly ? " read only" : ""}; ${query}`);
      return Promise.resolve([{ rows: [] }]);
    };
    return { query, transaction, currentTransaction: () => undefined } as unknown as PostgresPool;
  };
  return { group, sent, pool: new ReplicaPool(group.router, poolOf) };
}

Deno.test("ReplicaPool.query() sends what is not known to read in a read-only transaction, also to a standby", async () => {
  const cases = [
    ["a", false, true, "a begin read only; select f()"],
    ["a", true, true, "a begin read only; select f()"],
    ["a", true, undefined, "a select f()"],
    // It may be promoted right before, and would run a write then.
    ["b", false, true, "b begin read only; select f()"],
    ["b", true, true, "b select f()"],
    ["b", true, undefined, "b select f()"],
    ["b", false, undefined, "a select f()"],
    ["b", true, false, "a select f()"],
  ] as const;
  for (const [reads, isKnown, readOnly, expected] of cases) {
    const { group, sent, pool } = await start(isKnown, reads);
    await pool.query("select f()", [], { readOnly });
    assertEquals(sent, [expected]);
    group.checks.stop();
  }
});

Deno.test("poolsOf() has a pool for each target, and throws for any other", () => {
  const manager = {} as PostgresConnectionManager;
  const [one, other] = [new ReplicaTarget("one", manager), new ReplicaTarget("other", manager)];
  const pool = {} as PostgresPool;
  const poolOf = poolsOf([one], () => pool);
  assertEquals(poolOf(one) === pool, true);
  const error = assertThrows(() => poolOf(other), TargetUnknownError, "Cannot use target other");
  assertEquals(error.code, "TARGET_UNKNOWN");
});

Deno.test("PostgresReplicas names the bad options of all its targets, and leaves no manager behind", async () => {
  const clock = new FakeClock();
  // It connects at once.
  const good = { name: "good", host: "127.0.0.1", port: 1, password: "hunter2", minConnections: 1 };
  const targets = [good, { name: "x", maxConnections: -1 }, { name: "y", host: "h", port: 0 }];
  const error = assertThrows(() => new PostgresReplicas({ targets }, { clock }), ConfigError);
  assert(error.message.includes("x.maxConnections") && error.message.includes("y.port"), error.message);
  assert(!error.message.includes("hunter2"));
  await until("nothing goes on", () => clock.timers === 0);
  const failure = new Error("of the runtime");
  const runtime = {
    get clock(): FakeClock {
      throw failure;
    },
  };
  assertEquals(assertThrows(() => createTargets({ targets: [good] }, runtime)), failure);
});

Deno.test("TargetChecks bounds a check of a busy target by the time of one check", async () => {
  const group = scriptedGroup({ answers: [primary()] });
  await group.check();
  const [a] = group.targets;
  assert(a);
  const lanes: unknown[] = [];
  Object.assign(a.target.manager, {
    lease: ({ lane, acquireTimeoutMs }: { lane: string; acquireTimeoutMs: number }) => {
      lanes.push([lane, acquireTimeoutMs]);
      if (lane === "probe") return new Promise(() => {});
      return new Promise((_resolve, reject) =>
        group.clock.setTimer(() => reject(new AcquireTimeoutError("busy")), acquireTimeoutMs)
      );
    },
  });
  const checked = group.check();
  await group.clock.advance(799);
  assertEquals([lanes, a.target.state], [[["admin", 400], ["probe", 400]], "up"]);
  await group.clock.advance(1);
  await checked;
  assertEquals(a.target.state, "down");
  group.checks.stop();
});

Deno.test("waitForChecks() waits for as long as checks take, and leaves no timer", async () => {
  const clock = new FakeClock();
  const checked = Promise.withResolvers<void>();
  const waiting = waitForChecks(clock, checked.promise);
  assertEquals(clock.timers, 1);
  await clock.advance(MAX_TIMER_MS);
  checked.resolve();
  await waiting;
  const failing = waitForChecks(clock, Promise.reject(new Error("away")));
  await assertRejects(() => failing, Error, "away");
  assertEquals(clock.timers, 0);
});
