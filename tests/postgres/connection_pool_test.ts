import { assertEquals, assertRejects } from "@std/assert";
import type { PoolConfig, ResourceFactory } from "../../shared/pool/mod.ts";
import type { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { ConnectionPool, type ConnectionPoolOptions } from "../../shared/postgres/connection/connection_pool.ts";
import type { TargetCircuit } from "../../shared/postgres/connection/target_circuit.ts";
import { CircuitOpenError } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

/** Waits until creations, which take many turns, have ended, and their events were delivered. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await settle();
}

/** A pool of a server that has `free` connections for it. */
class Setup {
  readonly clock = new FakeClock();
  readonly pool: ConnectionPool;
  free = 5;
  attempts = 0;

  constructor(
    options: ConnectionPoolOptions = {},
    limits: Partial<PoolConfig> = { maxConnections: 10, minConnections: 0 },
  ) {
    const factory: ResourceFactory<BackendConnection> = {
      create: async () => {
        this.attempts++;
        const startedAt = this.clock.now();
        await Promise.resolve();
        if (this.free > 0) {
          this.free--;
          return {} as BackendConnection;
        }
        // The pool learns first of those that it got.
        for (let turn = 0; turn < 20; turn++) await Promise.resolve();
        const error = Object.assign(new Error("too many clients"), { code: "53300" });
        this.pool.refused(error, startedAt);
        throw error;
      },
      destroy: () => void this.free++,
    };
    const runtime = { clock: this.clock, random: () => 0.5 };
    this.pool = new ConnectionPool(
      factory,
      { ...limits, createRetryDelayMs: 25, acquireTimeoutMs: 60_000 },
      runtime,
      options,
    );
  }
}

Deno.test("ConnectionPool lowers its limit when the server is full, and closes what is above it at its release", async () => {
  const setup = new Setup();
  const { pool, clock } = setup;
  const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease()));
  const waiting = pool.lease();
  await rest();
  assertEquals([pool.limitStats, pool.limits.maxConnections], [{ limit: 4, refused: 1 }, 4]);
  leases[0]?.release();
  await rest();
  // Five are leased of four: the first is closed.
  assertEquals([pool.getStats().totalConnections, setup.free], [4, 1]);
  leases[1]?.release();
  (await waiting).release();
  leases[2]?.release();
  for (const lease of leases.slice(3)) lease.release();
  // No acquire waits: it stays, until it is lifted.
  await clock.advance(20_000);
  assertEquals(pool.limits.maxConnections, 4);
  await clock.advance(10_000);
  assertEquals([pool.limits.maxConnections, pool.limitStats], [10, { limit: undefined, refused: 1 }]);
  await pool.shutdown();
});

Deno.test("ConnectionPool raises its limit while acquires wait: all are served when the server has room again", async () => {
  const setup = new Setup();
  const { pool, clock } = setup;
  const leases: { release(): void }[] = [];
  const all = Array.from({ length: 10 }, () => pool.lease().then((lease) => leases.push(lease)));
  await rest();
  assertEquals([leases.length, pool.limits.maxConnections], [5, 4]);
  setup.free = 100;
  await clock.advance(8_000);
  await Promise.all(all);
  for (const lease of leases) lease.release();
  await pool.shutdown();
});

Deno.test("ConnectionPool keeps the minimum at or below its limit, and restores both", async () => {
  const setup = new Setup({}, { maxConnections: 10, minConnections: 6 });
  const { pool, clock } = setup;
  await rest();
  assertEquals([pool.limits.maxConnections, pool.limits.minConnections], [4, 4]);
  const { attempts } = setup;
  await clock.advance(400);
  assertEquals(setup.attempts, attempts);
  setup.free = 100;
  await clock.advance(60_000);
  assertEquals([pool.limits.maxConnections, pool.limits.minConnections], [10, 6]);
  await pool.shutdown();
});

Deno.test("ConnectionPool.resize() sets limits as configured, and finds that of the server again", async () => {
  const setup = new Setup();
  const { pool } = setup;
  const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease()));
  const waiting = pool.lease();
  await rest();
  assertEquals(pool.limits.maxConnections, 4);
  for (const lease of leases) lease.release();
  (await waiting).release();
  pool.resize({ minConnections: 1, ...Object({ maxConnections: undefined }) });
  assertEquals([pool.limits.maxConnections, pool.limits.minConnections, pool.limitStats.limit], [10, 1, undefined]);
  pool.resize({ maxConnections: 7 });
  assertEquals([pool.limits.maxConnections, pool.limits.minConnections], [7, 1]);
  await pool.shutdown();
});

