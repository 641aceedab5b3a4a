import { assert, assertEquals, assertRejects } from "@std/assert";
import type { PostgresConnectionManager, PostgresPool } from "../../../shared/postgres/mod.ts";
import { ConnectionError } from "../../../shared/postgres/mod.ts";
import { WrittenPosition } from "../../../shared/data/replicas/wal_position.ts";
import { primary, type ScriptedGroup, scriptedGroup, standby } from "./scripted_group.ts";

const REFUSED = new ConnectionError("ECONNREFUSED", "connect ECONNREFUSED");

const never = () => new Promise<never>(() => {});

/** Longer than what is known is used without a check. */
const IDLE_MS = 90_000;

/** Lets a target answer no check, as behind a network that drops its packets. */
function blackhole(group: ScriptedGroup, index: number): void {
  Object.assign((group.targets[index]?.target.manager ?? {}) as PostgresConnectionManager, { lease: never });
}

/** Returns the name of the target that a call runs on. */
function call(group: ScriptedGroup, kind: "read" | "write", signal?: AbortSignal): Promise<string> {
  const scope = {
    poolOf: ({ name }: { readonly name: string }) => ({ name }) as unknown as PostgresPool,
    written: new WrittenPosition(),
  };
  const run = (pool: PostgresPool) => Promise.resolve((pool as unknown as { readonly name: string }).name);
  const { router } = group;
  return kind === "read"
    ? router.readFunction({ signal }, scope, run, () => false)
    : router.write({ signal }, scope, run);
}

/** Returns the time after which a call has ended, in ms, and the target that it ran on. */
async function timed(group: ScriptedGroup, calling: Promise<string>): Promise<readonly [ms: number, target: string]> {
  const startedAt = group.clock.now();
  let ended: number | undefined;
  const timing = calling.then((name) => {
    ended = group.clock.now();
    return name;
  });
  for (let step = 0; step < 300 && ended === undefined; step++) await group.clock.advance(step === 0 ? 0 : 10);
  return [(ended ?? Infinity) - startedAt, await timing];
}

/** A group that was idle for long, whose targets with these numbers answer no more. */
async function idle(answers: Parameters<typeof scriptedGroup>[0]["answers"], silent: readonly number[] = []) {
  const group = scriptedGroup({ answers });
  await group.check();
  await group.clock.advance(IDLE_MS);
  for (const index of silent) blackhole(group, index);
  return group;
}

Deno.test("TargetFreshness keeps no call waiting for a target that does not answer after a pause", async () => {
  const group = await idle([primary(), standby()], [1]);
  // Reads run at once, on a target that has answered; a write lets the others say that they were promoted.
  const reads = Promise.all([call(group, "read"), call(group, "read")]);
  const write = timed(group, call(group, "write"));
  assertEquals(await reads, ["a", "a"]);
  const later = call(group, "read");
  assertEquals(await write, [100, "a"]);
  assertEquals(await later, "a");
  assertEquals(await timed(group, call(group, "write")), [0, "a"]);
  assertEquals(group.targets[1]?.target.state, "up");
  await group.clock.advance(800);
  assertEquals(group.targets[1]?.target.state, "down");
  group.checks.stop();
});

Deno.test("TargetFreshness lets reads run on a standby while the primary does not answer, and writes wait for a new one", async () => {
  const group = await idle([primary(), standby(), standby()], [0]);
  const [, b] = group.targets;
  assert(b);
  b.answer = primary(2);
  const write = call(group, "write");
  assert(["b", "c"].includes(await call(group, "read")));
  assertEquals(await timed(group, write), [100, "b"]);
  group.checks.stop();
});

Deno.test("TargetFreshness lets a promoted target say so before a write is sent to the old primary", async () => {
  const group = await idle([primary(), standby()]);
  const [, b] = group.targets;
  assert(b);
  b.answer = primary(2);
  const answer = Promise.withResolvers<void>();
  const { lease } = b.target.manager;
  Object.assign(b.target.manager, { lease: (...args: []) => answer.promise.then(() => lease(...args)) });
  const write = call(group, "write");
  await group.clock.advance(50);
  answer.resolve();
  assertEquals(await timed(group, write), [0, "b"]);
  group.checks.stop();
});

Deno.test("TargetFreshness does not take a check of one target, after a pause, for one of the others", async () => {
  const group = await idle([primary(), standby(), standby()]);
  const [a, b, c] = group.targets;
  assert(a && b && c);
  b.answer = primary(2);
  a.answer = REFUSED;
  // An idle connection to it was lost, for example.
  await group.topology.suspect(c.target);
  assertEquals(a.target.state, "up");
  assertEquals(await timed(group, call(group, "write")), [0, "b"]);
  assertEquals(a.target.state, "down");
  group.checks.stop();
});

Deno.test("TargetFreshness lets a first call wait for all targets, but not for long", async () => {
  for (const kind of ["read", "write"] as const) {
    const all = scriptedGroup({ answers: [primary(), standby()] });
    assertEquals((await timed(all, call(all, kind)))[0], 0);
    all.checks.stop();
    const one = scriptedGroup({ answers: [primary(), standby()] });
    blackhole(one, 1);
    assertEquals(await timed(one, call(one, kind)), [500, "a"]);
    one.checks.stop();
    // Nothing is known before a check ends.
    const late = scriptedGroup({ answers: [primary(), standby(), REFUSED] });
    blackhole(late, 0);
    const [ms, target] = await timed(late, call(late, "read"));
    assertEquals([ms, target], [500, "b"]);
    late.checks.stop();
  }
});

Deno.test("TargetFreshness reads on the primary where a group reads from standbys, and none of them answers", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()], readsAvoidPrimary: true });
  await group.check();
  await group.clock.advance(IDLE_MS);
  blackhole(group, 1);
  assertEquals(await timed(group, call(group, "read")), [100, "a"]);
  group.checks.stop();
});

Deno.test("TargetFreshness ends the wait of a call that is aborted, and leaves no timer", async () => {
  const group = await idle([primary(), standby()], [0, 1]);
  const controller = new AbortController();
  const aborted = assertRejects(() => call(group, "write", controller.signal), Error, "enough");
  controller.abort(new Error("enough"));
  await aborted;
  // Both go down, and the next call fails for lack of a primary.
  const failing = assertRejects(() => call(group, "write"), Error, "No primary was found within 2800 ms");
  await group.clock.advance(800);
  await group.clock.advance(2_000);
  await failing;
  group.checks.stop();
  // The checks under way end by themselves.
  await group.clock.advance(800);
  assertEquals(group.clock.timers, 0);
});
