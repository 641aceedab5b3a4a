// What hooks, listeners and signals do to the pool while it is at work.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  AcquireAbortedError,
  ConfigError,
  CreateFailedError,
  DoubleReleaseError,
  type Lease,
  type PoolEvents,
} from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory, type Thing, transient } from "../support/scripted_factory.ts";

Deno.test("a listener that aborts a waiter as it is served takes nothing from those behind it", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  const controller = new AbortController();
  const served = pool.lease({ signal: controller.signal });
  const behind = [pool.lease(), pool.lease()];
  pool.on("acquired", () => controller.abort());
  holder.release();
  (await served).release();
  for (const lease of behind) (await lease).release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("a listener that leases never takes the pool past its limit", async () => {
  const { pool, factory } = testPool({ maxConnections: 1 });
  const held = factory.holdCreations();
  let most = 0;
  for (const name of ["created", "acquired", "released", "destroyed", "waited"] as const) {
    pool.on(name, () => {
      const { totalConnections } = pool.getStats();
      most = Math.max(most, totalConnections);
      if (factory.attempts < 20) pool.lease({ timeoutMs: 10 }).then((lease) => lease.release(), () => {});
    });
  }
  const lease = pool.lease();
  at(held, 0).resolve(factory.make());
  (await lease).release({ destroy: true });
  await settle();
  assertEquals(most, 1);
  await pool.shutdown(0);
});

Deno.test("a destroy that invalidates another resource destroys each once", async () => {
  const factory = new ScriptedFactory();
  const { pool } = testPool({ minConnections: 3 }, factory);
  factory.onDestroy = () => {
    for (const { invalidate } of factory.contexts) invalidate(new Error("the tunnel they share is gone"));
  };
  await pool.shutdown(0);
  assertEquals(factory.destroyed.map(({ id }) => id).sort(), [0, 1, 2]);
  const { totalCreated, totalDestroyed } = pool.getStats();
  assertEquals([totalCreated, totalDestroyed], [3, 3]);
});

Deno.test("a destroy hook that leases while too old ones are closed overruns no lane", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ maxConnections: 4, reservedConnections: 2, maxLifetimeMs: 1_000 }, factory);
  const old = await pool.lease({ lane: "admin" });
  await clock.advance(500);
  const young = [await pool.lease({ lane: "admin" }), await pool.lease()];
  const held: Lease<Thing>[] = [];
  for (const lease of [await pool.lease(), ...young, old]) lease.release();
  clock.freeze(600);
  factory.onDestroy = () => {
    const lease = pool.tryLease();
    if (lease) held.push(lease);
  };
  for (let i = 0; i < 3; i++) {
    const lease = pool.tryLease();
    if (lease) held.push(lease);
  }
  assertEquals(held.length, 2);
});

Deno.test("a destroy hook that leases while its pool looks for a resource takes no lane past its share", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ maxConnections: 4, reservedConnections: 3, maxLifetimeMs: 1_000 }, factory);
  const old = [await pool.lease({ lane: "admin" }), await pool.lease()];
  await clock.advance(500);
  const young = [await pool.lease({ lane: "admin" }), await pool.lease({ lane: "admin" })];
  // The sweep closes the first; the hook's lease finds the last, closes it as well, and in there is another lease.
  for (const lease of [at(old, 0), ...young, at(old, 1)]) lease.release();
  const held: Lease<Thing>[] = [];
  const take = () => {
    const lease = pool.tryLease();
    if (lease) held.push(lease);
  };
  factory.onDestroy = take;
  clock.freeze(600);
  take();
  assertEquals([factory.destroyed.length, held.length], [2, 1]);
  assertEquals(counts(pool.getStats()), [2, 1, 1, 0]);
});

Deno.test("a stale idle resource is validated though another one is being made or reset for ever", async () => {
  const factory = new ScriptedFactory();
  factory.validate = () => true;
  const { pool, clock } = testPool({ acquireTimeoutMs: 4_000 }, factory);
  (await pool.lease()).release();
  await clock.advance(1_000);
  factory.holdCreations();
  pool.resize({ minConnections: 2 });
  assertEquals(pool.getStats().creatingConnections, 1);
  (await pool.lease()).release();
  await pool.shutdown(0);
});

Deno.test("a reset that hangs keeps nobody waiting while a resource can be made", async () => {
  const factory = new ScriptedFactory();
  factory.reset = () => new Promise(() => {});
  const { pool } = testPool({ maxConnections: 2 }, factory);
  (await pool.lease()).release();
  assertEquals((await pool.lease()).resource.id, 1);
  await pool.shutdown(0);
});

for (const hook of ["validate", "reset"] as const) {
  Deno.test(`a resource whose lifetime ends during its ${hook} is not lent`, async () => {
    const factory = new ScriptedFactory();
    const { pool, clock } = testPool({ maxConnections: 1, maxLifetimeMs: 1_000, idleTimeoutMs: 60_000 }, factory);
    const done = Promise.withResolvers<boolean>();
    const holder = await pool.lease();
    if (hook === "validate") factory.validate = () => done.promise;
    else factory.reset = async () => void await done.promise;
    await clock.advance(hook === "validate" ? 0 : 900);
    holder.release();
    if (hook === "validate") await clock.advance(900);
    const waiter = pool.lease({ timeoutMs: 60_000 });
    await clock.advance(2_000);
    done.resolve(true);
    assertEquals((await waiter).resource.id, 1);
    await pool.shutdown(0);
  });
}

