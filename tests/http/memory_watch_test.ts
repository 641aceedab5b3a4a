/** Tests how an isolate notices that memory is low, and what it drops then. */
import { assertEquals } from "@std/assert";
import { IsolateLifecycle } from "../../shared/http/handler/isolate_lifecycle.ts";
import { isolateMemory, MemoryWatch } from "../../shared/http/handler/memory_watch.ts";
import { readEnvironment } from "../support/http.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { VARIABLES } from "./fake_pools.ts";

const MB = 2 ** 20;

/** A watch of a memory that the test sets. */
function setUp(limitMb?: number) {
  const clock = new FakeClock();
  const memory: { usedMb: number | undefined; reads: number } = { usedMb: 10, reads: 0 };
  const calls: string[] = [];
  const watch = new MemoryWatch(clock, () => {
    memory.reads++;
    return memory.usedMb === undefined ? undefined : memory.usedMb * MB;
  }, {
    low: ({ source }, begins) => calls.push(`${source}${begins ? " begins" : ""}`),
    recovered: (bytes) => calls.push(`recovered at ${bytes === undefined ? "?" : bytes / MB}`),
  });
  if (limitMb !== undefined) watch.limit(limitMb * MB);
  return { clock, memory, calls, watch };
}

Deno.test("MemoryWatch.check() finds low memory at 80 % of the limit, and recovery below 65 %", async () => {
  const { clock, memory, calls, watch } = setUp(100);
  const at = async (usedMb: number) => {
    memory.usedMb = usedMb;
    await clock.advance(2_000);
    watch.check();
    return watch.isLow;
  };
  assertEquals([await at(79.9), await at(80), await at(90), await at(65), await at(64.9)], [
    false,
    true,
    true,
    true,
    false,
  ]);
  assertEquals(calls, ["usage begins", "usage", "usage", "recovered at 64.9"]);
  assertEquals([await at(79), await at(85)], [false, true]);
  assertEquals(calls.slice(4), ["usage begins"]);
});

Deno.test("MemoryWatch.check() reads the memory once in 2 s, and never without a limit", async () => {
  const { clock, memory, watch } = setUp(100);
  for (let ms = 0; ms < 10_000; ms += 10) {
    watch.check();
    await clock.advance(10);
  }
  assertEquals(memory.reads, 5);
  assertEquals(clock.timers, 0);
  const none = setUp();
  for (let n = 0; n < 10; n++) {
    none.watch.check();
    await none.clock.advance(10_000);
  }
  assertEquals(none.memory.reads, 0);
});

Deno.test("MemoryWatch.limit() takes the lowest of several limits", () => {
  const { watch, memory } = setUp(100);
  watch.limit(50 * MB);
  watch.limit(200 * MB);
  memory.usedMb = 41;
  watch.check();
  assertEquals(watch.isLow, true);
});

Deno.test("MemoryWatch.announce() begins an episode without a limit, which ends well below that memory", async () => {
  const { clock, memory, calls, watch } = setUp();
  memory.usedMb = 90;
  watch.announce();
  watch.announce();
  await clock.advance(2_000);
  watch.check();
  memory.usedMb = 64;
  watch.check(); // too early
  await clock.advance(2_000);
  watch.check();
  assertEquals(calls, ["runtime begins", "runtime", "usage", "recovered at 64"]);
  await clock.advance(10_000);
  watch.check();
  assertEquals(memory.reads, 4, "without a limit, nothing is left to check");
});

Deno.test("MemoryWatch ends an episode 60 s after its latest announcement where the memory cannot be read", async () => {
  const { clock, memory, calls, watch } = setUp();
  memory.usedMb = undefined;
  watch.announce();
  await clock.advance(30_000);
  watch.announce();
  await clock.advance(59_999);
  watch.check();
  assertEquals([calls, watch.isLow], [["runtime begins", "runtime"], true]);
  await clock.advance(2_000);
  watch.check();
  assertEquals([calls.at(-1), watch.isLow], ["recovered at ?", false]);
  await clock.advance(2_000);
  watch.check();
  assertEquals([calls.length, memory.reads], [3, 4], "nothing is left to check");
});

