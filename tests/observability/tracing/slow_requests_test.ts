/** The slowest of the recent requests. */
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { SlowRequests, type TimedRequest } from "../../../shared/observability/tracing/mod.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function timed(durationMs: number, id = `r${durationMs}`, more: Partial<TimedRequest> = {}): TimedRequest {
  const request = new Request("https://x.test/f", { headers: { "x-request-id": id } });
  return { request, status: 200, durationMs, waitedMs: 1, verifyMs: 2, upstreamMs: 3, ...more };
}

const ids = (slow: SlowRequests) => slow.list().map(({ requestId }) => requestId);

Deno.test("SlowRequests keeps the slowest requests by their ids, the slowest first", () => {
  const slow = new SlowRequests({ size: 3, clock: new FakeClock() });
  for (const ms of [5, 80, 20, 1, 40, 20, 60]) slow.add(timed(ms));
  assertEquals(ids(slow), ["r80", "r60", "r40"]);
  slow.add(timed(40, "as slow as the least"));
  assertEquals(ids(slow), ["r80", "r60", "r40"]);
});

Deno.test("SlowRequests drops a request after keptMs, also in an isolate that was frozen", async () => {
  const clock = new FakeClock();
  const slow = new SlowRequests({ size: 2, keptMs: 1_000, clock });
  slow.add(timed(90));
  await clock.advance(600);
  slow.add(timed(50));
  slow.add(timed(40));
  assertEquals(ids(slow), ["r90", "r50"]);
  clock.freeze(400);
  slow.add(timed(30));
  assertEquals(ids(slow), ["r50", "r30"]);
  clock.freeze(10_000);
  assertEquals(ids(slow), []);
  slow.add(timed(1));
  assertEquals(ids(slow), ["r1"]);
});

Deno.test("SlowRequests describes a request, and shows no text that a caller chose", () => {
  const slow = new SlowRequests();
  slow.add(timed(7, "id", { status: 503, error: { code: "ACQUIRE_TIMEOUT" } }));
  const [{ endedAtMs, ...entry } = { endedAtMs: 0 }] = slow.list();
  assertEquals(entry, {
    requestId: "id",
    method: "GET",
    status: 503,
    code: "ACQUIRE_TIMEOUT",
    durationMs: 7,
    waitMs: 1,
    verifyMs: 2,
    upstreamMs: 3,
  });
  assertEquals(Math.abs(Date.now() - endedAtMs) < 60_000, true);

  const hostile = new Request("https://x.test/f", { method: "EVIL", headers: { "x-request-id": "a\tb" } });
  slow.add(timed(8, "", { request: hostile, error: { code: "a b\u001b[31m" } }));
  const [worst] = slow.list();
  assertEquals([worst?.method, worst?.code], ["OTHER", undefined]);
  assertMatch(worst?.requestId ?? "", /^[\da-f-]{36}$/);
});

Deno.test("SlowRequests stays bounded, whatever size it is asked for", () => {
  const slow = new SlowRequests({ size: 1e9 });
  for (let ms = 1; ms <= 1_000; ms++) slow.add(timed(ms));
  assertEquals(slow.list().length, 100);
  const fraction = new SlowRequests({ size: 2.5 });
  for (const ms of [1, 2, 3, NaN, 4]) fraction.add(timed(ms));
  assertEquals(ids(fraction), ["r4", "r3"]);
  assertEquals(new SlowRequests({ size: 0 }).list().length, 0);
  for (const bad of [{ size: NaN }, { keptMs: NaN }, { size: "5" as never }]) {
    assertThrows(() => new SlowRequests(bad), RangeError, Object.keys(bad)[0]);
  }
});
