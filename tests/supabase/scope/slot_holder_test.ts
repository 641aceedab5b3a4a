/** Tests the slot that the members of a scope share, on a fake clock. */
import { assertEquals, assertThrows } from "@std/assert";
import { type AcquireOptions, AcquireTimeoutError, ConfigError, ResourcePool } from "../../../shared/pool/mod.ts";
import { type ClientSlot, clientSlots } from "../../../shared/supabase/client_template.ts";
import { SlotHolder, type SlotMember, type SlotPool } from "../../../shared/supabase/scope/slot_holder.ts";
import { FakeClock, settle } from "../../support/fake_clock.ts";

/** Creates a pool of one slot that records the calls of its methods. */
function oneSlot(acquireTimeoutMs = 5_000) {
  const clock = new FakeClock();
  const pool = new ResourcePool<ClientSlot>(
    clientSlots,
    { minConnections: 0, maxConnections: 1, acquireTimeoutMs },
    { clock },
  );
  const asked: string[] = [];
  const slots: SlotPool = {
    lease: (options) => {
      asked.push("lease");
      return pool.lease(options);
    },
    tryLease: (lane) => {
      asked.push("try");
      return pool.tryLease(lane);
    },
    config: pool.config,
  };
  const stats = () => {
    const { activeConnections, waitingForConnection } = pool.getStats();
    return { active: activeConnections, waiting: waitingForConnection };
  };
  return { pool, clock, asked, slots, stats, holder: () => new SlotHolder(slots, clock, 6) };
}

const member = (): SlotMember => ({ isView: false, end: () => {} });

/** Takes the slot for `member`. Returns how it was granted, or the code of the error. */
async function taken(holder: SlotHolder, member: SlotMember, options: AcquireOptions = {}): Promise<string> {
  try {
    const waiting = holder.take(member, options.lane, options.timeoutMs, options.signal);
    if (waiting === undefined) return "at once";
    await waiting;
    return holder.members.includes(member) ? "waited" : "left";
  } catch (error) {
    return Reflect.get(Object(error), "code");
  }
}

Deno.test("SlotHolder.take() takes a free slot at once and waits for others", async () => {
  const { pool, asked, stats, holder } = oneSlot();
  const first = holder();
  const user = member();
  assertEquals([await taken(first, user), asked.splice(0), stats().active], ["waited", ["try", "lease"], 1]); // created
  first.leave(user);
  assertEquals([await taken(first, user), asked.splice(0), stats().active], ["at once", ["try"], 1]);

  const second = holder();
  const waiting = taken(second, user);
  first.leave(user);
  assertEquals([await waiting, asked.splice(0), stats().active], ["waited", ["try", "lease"], 1]);
  second.leave(user);
  assertEquals(stats().active, 0);
  await pool.shutdown();
});

Deno.test("SlotHolder.take() rejects bad options and aborted signals whether a slot is free or not", async () => {
  const { pool, stats, holder } = oneSlot();
  (await pool.lease()).release();
  const slot = holder();
  assertEquals(await taken(slot, member(), { timeoutMs: -1 }), "CONFIG_INVALID");
  const user = member();
  assertEquals(await taken(slot, user, { timeoutMs: 10 }), "waited");
  slot.leave(user);
  assertThrows(() => slot.take(member(), "express" as "high", undefined, undefined), ConfigError);
  assertEquals(await taken(slot, member(), { signal: AbortSignal.abort(new Error("gone")) }), "ACQUIRE_ABORTED");
  assertEquals([slot.members.length, stats().active], [0, 0]);
  await pool.shutdown();
  assertEquals(await taken(slot, member()), "POOL_CLOSED");
});

Deno.test("SlotHolder.take() is idempotent for a member that holds the slot or waits for it", async () => {
  const { pool, holder, stats } = oneSlot();
  const other = await pool.lease();
  const slot = holder();
  const user = member();
  const waiting = slot.take(user, undefined, undefined, undefined);
  assertEquals(slot.take(user, undefined, undefined, undefined), waiting);
  other.release();
  await waiting;
  assertEquals([slot.take(user, undefined, undefined, undefined), slot.members.length], [undefined, 1]);
  slot.leave(user);
  assertEquals(stats(), { active: 0, waiting: 0 });
  await pool.shutdown();
});

Deno.test("SlotHolder.take() removes the wait of a member from the queue when its signal aborts", async () => {
  const { pool, clock, holder, stats } = oneSlot();
  const other = await pool.lease();
  const slot = holder();
  const leaver = new AbortController();
  const a = taken(slot, member(), { lane: "high", signal: leaver.signal });
  const b = taken(slot, member(), { timeoutMs: 50 });
  assertEquals(stats().waiting, 2);
  leaver.abort(new Error("left"));
  assertEquals([await a, stats().waiting], ["ACQUIRE_ABORTED", 1]);
  await clock.advance(50);
  assertEquals([await b, stats().waiting], ["ACQUIRE_TIMEOUT", 0]);
  other.release();
  await settle();
  assertEquals([stats(), slot.members.length], [{ active: 0, waiting: 0 }, 0]);
  await pool.shutdown();
});

