import { assertEquals } from "@std/assert";
import { type QueueNode, WaiterQueue } from "../../shared/pool/waiter_queue.ts";

class Node implements QueueNode<Node> {
  next: Node | undefined = undefined;
  previous: Node | undefined = undefined;
  constructor(readonly name: string) {}
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
