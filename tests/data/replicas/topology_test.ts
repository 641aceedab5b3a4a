import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { NoPrimaryError, TargetDownError, TargetRoleError } from "../../../shared/data/mod.ts";
import type { TargetWait } from "../../../shared/data/replicas/topology.ts";
import { primary, type ScriptedGroup, scriptedGroup, session, standby } from "./scripted_group.ts";

const AWAY = new Error("away");

/** Returns a wait of that many ms from now. */
function within({ clock }: ScriptedGroup, ms: number): TargetWait {
  return { since: clock.now(), until: clock.now() + ms, signal: undefined };
}

Deno.test("Topology takes the target that accepts writes as the primary, and reads from all that are up", async () => {
  const group = scriptedGroup({ answers: [standby(), primary(), AWAY] });
  await group.check();
  assertEquals(group.topology.primary?.name, "b");
  assertEquals(group.topology.readable.map(({ name }) => name), ["a", "b"]);
  const avoiding = scriptedGroup({ answers: [standby(), primary()], readsAvoidPrimary: true });
  await avoiding.check();
  assertEquals(avoiding.topology.readable.map(({ name }) => name), ["a"]);
  const alone = scriptedGroup({ answers: [AWAY, primary()], readsAvoidPrimary: true });
  await alone.check();
  assertEquals(alone.topology.readable.map(({ name }) => name), ["b"]);
});

Deno.test("Topology does not read from a standby that lags too far", async () => {
  const group = scriptedGroup({ answers: [primary(), standby(1, { lagMs: 1_001 }), standby(1, { lagMs: 1_000 })] });
  await group.check();
  assertEquals(group.topology.readable.map(({ name }) => name), ["c", "a"]);
});

Deno.test("Topology does not read from a standby that receives nothing, though it says that it does not lag", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()], maxLagMs: 1_000 });
  const [a, b] = group.targets;
  assert(a && b);
  const round = async (written: bigint, replayed: bigint) => {
    a.answer = primary(1, { position: written });
    b.answer = standby(1, { position: replayed });
    await group.clock.advance(400);
    await group.check();
    return group.topology.readable.map(({ name }) => name);
  };
  // The header of a page is not a record.
  for (let n = 0; n < 5; n++) assertEquals(await round(140n, 100n), ["b", "a"]);
  // One that follows is a little behind at each check.
  for (let n = 1n; n < 6n; n++) assertEquals(await round(140n + 1_000n * n, 140n + 900n * n), ["b", "a"]);
  for (let n = 7n; n < 9n; n++) assertEquals(await round(1_000n * n, 4_640n), ["b", "a"]);
  assertEquals(await round(9_000n, 4_640n), ["a"]);
  assertEquals(await round(9_000n, 9_000n), ["b", "a"]);
  // Behind a primary that is away it is as far as before.
  await round(10_000n, 9_000n);
  a.answer = new Error("away");
  for (let n = 0; n < 5; n++) {
    await group.clock.advance(400);
    await group.check();
  }
  assertEquals(group.topology.readable.map(({ name }) => name), ["b"]);
  group.checks.stop();
});

Deno.test("Topology prefers the highest timeline, and remembers it", async () => {
  const group = scriptedGroup({ answers: [primary(1), standby(1)] });
  const { targets: [a, b], topology, events } = group;
  await group.check();
  assert(a && b);
  a.answer = AWAY;
  b.answer = primary(2);
  await group.check();
  assertEquals(topology.primary?.name, "b");
  a.answer = primary(1);
  await group.check();
  assertEquals([topology.primary?.name, topology.readable.map(({ name }) => name)], ["b", ["b"]]);
  assert(events.includes("splitBrain b a"), events.join("\n"));
  b.answer = AWAY;
  await group.check();
  assertEquals([topology.primary, topology.readable], [undefined, []]);
  const none = assertRejects(() => topology.waitForPrimary(within(group, 1)), NoPrimaryError, "a (primary), b (down)");
  await group.clock.advance(1);
  await none;
  a.answer = standby(2);
  b.answer = primary(2);
  await group.check();
  assertEquals([topology.primary?.name, topology.readable.map(({ name }) => name)], ["b", ["a", "b"]]);
});

Deno.test("Topology knows from a standby that an old primary was replaced, though the new one cannot be reached", async () => {
  const group = scriptedGroup({ answers: [primary(1), AWAY, standby(2)] });
  const { targets: [, b], topology } = group;
  await group.check();
  assert(b);
  assertEquals([topology.primary, topology.readable.map(({ name }) => name)], [undefined, ["c"]]);
  b.answer = primary(2);
  await group.clock.advance(100);
  assertEquals(topology.primary?.name, "b");
  group.checks.stop();
});

