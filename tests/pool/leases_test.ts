import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { DoubleReleaseError, ForeignReleaseError, LeaseReleasedError, type PoolEvents } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { counts, testPool } from "../support/pool.ts";
import { at } from "../support/scripted_factory.ts";
import { watchedPool } from "./watched_pool.ts";

Deno.test("a lease is released once; twice is an error and changes nothing for the next holder", async () => {
  const { pool } = watchedPool({ maxConnections: 1 });
  const lease = await pool.lease();
  lease.release();
  const next = await pool.lease();
  assertThrows(() => lease.release(), DoubleReleaseError);
  await lease[Symbol.asyncDispose]();
  assert(next.active);
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0]);
});

Deno.test("a lease that has ended does not hand out its resource", async () => {
  const { pool } = watchedPool();
  const lease = await pool.lease();
  lease.release();
  assertThrows(() => lease.resource, LeaseReleasedError);
});

Deno.test("a resource given back twice, or to another pool, is refused by name", async () => {
  const { pool } = watchedPool();
  const { pool: other } = watchedPool();
  const thing = await pool.acquire();
  assertThrows(() => other.release(thing), ForeignReleaseError);
  assertThrows(() => pool.release({ id: 0 }), ForeignReleaseError);
  assertEquals(counts(pool.getStats()), [1, 1, 0, 0]);
  pool.release(thing);
  assertThrows(() => pool.release(thing), DoubleReleaseError);
  assertEquals(counts(pool.getStats()), [1, 0, 1, 0]);
});

Deno.test("a lease held longer than leakThresholdMs is reported once, and again when it comes back", async () => {
  const { pool, clock } = watchedPool({ leakThresholdMs: 60_000, captureLeaseStacks: true });
  const leaked: PoolEvents["leaked"][] = [];
  const returned: PoolEvents["returned"][] = [];
  pool.on("leaked", (event) => leaked.push(event));
  pool.on("returned", (event) => returned.push(event));
  const lease = await pool.lease();
  await clock.advance(59_999);
  assertEquals(leaked.length, 0);
  await clock.advance(300_000);
  assertEquals(leaked.length, 1);
  assertStringIncludes(at(leaked, 0).stack ?? "", "leases_test");
  assertEquals(returned.length, 0);
  lease.release();
  await settle();
  assertEquals(returned.map(({ heldMs }) => heldMs), [359_999]);
});

Deno.test("a leak report has the stack of the acquire, not of the release that granted it", async () => {
  const { pool, clock } = watchedPool({ maxConnections: 1, captureLeaseStacks: true, leakThresholdMs: 1_000 });
  const stacks: (string | undefined)[] = [];
  pool.on("leaked", ({ stack }) => stacks.push(stack));
  const holder = await pool.lease();
  const patiently = () => pool.lease();
  const waiter = patiently();
  const release = () => holder.release();
  release();
  await waiter;
  await clock.advance(1_000);
  assertStringIncludes(at(stacks, 0) ?? "", "patiently");
  assertEquals(stacks[0]?.includes("at release"), false);
});

Deno.test("a leak report has no stack unless captureLeaseStacks is set", async () => {
  const { pool, clock } = watchedPool({ leakThresholdMs: 1_000 });
  const stacks: (string | undefined)[] = [];
  pool.on("leaked", ({ stack }) => stacks.push(stack));
  await pool.lease();
  await clock.advance(1_000);
  assertEquals(stacks, [undefined]);
});

Deno.test("each event says what happened", async () => {
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

Deno.test("a throwing listener is reported and changes nothing", async () => {
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

Deno.test("a listener or a recorder whose promise is rejected is reported and changes nothing", async () => {
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

Deno.test("a subscription ends when it is disposed of", async () => {
  const { pool } = watchedPool();
  let heard = 0;
  const listener = () => void heard++;
  const first = pool.on("acquired", listener);
  const second = pool.on("acquired", listener);
  (await pool.lease()).release();
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  (await pool.lease()).release();
  second[Symbol.dispose]();
  (await pool.lease()).release();
  assertEquals(heard, 3);
});

Deno.test("a listener may use the pool it listens to", async () => {
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
