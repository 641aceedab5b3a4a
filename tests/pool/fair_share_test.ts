/** Tests how the flows of a lane share it, on a fake clock. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ConfigError, type Flow, type Lane, type Lease, type PoolConfig } from "../../shared/pool/mod.ts";
import { settle } from "../support/fake_clock.ts";
import { testPool } from "../support/pool.ts";
import type { Thing } from "../support/scripted_factory.ts";

type Test = ReturnType<typeof testPool>;

/** Returns the code of the error of a lease, or `granted`. */
function codeOf(lease: Promise<unknown>): Promise<string> {
  return lease.then(() => "granted", (error) => Reflect.get(error, "code"));
}

/** The acquires of a test, and the order in which they are served. */
class Line {
  readonly test: Test;
  readonly granted: string[] = [];
  readonly held = new Map<string, Lease<Thing>>();

  constructor(config: Partial<PoolConfig>) {
    this.test = testPool({ fairShare: true, ...config });
  }

  /** Acquires as `name`, for example `a1` for the flow `a`. */
  join(name: string, flow: Flow | undefined = name[0], lane: Lane = "normal", signal?: AbortSignal): Promise<string> {
    const lease = this.test.pool.lease({ lane, flow, signal, timeoutMs: Infinity });
    return lease.then((lease) => {
      this.granted.push(name);
      this.held.set(name, lease);
      return "granted";
    }, (error) => Reflect.get(error, "code"));
  }

  /** Releases the leases of `names`, one after the other. */
  async release(...names: string[]): Promise<void> {
    for (const name of names) {
      this.held.get(name)?.release();
      this.held.delete(name);
      await settle();
    }
  }

  /** Serves everything that waits, one lease at a time, and returns the order. */
  async drain(): Promise<string> {
    await settle();
    this.granted.length = 0;
    while (this.held.size > 0) await this.release(...[...this.held.keys()].slice(0, 1));
    return this.granted.join(" ");
  }
}

/** Returns a line whose only slots are held by `holders`, one each. */
async function fullLine(holders: readonly string[], config: Partial<PoolConfig> = {}): Promise<Line> {
  const line = new Line({ maxConnections: holders.length, minConnections: 0, ...config });
  for (const holder of holders) line.join(holder);
  await settle();
  assertEquals(line.granted, holders);
  return line;
}

Deno.test("ResourcePool.lease() with fairShare lets flows take turns, each first come, first served", async () => {
  const line = await fullLine(["x1"]);
  for (const name of ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]) line.join(name);
  assertEquals(await line.drain(), "a1 b1 c1 a2 b2 a3 a4");
});

Deno.test("ResourcePool.lease() without fairShare ignores the flow", async () => {
  const line = await fullLine(["x1"], { fairShare: false });
  for (const name of ["a1", "a2", "a3", "b1"]) line.join(name);
  assertEquals(line.test.pool.getStats().waitingFlows, undefined);
  assertEquals(await line.drain(), "a1 a2 a3 b1");
});

Deno.test("ResourcePool.lease() with fairShare serves the flow that holds the fewest leases", async () => {
  const line = await fullLine(["a1", "a2", "a3", "b1"]);
  for (const name of ["a4", "a5", "b2", "c1"]) line.join(name);
  await line.release("a1"); // a holds 2, b 1, c none
  assertEquals(line.granted.slice(4), ["c1"]);
  await line.release("a2"); // a and b hold 1, and a has waited for longer
  assertEquals(line.granted.slice(4), ["c1", "a4"]);
  await line.release("c1");
  assertEquals(line.granted.slice(4), ["c1", "a4", "b2"]);
});

Deno.test("ResourcePool.lease() with fairShare counts leases that were granted without a wait", async () => {
  const line = new Line({ maxConnections: 3, minConnections: 3 });
  await settle();
  assert(line.test.pool.tryLease("normal", "a"));
  line.join("a1");
  line.join("b1");
  await settle();
  for (const name of ["a2", "b2"]) line.join(name);
  await line.release("a1");
  assertEquals(line.granted, ["a1", "b1", "a2"], "both hold one, and a came first");
  await line.release("a2");
  assertEquals(line.granted.at(-1), "b2");
});

Deno.test("ResourcePool.lease() with fairShare lets a flow that returns wait behind those that wait", async () => {
  const line = await fullLine(["b0"]);
  for (const name of ["a1", "a2", "a3"]) line.join(name);
  // b returns each time it was served: the flood is served as often.
  for (let i = 1; i <= 3; i++) {
    line.join(`b${i}`);
    await line.release(`b${i - 1}`);
    assertEquals(line.granted.at(-1), `a${i}`);
    await line.release(`a${i}`);
    assertEquals(line.granted.at(-1), `b${i}`);
  }
});

