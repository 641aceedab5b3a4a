import { assert, assertEquals } from "@std/assert";
import { DeadlineQueue, type DueNode } from "../../shared/pool/deadline_queue.ts";
import type { Clock } from "../../shared/resilience/mod.ts";
import { FakeClock } from "../support/fake_clock.ts";

class Node implements DueNode<Node> {
  dueNext: Node | undefined = undefined;
  duePrevious: Node | undefined = undefined;
  dueBucket: DueNode<Node>["dueBucket"] = undefined;
  constructor(readonly deadline: number) {}
}

function setUp(): {
  clock: FakeClock;
  queue: DeadlineQueue<Node>;
  told: number[];
  add(afterMs: number): Node;
} {
  const clock = new FakeClock();
  const start = clock.now();
  const told: number[] = [];
  const queue = new DeadlineQueue<Node>(clock, (node, now) => {
    assert(node.deadline <= now, "told before its time");
    told.push(node.deadline - start);
    return 1;
  });
  const add = (afterMs: number) => {
    const node = new Node(clock.now() + afterMs);
    queue.add(node, clock.now());
    return node;
  };
  return { clock, queue, told, add };
}

Deno.test("DeadlineQueue tells each element when its time has come, in order of time", async () => {
  const { clock, told, add } = setUp();
  for (const ms of [500, 100, 900, 100, 300, 50]) add(ms);
  await clock.advance(49);
  assertEquals(told, []);
  await clock.advance(51);
  assertEquals(told, [50, 100, 100]);
  await clock.advance(1_000);
  assertEquals(told, [50, 100, 100, 300, 500, 900]);
});

Deno.test("DeadlineQueue keeps one timer for ten thousand elements", () => {
  const { clock, add } = setUp();
  for (let i = 0; i < 10_000; i++) add(5_000 + (i * 7919) % 1_000);
  assertEquals(clock.timers, 1);
});

Deno.test("DeadlineQueue does not tell an element that left", async () => {
  const { clock, queue, told, add } = setUp();
  const nodes = [100, 100, 100, 200].map(add);
  for (const node of [nodes[1], nodes[3], nodes[1]]) if (node) queue.remove(node);
  await clock.advance(1_000);
  assertEquals(told, [100, 100]);
});

Deno.test("DeadlineQueue leaves no timer behind once it has run empty", async () => {
  const { clock, queue, add } = setUp();
  queue.remove(add(100));
  await clock.advance(100);
  assertEquals(clock.timers, 0);
});

Deno.test("DeadlineQueue forgets what is never due", async () => {
  const { clock, queue, told, add } = setUp();
  const node = add(Infinity);
  assertEquals(clock.timers, 0);
  queue.remove(node);
  await clock.advance(1_000_000);
  assertEquals(told, []);
});

/** A queue whose turns a test begins, on a clock that goes on by `stepMs` at each look. */
function turns(stepMs: number): { add(): void; turn(): number } {
  let callback = () => {};
  let now = 0;
  let told = 0;
  const clock: Clock = {
    now: () => now += stepMs,
    setTimer: (call) => {
      callback = call;
      return { cancel() {} };
    },
  };
  const queue = new DeadlineQueue<Node>(clock, () => {
    told++;
    return 1;
  });
  return {
    add: () => queue.add(new Node(10), 0),
    turn: () => {
      now = Math.max(now, 10);
      const before = told;
      callback();
      return told - before;
    },
  };
}

Deno.test("DeadlineQueue tells at most 4,096 elements in one turn", () => {
  const { add, turn } = turns(0);
  for (let i = 0; i < 10_000; i++) add();
  assertEquals([turn(), turn(), turn(), turn()], [4_096, 4_096, 1_808, 0]);
});

Deno.test("DeadlineQueue ends a turn that takes too long", () => {
  const { add, turn } = turns(1);
  for (let i = 0; i < 1_000; i++) add();
  const first = turn();
  assert(first > 64 && first <= 320, `${first} told`);
});

Deno.test("DeadlineQueue agrees with a sorted list over random deadlines and departures", async () => {
  const { clock, queue, told, add } = setUp();
  let seed = 42;
  const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648;
  const start = clock.now();
  const nodes = Array.from({ length: 2_000 }, () => add(Math.floor(random() * 3_000) / 2));
  const gone = nodes.filter(() => random() < 0.4);
  for (const node of gone) queue.remove(node);
  await clock.advance(2_000);
  const expected = nodes.filter((node) => !gone.includes(node)).map((node) => node.deadline - start);
  const byMs = (ms: number) => Math.ceil(ms);
  assertEquals(told.length, expected.length);
  assertEquals(told.map(byMs), expected.map(byMs).sort((a, b) => a - b));
  assertEquals(clock.timers, 0);
});

Deno.test("DeadlineQueue keeps nothing of the many who leave behind an early one that stays", async () => {
  const { clock, queue, told, add } = setUp();
  for (const ms of [5, 70_000, 90_000]) add(ms);
  for (let ms = 1_000; ms < 60_000; ms++) queue.remove(add(ms));
  assert(queue.buckets < 200, `${queue.buckets} buckets for three elements`);
  add(65_000);
  await clock.advance(100_000);
  assertEquals(told, [5, 65_000, 70_000, 90_000]);
});
