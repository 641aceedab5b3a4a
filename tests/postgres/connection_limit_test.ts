import { assert, assertEquals } from "@std/assert";
import { ConnectionLimit } from "../../shared/postgres/connection/connection_limit.ts";
import { FakeClock } from "../support/fake_clock.ts";

class FakePool {
  readonly clock: FakeClock;
  open = 0;
  wantsMore = true;
  maxConnections = 20;
  readonly applied: number[] = [];
  readonly limit: ConnectionLimit;

  constructor(clock = new FakeClock(), random = () => 0.5) {
    this.clock = clock;
    this.limit = new ConnectionLimit(this, this.clock, random);
  }

  demand() {
    const { open, wantsMore, maxConnections } = this;
    return { open, wantsMore, maxConnections };
  }

  apply(limit: number): void {
    this.applied.push(limit);
    this.open = Math.min(this.open, limit);
  }
}

Deno.test("ConnectionLimit.refused() lowers the limit to four fifths of the connections, rounded up, at least 1", async () => {
  for (const [open, limit] of [[0, 1], [1, 1], [2, 2], [4, 4], [5, 4], [11, 9], [20, 16]] as const) {
    const pool = new FakePool();
    assertEquals(pool.limit.limit, Infinity);
    pool.open = open;
    pool.limit.refused(0);
    assertEquals([pool.limit.limit, pool.applied], [limit, [limit]]);
    pool.limit.stop();
    await pool.clock.advance(100_000);
    assertEquals(pool.applied, [limit]);
  }
});

Deno.test("ConnectionLimit.refused() lowers the limit once for attempts that were under way together", async () => {
  const pool = new FakePool();
  pool.open = 10;
  await pool.clock.advance(100);
  const startedAt = pool.clock.now() - 50;
  for (let time = 0; time < 5; time++) pool.limit.refused(startedAt);
  assertEquals(pool.applied, [8]);
  await pool.clock.advance(1);
  pool.limit.refused(pool.clock.now());
  assertEquals(pool.applied, [8, 7]);
});

Deno.test("ConnectionLimit.refused() changes nothing while the pool needs no connection", () => {
  const pool = new FakePool();
  pool.open = 10;
  pool.wantsMore = false;
  pool.limit.refused(0);
  assertEquals(pool.applied, []);
});

Deno.test("ConnectionLimit raises the limit by one each second while acquires wait, up to maxConnections", async () => {
  const pool = new FakePool();
  pool.maxConnections = 6;
  pool.open = 3;
  pool.limit.refused(0);
  for (let second = 0; second < 5; second++) {
    pool.limit.refused(-1); // of the same round: it only shows that the server is full
    await pool.clock.advance(1_000);
  }
  assertEquals(pool.applied, [3, 4, 5, Infinity]);
});

Deno.test("ConnectionLimit raises the limit of a large pool by a twentieth", async () => {
  const pool = new FakePool();
  pool.maxConnections = 100;
  pool.open = 50;
  pool.limit.refused(0);
  await pool.clock.advance(2_000);
  assertEquals(pool.applied, [40, 45, 50]);
});

Deno.test("ConnectionLimit raises the limit faster after three raises without a refusal", async () => {
  const pool = new FakePool();
  pool.limit.refused(0);
  await pool.clock.advance(6_000);
  assertEquals(pool.applied, [1, 2, 3, 4, 6, 10, 18]);
  pool.open = 18;
  pool.limit.refused(pool.clock.now());
  await pool.clock.advance(1_000);
  assertEquals(pool.applied.slice(7), [15, 16]);
});

Deno.test("ConnectionLimit.lift() forgets the limit", async () => {
  const pool = new FakePool();
  pool.open = 3;
  pool.limit.refused(0);
  pool.limit.lift();
  assertEquals(pool.limit.limit, Infinity);
  await pool.clock.advance(5_000);
  assertEquals(pool.applied, [3]);
});

Deno.test("ConnectionLimit keeps the limit while no acquire waits, and lifts it 30 s after the latest refusal", async () => {
  const pool = new FakePool();
  pool.open = 3;
  pool.limit.refused(0);
  pool.wantsMore = false;
  await pool.clock.advance(29_000);
  assertEquals(pool.applied, [3]);
  await pool.clock.advance(1_000);
  assertEquals(pool.applied, [3, Infinity]);
  await pool.clock.advance(60_000);
  assertEquals(pool.applied, [3, Infinity]);
});

Deno.test("ConnectionLimit.update() judges time lazily: after a freeze it lifts the limit at once", async () => {
  const pool = new FakePool();
  pool.limit.update();
  assertEquals(pool.applied, []);
  pool.open = 3;
  pool.limit.refused(0);
  pool.limit.update();
  assertEquals(pool.applied, [3]);
  pool.limit.stop(); // its timer does not fire
  await pool.clock.advance(1_000);
  pool.limit.update();
  pool.limit.update();
  assertEquals(pool.applied, [3, 4]);
  await pool.clock.advance(600_000);
  pool.limit.update();
  assertEquals(pool.applied, [3, 4, Infinity]);
});

Deno.test("ConnectionLimit shares a server: pools that begin at 20 and 0 of 20 connections end near 10 each", async () => {
  const clock = new FakeClock();
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const pools = [new FakePool(clock, random), new FakePool(clock, random)];
  const [first, second] = pools as [FakePool, FakePool];
  first.open = 20;
  first.maxConnections = second.maxConnections = 40;
  let share = 0;
  for (let turn = 0; turn < 1_200; turn++) {
    for (const pool of turn % 2 ? pools : pools.toReversed()) {
      if (pool.open >= Math.min(pool.limit.limit, pool.maxConnections)) continue;
      if (first.open + second.open < 20) pool.open++;
      else pool.limit.refused(clock.now());
    }
    await clock.advance(100);
    if (turn >= 600) share += second.open / (first.open + second.open) / 600;
  }
  assert(share > 0.4 && share < 0.6, `${share}`);
});
