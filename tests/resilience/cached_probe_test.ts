import { assertEquals, assertInstanceOf } from "@std/assert";
import { CachedProbe, type ProbeResult } from "../../shared/resilience/mod.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

function setUp(run: (signal: AbortSignal) => PromiseLike<unknown>): {
  clock: FakeClock;
  probe: CachedProbe<ProbeResult>;
  reports: ProbeResult[];
} {
  const clock = new FakeClock();
  const reports: ProbeResult[] = [];
  const report = (result: ProbeResult) => {
    reports.push(result);
    return result;
  };
  return { clock, probe: new CachedProbe({ run, report, timeoutMs: 5_000, clock }), reports };
}

Deno.test("CachedProbe.check() runs one probe at a time and reuses its result for one second", async () => {
  let runs = 0;
  const { clock, probe, reports } = setUp(() => new Promise((resolve) => clock.setTimer(() => resolve(++runs), 2_000)));
  const checks = [probe.check(), probe.check()];
  await clock.advance(1_999);
  checks.push(probe.check());
  await clock.advance(1);
  for (const check of checks) assertEquals(await check, { durationMs: 2_000 });
  await clock.advance(999);
  await probe.check();
  assertEquals([runs, reports.length], [1, 1]);
  await clock.advance(1);
  const second = probe.check();
  await clock.advance(2_000);
  await second;
  assertEquals([runs, reports.length, clock.timers], [2, 2, 0]);
});

Deno.test("CachedProbe.check() reports what the probe throws or rejects with", async () => {
  for (const error of [new Error("down"), "text"]) {
    assertEquals(await setUp(() => Promise.reject(error)).probe.check(), { durationMs: 0, error });
    const thrown = setUp(() => {
      throw error;
    });
    assertEquals(await thrown.probe.check(), { durationMs: 0, error });
  }
  assertInstanceOf((await setUp(() => Promise.reject(undefined)).probe.check()).error, Error);
});

Deno.test("CachedProbe.check() fails a probe that takes too long, and aborts it", async () => {
  let signal: AbortSignal | undefined;
  const { clock, probe } = setUp((own) => {
    signal = own;
    return new Promise(() => {});
  });
  const check = probe.check();
  await clock.advance(5_000);
  const { durationMs, error } = await check;
  assertEquals([durationMs, String(error), signal?.aborted], [
    5_000,
    "Error: The health check timed out after 5000 ms",
    true,
  ]);
});

Deno.test("CachedProbe.stop() fails the running probe and later ones, and leaves no timer", async () => {
  const { clock, probe } = setUp(() => new Promise(() => {}));
  const running = probe.check();
  await settle();
  probe.stop("closed");
  assertEquals([(await running).error, (await probe.check()).error, clock.timers], ["closed", "closed", 0]);
});