Deno.test("ResourcePool.lease() with fairShare serves acquires without a flow as one flow", async () => {
  const line = await fullLine(["x1"]);
  for (const name of ["-1", "-2", "-3"]) {
    void line.test.pool.lease().then((lease) => {
      line.granted.push(name);
      line.held.set(name, lease);
    });
  }
  line.join("a1");
  assertEquals(await line.drain(), "-1 a1 -2 -3");
});

Deno.test("ResourcePool.lease() with fairShare leaves the order of lanes as it is", async () => {
  const line = await fullLine(["x1"], { agingMs: 1_000 });
  for (const name of ["a1", "a2", "b1"]) line.join(name);
  for (const name of ["a3", "a4", "b2"]) line.join(name, name[0], "high");
  assertEquals(await line.drain(), "a3 b2 a4 a1 b1 a2");
});

Deno.test("ResourcePool.lease() with fairShare chooses the lane by its oldest waiter", async () => {
  const line = await fullLine(["x1"], { agingMs: 1_000 });
  line.join("a1");
  line.join("a2");
  await line.test.clock.advance(1_001);
  line.join("b1", "b", "high");
  line.join("c1");
  await line.release("x1");
  assertEquals(line.granted.at(-1), "a1");
  // a2 is still more than agingMs older than b1, so the lane is next; within it c has waited for its turn.
  await line.release("a1");
  assertEquals(line.granted.at(-1), "c1");
});

Deno.test("ResourcePool.lease() with fairShare grants in proportion to weights", async () => {
  const line = await fullLine(["x1"]);
  for (let i = 0; i < 9; i++) {
    line.join(`a${i}`, { key: "a", weight: 2 });
    line.join(`b${i}`, { key: "b" });
  }
  assertEquals((await line.drain()).slice(0, 26), "a0 b0 a1 a2 b1 a3 a4 b2 a5");
});

Deno.test("ResourcePool.lease() with fairShare divides slots in proportion to weights", async () => {
  const line = await fullLine(["x1", "x2", "x3", "x4"]);
  for (let i = 0; i < 6; i++) {
    line.join(`a${i}`, { key: "a", weight: 3 });
    line.join(`b${i}`, { key: "b", weight: 1 });
  }
  await line.release("x1", "x2", "x3", "x4");
  assertEquals(line.granted.slice(4).toSorted(), ["a0", "a1", "a2", "b0"]);
});

Deno.test("ResourcePool.lease() with fairShare serves the next of a flow whose waiter was aborted", async () => {
  const line = await fullLine(["x1"]);
  const controller = new AbortController();
  const aborted = line.join("a1", "a", "normal", controller.signal);
  for (const name of ["b1", "a2"]) line.join(name);
  controller.abort();
  assertEquals(await aborted, "ACQUIRE_ABORTED");
  assertEquals(await line.drain(), "a2 b1");
});

Deno.test("ResourcePool.lease() with fairShare expires waiters at their deadlines, across flows", async () => {
  const { pool, clock } = testPool({ fairShare: true, maxConnections: 1, acquireTimeoutMs: 1_000 });
  const holder = await pool.lease({ flow: "x" });
  const outcomes = ["a", "a", "b", "c"].map((flow) => codeOf(pool.lease({ flow })));
  const soon = codeOf(pool.lease({ flow: "a", timeoutMs: 10 }));
  await clock.advance(10);
  assertEquals(await soon, "ACQUIRE_TIMEOUT");
  // After a freeze the timer is late: the release comes first, and serves no waiter.
  clock.freeze(2_000);
  holder.release();
  assertEquals(await Promise.all(outcomes), Array(4).fill("ACQUIRE_TIMEOUT"));
  assertEquals(pool.getStats().waitingFlows, 0);
});

Deno.test("ResourcePool.lease() with fairShare rejects the latest of the flood when the queue is full", async () => {
  const line = await fullLine(["x1"], { maxWaiters: 4 });
  const flood = [1, 2, 3, 4].map((i) => line.join(`f${i}`));
  assertEquals(await line.join("f5"), "QUEUE_FULL");
  const others = [line.join("a1"), line.join("b1")];
  assertEquals([await flood[3], await flood[2]], ["QUEUE_FULL", "QUEUE_FULL"]);
  assertEquals(await line.join("f6"), "QUEUE_FULL", "the flood has the most waiters");
  const last = line.join("a2");
  assertEquals(await last, "QUEUE_FULL", "no flow has more waiters");
  assertEquals(await line.drain(), "f1 a1 b1 f2");
  assertEquals(await Promise.all([...others, ...flood.slice(0, 2)]), Array(4).fill("granted"));
});

