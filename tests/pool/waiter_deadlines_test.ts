import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { Line } from "../../shared/pool/lane.ts";
import { Waiter } from "../../shared/pool/waiter.ts";
import { WaiterDeadlines } from "../../shared/pool/waiter_deadlines.ts";
import { FakeClock } from "../support/fake_clock.ts";

const USUAL_MS = 100;

interface Named extends Waiter<object> {
  readonly id: number;
}

/** A line, its deadlines, and who was told when. */
function setUp() {
  const clock = new FakeClock();
  const start = clock.now();
  const lines = [new Line<object>("normal", 1), new Line<object>("low", 1)] as const;
  const told: { id: number; at: number }[] = [];
  const deadlines = new WaiterDeadlines<object>(clock, (waiters, now) => {
    for (const waiter of waiters) {
      waiter.line.remove(waiter);
      deadlines.remove(waiter);
      told.push({ id: (waiter as Named).id, at: now - start });
    }
  });
  let id = 0;
  const add = (line: 0 | 1, ownMs?: number): Named => {
    const now = clock.now();
    const waiter = new Waiter(lines[line], now, now + (ownMs ?? USUAL_MS), ownMs === undefined, undefined);
    const named = Object.assign(waiter, { id: id++ });
    lines[line].push(named);
    deadlines.add(named, now);
    return named;
  };
  const leave = (waiter: Named) => {
    waiter.line.remove(waiter);
    deadlines.remove(waiter);
  };
  return { clock, told, add, leave, start };
}

Deno.test("WaiterDeadlines keeps one timer and tells usual waiters in their order", async () => {
  const { clock, told, add } = setUp();
  for (let count = 0; count < 3; count++) {
    add(0);
    await clock.advance(10);
  }
  assertEquals(clock.timers, 1);
  await clock.advance(200);
  assertEquals(told, [{ id: 0, at: 100 }, { id: 1, at: 110 }, { id: 2, at: 120 }]);
  assertEquals(clock.timers, 0);
});

Deno.test("WaiterDeadlines tells a usual waiter in time behind one that waits for ever", async () => {
  const { clock, told, add } = setUp();
  add(0, Infinity);
  add(0);
  await clock.advance(100);
  assertEquals(told, [{ id: 1, at: 100 }]);
});

Deno.test("WaiterDeadlines tells who comes after the first has left, in its own time", async () => {
  const { clock, told, add, leave } = setUp();
  const first = add(0);
  await clock.advance(60);
  leave(first);
  add(0);
  await clock.advance(99);
  assertEquals(told, []);
  await clock.advance(1);
  assertEquals(told, [{ id: 1, at: 160 }]);
});

Deno.test("WaiterDeadlines tells each waiter at its deadline, whatever comes and goes", async () => {
  const step = fc.record({
    line: fc.constantFrom(0 as const, 1 as const),
    ownMs: fc.option(fc.constantFrom(1, 20, 99, 100, 101, 500, Infinity), { nil: undefined }),
    pauseMs: fc.nat(40),
    leaver: fc.option(fc.nat(30), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const { clock, told, add, leave, start } = setUp();
      const due = new Map<number, number>();
      const waiters: Named[] = [];
      for (const { line, ownMs, pauseMs, leaver } of steps) {
        const waiter = add(line, ownMs);
        waiters.push(waiter);
        due.set(waiter.id, waiter.deadline - start);
        await clock.advance(pauseMs);
        const gone = leaver === undefined ? undefined : waiters[leaver];
        if (!gone || told.some(({ id }) => id === gone.id) || !due.delete(gone.id)) continue;
        leave(gone);
      }
      await clock.advance(1_000);
      const expected = [...due].filter(([, at]) => at !== Infinity).map(([id, at]) => ({ id, at }));
      assertEquals(told.toSorted((a, b) => a.id - b.id), expected);
      assertEquals(clock.timers, 0);
    }),
    { seed: 7, numRuns: 300 },
  );
});
