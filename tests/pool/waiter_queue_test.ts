import { assertEquals } from "@std/assert";
import { type QueueNode, WaiterQueue } from "../../shared/pool/waiter_queue.ts";

class Node implements QueueNode<Node> {
  next: Node | undefined = undefined;
  previous: Node | undefined = undefined;
  /** Small letters are usual. */
  readonly usual: boolean;
  constructor(readonly name: string) {
    this.usual = name === name.toLowerCase();
  }
}

function drain(queue: WaiterQueue<Node>): string {
  let names = "";
  for (let node = queue.shift(); node; node = queue.shift()) names += node.name;
  return names;
}

function filled(names: string): { queue: WaiterQueue<Node>; nodes: Node[] } {
  const queue = new WaiterQueue<Node>();
  const nodes = [...names].map((name) => new Node(name));
  for (const node of nodes) queue.push(node);
  return { queue, nodes };
}

Deno.test("WaiterQueue serves in the order of arrival", () => {
  const { queue } = filled("abcd");
  assertEquals(queue.size, 4);
  assertEquals(queue.head?.name, "a");
  assertEquals(drain(queue), "abcd");
  assertEquals(queue.size, 0);
  assertEquals(queue.head, undefined);
});

for (const [out, left] of [["a", "bcd"], ["b", "acd"], ["d", "abc"], ["abcd", ""], ["bc", "ad"]] as const) {
  Deno.test(`WaiterQueue lets ${out} leave abcd and keeps the order of the rest`, () => {
    const { queue, nodes } = filled("abcd");
    for (const node of nodes) if (out.includes(node.name)) queue.remove(node);
    assertEquals(queue.size, left.length);
    assertEquals(drain(queue), left);
    for (const node of nodes) assertEquals([node.next, node.previous], [undefined, undefined]);
  });
}

Deno.test("WaiterQueue takes an element back that had left", () => {
  const { queue, nodes: [first] } = filled("ab");
  if (!first) throw new Error("no first element");
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
  Deno.test(`WaiterQueue's first usual element of ${all} without "${out}" is ${first ?? "none"}`, () => {
    const { queue, nodes } = filled(all);
    for (const node of nodes) if (out.includes(node.name)) queue.remove(node);
    assertEquals(queue.firstUsual?.name, first);
  });
}

Deno.test("WaiterQueue finds a usual element that comes after it had none", () => {
  const { queue, nodes: [first] } = filled("aB");
  if (first) queue.remove(first);
  queue.push(new Node("C"));
  queue.push(new Node("d"));
  queue.push(new Node("e"));
  assertEquals(queue.firstUsual?.name, "d");
});
