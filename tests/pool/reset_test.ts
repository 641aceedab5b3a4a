import { assertEquals, assertRejects } from "@std/assert";
import { CreateFailedError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, outcome, testPool } from "../support/pool.ts";
import { ScriptedFactory } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

Deno.test("ResourcePool ignores what reset() returns", async () => {
  const factory = new ScriptedFactory();
  factory.reset = (() => false) as never;
  const { pool } = testPool({}, factory);
  (await pool.lease()).release();
  assertEquals(factory.destroyed.length, 0);
});

Deno.test("ResourcePool.shutdown() destroys a resource in reset with the reason shutdown", async () => {
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

Deno.test("ResourcePool.lease() gets a released resource only after its reset", async () => {
  const factory = new ScriptedFactory();
  const reset = Promise.withResolvers<void>();
  factory.reset = () => reset.promise;
  const { pool } = watchedPool({ maxConnections: 1 }, factory);
  (await pool.lease()).release();
  const waiter = pool.lease();
  assertEquals(await outcome(waiter), "pending");
  assertEquals(counts(pool.getStats()), [1, 0, 0, 1]);
  reset.resolve();
  (await waiter).release();
});

Deno.test("ResourcePool destroys and replaces a resource whose reset fails or hangs", async () => {
  const factory = new ScriptedFactory();
  factory.reset = ({ id }) => id === 0 ? Promise.reject(new Error("dirty")) : new Promise(() => {});
  const { pool, clock, reasons } = watchedPool({ maxConnections: 1, resetTimeoutMs: 1_000 }, factory);
  (await pool.lease()).release();
  const second = await pool.lease();
  assertEquals(second.resource.id, 1);
  second.release();
  const third = pool.lease();
  await clock.advance(1_000);
  assertEquals((await third).resource.id, 2);
  assertEquals(reasons(), ["invalid", "invalid"]);
});

Deno.test("ResourcePool.lease() does not wait for a reset that hangs while a resource can be created", async () => {
  const factory = new ScriptedFactory();
  factory.reset = () => new Promise(() => {});
  const { pool } = testPool({ maxConnections: 2 }, factory);
  (await pool.lease()).release();
  assertEquals((await pool.lease()).resource.id, 1);
  await pool.shutdown(0);
});

Deno.test("ResourcePool survives a hook whose result throws when it is inspected", async () => {
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
