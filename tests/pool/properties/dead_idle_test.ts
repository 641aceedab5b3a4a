import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { ResourcePool } from "../../../shared/pool/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";
import { noteBroken, readOptions } from "./group.ts";
import { InvariantError, INVARIANTS } from "./invariants.ts";

/** The number of runs of the default scale. */
const RUNS = 2_000;

interface Resource {
  readonly validate: "hangs" | "says no" | "passes" | "passes late";
  readonly destroy: "hangs" | "returns" | "is slow";
}

interface Scene {
  /** Resources that are idle when the first waiter arrives, the least recently used first. */
  readonly idle: readonly Resource[];
  /** Slots beyond those of the idle resources. */
  readonly free: number;
  /** The arrivals of the waiters, in ms. Each holds its resource until the end. */
  readonly arrivals: readonly number[];
  readonly validateTimeoutMs: number;
  readonly destroyTimeoutMs: number;
  readonly createMs: number;
}

const resource: fc.Arbitrary<Resource> = fc.record({
  validate: fc.constantFrom("hangs", "hangs", "hangs", "says no", "passes", "passes late"),
  destroy: fc.constantFrom("hangs", "returns", "is slow"),
});

const scenes: fc.Arbitrary<Scene> = fc.record({
  idle: fc.array(resource, { minLength: 1, maxLength: 40, size: "max" }),
  free: fc.integer({ min: 0, max: 3 }),
  arrivals: fc.array(fc.integer({ min: 0, max: 3_000 }), { minLength: 1, maxLength: 6, size: "max" }),
  validateTimeoutMs: fc.constantFrom(100, 1_000),
  destroyTimeoutMs: fc.constantFrom(50, 5_000),
  createMs: fc.constantFrom(0, 10, 400),
});

/** Runs a scene, and returns how long each waiter waited, with the bound of its wait, in ms. */
async function play(scene: Scene): Promise<{ waitedMs: number; boundMs: number }[]> {
  const { idle, free, validateTimeoutMs, destroyTimeoutMs, createMs } = scene;
  const clock = new FakeClock();
  const after = (ms: number) => new Promise<void>((resolve) => clock.setTimer(resolve, ms));
  const maxConnections = idle.length + free;
  const born: Resource[] = [];
  let warm = true;
  const pool = new ResourcePool<Resource>({
    create: async () => {
      const next = idle[born.length];
      if (!warm) await after(createMs);
      const created: Resource = { ...(warm && next ? next : { validate: "passes", destroy: "returns" }) };
      born.push(created);
      return created;
    },
    validate: async ({ validate }) => {
      if (validate === "hangs") await new Promise(() => {});
      if (validate === "passes late") await after(validateTimeoutMs - 1);
      return validate !== "says no";
    },
    destroy: async ({ destroy }) => {
      if (destroy === "hangs") await new Promise(() => {});
      if (destroy === "is slow") await after(destroyTimeoutMs - 1);
    },
  }, {
    maxConnections,
    minConnections: 0,
    idleTimeoutMs: 1_000_000,
    acquireTimeoutMs: 1_000_000,
    validateTimeoutMs,
    destroyTimeoutMs,
  }, { clock, random: () => 0 });
  const first: Promise<{ release(): void }>[] = [];
  for (const _ of idle) {
    first.push(pool.lease());
    await settle();
  }
  for (const lease of await Promise.all(first)) lease.release();
  assertEquals(pool.getStats().idleConnections, idle.length);
  warm = false;
  await clock.advance(10_000);

  const start = clock.now();
  const waits: { waitedMs: number; boundMs: number }[] = [];
  const arrivals = scene.arrivals.slice(0, maxConnections).toSorted((a, b) => a - b);
  // A slot is free for each waiter if there is one beside all that may be dead.
  const slotMs = free >= arrivals.length ? 0 : destroyTimeoutMs;
  for (const at of arrivals) {
    await clock.advance(start + at - clock.now());
    const wait = { waitedMs: Infinity, boundMs: validateTimeoutMs + slotMs + createMs };
    waits.push(wait);
    const since = clock.now();
    void pool.lease().then(({ acquiredAt }) => void (wait.waitedMs = acquiredAt - since));
  }
  await clock.advance(100_000);
  void pool.shutdown(0);
  await clock.advance(100_000);
  assertEquals(clock.timers, 0);
  return waits;
}

Deno.test("properties: waiters before dead idle resources", async (t) => {
  const { scale, brokenLog, seed, path } = readOptions();
  let looks = 0;
  const property = fc.asyncProperty(scenes, async (scene) => {
    for (const { waitedMs, boundMs } of await play(scene)) {
      looks++;
      if (waitedMs > boundMs) throw new InvariantError(26, `a waiter waited ${waitedMs} ms, not at most ${boundMs}`);
    }
  });
  const details = await fc.check(property, {
    seed,
    ...(path === undefined ? {} : { path }),
    numRuns: Math.ceil(RUNS * scale),
    endOnFailure: brokenLog !== undefined,
  });
  if (details.failed && brokenLog !== undefined) await noteBroken(brokenLog, details.errorInstance);
  if (details.failed) throw new Error(fc.defaultReportMessage(details));
  await t.step(`invariant 26: ${INVARIANTS[26]}`, () => assert(looks >= 100 || path !== undefined, `${looks} checks`));
});
