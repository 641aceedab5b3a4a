import { assert, assertEquals, assertRejects } from "@std/assert";
import { Latch } from "../../local/latch.ts";

Deno.test("Latch.race() returns the work's value, or the latch's if that comes first", async () => {
  const latch = new Latch<"lost">();
  assertEquals(await latch.race(Promise.resolve(1)), 1);
  await assertRejects(() => latch.race(Promise.reject(new Error("failed"))), Error, "failed");
  const waiting = [latch.race(new Promise<never>(() => {})), latch.race(new Promise<never>(() => {}))];
  latch.open("lost");
  assertEquals(await Promise.all(waiting), ["lost", "lost"]);
  assertEquals(await latch.race(new Promise<never>(() => {})), "lost");
});

Deno.test("Latch.race() keeps nothing of what it returned", async () => {
  const latch = new Latch<"lost">();
  const heap = () => {
    const { gc } = globalThis as { gc?: () => void };
    gc?.();
    return Deno.memoryUsage().heapUsed;
  };
  const raceMany = async (count: number) => {
    for (let i = 0; i < count; i++) await latch.race(Promise.resolve({ body: new Array(100).fill(i) }));
  };
  await raceMany(1_000);
  const before = heap();
  await raceMany(50_000);
  // Promise.race() against one promise keeps all of them: more than 50 MB.
  assert(heap() - before < 10_000_000, `${heap() - before}`);
});