Deno.test("Topology stays with its primary among equals, and prefers one that accepts writes", async () => {
  const group = scriptedGroup({ answers: [AWAY, primary(1)] });
  const { targets: [a, b], topology } = group;
  await group.check();
  assert(a && b);
  a.answer = primary(1);
  await group.check();
  assertEquals(topology.primary?.name, "b");
  b.answer = primary(1, { readOnly: true });
  await group.check();
  assertEquals(topology.primary?.name, "a");
  a.answer = AWAY;
  await group.check();
  assertEquals(topology.primary?.name, "b");
});

Deno.test("Topology leaves a primary at once whose session says that it is a standby", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  const { targets: [a, b], topology, events } = group;
  await group.check();
  assert(a && b);
  const checks = a.checks;
  a.answer = standby();
  topology.sessionReported(a.target, "standby", false);
  assertEquals([topology.primary, a.target.role], [undefined, "standby"]);
  await group.clock.advance(0);
  assertEquals(a.checks, checks + 1);
  b.answer = primary(2);
  topology.sessionReported(b.target, "primary", false);
  assertEquals(topology.primary, undefined, "its timeline is not known yet");
  await group.clock.advance(0);
  assertEquals(topology.primary?.name, "b");
  assertEquals(events.filter((line) => line.startsWith("primaryChanged")), [
    "primaryChanged undefined a 1",
    "primaryChanged a undefined undefined",
    "primaryChanged undefined b 2",
  ]);
});

Deno.test("Topology excludes a target of another cluster", async () => {
  const group = scriptedGroup({ answers: [primary(1), primary(9, { system: "other" })] });
  await group.check();
  assertEquals(group.topology.primary?.name, "a");
  assertEquals(group.targets[1]?.target.state, "down");
  assert(group.events.includes("error b"), group.events.join("\n"));
});

Deno.test("Topology.waitForPrimary() ends when one is found, the time is up, or the caller aborts", async () => {
  const group = scriptedGroup({ answers: [AWAY, standby()] });
  await group.check();
  const { topology, clock, targets: [a] } = group;
  const waiting = topology.waitForPrimary(within(group, 1_000));
  // The time of the whole call, of which it has waited 30 ms elsewhere.
  const wait = { ...within(group, 50), since: clock.now() - 30, cause: AWAY };
  const late = assertRejects(() => topology.waitForPrimary(wait), NoPrimaryError, "within 80 ms");
  const controller = new AbortController();
  const aborted = assertRejects(
    () => topology.waitForPrimary({ ...within(group, 1_000), signal: controller.signal }),
    Error,
    "gone",
  );
  controller.abort(new Error("gone"));
  await clock.advance(60);
  assertEquals((await late).cause, AWAY);
  await aborted;
  assert(a);
  a.answer = primary();
  await clock.advance(500);
  assertEquals((await waiting).name, "a");
});

Deno.test("TargetChecks checks often without a primary, less often what is down, and not at all what is not used", async () => {
  const group = scriptedGroup({ answers: [AWAY, standby()] });
  const { clock, targets: [a, b], checks } = group;
  await group.check();
  assert(a && b);
  await clock.advance(1_000);
  assert(a.checks >= 9 && b.checks >= 9, `${a.checks} ${b.checks}`);
  b.answer = primary(2);
  await clock.advance(200);
  const [beforeA, beforeB] = [a.checks, b.checks];
  checks.used(clock.now());
  await clock.advance(5_000);
  assert(a.checks - beforeA <= 6 && b.checks - beforeB <= 6, `${a.checks - beforeA} ${b.checks - beforeB}`);
  await clock.advance(20_000);
  const idle = [a.checks, b.checks];
  await clock.advance(60_000);
  assertEquals([a.checks, b.checks], idle);
  checks.stop();
  await checks.check(a.target);
  assertEquals([a.checks, clock.timers], [idle[0], 0]);
});

Deno.test("ReplicaTarget admits writes on sessions that are not on a standby", () => {
  const { targets: [a] } = scriptedGroup({ answers: [primary()] });
  assert(a);
  const { target } = a;
  target.admitPrimary(session(false));
  assertThrows(() => target.admitPrimary(session(true)), TargetRoleError);
  target.role = "standby";
  assertThrows(() => target.admitPrimary(session(undefined)), TargetRoleError);
  // Idle during the promotion that the check has found: a demotion would have ended the session.
  target.role = "primary";
  target.reportedAt = 50;
  target.admitPrimary(session(true, 50));
  assertThrows(() => target.admitPrimary(session(true, 51)), TargetRoleError);
});

