import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { type PoolRecorder, ResourceInvalidError } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, testPool } from "../support/pool.ts";
import { at } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

/** A recorder and what it was given. */
function notebook() {
  const notes: string[] = [];
  const recorder: PoolRecorder = {
    waitTime: (ms) => notes.push(`waited ${ms}`),
    useTime: (ms) => notes.push(`used ${ms}`),
  };
  return { notes, recorder };
}

Deno.test("ResourcePool.record() gets the wait and the duration of each lease", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  const { notes, recorder } = notebook();
  pool.record(recorder);
  const first = await pool.lease();
  const waiter = pool.lease();
  await clock.advance(30);
  first.release();
  assertEquals(notes, ["waited 0", "waited 30", "used 30"]);
  const second = await waiter;
  await clock.advance(7);
  second.release();
  assertEquals(notes.slice(3), ["used 7"]);
  await pool.shutdown(0);
});

Deno.test("ResourcePool.record() ends when its subscription is disposed of", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const one = notebook();
  const two = notebook();
  const subscription = pool.record(one.recorder);
  pool.record(two.recorder);
  (await pool.lease()).release();
  subscription[Symbol.dispose]();
  subscription[Symbol.dispose]();
  (await pool.lease()).release();
  assertEquals([one.notes.length, two.notes.length], [2, 4]);
  await pool.shutdown(0);
});

Deno.test("ResourcePool.record() accepts a recorder of one of the times", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const waits: number[] = [];
  pool.record({ waitTime: (ms) => waits.push(ms) });
  (await pool.lease()).release();
  assertEquals(waits, [0]);
  await pool.shutdown(0);
});

Deno.test("ResourcePool.record() reports a recorder that throws, whose lease is granted and released", async () => {
  const { pool } = testPool({ maxConnections: 1 });
  const { notes, recorder } = notebook();
  const errors: string[] = [];
  pool.on("error", ({ error, source }) => errors.push(`${source}: ${error}`));
  pool.record({
    waitTime() {
      throw "bad wait";
    },
    useTime() {
      throw "bad use";
    },
  });
  pool.record(recorder);
  (await pool.lease()).release();
  await settle();
  assertEquals(errors, ["listener: bad wait", "listener: bad use"]);
  assertEquals(notes, ["waited 0", "used 0"]);
  assertEquals(pool.getStats().idleConnections, 1);
  await pool.shutdown(0);
});

// What hooks, listeners and signals do to the pool while it is at work.

Deno.test("ResourcePool.on() with a listener that aborts a served waiter takes nothing from the next one", async () => {
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

Deno.test("ResourcePool.on() with a listener that leases never exceeds maxConnections", async () => {
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

Deno.test("ResourcePool.on() delivers each event with its data", async () => {
  const { pool, clock } = testPool({ maxConnections: 1 });
  const log: string[] = [];
  pool.on("created", ({ resourceId }) => log.push(`created ${resourceId}`));
  pool.on(
    "acquired",
    ({ leaseId, resourceId, waitedMs }) => log.push(`lease ${leaseId} of ${resourceId} after ${waitedMs}`),
  );
  pool.on("released", ({ leaseId, heldMs }) => log.push(`released ${leaseId} after ${heldMs}`));
  pool.on("waited", ({ waiting }) => log.push(`waited as ${waiting}`));
  pool.on("timedOut", ({ waitedMs }) => log.push(`timed out after ${waitedMs}`));
  pool.on("destroyed", ({ resourceId, reason }) => log.push(`destroyed ${resourceId}: ${reason}`));
  pool.on("closed", ({ abandoned }) => log.push(`closed, ${abandoned} abandoned`));
  const lease = await pool.lease();
  const waiter = pool.lease();
  await clock.advance(100);
  lease.release();
  const second = await waiter;
  await assertRejects(() => pool.lease({ timeoutMs: 0 }));
  second.release();
  await pool.shutdown();
  await settle();
  assertEquals(log, [
    "created 1",
    "lease 1 of 1 after 0",
    "waited as 1",
    "released 1 after 100",
    "lease 2 of 1 after 100",
    "timed out after 0",
    "released 2 after 0",
    "destroyed 1: shutdown",
    "closed, 0 abandoned",
  ]);
});

Deno.test("ResourcePool.on() reports a listener that throws, which changes nothing", async () => {
  const { pool, errors } = watchedPool({ maxConnections: 1 });
  for (const name of ["acquired", "released", "waited", "created", "destroyed"] as const) {
    pool.on(name, () => {
      throw new Error(`from ${name}`);
    });
  }
  pool.on("error", () => {
    throw new Error("from error");
  });
  const lease = await pool.lease();
  const waiter = pool.lease();
  lease.release();
  (await waiter).release({ destroy: true });
  assertEquals(counts(pool.getStats()), [0, 0, 0, 0]);
  await settle();
  assertEquals(errors.filter(({ source }) => source === "listener").length, 7);
});

Deno.test("ResourcePool.on() and record() report a rejected promise, which changes nothing", async () => {
  const { pool, errors } = watchedPool({ maxConnections: 1 });
  pool.on("acquired", () => Promise.reject(new Error("from acquired")));
  pool.on("error", () => Promise.reject(new Error("from error")));
  pool.record({ useTime: () => Promise.reject(new Error("from useTime")) as unknown as void });
  (await pool.lease()).release();
  await settle();
  assertEquals(errors.map(({ source, error }) => [source, (error as Error).message]).sort(), [
    ["listener", "from acquired"],
    ["listener", "from useTime"],
  ]);
  (await pool.lease()).release();
});

Deno.test("ResourcePool.on() ends when its subscription is disposed of", async () => {
  const { pool } = watchedPool();
  let calls = 0;
  const listener = () => void calls++;
  const first = pool.on("acquired", listener);
  const second = pool.on("acquired", listener);
  (await pool.lease()).release();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await pool.lease()).release();
  second[Symbol.dispose]();
  (await pool.lease()).release();
  assertEquals(calls, 3);
});

Deno.test("ResourcePool.on() lets a listener use the pool", async () => {
  const { pool } = watchedPool({ maxConnections: 2 });
  let inner: ReturnType<typeof pool.tryLease>;
  const subscription = pool.on("released", () => {
    subscription[Symbol.dispose]();
    inner = pool.tryLease();
  });
  (await pool.lease()).release();
  await settle();
  assert(inner?.active);
  inner.release();
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("CreateContext.invalidate() emits one error event with its source, resource and reason, idle or leased", async () => {
  const { pool, factory, errors, reasons } = watchedPool({ maxConnections: 2 });
  const [idle, leased] = [await pool.lease(), await pool.lease()];
  idle.release();
  const reason = new Error("socket closed");
  for (const { invalidate } of factory.contexts) {
    invalidate(reason);
    invalidate(new Error("again"));
  }
  await settle();
  assertEquals(errors.map(({ source, resourceId }) => [source, resourceId]), [["invalidate", 1], ["invalidate", 2]]);
  for (const { error } of errors) {
    assertInstanceOf(error, ResourceInvalidError);
    assertEquals([error.message, error.cause], ["The resource became invalid: socket closed", reason]);
  }
  leased.release();
  await settle();
  assertEquals([reasons(), errors.length], [["invalid", "invalid"], 2]);
});
