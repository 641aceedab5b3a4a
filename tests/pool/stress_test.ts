/**
 * Many holders and cancellers on few slots, in real time: no resource is lost or
 * leased twice, and the heap does not grow.
 *
 * `STRESS_LEASES` is the number of leases of all pools together, a million by
 * default. To run a million on each number of slots:
 *
 * ```sh
 * STRESS_LEASES=3000000 npx -y deno test -A tests/pool/stress_test.ts
 * ```
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { AcquireAbortedError, ResourcePool } from "../../shared/pool/mod.ts";
import { garbageCollector } from "../support/collect_garbage.ts";

const LEASES = Number(Deno.env.get("STRESS_LEASES") ?? 1_000_000);
const HOLDERS = 200;
const CANCELLERS = 50;

/** The number of leases after which all cancellers acquire once. */
const ROUND = 250;

/** Maximum heap growth per lease, in bytes: a single retained object is larger. */
const MAX_BYTES_PER_LEASE = 1;
/** Heap growth of the engine itself (compiled code, statistics), for any number of leases, in bytes. */
const NOISE_BYTES = 64 * 1024;

interface Thing {
  holders: number;
  leases: number;
}

/** Waits for a turn of the event loop, in which timers run. */
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

/** A pool of things that detect a second holder, with counters. */
class Load {
  readonly things: Thing[] = [];
  readonly pool: ResourcePool<Thing>;
  leases = 0;
  aborted = 0;
  /** Leases that were granted although their caller had aborted. */
  tooLate = 0;
  #round = Promise.withResolvers<void>();

  constructor(slots: number) {
    const create = () => {
      const thing = { holders: 0, leases: 0 };
      this.things.push(thing);
      return thing;
    };
    this.pool = new ResourcePool<Thing>({ create, destroy: () => {} }, {
      maxConnections: slots,
      minConnections: 0,
      acquireTimeoutMs: 60_000,
    });
  }

  /** Leases and releases until there were `total` leases of all holders together. */
  async hold(total: number, id: number): Promise<void> {
    while (this.leases < total) {
      const lease = await this.pool.lease();
      const thing = lease.resource;
      if (++this.leases % ROUND === 0 || this.leases >= total) this.#next();
      thing.leases++;
      assertEquals(++thing.holders, 1, "leased twice at once");
      // Most work takes one or two microtasks; some takes a turn of the event loop.
      for (let i = id % 3; i > 0; i--) await Promise.resolve();
      if (thing.leases % 4_096 === 0) await turn();
      assertEquals(--thing.holders, 0, "leased to another holder meanwhile");
      lease.release();
    }
  }

  #next(): void {
    this.#round.resolve();
    this.#round = Promise.withResolvers<void>();
  }

  /** Acquires and aborts repeatedly: before, during or after the grant. */
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
        lease.resource.leases++;
        assertEquals(lease.resource.holders, 0, "leased twice at once");
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
  Deno.test(`ResourcePool serves ${HOLDERS} holders and ${CANCELLERS} cancellers on ${slots} slots`, async (t) => {
    const load = new Load(slots);
    const gc = garbageCollector();
    const heap = () => (gc(), gc(), Deno.memoryUsage().heapUsed);
    const part = Math.ceil(LEASES / 3 / 3);

    // The first third warms up; the other two must not add to the heap.
    await load.run(part);
    const first = heap();
    await load.run(part);
    const second = heap();
    await load.run(part);
    const third = heap();

    const { pool, things } = load;
    const stats = pool.getStats();
    assertEquals(things.length, slots, "no resource was lost and created again");
    assertEquals([stats.activeConnections, stats.idleConnections, stats.waitingForConnection], [0, slots, 0]);
    assertEquals(stats.totalAcquired, things.reduce((sum, { leases }) => sum + leases, 0), "each lease was received");
    assertEquals(stats.totalAcquired, load.leases + load.tooLate);
    assertEquals(stats.totalReleased, stats.totalAcquired);
    await t.step(
      `${load.leases} leases; ${load.aborted} cancellers had no lease, ${load.tooLate} had one`,
      () => {
        assert(load.leases >= 3 * part);
        assert(load.aborted > 0 && load.tooLate > 0, "cancellers aborted too early and too late");
      },
    );
    const added = `${part} leases added ${second - first} bytes to the heap, as many again ${third - second}`;
    await t.step(added, () => {
      // A leak adds to both parts; the engine's housekeeping to one of them at most.
      assert(Math.min(second - first, third - second) <= NOISE_BYTES + MAX_BYTES_PER_LEASE * part, added);
    });
    await pool.shutdown();
    assertEquals(pool.getStats().totalDestroyed, slots);
  });
}
