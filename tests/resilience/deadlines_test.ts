import { assert, assertEquals, assertRejects } from "@std/assert";
import * as fc from "fast-check";
import type { DeadlineQueueOptions } from "../../shared/resilience/deadlines.ts";
import { type Clock, type DeadlineNode, DeadlineQueue, Deadlines } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

class Node implements DeadlineNode<Node> {
  dueNext: Node | undefined = undefined;
  duePrevious: Node | undefined = undefined;
  dueBucket: DeadlineNode<Node>["dueBucket"] = undefined;
  constructor(readonly deadline: number) {}
}

function setUp(options?: DeadlineQueueOptions): {
  clock: FakeClock;
  queue: DeadlineQueue<Node>;
  due: number[];
  add(afterMs: number): Node;
} {
  const clock = new FakeClock();
  const start = clock.now();
  const due: number[] = [];
  const queue = new DeadlineQueue<Node>(clock, (node, now) => {
    assert(node.deadline <= now, "passed on before its time");
    due.push(node.deadline - start);
    return 1;
  }, options);
  const add = (afterMs: number) => {
    const node = new Node(clock.now() + afterMs);
    queue.add(node, clock.now());
    return node;
  };
  return { clock, queue, due, add };
}

Deno.test("DeadlineQueue passes on each element at its deadline, in order", async () => {
  const { clock, due, add } = setUp();
  for (const ms of [500, 100, 900, 100, 300, 50]) add(ms);
  await clock.advance(49);
  assertEquals(due, []);
  await clock.advance(51);
  assertEquals(due, [50, 100, 100]);
  await clock.advance(1_000);
  assertEquals(due, [50, 100, 100, 300, 500, 900]);
});

Deno.test("DeadlineQueue keeps one timer for ten thousand elements", () => {
  const { clock, add } = setUp();
  for (let i = 0; i < 10_000; i++) add(5_000 + (i * 7919) % 1_000);
  assertEquals(clock.timers, 1);
});

Deno.test("DeadlineQueue does not pass on an element that was removed", async () => {
  const { clock, queue, due, add } = setUp();
  const nodes = [100, 100, 100, 200].map(add);
  for (const node of [nodes[1], nodes[3], nodes[1]]) if (node) queue.remove(node);
  await clock.advance(1_000);
  assertEquals(due, [100, 100]);
});

Deno.test("DeadlineQueue.remove() cancels the timer with the last element", () => {
  const { clock, queue, add } = setUp();
  const nodes = [add(100), add(200)];
  for (const node of nodes) {
    assertEquals(clock.timers, 1);
    queue.remove(node);
  }
  assertEquals(clock.timers, 0);
});

Deno.test("DeadlineQueue with keepTimer leaves the timer to run, and no timer after it", async () => {
  const { clock, queue, due, add } = setUp({ keepTimer: true });
  queue.remove(add(100));
  assertEquals(clock.timers, 1);
  queue.remove(add(150));
  await clock.advance(100);
  assertEquals([clock.timers, due], [0, []]);
  add(50);
  queue.stop();
  assertEquals(clock.timers, 0);
});

Deno.test("DeadlineQueue does not keep an element that is never due", async () => {
  const { clock, queue, due, add } = setUp();
  const node = add(Infinity);
  assertEquals(clock.timers, 0);
  queue.remove(node);
  await clock.advance(1_000_000);
  assertEquals(due, []);
});

/** A queue whose turns a test begins, on a clock that advances by `stepMs` at each read. */
function turns(stepMs: number): { add(): void; turn(): number } {
  let callback = () => {};
  let now = 0;
  let due = 0;
  const clock: Clock = {
    now: () => now += stepMs,
    setTimer: (call) => {
      callback = call;
      return { cancel() {} };
    },
  };
  const queue = new DeadlineQueue<Node>(clock, () => {
    due++;
    return 1;
  });
  return {
    add: () => queue.add(new Node(10), 0),
    turn: () => {
      now = Math.max(now, 10);
      const before = due;
      callback();
      return due - before;
    },
  };
}

Deno.test("DeadlineQueue passes on at most 4,096 elements in one turn", () => {
  const { add, turn } = turns(0);
  for (let i = 0; i < 10_000; i++) add();
  assertEquals([turn(), turn(), turn(), turn()], [4_096, 4_096, 1_808, 0]);
});

Deno.test("DeadlineQueue ends a turn after 4 ms, and reads the clock after each 64 elements", () => {
  const { add, turn } = turns(1);
  for (let i = 0; i < 1_000; i++) add();
  assertEquals([turn(), turn()], [4 * 64, 4 * 64]);
  const slow = turns(2);
  for (let i = 0; i < 1_000; i++) slow.add();
  assertEquals(slow.turn(), 2 * 64);
});

Deno.test("DeadlineQueue sets the timer again after remove() has cancelled it, also for a later deadline", async () => {
  const { clock, queue, due, add } = setUp();
  queue.remove(add(100));
  add(200);
  assertEquals(clock.timers, 1);
  queue.stop();
  assertEquals(clock.timers, 0);
  add(300);
  assertEquals(clock.timers, 1);
  await clock.advance(300);
  assertEquals(due, [200, 300]);
});

