import { assert, assertEquals } from "@std/assert";
import { RedisConnection } from "../../../shared/cache/mod.ts";
import { type CappedPool, FleetCap, type FleetRedis } from "../../../shared/observability/fleet/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { redisServer, TestRedis } from "../../support/redis.ts";
import { until } from "../../support/until.ts";

/** A pool whose leases and waiters a test sets. */
class FakePool implements CappedPool {
  limits = { maxConnections: 20, minConnections: 2, reservedConnections: 3 };
  active = 0;
  waiting = 0;
  readonly #listeners = new Set<() => void>();

  resize(limits: CappedPool["limits"]): void {
    this.limits = limits;
  }

  getStats() {
    return { activeConnections: this.active, waitingForConnection: this.waiting };
  }

  on(_event: "waited", listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Lets requests wait, as a pool at its limit does. */
  wait(count: number): void {
    this.waiting = count;
    for (const listener of this.#listeners) listener();
  }
}

function capOf(redis: FleetRedis, isolate: string, more: { clock?: FakeClock; leaseMs?: number; cap?: number } = {}) {
  const pool = new FakePool();
  const lines: string[] = [];
  const log = (_level: string, event: string) => void lines.push(event);
  const cap = new FleetCap({ redis, project: "ref.supabase.co", isolate, cap: 10, pool, log, ...more });
  return { pool, cap, lines };
}

Deno.test("FleetCap keeps its share while Redis does, then an equal part, and one lease if it never reached Redis", async () => {
  const clock = new FakeClock();
  let reply: () => Promise<unknown[]> = () => Promise.resolve([[8, 3]]);
  let sent = 0;
  const redis: FleetRedis = {
    send: () => {
      sent++;
      return reply();
    },
  };
  const { pool, cap, lines } = capOf(redis, "a", { clock });
  assertEquals(pool.limits, { maxConnections: 1, minConnections: 1, reservedConnections: 0 });
  await clock.advance(0);
  assertEquals([cap.share, pool.limits.maxConnections, pool.limits.reservedConnections], [8, 8, 3]);
  await clock.advance(60_000);
  assertEquals(sent, 31, "it renews every 2 s, whatever is leased");

  reply = () => Promise.reject(new Error("down"));
  await clock.advance(5_999);
  assertEquals([cap.share, lines], [8, ["fleet_cap_unreachable"]]);
  await clock.advance(1);
  assertEquals(cap.share, 3);
  reply = () => Promise.resolve([[5, 2]]);
  await clock.advance(2_000);
  assertEquals([cap.share, lines], [5, ["fleet_cap_unreachable", "fleet_cap_restored"]]);

  reply = () => Promise.resolve([new Error("ERR")]);
  const never = capOf(redis, "b", { clock });
  await clock.advance(60_000);
  assertEquals([never.cap.share, never.pool.limits.maxConnections], [1, 1]);
  reply = () => Promise.resolve(["odd"]);
  await clock.advance(10_000);
  assertEquals(never.cap.share, 1);
  for (const share of [0, -7]) {
    reply = () => Promise.resolve([[share, 2]]);
    await clock.advance(10_000);
    assertEquals([never.cap.share, never.pool.limits.reservedConnections], [1, 0]);
  }
  await Promise.all([cap.close(), never.cap.close()]);
  assertEquals(clock.timers, 0);
});

Deno.test("FleetCap goes on although its log throws", async () => {
  const clock = new FakeClock();
  const pool = new FakePool();
  let reply: () => Promise<unknown[]> = () => Promise.reject(new Error("down"));
  const log = () => {
    throw new Error("a log");
  };
  const redis = { send: () => reply() };
  const cap = new FleetCap({ redis, project: "ref.supabase.co", isolate: "a", cap: 10, pool, log, clock });
  await clock.advance(10_000);
  reply = () => Promise.resolve([[7, 1]]);
  await clock.advance(2_000);
  assertEquals(cap.share, 7);
  await cap.close();
});

Deno.test("FleetCap gives up its share before Redis passes it on, also if Redis hangs", async () => {
  for (const phaseMs of [0, 300, 700, 1_100, 1_500, 1_900]) {
    const clock = new FakeClock();
    let reply: () => Promise<unknown[]> = () => Promise.resolve([[8, 4]]);
    let renewedAt = 0;
    const redis: FleetRedis = {
      send: () => {
        renewedAt = clock.now();
        return reply();
      },
    };
    const { cap, pool, lines } = capOf(redis, "a", { clock });
    await clock.advance(20_000);
    assertEquals(cap.share, 8);
    const lastAt = renewedAt;
    reply = () => {
      const { promise, reject } = Promise.withResolvers<never>();
      if (phaseMs > 0) clock.setTimer(() => reject(new Error("slow")), phaseMs);
      return promise;
    };
    while (cap.share === 8) await clock.advance(10);
    assert(clock.now() - lastAt <= 10_000, `the share is in use ${clock.now() - lastAt} ms after the last renewal`);
    assertEquals([cap.share, pool.limits.maxConnections, lines[0]], [2, 2, "fleet_cap_unreachable"]);
    reply = () => new Promise(() => {});
    const closed = cap.close();
    await clock.advance(2_000);
    await closed;
  }
});

Deno.test("FleetCap asks for no more than it has until the others have renewed, once Redis is back", async () => {
  const clock = new FakeClock();
  let isDown = false;
  const wants: unknown[] = [];
  const redis: FleetRedis = {
    send: ([command]) => {
      wants.push(command?.[7]);
      return isDown ? Promise.reject(new Error("down")) : Promise.resolve([[4, 2]]);
    },
  };
  const { pool, cap } = capOf(redis, "a", { clock });
  pool.wait(50);
  await clock.advance(1_000);
  isDown = true;
  await clock.advance(20_000);
  assertEquals([cap.share, wants.at(0)], [5, 20]);
  isDown = false;
  wants.length = 0;
  // Renewals are 2 s apart: the first that succeeds is at most so late, and the others have 10 s from then on.
  await clock.advance(1_999);
  pool.wait(50);
  await clock.advance(8_000);
  assert(wants.length > 1 && wants.every((want) => want === 5 || want === 4), `${wants}`);
  await clock.advance(3_000);
  assertEquals(wants.at(-1), 20);
  await cap.close();
});

Deno.test("FleetCap survives a pool whose statistics cannot be read, and changes nothing once it is closed", async () => {
  const clock = new FakeClock();
  const { promise, resolve } = Promise.withResolvers<unknown[]>();
  const { pool, cap, lines } = capOf({ send: () => promise }, "a", { clock });
  await clock.advance(0);
  const closed = cap.close();
  resolve([[9, 1]]);
  await Promise.all([closed, cap.close()]);
  assertEquals([cap.share, pool.limits.maxConnections, clock.timers], [1, 1, 0]);

  const late = Promise.withResolvers<unknown[]>();
  const failing = capOf({ send: () => late.promise }, "c", { clock });
  await clock.advance(0);
  const ended = failing.cap.close();
  late.reject(new Error("down"));
  await ended;
  assertEquals([failing.lines, clock.timers], [[], 0]);

  const broken = capOf({ send: () => Promise.resolve([[9, 1]]) }, "b", { clock });
  broken.pool.getStats = () => {
    throw new Error("closed");
  };
  await clock.advance(10_000);
  assertEquals([broken.cap.share, broken.lines, lines], [1, ["fleet_cap_unreachable"], []]);
  await broken.cap.close();
});

Deno.test("FleetCap renews soon when a request waits, and never exceeds the limit of its pool", async () => {
  const clock = new FakeClock();
  const wants: unknown[] = [];
  const redis: FleetRedis = {
    send: ([command]) => {
      wants.push(command?.[7]);
      return Promise.resolve([[100, 1]]);
    },
  };
  const { pool, cap } = capOf(redis, "a", { clock, cap: 4 });
  await clock.advance(0);
  assertEquals(cap.share, 20);
  pool.wait(90);
  await clock.advance(200);
  assertEquals(wants.length, 1, "it has all that the pool may hold");
  await clock.advance(2_000);
  assertEquals(wants, [1, 20]);
  await cap.close();
});

Deno.test({
  name: `FleetCap shares a cap in Redis${redisServer.note}`,
  ignore: redisServer.ignore,
  fn: async (t) => {
    await using server = await TestRedis.start();
    using redis = new RedisConnection({ url: server.url, commandTimeoutMs: 20_000, connectTimeoutMs: 20_000 });
    const shares = async () => (await server.cli("hvals", "pool:cap:{ref.supabase.co}:shares")).split("\n").map(Number);
    const total = async () => (await shares()).reduce((sum, share) => sum + share, 0);

    await t.step("gives one isolate all it needs, and equal parts once others need theirs", async () => {
      const one = capOf(redis, "a", { leaseMs: 1_000 });
      one.pool.wait(50);
      await until("it has the whole cap", () => one.cap.share === 10);
      one.pool.active = 10;
      const two = capOf(redis, "b", { leaseMs: 1_000 });
      two.pool.wait(50);
      await until("the second is counted", async () => (await shares()).length === 2);
      assertEquals(two.cap.share, 1, "each isolate has one");
      await until("the first returns what it does not need", () => one.cap.share === 5);
      assertEquals(two.cap.share, 1, "its leases have not ended");
      one.pool.active = 5;
      one.pool.waiting = 5;
      await until("both have an equal part", () => two.cap.share === 5);
      assertEquals(await total(), 10);
      await Promise.all([one.cap.close(), two.cap.close()]);
      assertEquals(await shares(), [5], "the leases that have not ended count until the share expires");
      const next = capOf(redis, "c", { leaseMs: 1_000 });
      next.pool.wait(50);
      await until("the share has expired", () => next.cap.share === 10);
      await next.cap.close();
      assertEquals(await server.cli("exists", "pool:cap:{ref.supabase.co}:shares"), "0");
    });

    await t.step("frees the share of a killed isolate when it expires", async () => {
      const killed = capOf(
        { send: (commands) => sends++ < 1 ? redis.send(commands) : new Promise(() => {}) },
        "killed",
        { leaseMs: 1_000 },
      );
      let sends = 0;
      killed.pool.wait(50);
      const other = capOf(redis, "other", { leaseMs: 1_000 });
      await until("the killed isolate has a share", async () => (await shares()).length === 2);
      other.pool.wait(50);
      await until("the other has all of it", () => other.cap.share === 10);
      await Promise.all([other.cap.close(), killed.cap.close()]);
    });

    await t.step(
      "learns the shares again from the isolates after it has lost its data, and none grows meanwhile",
      async () => {
        const one = capOf(redis, "a", { leaseMs: 1_000 });
        const two = capOf(redis, "b", { leaseMs: 1_000 });
        for (const { pool } of [one, two]) pool.wait(50);
        await until("both have an equal part", () => one.cap.share === 5 && two.cap.share === 5);
        for (const { pool } of [one, two]) Object.assign(pool, { active: 5, waiting: 0 });
        for (let n = 0; n < 5; n++) {
          await server.cli("flushall");
          for (const end = Date.now() + 500; Date.now() < end;) {
            // The first asks again and again, and the second has its leases.
            one.pool.wait(50);
            assert(one.cap.share <= 5, `the first has ${one.cap.share}, the second holds 5`);
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          assert(await total() <= 10, `${await shares()}`);
        }
        two.pool.active = 0;
        await until("the first grows again", () => one.cap.share === 9);
        await two.cap.close();
        await server.cli("flushall");
        await one.cap.close();
        assertEquals(await shares(), [5], "the leases that have not ended count until the share expires");
        for (const key of (await server.cli("keys", "*")).split("\n")) {
          assert(Number(await server.cli("pttl", key)) > 0, `${key} stays for ever`);
        }
        await server.cli("flushall");
      },
    );

    await t.step("counts the leases of an isolate that was frozen until its share had expired", async () => {
      const thawed = Promise.withResolvers<void>();
      let isFrozen = false;
      const frozen = capOf(
        {
          send: async (commands) => {
            if (isFrozen) await thawed.promise;
            return await redis.send(commands);
          },
        },
        "frozen",
        { leaseMs: 1_000 },
      );
      frozen.pool.wait(50);
      await until("it has a share", () => frozen.cap.share === 10);
      Object.assign(frozen.pool, { active: 5, waiting: 0 });
      isFrozen = true;
      const other = capOf(redis, "other", { leaseMs: 1_000 });
      other.pool.wait(50);
      await until("its share has expired", () => other.cap.share === 10);
      other.pool.active = 3;
      isFrozen = false;
      thawed.resolve();
      await until("the other leaves it what it holds", () => other.cap.share === 5);
      await Promise.all([frozen.cap.close(), other.cap.close()]);
      await server.cli("flushall");
    });

    await t.step("never has shares of more than the cap, whatever the isolates need", async () => {
      await server.cli("flushall");
      const all = Array.from({ length: 4 }, (_, n) => capOf(redis, `i${n}`, { leaseMs: 1_000 }));
      for (let round = 0; round < 12; round++) {
        for (const [n, { pool, cap }] of all.entries()) {
          pool.wait((n * 7 + round * 5) % 13);
          pool.active = Math.min(cap.share, (n * 3 + round * 4) % 11);
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
        const sum = await total();
        assert(sum <= 10 || round < 4, `round ${round}: ${sum}`);
      }
      await Promise.all(all.map(({ cap }) => cap.close()));
    });
  },
});