Deno.test("MemoryWatch keeps an episode where the runtime stops reporting, and begins none", async () => {
  const { clock, memory, calls, watch } = setUp(100);
  memory.usedMb = undefined;
  watch.check();
  watch.announce();
  await clock.advance(2_000);
  watch.check();
  assertEquals(calls, ["runtime begins"]);
});

Deno.test("isolateMemory() is that of the heap and of array buffers", () => {
  const before = isolateMemory() ?? NaN;
  const kept = new Uint8Array(50 * MB).fill(1);
  const grown = (isolateMemory() ?? NaN) - before;
  assertEquals(kept.length, 50 * MB);
  assertEquals(grown > 30 * MB && grown < 80 * MB, true, `${grown / MB} MB`);
});

Deno.test("IsolateLifecycle logs an episode of low memory once, and drops caches with every check", async () => {
  const clock = new FakeClock();
  let usedMb = 220;
  const life = new IsolateLifecycle(clock, new EventTarget(), () => usedMb * MB);
  const log: unknown[] = [];
  const pools: boolean[] = [];
  let drops = 0;
  life.registerPools({
    drainMs: 0,
    shutdown: () => Promise.resolve(),
    setMemoryLow: (isLow) => void pools.push(isLow),
  });
  life.onMemoryLow(() => drops++);
  life.watchMemory(256 * MB, (...line) => log.push(line));
  life.watchMemory(256 * MB, () => log.push("twice"));
  for (let n = 0; n < 3; n++) {
    life.beginRequest()();
    await clock.advance(2_000);
  }
  usedMb = 100;
  life.beginRequest()();
  life.beginRequest()();
  assertEquals([drops, pools], [3, [true, true, true, false]]);
  assertEquals(log, [
    ["warn", "memory_low", { source: "usage", usedMb: 220, limitMb: 256 }],
    ["info", "memory_recovered", { usedMb: 100 }],
  ]);
});

Deno.test("isolateMemory() is undefined where the runtime has no figures, or none that can be used", () => {
  const descriptor = Object.getOwnPropertyDescriptor(Deno, "memoryUsage") ?? {};
  try {
    for (
      const memoryUsage of [
        () => {
          throw new Error("not supported");
        },
        () => ({}),
        () => ({ heapUsed: NaN, external: 0 }),
      ]
    ) {
      Object.defineProperty(Deno, "memoryUsage", { ...descriptor, value: memoryUsage });
      assertEquals(isolateMemory(), undefined);
    }
  } finally {
    Object.defineProperty(Deno, "memoryUsage", descriptor);
  }
});

Deno.test("IsolateLifecycle serves requests, and asks every pool, if what low memory notifies throws", async () => {
  const clock = new FakeClock();
  let usedMb = 220;
  const life = new IsolateLifecycle(clock, new EventTarget(), () => usedMb * MB);
  const log: string[] = [];
  const pools: boolean[] = [];
  const throws = () => {
    throw new Error("no memory");
  };
  life.onMemoryLow(throws);
  life.registerPools({ drainMs: 0, shutdown: () => Promise.resolve(), setMemoryLow: throws });
  const setMemoryLow = (isLow: boolean) => void pools.push(isLow);
  life.registerPools({ drainMs: 0, shutdown: () => Promise.resolve(), setMemoryLow });
  life.watchMemory(256 * MB, (_level, event) => log.push(event));
  life.beginRequest()();
  await clock.advance(2_000);
  usedMb = 10;
  life.beginRequest()();
  assertEquals(pools, [true, false]);
  assertEquals(log, [
    "memory_hook_failed",
    "memory_hook_failed",
    "memory_low",
    "memory_hook_failed",
    "memory_recovered",
  ]);
});

Deno.test("POOL_MEMORY_LIMIT_MB is 256 on the hosted runtime by default, and none elsewhere or with 0", () => {
  const limitOf = (more: Record<string, string>) => readEnvironment({ ...VARIABLES, ...more }).memoryLimitBytes;
  assertEquals(limitOf({}), undefined);
  assertEquals(limitOf({ SB_EXECUTION_ID: "x" }), 256 * MB);
  assertEquals(limitOf({ SB_EXECUTION_ID: "x", POOL_MEMORY_LIMIT_MB: "0" }), undefined);
  assertEquals(limitOf({ POOL_MEMORY_LIMIT_MB: "512" }), 512 * MB);
});
