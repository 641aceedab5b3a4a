import { assertEquals } from "@std/assert";
import { HeapEntry, IndexedHeap } from "../../shared/pool/indexed_heap.ts";

Deno.test("IndexedHeap.remove() removes an entry once, and ignores one that is not in the heap", () => {
  const heap = new IndexedHeap<number>((a, b) => a < b);
  const entries = [3, 1, 2].map((value) => new HeapEntry(value));
  for (const entry of entries) heap.update(entry);
  heap.remove(new HeapEntry(0));
  const [, one] = entries;
  if (one) { for (let time = 0; time < 2; time++) heap.remove(one); }
  assertEquals([heap.size, heap.first], [2, 2]);
});
