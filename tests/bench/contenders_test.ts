import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Contender, CONTENDERS, type LendSession } from "../../bench/pool/contenders/mod.ts";
import { crowd, manyCallers, oneCaller, probedCallers } from "../../bench/pool/drive.ts";

function lender(contender: Contender, slots: number, timeoutMs: number): LendSession | undefined {
  const session = contender.open({ slots, timeoutMs });
  return session.kind === "lend" ? session : undefined;
}

for (const contender of CONTENDERS) {
  Deno.test(`${contender.title}: serves every caller of every load`, async () => {
    const session = contender.open({ slots: 3, timeoutMs: 5_000 });
    await oneCaller(session, 10);
    await manyCallers(session, 7, 50);
    await crowd(session, 50);
    let probes = 0;
    await probedCallers(session, { callers: 5, skip: 10, ops: 20, probe: () => probes++ });
    assertEquals(probes, 2);
    await session.close();
  });

  Deno.test(`${contender.title}: lends no more than its slots, to whom came first`, async () => {
    const session = lender(contender, 2, 5_000);
    if (!session) return;
    const served: number[] = [];
    const first = await Promise.all([session.acquire(), session.acquire()]);
    const rest = [0, 1, 2].map((index) =>
      session.acquire().then((lent) => {
        served.push(index);
        return lent;
      })
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals(served, []);
    for (const lent of first) session.release(lent);
    for (const waiting of rest) session.release(await waiting);
    assertEquals(served, [0, 1, 2]);
    await session.close();
  });

  Deno.test(`${contender.title}: bounds a wait if it says so`, async () => {
    const session = lender(contender, 1, 10);
    if (!session) return;
    const held = await session.acquire();
    const waiting = session.acquire();
    if (contender.timeout === "none") {
      let settled = false;
      waiting.then(() => settled = true, () => settled = true);
      await new Promise((resolve) => setTimeout(resolve, 40));
      assert(!settled);
      session.release(held);
      await session.close(await waiting);
    } else {
      // Most of these timers do not keep a process alive.
      const awake = setTimeout(() => {}, 5_000);
      await assertRejects(() => waiting);
      clearTimeout(awake);
      await session.close(held);
    }
  });
}
