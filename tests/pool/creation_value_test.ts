import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { AcquireTimeoutError, CreateFailedError, NoResourceError } from "../../shared/pool/mod.ts";
import { counts, testPool } from "../support/pool.ts";
import { at, ScriptedFactory } from "../support/scripted_factory.ts";

Deno.test("ResourcePool.lease() rejects with CreateFailedError when create throws something that is not an Error", async () => {
  const { pool, factory } = testPool();
  factory.onCreate = () => {
    throw "no more licences";
  };
  const error = await assertRejects(() => pool.lease(), CreateFailedError, "no more licences");
  assertEquals(error.cause, "no more licences");
});

Deno.test("ResourcePool.lease() rejects with CreateFailedError when create rejects with a value without text", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => Promise.reject(Object.create(null));
  const { pool } = testPool({}, factory);
  await assertRejects(() => pool.lease(), CreateFailedError);
});

Deno.test("ResourcePool.lease() rejects with CreateFailedError when create throws a value without text", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = () => {
    throw Object.create(null);
  };
  const { pool } = testPool({}, factory);
  await assertRejects(() => pool.lease(), CreateFailedError);
});

Deno.test("ResourcePool.lease() does not lease a resource that died for a reason without text", async () => {
  const { pool, factory } = testPool({});
  (await pool.lease()).release();
  at(factory.contexts, 0).invalidate(Object.create(null));
  const lease = await pool.lease();
  assertEquals(lease.resource.id, 1);
});

Deno.test("ResourcePool.lease() rejects at its deadline though the last failure has no text", async () => {
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

Deno.test("ResourcePool.lease() calls then() of a thenable that create returned once", async () => {
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

Deno.test("ResourcePool.lease() rejects when create yields no object, and frees the slot", async () => {
  const factory = new ScriptedFactory();
  factory.onCreate = (() => Promise.resolve(undefined)) as never;
  const { pool } = testPool({ maxConnections: 1 }, factory);
  const error = await assertRejects(() => pool.acquire(), CreateFailedError);
  assertInstanceOf(error.cause, NoResourceError);
  assertEquals(counts(pool.getStats())[1], 0);
});
