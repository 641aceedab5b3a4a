import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { LaneQueue } from "../../shared/pool/lane.ts";
import { Waiter } from "../../shared/pool/waiter.ts";
import { WaiterDeadlines } from "../../shared/pool/waiter_deadlines.ts";
import { FakeClock } from "../support/fake_clock.ts";

const DEFAULT_MS = 100;

interface Named extends Waiter<object> {
  readonly id: number;
}

/** Returns two lanes, their deadlines, and the waiters that expired. */
function setUp() {
  const clock = new FakeClock();
  const start = clock.now();
  const queues = [new LaneQueue<object>("normal", 1), new LaneQueue<object>("low", 1)] as const;
  const expired: { id: number; at: number }[] = [];
  const deadlines = new WaiterDeadlines<object>(clock, (waiters, now) => {
    for (const waiter of waiters) {
      waiter.queue.remove(waiter);
      deadlines.remove(waiter);
      expired.push({ id: (waiter as Named).id, at: now - start });
    }
  });
  let id = 0;
  const add = (lane: 0 | 1, ownMs?: number): Named => {
    const now = clock.now();
    const waiter = new Waiter(queues[lane], now, now + (ownMs ?? DEFAULT_MS), ownMs === undefined);
    const named = Object.assign(waiter, { id: id++ });
    queues[lane].push(named);
    deadlines.add(named, now);
    return named;
  };
  const leave = (waiter: Named) => {
    waiter.queue.remove(waiter);
    deadlines.remove(waiter);
  };
  return { clock, expired, add, leave, start };
}

Deno.test("WaiterDeadlines keeps one timer and expires waiters with the default timeout in order", async () => {
  const { clock, expired, add } = setUp();
  for (let count = 0; count < 3; count++) {
    add(0);
    await clock.advance(10);
  }
  assertEquals(clock.timers, 1);
  await clock.advance(200);
  assertEquals(expired, [{ id: 0, at: 100 }, { id: 1, at: 110 }, { id: 2, at: 120 }]);
  assertEquals(clock.timers, 0);
});

Deno.test("WaiterDeadlines expires a waiter in time behind one without a deadline", async () => {
  const { clock, expired, add } = setUp();
  add(0, Infinity);
  add(0);
  await clock.advance(100);
  assertEquals(expired, [{ id: 1, at: 100 }]);
});

Deno.test("WaiterDeadlines expires a waiter that came before the first left at its own deadline", async () => {
  const { clock, expired, add, leave } = setUp();
  const first = add(0);
  await clock.advance(60);
  leave(first);
  add(0);
  await clock.advance(99);
  assertEquals(expired, []);
  await clock.advance(1);
  assertEquals(expired, [{ id: 1, at: 160 }]);
});

Deno.test("WaiterDeadlines expires each waiter at its deadline, whatever waiters come and leave", async () => {
  const step = fc.record({
    lane: fc.constantFrom(0 as const, 1 as const),
    ownMs: fc.option(fc.constantFrom(1, 20, 99, 100, 101, 500, Infinity), { nil: undefined }),
    pauseMs: fc.nat(40),
    leaver: fc.option(fc.nat(30), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
      const { clock, expired, add, leave, start } = setUp();
      const due = new Map<number, number>();
      const waiters: Named[] = [];
      for (const { lane, ownMs, pauseMs, leaver } of steps) {
        const waiter = add(lane, ownMs);
        waiters.push(waiter);
        due.set(waiter.id, waiter.deadline - start);
        await clock.advance(pauseMs);
        const left = leaver === undefined ? undefined : waiters[leaver];
        if (!left || expired.some(({ id }) => id === left.id) || !due.delete(left.id)) continue;
        leave(left);
      }
      await clock.advance(1_000);
      const expected = [...due].filter(([, at]) => at !== Infinity).map(([id, at]) => ({ id, at }));
      assertEquals(expired.toSorted((a, b) => a.id - b.id), expected);
      assertEquals(clock.timers, 0);
    }),
    { seed: 7, numRuns: 300 },
  );
});
