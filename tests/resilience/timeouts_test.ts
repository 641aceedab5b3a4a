import { assertEquals, assertRejects } from "@std/assert";
import * as fc from "fast-check";
import { Timeouts } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("each is due after its time, in order, on one timer", async () => {
  const clock = new FakeClock();
  const timeouts = new Timeouts(clock, 100);
  const due: string[] = [];
  timeouts.start(() => due.push("a"));
  await clock.advance(40);
  timeouts.start(() => due.push("b"));
  timeouts.start(() => due.push("c"));
  assertEquals(clock.timers, 1);
  await clock.advance(59);
  assertEquals(due, []);
  await clock.advance(1);
  assertEquals(due, ["a"]);
  await clock.advance(39);
  assertEquals([due, clock.timers], [["a"], 1]);
  await clock.advance(1);
  assertEquals([due, clock.timers], [["a", "b", "c"], 0]);
});

Deno.test("what is cancelled is never due, and the last one takes the timer with it", async () => {
  const clock = new FakeClock();
  const timeouts = new Timeouts(clock, 100);
  const due: string[] = [];
  const all = ["a", "b", "c"].map((name) => timeouts.start(() => due.push(name)));
  all[1]?.cancel();
  all[1]?.cancel();
  await clock.advance(100);
  assertEquals([due, clock.timers], [["a", "c"], 0]);
  all[0]?.cancel(); // fired already
  const last = timeouts.start(() => due.push("d"));
  last.cancel();
  assertEquals(clock.timers, 0);
  await clock.advance(1_000);
  assertEquals(due, ["a", "c"]);
});

Deno.test("one that throws keeps none of the others from being due", async () => {
  const clock = new FakeClock();
  const timeouts = new Timeouts(clock, 100);
  const due: string[] = [];
  timeouts.start(() => {
    throw new Error("no");
  });
  timeouts.start(() => due.push("b"));
  await assertRejects(() => clock.advance(100), Error, "no");
  await clock.advance(1);
  assertEquals([due, clock.timers], [["b"], 0]);
});

Deno.test("whatever is begun and cancelled, what is left is due at its time, and no timer without a timeout", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant("start" as const), again: fc.boolean() }),
        fc.record({ kind: fc.constant("cancel" as const), which: fc.nat(30) }),
        fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 80 }) }),
      ),
      { maxLength: 60 },
    ),
    async (steps) => {
      const clock = new FakeClock();
      const timeouts = new Timeouts(clock, 100);
      const begun: { dueAt: number; firedAt?: number; cancelled: boolean; cancel: () => void }[] = [];
      const start = (again: boolean) => {
        const entry = { dueAt: clock.now() + 100, cancelled: false, cancel: () => {} } as (typeof begun)[number];
        const timer = timeouts.start(() => {
          entry.firedAt = clock.now();
          if (again) start(false);
        });
        entry.cancel = () => timer.cancel();
        begun.push(entry);
      };
      for (const step of steps) {
        if (step.kind === "start") start(step.again);
        else if (step.kind === "advance") await clock.advance(step.ms);
        else {
          const entry = begun[step.which];
          if (entry && entry.firedAt === undefined) entry.cancelled = true;
          entry?.cancel();
        }
        const pending = begun.filter(({ cancelled, dueAt }) => !cancelled && dueAt > clock.now());
        for (const { cancelled, dueAt, firedAt } of begun) {
          assertEquals(firedAt, cancelled || dueAt > clock.now() ? undefined : dueAt);
        }
        assertEquals(clock.timers, pending.length > 0 ? 1 : 0);
      }
    },
  ));
});