Deno.test("ResourcePool.lease() with fairShare takes queue positions from its own lane and lower ones only", async () => {
  const line = await fullLine(["x1"], { maxWaiters: 2 });
  const normal = [line.join("f1"), line.join("f2")];
  assertEquals(await line.join("a1", "a", "low"), "QUEUE_FULL");
  const high = line.join("a2", "a", "high");
  assertEquals(await normal[1], "QUEUE_FULL");
  assertEquals(await line.drain(), "a2 f1");
  assertEquals(await high, "granted");
});

Deno.test("QueueFullError with fairShare shows no flow", async () => {
  const { pool } = testPool({ fairShare: true, maxConnections: 1, maxWaiters: 0 });
  await pool.lease({ flow: "user-7" });
  const error = await assertRejects(() => pool.lease({ flow: "user-8" }), Error, "no flow has more waiters");
  assert(!/user-/.test(error.message), error.message);
});

Deno.test("PoolStats.waitingFlows counts the flows that wait", async () => {
  const line = await fullLine(["x1"]);
  const waiting = () => line.test.pool.getStats().waitingFlows;
  assertEquals(waiting(), 0);
  for (const name of ["a1", "a2", "b1"]) line.join(name);
  line.join("a3", "a", "high");
  assertEquals(waiting(), 3, "a flow counts in each lane in which it waits");
  await line.drain();
  assertEquals(waiting(), 0);
});

Deno.test("ResourcePool.shutdown() with fairShare rejects waiters and revokes leases of every flow", async () => {
  const line = await fullLine(["x1"]);
  const waiting = ["a1", "b1"].map((name) => line.join(name));
  const ended = line.test.pool.shutdown(100);
  assertEquals(await Promise.all(waiting), ["POOL_CLOSED", "POOL_CLOSED"]);
  await line.test.clock.advance(100);
  await ended;
  assertEquals(line.test.pool.getStats().activeConnections, 0);
});

for (
  const flow of [7, null, {}, { key: 7 }, { key: "a", weight: 0 }, { key: "a", weight: NaN }, { key: "a", weight: "2" }]
) {
  Deno.test(`ResourcePool.lease() and tryLease() reject the flow ${JSON.stringify(flow)}`, async () => {
    const { pool } = testPool({ fairShare: true });
    await assertRejects(() => pool.lease({ flow: flow as Flow }), ConfigError, "flow: must be a string");
    assertThrows(() => pool.tryLease("normal", flow as Flow), ConfigError, "flow: must be a string");
  });
}

Deno.test("ResourcePool.lease() reads each member of a flow once", async () => {
  const { pool } = testPool({ fairShare: true, maxConnections: 1 });
  let reads = 0;
  await pool.lease({
    flow: {
      key: "a",
      get weight() {
        return reads++ === 0 ? 1 : NaN;
      },
    },
  });
  assertEquals(reads, 1);
});

Deno.test("ResourcePool.lease() with fairShare serves a caller beside a flood in about one lease", async () => {
  for (const [fairShare, most] of [[false, 240], [true, 30]] as const) {
    const { pool, clock } = testPool({ fairShare, maxConnections: 10, minConnections: 10, maxWaiters: 1_000 });
    const leaseMs = 15;
    const work = async (flow: string, onServed: (waitedMs: number) => void, count: number) => {
      for (let i = 0; i < count; i++) {
        const start = clock.now();
        const lease = await pool.lease({ flow, timeoutMs: Infinity });
        await new Promise<void>((resolve) => void clock.setTimer(resolve, leaseMs));
        lease.release();
        onServed(clock.now() - start);
      }
    };
    let flood = 0;
    const times: number[] = [];
    const all = [
      work("one", (ms) => times.push(ms), 20),
      ...Array.from({ length: 150 }, () => work("flood", () => flood++, 40)),
    ];
    for (let ms = 0; ms < 20_000 && (times.length < 20 || flood < 6_000); ms += 5) await clock.advance(5);
    await Promise.all(all);
    const p50 = times.toSorted((a, b) => a - b)[10] ?? Infinity;
    assert(p50 <= most && p50 > most / 3, `${p50} ms with fairShare ${fairShare}`);
  }
});
