/**
 * Many holders and cancellers on few slots, in real time: nothing is lost,
 * nothing is lent twice, and the heap stays flat.
 *
 * `STRESS_LEASES` says how many leases there are, all pools together; a million
 * by default. A million on each number of slots:
 *
 * ```sh
 * STRESS_LEASES=3000000 npx -y deno test -A tests/pool/stress_test.ts
 * ```
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import v8 from "node:v8";
import vm from "node:vm";
import { AcquireAbortedError, ResourcePool } from "../../shared/pool/mod.ts";

const LEASES = Number(Deno.env.get("STRESS_LEASES") ?? 1_000_000);
const HOLDERS = 200;
const CANCELLERS = 50;

/** All cancellers ask once in so many leases. */
const ROUND = 250;

/** What a lease may leave behind at most, in bytes: a single object that stays would be more. */
const MAX_BYTES_PER_LEASE = 1;
/** What the engine itself may keep, whatever the number of leases (compiled code, statistics), in bytes. */
const NOISE_BYTES = 64 * 1024;

interface Thing {
  holders: number;
  lent: number;
}

/** Collects garbage, where the runtime lets a program do so. */
function collector(): (() => void) | undefined {
  try {
    v8.setFlagsFromString("--expose-gc");
    const gc: unknown = vm.runInNewContext("gc");
    return typeof gc === "function" ? () => void gc() : undefined;
  } catch {
    return undefined; // Deno before 2.2
  }
}

/** Lets timers, and whatever else is not a promise, have their turn. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** A pool of things that notice when two hold them, and what was counted beside it. */
class Crowd {
  readonly things: Thing[] = [];
  readonly pool: ResourcePool<Thing>;
  leases = 0;
  aborted = 0;
  /** Grants that came though their caller had gone away. */
  tooLate = 0;
  #round = Promise.withResolvers<void>();

  constructor(slots: number) {
    const create = () => {
      const thing = { holders: 0, lent: 0 };
      this.things.push(thing);
      return thing;
    };
    this.pool = new ResourcePool<Thing>({ create, destroy: () => {} }, {
      maxConnections: slots,
      minConnections: 0,
      acquireTimeoutMs: 60_000,
    });
  }

  /** Leases and gives back until `total` leases have been had by all together. */
  async hold(total: number, id: number): Promise<void> {
    while (this.leases < total) {
      const lease = await this.pool.lease();
      const thing = lease.resource;
      if (++this.leases % ROUND === 0 || this.leases >= total) this.#next();
      thing.lent++;
      assertEquals(++thing.holders, 1, "lent twice at once");
      // Most work takes a turn or two of the event loop; now and then something takes longer.
      for (let i = id % 3; i > 0; i--) await Promise.resolve();
      if (thing.lent % 4_096 === 0) await turn();
      assertEquals(--thing.holders, 0, "lent to somebody else meanwhile");
      lease.release();
    }
  }

  #next(): void {
    this.#round.resolve();
    this.#round = Promise.withResolvers<void>();
  }

  /** Asks and goes away, again and again: before it is served, as it is served, or after. */
  async cancel(total: number, id: number): Promise<void> {
    const reason = new Error("went away");
    for (let round = id; this.leases < total; round++) {
      await this.#round.promise;
      const controller = new AbortController();
      const waiting = this.pool.lease({ signal: controller.signal });
      for (let i = round % 5; i > 0; i--) await Promise.resolve();
      if (round % 64 === 0) await turn();
      controller.abort(reason);
      try {
        const lease = await waiting;
        this.tooLate++;
        lease.resource.lent++;
        assertEquals(lease.resource.holders, 0, "lent twice at once");
        lease.release();
      } catch (error) {
        assert(error instanceof AcquireAbortedError, String(error));
        this.aborted++;
      }
    }
  }

  async run(leases: number): Promise<void> {
    const total = this.leases + leases;
    await Promise.all([
      ...Array.from({ length: HOLDERS }, (_, id) => this.hold(total, id)),
      ...Array.from({ length: CANCELLERS }, (_, id) => this.cancel(total, id)),
    ]);
  }
}

for (const slots of [1, 2, 10]) {
  Deno.test(`stress: ${HOLDERS} holders and ${CANCELLERS} cancellers on ${slots} slots`, async (t) => {
    const crowd = new Crowd(slots);
    const gc = collector();
    const heap = () => (gc?.(), gc?.(), Deno.memoryUsage().heapUsed);
    const part = Math.ceil(LEASES / 3 / 3);

    // The first third warms up; then as many leases again and again must not add to what is kept.
    await crowd.run(part);
    const first = heap();
    await crowd.run(part);
    const second = heap();
    await crowd.run(part);
    const third = heap();

    const { pool, things } = crowd;
    const stats = pool.getStats();
    assertEquals(things.length, slots, "no resource was lost and made again");
    assertEquals([stats.activeConnections, stats.idleConnections, stats.waitingForConnection], [0, slots, 0]);
    assertEquals(stats.totalAcquired, things.reduce((sum, { lent }) => sum + lent, 0), "each lease came to somebody");
    assertEquals(stats.totalAcquired, crowd.leases + crowd.tooLate);
    assertEquals(stats.totalReleased, stats.totalAcquired);
    await t.step(
      `${crowd.leases} leases; of those who went away ${crowd.aborted} had none, ${crowd.tooLate} one`,
      () => {
        assert(crowd.leases >= 3 * part);
        assert(crowd.aborted > 0 && crowd.tooLate > 0, "cancellers came too early and too late");
      },
    );
    if (gc) {
      const added = `${part} leases added ${second - first} bytes to the heap, as many again ${third - second}`;
      await t.step(added, () => {
        // A leak adds to both; the engine's own housekeeping to one of them at most.
        assert(Math.min(second - first, third - second) <= NOISE_BYTES + MAX_BYTES_PER_LEASE * part, added);
      });
    }
    await pool.shutdown();
    assertEquals(pool.getStats().totalDestroyed, slots);
  });
}