Deno.test("ReplicaTarget knows what its standby has replayed, for connections that are not newer", () => {
  const { targets: [a] } = scriptedGroup({ answers: [standby()] });
  assert(a);
  const { target } = a;
  const mark = { position: 100n, timeline: 2 };
  assertEquals([target.hasReplayed(mark), target.lacks(mark, 0, 10)], [false, false]);
  target.noteReplayed({ position: 200n, timeline: 1 }, 5);
  assertEquals([target.hasReplayed(mark), target.lacks(mark, 10, 10), target.lacks(mark, 15, 10)], [
    false,
    true,
    false,
  ]);
  target.noteReplayed({ position: 100n, timeline: 2 }, 20);
  assertEquals(target.hasReplayed(mark), true);
  target.admitBefore()(session(true, 20));
  assertThrows(() => target.admitBefore()(session(true, 21)), TargetRoleError);
});

Deno.test("ReplicaTarget rejects reads in flight when it goes down, and writes only before they are sent", async () => {
  const { targets: [a], topology } = scriptedGroup({ answers: [primary()] });
  assert(a);
  const { target } = a;
  const reading = target.guard(new Promise(() => {}));
  let admitLater: (() => void) | undefined;
  const unsent = target.guardUnsent((admit) => {
    admitLater = () => admit(session(false));
    return new Promise(() => {});
  });
  const answered = Promise.withResolvers<string>();
  const sent = target.guardUnsent((admit) => {
    admit(session(false));
    return answered.promise;
  });
  topology.failed(target, AWAY);
  await assertRejects(() => reading, TargetDownError);
  await assertRejects(() => unsent, TargetDownError);
  // Once: later failures of checks say nothing about them.
  topology.failed(target, new Error("later"));
  const rejected = assertThrows(() => admitLater?.(), TargetDownError, undefined, "it is not sent later either");
  assertEquals(rejected.cause, AWAY);
  answered.resolve("done");
  assertEquals(await sent, "done");
});

Deno.test("Topology keeps its rules, whatever the targets report", async () => {
  const report = fc.oneof(
    { weight: 1, arbitrary: fc.constant(AWAY) },
    {
      weight: 4,
      arbitrary: fc.record({
        role: fc.constantFrom("primary" as const, "standby" as const),
        readOnly: fc.boolean(),
        timeline: fc.integer({ min: 1, max: 4 }),
        position: fc.constant(100n),
        lagMs: fc.constantFrom(0, 500, 2_000),
        system: fc.constant("s"),
      }),
    },
  );
  const step = fc.record({ target: fc.nat(3), report, kind: fc.constantFrom("check", "session", "suspect") });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, readsAvoidPrimary) => {
      const group = scriptedGroup({ answers: [AWAY, AWAY, AWAY, AWAY], readsAvoidPrimary });
      const { topology, targets, clock } = group;
      await group.check();
      let highest = 0;
      for (const { target: index, report, kind } of steps) {
        const scripted = targets[index];
        if (!scripted) continue;
        scripted.answer = report;
        const before = topology.primary;
        if (kind === "session" && !(report instanceof Error)) {
          topology.sessionReported(scripted.target, report.role, report.readOnly);
        } else if (kind === "suspect") void topology.suspect(scripted.target);
        else void group.checks.check(scripted.target);
        if (kind === "session" && !(report instanceof Error) && report.role === "standby") {
          assert(topology.primary !== scripted.target, "a standby is left at once");
        }
        await clock.advance(0);
        for (const { target } of targets) {
          if (target.state === "up") highest = Math.max(highest, target.report?.timeline ?? 0);
        }
        const { primary, readable } = topology;
        if (primary) {
          assertEquals([primary.state, primary.role, primary.report?.timeline], ["up", "primary", highest]);
          // One that seemed away, or a standby, for a moment may have been replaced.
          const isCalm = kind === "check" || before !== scripted.target;
          const isSame = isCalm && before?.state === "up" && before.role === "primary" &&
            before.report?.timeline === highest &&
            !before.report.readOnly;
          if (isSame) assertEquals(primary, before, "it stays");
        }
        for (const target of readable) {
          assertEquals(target.state, "up");
          assert(target === primary || (target.role === "standby" && (target.report?.lagMs ?? 0) <= 1_000));
          if (readsAvoidPrimary && readable.length > 1) assert(target !== primary);
        }
        const isLost = targets.some(({ target }) =>
          target.state === "up" && target.role === "primary" && target.report?.timeline === highest
        );
        assertEquals(primary !== undefined, isLost);
      }
      group.checks.stop();
    }),
    { numRuns: 150 },
  );
});