Deno.test("DeadlineQueue.remove() keeps the order of the others that are due at the same instant", async () => {
  for (const removed of [[0], [1], [2], [0, 1], [1, 2], [2, 1], [0, 2]]) {
    const clock = new FakeClock();
    const order: number[] = [];
    const own = new DeadlineQueue<Node>(clock, (node) => (order.push(nodes.indexOf(node)), 1));
    const nodes = [0, 1, 2, 3, 4].map(() => new Node(clock.now() + 10));
    for (const node of nodes.slice(0, 3)) own.add(node, clock.now());
    for (const index of removed) own.remove(nodes[index] as Node);
    for (const node of nodes.slice(3)) own.add(node, clock.now());
    await clock.advance(10);
    assertEquals(order, [0, 1, 2, 3, 4].filter((index) => !removed.includes(index)), `without ${removed}`);
  }
});

Deno.test("DeadlineQueue agrees with a sorted list over random deadlines and departures", async () => {
  const { clock, queue, due, add } = setUp();
  let seed = 42;
  const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const start = clock.now();
  const nodes = Array.from({ length: 2_000 }, () => add(Math.floor(random() * 3_000) / 2));
  const removed = nodes.filter(() => random() < 0.4);
  for (const node of removed) queue.remove(node);
  await clock.advance(2_000);
  const expected = nodes.filter((node) => !removed.includes(node)).map((node) => node.deadline - start);
  const byMs = (ms: number) => Math.ceil(ms);
  assertEquals(due.length, expected.length);
  assertEquals(due.map(byMs), expected.map(byMs).sort((a, b) => a - b));
  assertEquals(clock.timers, 0);
});

Deno.test("DeadlineQueue drops the buckets of removed elements behind an early one that stays", async () => {
  const { clock, queue, due, add } = setUp();
  for (const ms of [5, 70_000, 90_000]) add(ms);
  for (let ms = 1_000; ms < 60_000; ms++) queue.remove(add(ms));
  assert(queue.buckets < 200, `${queue.buckets} buckets for three elements`);
  add(65_000);
  await clock.advance(100_000);
  assertEquals(due, [5, 65_000, 70_000, 90_000]);
});

Deno.test("Deadlines.start() calls each function at its deadline, on one timer", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  const due: string[] = [];
  deadlines.start(300, () => due.push("late"));
  const cancelled = deadlines.start(100, () => due.push("cancelled"));
  deadlines.start(50, () => due.push("early"));
  deadlines.start(Infinity, () => due.push("never"));
  assertEquals(clock.timers, 1);
  await clock.advance(49);
  assertEquals(due, []);
  await clock.advance(1);
  assertEquals(due, ["early"]);
  cancelled.cancel();
  cancelled.cancel();
  await clock.advance(249);
  assertEquals([due, clock.timers], [["early"], 1]);
  await clock.advance(1);
  assertEquals([due, clock.timers], [["early", "late"], 0]);
});

Deno.test("Deadlines calls what fell due while the isolate was frozen", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  const due: number[] = [];
  for (const ms of [10, 20, 30]) deadlines.start(ms, () => due.push(ms));
  clock.freeze(60_000);
  await clock.advance(0);
  assertEquals(due, [10, 20, 30]);
});

Deno.test("Deadlines.stop() cancels every deadline", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock, { keepTimer: true });
  let due = false;
  deadlines.start(10, () => due = true);
  deadlines.stop();
  await clock.advance(100);
  assertEquals([due, clock.timers], [false, 0]);
});

Deno.test("Deadlines calls the other functions when one throws", async () => {
  const clock = new FakeClock();
  const deadlines = new Deadlines(clock);
  const due: string[] = [];
  deadlines.start(100, () => {
    throw new Error("no");
  });
  deadlines.start(100, () => due.push("b"));
  await assertRejects(() => clock.advance(100), Error, "no");
  await clock.advance(1);
  assertEquals([due, clock.timers], [["b"], 0]);
});

Deno.test("Deadlines fires exactly what was started and not cancelled, and keeps no timer without a deadline", async () => {
  await fc.assert(fc.asyncProperty(
    fc.array(
      fc.oneof(
        fc.record({
          kind: fc.constant("start" as const),
          ms: fc.integer({ min: 0, max: 120 }),
          again: fc.boolean(),
        }),
        fc.record({ kind: fc.constant("cancel" as const), which: fc.nat(30) }),
        fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 80 }) }),
      ),
      { maxLength: 60, size: "max" },
    ),
    async (steps) => {
      const clock = new FakeClock();
      const deadlines = new Deadlines(clock);
      const started: { dueAt: number; firedAt?: number; cancelled: boolean; cancel: () => void }[] = [];
      const start = (ms: number, again: boolean) => {
        const entry = { dueAt: clock.now() + ms, cancelled: false, cancel: () => {} } as (typeof started)[number];
        const timer = deadlines.start(ms, () => {
          entry.firedAt = clock.now();
          if (again) start(100, false);
        });
        entry.cancel = () => timer.cancel();
        started.push(entry);
      };
      for (const step of steps) {
        if (step.kind === "start") start(step.ms, step.again);
        else if (step.kind === "advance") await clock.advance(step.ms);
        else {
          const entry = started[step.which];
          if (entry && entry.firedAt === undefined) entry.cancelled = true;
          entry?.cancel();
        }
        await clock.advance(0);
        const pending = started.filter(({ cancelled, dueAt }) => !cancelled && dueAt > clock.now());
        for (const { cancelled, dueAt, firedAt } of started) {
          assertEquals(firedAt, cancelled || dueAt > clock.now() ? undefined : dueAt);
        }
        assertEquals(clock.timers, pending.length > 0 ? 1 : 0);
      }
    },
  ));
});
