import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { HealthProbe, type HealthQuestion } from "../../shared/supabase/health.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { rig } from "./support.ts";

/** A probe whose questions are answered by the test. */
function probing(timeoutMs = 10_000) {
  const clock = new FakeClock();
  const asked: { signal: AbortSignal; answer: (error?: unknown) => void }[] = [];
  const ask: HealthQuestion = (signal) =>
    new Promise((resolve) => asked.push({ signal, answer: (error = null) => resolve({ error }) }));
  return { clock, asked, probe: new HealthProbe(ask, clock, timeoutMs) };
}

Deno.test("one question at a time, and its answer kept for a second from when it came", async () => {
  const { clock, asked, probe } = probing();
  const first = probe.check();
  await clock.advance(3_000);
  const second = probe.check();
  assertEquals(asked.length, 1);
  asked[0]?.answer();
  assertEquals([await first, await second], Array(2).fill({ success: true, durationMs: 3_000 }));
  await clock.advance(999);
  await probe.check();
  assertEquals(asked.length, 1);
  await clock.advance(1);
  const third = probe.check();
  assertEquals(asked.length, 2);
  asked[1]?.answer({ message: "down" });
  assertEquals(await third, { success: false, durationMs: 0, error: "down" });
  assertEquals(clock.timers, 0);
});

Deno.test("a question is given up after its time, five seconds at most", async () => {
  for (const [timeoutMs, waited] of [[200, 200], [30_000, 5_000]] as const) {
    const { clock, asked, probe } = probing(timeoutMs);
    const check = probe.check();
    await clock.advance(waited - 1);
    assertEquals(asked[0]?.signal.aborted, false);
    await clock.advance(1);
    assertEquals(asked[0]?.signal.aborted, true);
    const error = `The health query was not answered within ${waited} ms`;
    assertEquals(await check, { success: false, durationMs: waited, error });
    assertEquals(clock.timers, 0);
  }
});

Deno.test("a probe that was stopped gives its question up and asks no more", async () => {
  const { clock, asked, probe } = probing();
  const check = probe.check();
  probe.stop(new Error("over"));
  assertEquals((await check).error, "over");
  assertEquals(asked[0]?.signal.aborted, true);
  await settle();
  assertEquals((await probe.check()).error, "over");
  await clock.advance(2_000);
  assertEquals((await probe.check()).success, false);
  assertEquals([asked.length, clock.timers], [1, 0]);
});

Deno.test("a probe that was stopped forgets a good answer", async () => {
  const { asked, probe } = probing();
  const check = probe.check();
  asked[0]?.answer();
  assert((await check).success);
  probe.stop(new Error("over"));
  assertEquals((await probe.check()).success, false);
});

Deno.test("a shutdown ends a health check that is under way, and none is made after it", async () => {
  await using made = rig();
  let gone = false;
  made.project.answer = (request) => {
    request.signal.addEventListener("abort", () => gone = true);
    return new Promise(() => {});
  };
  const check = made.pool.healthCheck();
  while (made.project.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await made.pool.shutdown(0);
  const { healthy, details } = await check;
  assertEquals([healthy, details.testQuery.success], [false, false]);
  assertStringIncludes(details.testQuery.error ?? "", "shut down");
  for (let round = 0; round < 400 && !gone; round++) await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(gone, true);
  assertEquals((await made.pool.healthCheck()).healthy, false);
  assertEquals(made.project.requests.length, 1);
});

Deno.test("a health check takes no longer than an acquire may, even if its query never settles", async () => {
  await using made = rig({ acquireTimeoutMs: 30, healthQuery: () => new Promise(() => {}) });
  const { error } = (await made.pool.healthCheck()).details.testQuery;
  assertEquals(error, "The health query was not answered within 30 ms");
});
