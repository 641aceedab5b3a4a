/** Moments and values that are rare, and must do no harm all the same. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  AcquireTimeoutError,
  ConfigError,
  CreateFailedError,
  NoResourceError,
  parsePoolConfig,
  PoolClosedError,
} from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory } from "../support/scripted_factory.ts";

Deno.test("a resource that has just been given back is not validated, however long it was lent", async () => {
  const factory = new ScriptedFactory();
  let validated = 0;
  factory.validate = () => {
    validated++;
    return Promise.resolve(true);
  };
  const { pool, clock } = testPool({}, factory);
  for (let i = 0; i < 10; i++) {
    const lease = await pool.lease();
    await clock.advance(600); // the holder's query
    lease.release();
  } // idle for 0 ms each time
  assertEquals(validated, 0);
});

Deno.test("a resource that has just been given back has not been idle, however long it was lent", async () => {
  const { pool, clock, factory } = testPool({ idleTimeoutMs: 1_000 });
  for (let i = 0; i < 5; i++) {
    const lease = await pool.lease();
    await clock.advance(999);
    lease.release();
    await clock.advance(2);
  }
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("a resource that was lent while the isolate was frozen has not been idle", async () => {
  const { pool, clock, factory } = testPool({ minConnections: 0 });
  const lease = await pool.lease();
  clock.freeze(60_000);
  lease.release();
  (await pool.lease()).release();
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("a failure for good reaches a crowd at once, without an attempt for each", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => Promise.reject(new Error("password authentication failed"));
  const { pool } = testPool({ maxConnections: 10 }, factory);
  const waiters = Array.from({ length: 1000 }, () => pool.lease().catch((error: unknown) => error));
  const errors = await Promise.all(waiters);
  assert(errors.every((error) => error instanceof CreateFailedError));
  assertEquals(factory.attempts, 10);
});

Deno.test("a create may reject with what has no text", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => Promise.reject(Object.create(null));
  const { pool } = testPool({}, factory);
  await assertRejects(() => pool.lease(), CreateFailedError);
});

Deno.test("a create may throw what has no text", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => {
    throw Object.create(null);
  };
  const { pool } = testPool({}, factory);
  await assertRejects(() => pool.lease(), CreateFailedError);
});

Deno.test("a resource that dies for a reason without text is not lent", async () => {
  const { pool, factory } = testPool({});
  (await pool.lease()).release();
  at(factory.contexts, 0).invalidate(Object.create(null));
  const lease = await pool.lease();
  assertEquals(lease.resource.id, 1);
});

Deno.test("an acquire expires, though the latest failure has no text", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => {
    throw Object.assign(Object.create(null), { code: "ECONNREFUSED" });
  };
  const { pool, clock } = testPool({ acquireTimeoutMs: 50 }, factory);
  const w = pool.lease();
  w.catch(() => {});
  await clock.advance(60);
  await assertRejects(() => w, AcquireTimeoutError);
});

Deno.test("a signal that is none is refused, and nobody is left in the line", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const holder = await pool.lease();
  await assertRejects(() => pool.lease({ signal: new AbortController() as never }), ConfigError, "AbortSignal");
  assertEquals(pool.getStats().waitingForConnection, 0);
  holder.release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("onLost is called where the resource was lost before it was set", async () => {
  const { pool, factory } = testPool({});
  const p = pool.lease();
  at(factory.contexts, 0).invalidate(new Error("died"));
  const lease = await p;
  let told = 0;
  lease.onLost(() => told++);
  assert(lease.signal.aborted);
  assertEquals(told, 1);
});

Deno.test("an acquire whose lease a shutdown takes back at once is told of the shutdown", async () => {
  const { pool } = testPool({});
  const p = pool.acquire();
  p.catch(() => {});
  pool.shutdown(0);
  await assertRejects(() => p, PoolClosedError);
});

Deno.test("those who expired while the isolate was frozen leave their places in the line", async () => {
  const { pool, clock } = testPool({ maxConnections: 1, maxWaiters: 1 });
  await pool.lease();
  const old = pool.lease();
  old.catch(() => {});
  clock.freeze(60_000);
  const fresh = pool.lease();
  const r = await outcome(fresh);
  assertEquals(r, "pending");
});

Deno.test("a lease that a shutdown cuts is told and recorded like any other", async () => {
  const { pool } = testPool({});
  let waits = 0, uses = 0, released = 0;
  pool.record({ waitTime: () => waits++, useTime: () => uses++ });
  pool.on("released", () => released++);
  await pool.lease();
  await pool.shutdown(0);
  await settle();
  assertEquals([waits, uses, released, pool.getStats().totalReleased], [1, 1, 1, 1]);
});

Deno.test("what create returns is asked for its result once", async () => {
  const factory = new ScriptedFactory();
  let started = 0;
  factory.onCreate = () =>
    ({
      then() {
        started++;
      },
    }) as never;
  const { pool, clock } = testPool({ createTimeoutMs: 100, acquireTimeoutMs: 120 }, factory);
  pool.lease().catch(() => {});
  await clock.advance(110);
  assertEquals(started, 1);
  await pool.shutdown(0);
});

Deno.test("what reset returns means nothing", async () => {
  const factory = new ScriptedFactory();
  factory.reset = (() => false) as never;
  const { pool } = testPool({}, factory);
  (await pool.lease()).release();
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("what is being reset when a shutdown cuts it is closed for the shutdown", async () => {
  const factory = new ScriptedFactory();
  factory.reset = () => new Promise(() => {});
  const { pool } = testPool({}, factory);
  const reasons: string[] = [];
  pool.on("destroyed", ({ reason }) => reasons.push(reason));
  (await pool.lease()).release();
  await pool.shutdown(0);
  await settle();
  assertEquals(reasons, ["shutdown"]);
});

Deno.test("a configuration is told of every bad value, of each kind", () => {
  const error = assertThrows(
    () => parsePoolConfig({ maxConnections: 5, minConnections: 6, idleTimeoutMs: -1 }),
    ConfigError,
  );
  assertEquals(error.issues.map(({ path }) => path).sort(), ["idleTimeoutMs", "minConnections"]);
});

Deno.test("a lifetime is shortened by no more than the jitter", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({ maxLifetimeMs: 5, idleTimeoutMs: 1_000 }, factory, () => 0.5);
  (await pool.lease()).release();
  await clock.advance(4); // 4.75 is what jitter allows
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("resizes are told in the order in which they came", async () => {
  const { pool, factory } = testPool({ maxConnections: 3 });
  const ls = [await pool.lease(), await pool.lease(), await pool.lease()];
  ls.forEach((l) => l.release());
  const told: number[][] = [];
  pool.on("resized", ({ before, limits }) => told.push([before.maxConnections, limits.maxConnections]));
  let once = true;
  factory.onDestroy = () => {
    if (once) {
      once = false;
      pool.resize({ maxConnections: 9 });
    }
  };
  pool.resize({ maxConnections: 1 });
  await settle();
  assertEquals(told, [[3, 1], [1, 9]]);
});

Deno.test("a validation that hangs leaves its caller time", async () => {
  const factory = new ScriptedFactory();
  factory.validate = () => new Promise(() => {});
  const { pool, clock } = testPool({ maxConnections: 10 }, factory);
  (await pool.lease()).release();
  await clock.advance(1_000);
  const w = pool.lease();
  w.catch(() => {});
  await clock.advance(5_000);
  await w;
});

Deno.test("what a lower floor makes surplus is closed at once where it was idle for long enough", async () => {
  const { pool, clock, factory } = testPool({ minConnections: 3, idleTimeoutMs: 1_000 });
  await clock.advance(100_001);
  pool.resize({ minConnections: 0 });
  await clock.advance(10);
  assertEquals(factory.destroyed.length, 3);
});

Deno.test("a second shutdown may bring the deadline forward", async () => {
  const { pool } = testPool({});
  await pool.lease();
  pool.shutdown(Infinity);
  assertEquals(await outcome(pool.shutdown(0)), { value: undefined });
});

Deno.test("a create that yields nothing has failed, and holds no place", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = (() => Promise.resolve(undefined)) as never;
  const { pool } = testPool({ maxConnections: 1 }, factory);
  const error = await assertRejects(() => pool.acquire(), CreateFailedError);
  assertInstanceOf(error.cause, NoResourceError);
  assertEquals(counts(pool.getStats())[1], 0);
});

Deno.test("options that are none are refused", async () => {
  const { pool } = testPool({});
  await assertRejects(() => pool.lease(null as never), ConfigError, "options");
});
