import { assertEquals } from "@std/assert";
import { type QueueNode, WaiterQueue } from "../../shared/pool/waiter_queue.ts";

class Node implements QueueNode<Node> {
  next: Node | undefined = undefined;
  previous: Node | undefined = undefined;
  /** True for small letters. */
  readonly usesDefaultTimeout: boolean;
  constructor(readonly name: string) {
    this.usesDefaultTimeout = name === name.toLowerCase();
  }
}

function drain(queue: WaiterQueue<Node>): string {
  let names = "";
  for (let node = queue.head; node; node = queue.head) {
    names += node.name;
    queue.remove(node);
  }
  return names;
}

function filled(names: string): { queue: WaiterQueue<Node>; nodes: Node[] } {
  const queue = new WaiterQueue<Node>();
  const nodes = [...names].map((name) => new Node(name));
  for (const node of nodes) queue.push(node);
  return { queue, nodes };
}

Deno.test("WaiterQueue keeps the order of arrival", () => {
  const { queue } = filled("abcd");
  assertEquals(queue.size, 4);
  assertEquals(queue.head?.name, "a");
  assertEquals(drain(queue), "abcd");
  assertEquals(queue.size, 0);
  assertEquals(queue.head, undefined);
});

for (const [out, left] of [["a", "bcd"], ["b", "acd"], ["d", "abc"], ["abcd", ""], ["bc", "ad"]] as const) {
  Deno.test(`WaiterQueue.remove() of ${out} in abcd keeps the order of the rest`, () => {
    const { queue, nodes } = filled("abcd");
    for (const node of nodes) if (out.includes(node.name)) queue.remove(node);
    assertEquals(queue.size, left.length);
    assertEquals(drain(queue), left);
    for (const node of nodes) assertEquals([node.next, node.previous], [undefined, undefined]);
  });
}

Deno.test("WaiterQueue.push() adds an element again that was removed", () => {
  const { queue, nodes: [first] } = filled("ab");
  if (!first) throw new Error("no element");
  queue.remove(first);
  queue.push(first);
  assertEquals(drain(queue), "ba");
});

for (
  const [all, out, first] of [
    ["ab", "", "a"],
    ["AbC", "", "b"],
    ["AbCd", "b", "d"],
    ["AbCd", "d", "b"],
    ["aBCd", "Ba", "d"],
    ["AB", "", undefined],
    ["aB", "a", undefined],
    ["a", "a", undefined],
  ] as const
) {
  Deno.test(`WaiterQueue.firstWithDefaultTimeout of ${all} without "${out}" is ${first ?? "undefined"}`, () => {
    const { queue, nodes } = filled(all);
    for (const node of nodes) if (out.includes(node.name)) queue.remove(node);
    assertEquals(queue.firstWithDefaultTimeout?.name, first);
  });
}

Deno.test("WaiterQueue.firstWithDefaultTimeout finds an element that comes after there was none", () => {
  const { queue, nodes: [first] } = filled("aB");
  if (first) queue.remove(first);
  queue.push(new Node("C"));
  queue.push(new Node("d"));
  queue.push(new Node("e"));
  assertEquals(queue.firstWithDefaultTimeout?.name, "d");
});
