/**
 * What happens where two rare things meet.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  ConfigError,
  CreateFailedError,
  type Lease,
  parsePoolConfig,
  ResourceInvalidError,
} from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { outcome, testPool } from "../support/pool.ts";
import { at, ScriptedFactory, type Thing } from "../support/scripted_factory.ts";

Deno.test("a bad option is told by its kind where its value could be long, or a secret", () => {
  const values: [value: unknown, said: string][] = [
    [() => 1, "is a function"],
    [Symbol("secret"), "is a symbol"],
    ["secret", "is a string"],
    [[1], "is an array"],
    [{ secret: 1 }, "is an object"],
    [null, "is null"],
    [1.5, "is 1.5"],
  ];
  for (const [value, said] of values) {
    const error = assertThrows(() => parsePoolConfig({ maxConnections: value as number }), ConfigError, said);
    assertEquals(error.message.includes("secret"), false);
  }
});

Deno.test("of two stale resources, the one whose life is over is closed, not validated", async () => {
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

Deno.test("a lease whose room is taken while it closes what is too old waits for it", async () => {
  const factory = new ScriptedFactory();
  const { pool, clock } = testPool({
    maxConnections: 2,
    reservedConnections: 1,
    maxLifetimeMs: 1_000,
    idleTimeoutMs: 60_000,
  }, factory);
  const old = await pool.lease();
  await clock.advance(500);
  const young = await pool.lease({ lane: "admin" });
  young.release();
  old.release();
  clock.freeze(600);
  let inner: Lease<Thing> | undefined;
  factory.onDestroy = () => void (inner ??= pool.tryLease());
  const outer = pool.lease();
  assert(inner);
  assertEquals([inner.resource.id, factory.destroyed.map(({ id }) => id)], [1, [0]]);
  assertEquals(await outcome(outer), "pending");
  assertEquals(pool.getStats().activeConnections, 1);
  inner.release();
  assertEquals((await outer).resource.id, 1);
});

Deno.test("what a factory throws need not be an error", async () => {
  const { pool, factory } = testPool();
  factory.onCreate = () => {
    throw "no more licences";
  };
  const error = await assertRejects(() => pool.lease(), CreateFailedError, "no more licences");
  assertEquals(error.cause, "no more licences");
});

Deno.test("a holder is told once that it has lost its resource, and why at first", async () => {
  const { pool, factory } = testPool();
  const lease = await pool.lease();
  const told: unknown[] = [];
  lease.onLost((reason) => told.push(reason));
  at(factory.contexts, 0).invalidate(new Error("it died"));
  await pool.shutdown(0);
  assertEquals(told, [lease.signal.reason]);
  assert(told[0] instanceof ResourceInvalidError);
});

Deno.test("what a resource says of itself while it is closed is no error", async () => {
  const { pool, factory } = testPool();
  const errors: unknown[] = [];
  pool.on("error", ({ error }) => errors.push(error));
  factory.onDestroy = () => at(factory.contexts, 0).invalidate(new Error("the connection has ended"));
  (await pool.lease()).release({ destroy: true });
  await settle();
  assertEquals([errors, pool.getStats().totalDestroyed], [[], 1]);
});

Deno.test("a failure for good refuses one, while another creation may still serve the others", async () => {
  const factory = new ScriptedFactory();
  const held = factory.holdCreations();
  const { pool } = testPool({ maxConnections: 2 }, factory);
  const waiting = [pool.lease(), pool.lease()];
  at(held, 0).reject(Object.assign(new Error("bad password"), { code: "28P01" }));
  await assertRejects(() => at(waiting, 0), CreateFailedError);
  assertEquals(await outcome(at(waiting, 1)), "pending");
  at(held, 1).resolve(factory.make());
  (await at(waiting, 1)).release();
  await pool.shutdown(0);
});
