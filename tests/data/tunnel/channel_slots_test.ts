import { assertEquals, assertRejects } from "@std/assert";
import { ChannelSlots } from "../../../shared/data/tunnel/channel_slots.ts";
import { TunnelChannelLimitError } from "../../../shared/data/tunnel/mod.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

const plain = { waitMs: 0, isUrgent: false, signal: undefined };

Deno.test("ChannelSlots admits the urgent beyond its limit, and waiters only below it", async () => {
  const slots = new ChannelSlots(1, new FakeClock());
  const first = await slots.take(plain);
  const urgent = await Promise.all([1, 2].map(() => slots.take({ ...plain, isUrgent: true })));
  await assertRejects(() => slots.take({ ...plain, isUrgent: true }), TunnelChannelLimitError, "all 1 channels");
  let admitted = 0;
  const waiting = slots.take({ ...plain, waitMs: 100 }).then((release) => (admitted++, release));
  first();
  await settle();
  assertEquals([admitted, slots.used, slots.waiting], [0, 2, 1]);
  // One that comes later does not pass it.
  await assertRejects(() => slots.take(plain), TunnelChannelLimitError);
  urgent[0]?.();
  urgent[0]?.();
  await settle();
  assertEquals([admitted, slots.used], [0, 1]);
  urgent[1]?.();
  (await waiting)();
  assertEquals([admitted, slots.used, slots.waiting], [1, 0, 0]);
});

Deno.test("ChannelSlots.take() rejects at the end of its wait or with the reason of its signal, and loses no channel", async () => {
  const clock = new FakeClock();
  const slots = new ChannelSlots(1, clock);
  const release = await slots.take(plain);
  const controller = new AbortController();
  const late = assertRejects(() => slots.take({ ...plain, waitMs: 100 }), TunnelChannelLimitError);
  const aborted = assertRejects(
    () => slots.take({ ...plain, waitMs: 100, signal: controller.signal }),
    Error,
    "no longer needed",
  );
  controller.abort(new Error("no longer needed"));
  await clock.advance(100);
  release();
  await Promise.all([late, aborted]);
  assertEquals([slots.used, slots.waiting], [0, 0]);
  (await slots.take(plain))();
});