Deno.test("what a hook returns may throw when it is looked at: its caller is told, and no slot is lost", async () => {
  const bad = [
    () =>
      Object.defineProperty({ id: 9 }, "then", {
        get() {
          throw new Error("bad getter");
        },
      }),
    () => ({
      then() {
        throw new Error("bad then");
      },
    }),
  ];
  for (const returned of bad) {
    const factory = new ScriptedFactory();
    factory.onCreate = returned as never;
    const { pool } = testPool({ maxConnections: 1 }, factory);
    await assertRejects(() => pool.lease(), CreateFailedError, "bad");
    assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
    factory.onCreate = () => factory.make();
    factory.reset = returned as never;
    const lease = await pool.lease();
    lease.release();
    await settle();
    assertEquals(factory.destroyed.length, 1, "a reset that fails closes");
  }
});

Deno.test("an abort that comes while a resource is being made for its waiter is heard", async () => {
  const factory = new ScriptedFactory();
  const controller = new AbortController();
  factory.onCreate = () => {
    controller.abort(new Error("gone"));
    return new Promise(() => {});
  };
  const { pool } = testPool({ maxConnections: 1 }, factory);
  await assertRejects(() => pool.lease({ signal: controller.signal }), AcquireAbortedError);
  assertEquals(pool.getStats().waitingForConnection, 0);
  await pool.shutdown(0);
});

Deno.test("creations that fail together are one failure to the backoff", async () => {
  const factory = new ScriptedFactory();
  const held = factory.holdCreations();
  const { pool, clock } = testPool({ maxConnections: 10, createRetryDelayMs: 100 }, factory);
  const waiters = Array.from({ length: 10 }, () => pool.lease());
  for (const creation of held) creation.reject(transient());
  await settle();
  factory.onCreate = () => factory.make();
  await clock.advance(99);
  assertEquals(factory.attempts, 10);
  await clock.advance(1);
  assertEquals(factory.attempts, 20);
  for (const waiter of waiters) (await waiter).release();
});

Deno.test("a resource that dies at birth is made anew after the pause, not before", async () => {
  const { pool, factory, clock } = testPool({ createRetryDelayMs: 100 });
  factory.onCreate = ({ invalidate }) => {
    invalidate(new Error("died"));
    return factory.make();
  };
  const waiter = pool.lease();
  assertEquals(factory.attempts, 1);
  factory.onCreate = () => factory.make();
  await clock.advance(99);
  assertEquals(factory.attempts, 1);
  await clock.advance(1);
  (await waiter).release();
});

Deno.test("a throwing onLost does not keep a shutdown from ending the other leases", async () => {
  const { pool } = testPool();
  const errors: PoolEvents["error"][] = [];
  pool.on("error", (event) => errors.push(event));
  const leases = [await pool.lease(), await pool.lease()];
  for (const lease of leases) {
    lease.onLost(() => {
      throw new Error("from onLost");
    });
  }
  await pool.shutdown(0);
  assertEquals(leases.map(({ active }) => active), [false, false]);
  await settle();
  assertEquals(errors.map(({ source }) => source), ["listener", "listener"]);
});

Deno.test("a lease held past the threshold in a frozen isolate is reported when it comes back", async () => {
  const { pool, clock } = testPool({ leakThresholdMs: 1_000 });
  const told: string[] = [];
  pool.on("leaked", () => told.push("leaked"));
  pool.on("returned", () => told.push("returned"));
  const lease = await pool.lease();
  clock.freeze(100_000);
  lease.release();
  await settle();
  assertEquals(told, ["leaked", "returned"]);
});

Deno.test("what a sweep makes anew is swept in its own time", async () => {
  const { clock, factory } = testPool({ minConnections: 1, maxLifetimeMs: 1_000, idleTimeoutMs: 60_000 });
  await clock.advance(10_500);
  assertEquals(factory.attempts, 11);
});

Deno.test("a resource given back twice, broken the first time, is refused as a double release", async () => {
  const { pool } = testPool();
  const thing = await pool.acquire();
  pool.release(thing, { destroy: true });
  assertThrows(() => pool.release(thing), DoubleReleaseError);
});

Deno.test("a floor that cannot be made refuses nobody whom a lent resource will serve", async () => {
  const factory = new ScriptedFactory();
  const { pool } = testPool({ maxConnections: 3, reservedConnections: 2 }, factory);
  const holder = await pool.lease();
  const waiter = pool.lease();
  factory.onCreate = () => {
    throw new Error("bad key");
  };
  pool.resize({ minConnections: 2 });
  assertEquals(await outcome(waiter), "pending");
  holder.release();
  (await waiter).release();
  await pool.shutdown(0);
});

Deno.test("a floor is refilled though a destroy hangs, where there is room", async () => {
  const factory = new ScriptedFactory();
  factory.onDestroy = () => new Promise(() => {});
  const { pool } = testPool({ maxConnections: 5, minConnections: 1 }, factory);
  (await pool.lease()).release({ destroy: true });
  assertEquals(pool.getStats().idleConnections, 1);
  await pool.shutdown(0);
});

Deno.test("a listener that shuts the pool down leaves nothing behind", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  pool.on("acquired", () => void pool.shutdown(0));
  const lease = await pool.lease();
  await pool.shutdown();
  assertEquals(lease.active, false);
  assertEquals(clock.timers, 0);
});

Deno.test("arguments that make no sense are refused by name, whether a resource is free or not", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  (await pool.lease()).release();
  await assertRejects(() => pool.lease({ timeoutMs: "5" as unknown as number }), ConfigError, "is string");
  await assertRejects(() => pool.lease({ timeoutMs: NaN }), ConfigError, "is NaN");
  assertThrows(() => pool.tryLease("urgent" as never), ConfigError, "admin, high, normal, low");
  await assertRejects(() => pool.shutdown(NaN), ConfigError, "deadlineMs");
  assert((await pool.lease()).active, "a refused shutdown shuts nothing down");
});