Deno.test("SlotHolder.take() waits for the timeout and in the lane of each member", async () => {
  const { pool, clock, holder } = oneSlot();
  const other = await pool.lease();
  const slot = holder();
  const settled: string[] = [];
  const take = async (name: string, options: AcquireOptions, who = member()) => {
    settled.push(`${name} ${await taken(slot, who, options)}`);
  };
  take("first", { timeoutMs: 60 });
  take("short", { timeoutMs: 20 });
  const long = member();
  const longTaken = take("long", { timeoutMs: 5_000, lane: "high" }, long);
  await clock.advance(30);
  take("later", { timeoutMs: 60 });
  await clock.advance(59);
  assertEquals(settled, ["short ACQUIRE_TIMEOUT", "first ACQUIRE_TIMEOUT"]);
  await clock.advance(1);
  assertEquals(settled.at(-1), "later ACQUIRE_TIMEOUT");
  assertEquals(await taken(slot, member(), { timeoutMs: 0 }), "ACQUIRE_TIMEOUT");
  const next = pool.lease();
  other.release(); // the higher lane comes first
  await longTaken;
  assertEquals([settled.at(-1), pool.getStats().waitingForConnection], ["long waited", 1]);
  assertEquals(slot.waitedMs, 90, "waiting twice at once counts once");
  slot.leave(long);
  (await next).release();
  await pool.shutdown();
});

Deno.test("SlotHolder.take() waits for the pool's acquireTimeoutMs by default, from the start of each call", async () => {
  const { pool, clock, holder } = oneSlot(80);
  const other = await pool.lease();
  const slot = holder();
  const codes: string[] = [];
  taken(slot, member()).then((code) => codes.push(code));
  await clock.advance(40);
  taken(slot, member()).then((code) => codes.push(code));
  await clock.advance(79);
  assertEquals(codes, ["ACQUIRE_TIMEOUT"]);
  await clock.advance(1);
  assertEquals(codes, ["ACQUIRE_TIMEOUT", "ACQUIRE_TIMEOUT"]);
  other.release();
  await pool.shutdown();
});

Deno.test("SlotHolder.take() does not acquire again for the member whose wait times out early by the clock", async () => {
  const { pool, slots, asked, clock } = oneSlot();
  const refusing: SlotPool = {
    ...slots,
    lease: () => {
      asked.push("lease");
      return Promise.reject(new AcquireTimeoutError("Connection acquire timeout"));
    },
  };
  const slot = new SlotHolder(refusing, clock, 6);
  assertEquals(await Promise.all([taken(slot, member()), taken(slot, member())]), [
    "ACQUIRE_TIMEOUT",
    "ACQUIRE_TIMEOUT",
  ]);
  assertEquals(asked, ["try", "lease", "lease"], "the second member, which came later, has its own timeout");
  await pool.shutdown();
});

Deno.test("SlotHolder.take() serves all members with the first granted slot, and ends the other waits", async () => {
  const { pool, holder, stats } = oneSlot();
  const other = await pool.lease();
  const slot = holder();
  const members = [member(), member(), member(), member()];
  const waits = members.map((who, i) => taken(slot, who, { timeoutMs: 5_000 + i % 3 }));
  assertEquals(stats().waiting, 3);
  other.release();
  await Promise.all(waits);
  assertEquals(stats(), { active: 1, waiting: 0 });
  for (const who of members) slot.leave(who);
  assertEquals(stats(), { active: 0, waiting: 0 });
  await pool.shutdown();
});

Deno.test("SlotHolder.abort() rejects the members that wait and those that come later", async () => {
  const { pool, holder, stats } = oneSlot();
  const other = await pool.lease();
  const slot = holder();
  const waits = [5_000, 5_001, 5_002].map((timeoutMs) => taken(slot, member(), { timeoutMs }));
  slot.abort(new Error("gone"));
  assertEquals([await Promise.all(waits), stats().waiting], [Array(3).fill("ACQUIRE_ABORTED"), 0]);
  other.release();
  assertEquals(await taken(slot, member()), "ACQUIRE_ABORTED");
  assertEquals([stats(), slot.members.length], [{ active: 0, waiting: 0 }, 0]);
  await pool.shutdown();
});

Deno.test("SlotHolder.leave() resolves the wait of a member that leaves without a reason", async () => {
  const { pool, holder, stats } = oneSlot();
  const other = await pool.lease();
  const slot = holder();
  const closing = member();
  const closed = taken(slot, closing);
  slot.leave(closing);
  assertEquals([await closed, stats().waiting], ["left", 0]);
  other.release();
  assertEquals(stats(), { active: 0, waiting: 0 });
  await pool.shutdown();
});

Deno.test("SlotHolder.leave() destroys the slot with its last member, and returns false after a revocation", async () => {
  const { pool, holder } = oneSlot();
  const slot = holder();
  const ended: unknown[] = [];
  const users = [member(), {
    isView: false,
    end: (reason: unknown) => void ended.push(Reflect.get(Object(reason), "code")),
  }];
  for (const user of users) await taken(slot, user);
  assertEquals(slot.leave(users[0] ?? member(), true), true);
  assertEquals(pool.getStats().totalDestroyed, 0);
  await pool.shutdown(0);
  assertEquals(ended, ["LEASE_REVOKED"]);
  assertEquals(await taken(slot, member()), "LEASE_REVOKED");
  assertEquals(slot.leave(users[1] ?? member()), false);
  assertEquals(slot.leave(users[1] ?? member()), true, "it has left");
  assertEquals(await taken(slot, member()), "POOL_CLOSED");
});
