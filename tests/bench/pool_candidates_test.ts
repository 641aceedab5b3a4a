import { assert, assertEquals, assertRejects } from "@std/assert";
import { CANDIDATES, type OpenPool, type PoolCandidate } from "../../bench/pool/candidates/mod.ts";
import { crowd, manyCallers, oneCaller, probedCallers } from "../../bench/pool/loops.ts";

function leasing(candidate: PoolCandidate, slots: number, timeoutMs: number): OpenPool | undefined {
  const opened = candidate.open({ slots, timeoutMs });
  return opened.kind === "lease" ? opened : undefined;
}

for (const candidate of CANDIDATES) {
  Deno.test(`open() of "${candidate.title}" serves every caller of every loop`, async () => {
    const opened = candidate.open({ slots: 3, timeoutMs: 5_000 });
    await oneCaller(opened, 10);
    await manyCallers(opened, 7, 50);
    await crowd(opened, 50);
    let probes = 0;
    await probedCallers(opened, { callers: 5, skip: 10, ops: 20, probe: () => probes++ });
    assertEquals(probes, 2);
    await opened.close();
  });

  Deno.test(`open() of "${candidate.title}" leases its slots in FIFO order`, async () => {
    const opened = leasing(candidate, 2, 5_000);
    if (!opened) return;
    const served: number[] = [];
    const first = await Promise.all([opened.acquire(), opened.acquire()]);
    const rest = [0, 1, 2].map((index) =>
      opened.acquire().then((leased) => {
        served.push(index);
        return leased;
      })
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(served, []);
    for (const leased of first) opened.release(leased);
    for (const waiting of rest) opened.release(await waiting);
    assertEquals(served, [0, 1, 2]);
    await opened.close();
  });

  Deno.test(`open() of "${candidate.title}" limits a wait as declared`, async () => {
    const opened = leasing(candidate, 1, 10);
    if (!opened) return;
    const held = await opened.acquire();
    const waiting = opened.acquire();
    if (candidate.timeout === "none") {
      let settled = false;
      waiting.then(() => settled = true, () => settled = true);
      await new Promise((resolve) => setTimeout(resolve, 40));
      assert(!settled);
      opened.release(held);
      await opened.close(await waiting);
    } else {
      // Most of these timers do not keep a process alive.
      const awake = setTimeout(() => {}, 5_000);
      await assertRejects(() => waiting);
      clearTimeout(awake);
      await opened.close(held);
    }
  });
}
