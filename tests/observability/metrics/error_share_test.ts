import { assert, assertEquals } from "@std/assert";
import { ErrorShare } from "../../../shared/observability/metrics/error_share.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const MINUTE = 60_000;

Deno.test("ErrorShare.read() is the share of what failed, and 0 without operations", () => {
  const share = new ErrorShare(new FakeClock());
  assertEquals(share.read(), 0);
  for (const failed of [true, false, false, true]) share.add(failed);
  assertEquals(share.read(), 0.5);
});

Deno.test("ErrorShare forgets what is older than five minutes, half a window at a time", async () => {
  const clock = new FakeClock();
  const share = new ErrorShare(clock);
  share.add(true);
  await clock.advance(2.5 * MINUTE);
  share.add(false);
  assertEquals(share.read(), 0.5);
  await clock.advance(2.5 * MINUTE);
  assertEquals(share.read(), 0);
  share.add(true);
  assertEquals(share.read(), 0.5);
});

Deno.test("ErrorShare knows what failed a moment ago, however long ago it was read last", async () => {
  const clock = new FakeClock();
  const share = new ErrorShare(clock);
  share.add(false);
  await clock.advance(60 * MINUTE);
  share.add(true);
  assertEquals(share.read(), 1);
});

Deno.test("ErrorShare takes a failure among many operations for what it is, although it is not read meanwhile", async () => {
  const clock = new FakeClock();
  const share = new ErrorShare(clock);
  for (let second = 0; second < 1_200; second++) {
    for (let i = 0; i < 10; i++) share.add(false);
    await clock.advance(1_000);
  }
  share.add(true);
  // Those of 2.5 to 5 minutes.
  const total = 1 / share.read();
  assert(total > 1_480 && total <= 3_001, `${total}`);
});

Deno.test("ErrorShare is 0 again after five minutes without operations", async () => {
  const clock = new FakeClock();
  const share = new ErrorShare(clock);
  share.add(true);
  await clock.advance(5 * MINUTE);
  assertEquals(share.read(), 0);
});
