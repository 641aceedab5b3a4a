import { assertEquals, assertInstanceOf } from "@std/assert";
import { HookTimeoutError } from "../../shared/pool/mod.ts";
import { outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

Deno.test("ResourcePool.lease() destroys a stale resource that has expired instead of validating it", async () => {
  const factory = new ScriptedFactory();
  const validated: number[] = [];
  factory.validate = ({ id }) => (validated.push(id), Promise.resolve(true));
  const { pool, clock } = testPool({
    maxConnections: 2,
    reservedConnections: 2,
    maxLifetimeMs: 1_000,
    idleTimeoutMs: 60_000,
    validateAfterIdleMs: 100,
  }, factory);
  const old = await pool.lease({ lane: "admin" });
  await clock.advance(500);
  const young = await pool.lease({ lane: "admin" });
  old.release();
  young.release();
  const waiting = [pool.lease(), pool.lease()];
  clock.freeze(600);
  pool.resize({ reservedConnections: 0 });
  const leases = await Promise.all(waiting);
  assertEquals(factory.destroyed.map(({ id }) => id), [0]);
  assertEquals(validated, [1]);
  assertEquals(leases.map(({ resource }) => resource.id).sort(), [1, 2]);
  for (const lease of leases) lease.release();
});

Deno.test("ResourcePool.lease() skips validation of a resource that was just released, however long it was leased", async () => {
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

Deno.test("ResourcePool.lease() has time for a creation after a validation that hangs", async () => {
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

Deno.test("ResourcePool.lease() validates a resource only after validateAfterIdleMs", async () => {
  const factory = new ScriptedFactory();
  const validated: number[] = [];
  factory.validate = ({ id }) => (validated.push(id), true);
  const { pool, clock } = watchedPool({ validateAfterIdleMs: 500 }, factory);
  (await pool.lease()).release();
  await clock.advance(499);
  (await pool.lease()).release();
  assertEquals(validated, []);
  await clock.advance(500);
  (await pool.lease()).release();
  assertEquals(validated, [0]);
});

for (
  const [how, validate] of [
    ["says no", () => false],
    ["throws", () => {
      throw new Error("gone");
    }],
    ["rejects", () => Promise.reject(new Error("gone"))],
  ] as const
) {
  Deno.test(`ResourcePool.lease() destroys and replaces a resource whose validation ${how} is destroyed and replaced`, async () => {
    const factory = new ScriptedFactory();
    factory.validate = validate;
    const { pool, clock, reasons } = watchedPool({}, factory);
    (await pool.lease()).release();
    await clock.advance(1_000);
    const lease = await pool.lease();
    assertEquals(lease.resource.id, 1);
    assertEquals(reasons(), ["invalid"]);
    lease.release();
  });
}

Deno.test("ResourcePool.lease() abandons a validation that hangs at validateTimeoutMs", async () => {
  const factory = new ScriptedFactory();
  factory.validate = () => new Promise(() => {});
  const { pool, clock, errors } = watchedPool({ validateTimeoutMs: 1_000 }, factory);
  (await pool.lease()).release();
  await clock.advance(1_000);
  const waiter = pool.lease();
  await clock.advance(999);
  assertEquals(await outcome(waiter), "pending");
  await clock.advance(1);
  assertEquals((await waiter).resource.id, 1);
  assertInstanceOf(at(errors, 0).error, HookTimeoutError);
});

for (const dead of [4, 20]) {
  Deno.test(`ResourcePool.lease() waits for one validation and one creation before ${dead} dead idle resources`, async () => {
    const factory = new ScriptedFactory();
    factory.validate = () => true;
    const { pool, clock } = testPool({ maxConnections: dead + 1, validateTimeoutMs: 1_000 }, factory);
    for (const lease of await Promise.all(Array.from({ length: dead }, () => pool.lease()))) lease.release();
    factory.validate = () => new Promise(() => {});
    factory.onDestroy = () => new Promise(() => {});
    await clock.advance(1_000);
    const waiter = pool.lease();
    await clock.advance(1_000);
    assertEquals((await waiter).resource.id, dead);
    // The others were validated together in the meantime: a second waiter finds none of them.
    await clock.advance(1_000);
    assertEquals(pool.getStats().closingConnections, dead);
    await pool.shutdown(0);
  });
}

Deno.test("ResourcePool.lease() validates one of several healthy stale resources", async () => {
  const factory = new ScriptedFactory();
  const validated: number[] = [];
  factory.validate = ({ id }) => (validated.push(id), Promise.resolve(true));
  const { pool, clock } = testPool({}, factory);
  for (const lease of await Promise.all([pool.lease(), pool.lease(), pool.lease()])) lease.release();
  await clock.advance(1_000);
  await pool.lease();
  assertEquals([validated, factory.attempts], [[2], 3]);
});

Deno.test("ResourcePool.lease() validates a stale resource while another one is being created or reset for ever", async () => {
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

for (const hook of ["validate", "reset"] as const) {
  Deno.test(`ResourcePool.lease() does not lease a resource whose lifetime ends during its ${hook}`, async () => {
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