Deno.test("ConnectionPool with adaptiveLimit dry-run and off applies no limit", async () => {
  for (const [adaptiveLimit, limit] of [["dry-run", 4], ["off", undefined]] as const) {
    const setup = new Setup({ adaptiveLimit });
    const { pool } = setup;
    const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease()));
    const waiting = pool.lease();
    await rest();
    assertEquals([pool.limitStats, pool.limits.maxConnections], [{ limit, refused: 1 }, 10]);
    for (const lease of leases) lease.release();
    (await waiting).release();
    await pool.shutdown();
  }
});

Deno.test("ConnectionPool leaves one connection to the other lanes beside reserved ones", async () => {
  const setup = new Setup();
  const { pool } = setup;
  setup.free = 4;
  pool.resize({ reservedConnections: 5 });
  const leases = await Promise.all(Array.from({ length: 4 }, () => pool.lease()));
  const waiting = pool.lease();
  await rest();
  assertEquals(pool.limits.maxConnections, 6);
  for (const lease of leases) lease.release();
  (await waiting).release();
  await pool.shutdown();
});

Deno.test("ConnectionPool.shutdown() ends the changes of its limit", async () => {
  const setup = new Setup();
  const { pool, clock } = setup;
  const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease()));
  const waiting = pool.lease().catch(() => {});
  await rest();
  const ended = pool.shutdown(1_000);
  await waiting;
  for (const lease of leases) lease.release();
  await ended;
  assertEquals([pool.limits.maxConnections, clock.timers], [4, 0]);
});

Deno.test("ConnectionPool.lease() lifts the limit of an isolate that was frozen", async () => {
  const setup = new Setup();
  const { pool, clock } = setup;
  const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease()));
  const waiting = pool.lease();
  await rest();
  for (const lease of leases) lease.release();
  (await waiting).release();
  assertEquals(pool.limits.maxConnections, 4);
  clock.freeze(60_000);
  (await pool.lease()).release();
  assertEquals(pool.limits.maxConnections, 10);
  await pool.shutdown();
});

Deno.test("ConnectionPool leases no idle connection past its circuit", async () => {
  let isClosed = true;
  const admit = () => {
    throw new CircuitOpenError("server", undefined);
  };
  const circuit = Object.create({ admit }, { isClosed: { get: () => isClosed } }) as TargetCircuit;
  const { pool } = new Setup({ circuit });
  (await pool.lease()).release();
  pool.tryLease()?.release();
  assertEquals(pool.getStats().totalAcquired, 2);
  isClosed = false;
  assertEquals(pool.tryLease(), undefined);
  await assertRejects(() => pool.lease(), CircuitOpenError);
  await pool.shutdown();
});

Deno.test("ConnectionPool.lease() ends its part in the circuit with its wait", async () => {
  let waiting = 0;
  const admit = () => (waiting++, () => waiting--);
  const circuit = Object.create({ admit, isClosed: false }) as TargetCircuit;
  const { pool } = new Setup({ circuit });
  const leased = pool.lease();
  assertEquals(waiting, 1);
  (await leased).release();
  assertEquals(waiting, 0);
  await assertRejects(() => pool.lease({ signal: AbortSignal.abort() }));
  await rest();
  assertEquals(waiting, 0);
  await pool.shutdown();
});

Deno.test("ConnectionPool counts a refusal once, however many attempts waited for it", async () => {
  const { pool } = new Setup();
  const error = new Error("too many clients");
  for (let attempt = 0; attempt < 3; attempt++) pool.refused(error, 0);
  pool.refused(new Error("too many clients"), 0);
  assertEquals(pool.limitStats.refused, 2);
  await pool.shutdown();
});

Deno.test("ConnectionPool.tryLease() takes the share of its flow", async () => {
  const { pool } = new Setup({}, { maxConnections: 2, minConnections: 0, fairShare: true });
  for (const lease of await Promise.all([pool.lease(), pool.lease()])) lease.release();
  const held = [pool.tryLease("normal", "import"), pool.tryLease("normal", "import")];
  const order: string[] = [];
  const served = ["import", "other"].map(async (flow) => {
    const lease = await pool.lease({ flow });
    order.push(flow);
    lease.release();
  });
  for (const lease of held) lease?.release();
  await Promise.all(served);
  // The flow that held both is served after one that held none.
  assertEquals(order, ["other", "import"]);
  await pool.shutdown();
});
