import { assert, assertEquals, assertRejects } from "@std/assert";
import { PostgresError, type PostgresPool } from "../../../shared/postgres/mod.ts";
import type { CallHooks } from "../../../shared/data/replicas/replica_router.ts";
import { PrimaryPosition } from "../../../shared/data/replicas/primary_position.ts";
import { NOT_REPLAYED, ScopeMarks } from "../../../shared/data/replicas/scope_marks.ts";
import { WrittenPosition } from "../../../shared/data/replicas/wal_position.ts";
import { primary, type ScriptedGroup, scriptedGroup, session, standby } from "./scripted_group.ts";

function scopeOf() {
  const poolOf = ({ name }: { readonly name: string }) => ({ name }) as unknown as PostgresPool;
  return { poolOf, written: new WrittenPosition() };
}

type Scope = ReturnType<typeof scopeOf>;

/** A write that is on its way. */
interface OpenWrite {
  /** True if it asks for the position behind it. */
  readonly asks: boolean;
  /** Ends it. */
  readonly end: (result?: Error) => Promise<void>;
}

/** Begins a write that is sent at once, and whose position is `0/64`. */
async function begin(group: ScriptedGroup, scope: Scope, { isFunction = false, own = false } = {}): Promise<OpenWrite> {
  const ending = Promise.withResolvers<void>();
  let asks = false;
  const run = async (_pool: PostgresPool, { admit, onWalPosition }: CallHooks) => {
    admit?.(session(false, Infinity));
    asks = onWalPosition !== undefined;
    await ending.promise;
    onWalPosition?.(Promise.resolve("0/64"));
  };
  const options = own ? { onWalPosition: () => {} } : {};
  const writing = group.router.write(options, scope, run, isFunction ? () => true : undefined).catch(() => {});
  await Promise.resolve();
  return {
    asks,
    async end(result) {
      if (result) ending.reject(result);
      else ending.resolve();
      await writing;
      await scope.written.pending;
    },
  };
}

/** Returns the target that a read of a scope runs on, of which the standby seems free. */
async function readOn(group: ScriptedGroup, scope: Scope): Promise<string> {
  const [a] = group.targets;
  const busy = a?.target.load.begin(group.clock.now() - 1_000);
  const run = (pool: PostgresPool) => Promise.resolve((pool as unknown as { readonly name: string }).name);
  const name = await group.router.readFunction({}, scope, run, () => false);
  if (busy) a?.target.load.drop(busy);
  return name;
}

/** Replaces the answer of the primary to the question for its position, and counts the questions. */
function positions(group: ScriptedGroup, answer: () => Promise<unknown>): { count: number } {
  const asked = { count: 0 };
  const query = () => {
    asked.count++;
    return answer();
  };
  Object.assign(group.targets[0]?.target.manager ?? {}, { query });
  return asked;
}

Deno.test("ReplicaRouter.write() asks for the position behind few of the statements in flight, and behind every function", async () => {
  const group = scriptedGroup({ answers: [primary(), standby(1, { position: 200n })] });
  await group.check();
  const scopes = [scopeOf(), scopeOf(), scopeOf(), scopeOf()] as const;
  const first = await begin(group, scopes[0]);
  const second = await begin(group, scopes[1]);
  const inFunction = await begin(group, scopes[2], { isFunction: true });
  const own = await begin(group, scopes[3], { own: true });
  assertEquals([first.asks, second.asks, inFunction.asks, own.asks], [true, false, true, true]);
  for (const write of [first, second, inFunction, own]) await write.end();
  const mark = { position: 100n, timeline: 1 };
  assertEquals(scopes.map(({ written }) => written.mark), [mark, undefined, mark, mark]);
  assertEquals(scopes.map(({ written }) => written.isUnknown), [false, true, false, false]);
  const open = [await begin(group, scopeOf()), await begin(group, scopeOf())];
  await group.clock.advance(10);
  open.push(await begin(group, scopeOf()), await begin(group, scopeOf()));
  assertEquals(open.map(({ asks }) => asks), [true, false, true, false]);
  for (const write of open) await write.end();
  // One that failed has ended as well, and a function keeps no statement from asking.
  const failed = await begin(group, scopeOf());
  await failed.end(new Error("broke"));
  const long = await begin(group, scopeOf(), { isFunction: true });
  const later = await begin(group, scopeOf());
  assertEquals(later.asks, true);
  await Promise.all([long.end(), later.end()]);
  assertEquals(group.targets[0]?.target.statements, 0);
  group.checks.stop();
});

Deno.test("ReplicaRouter.write() asks for no position in a group of one target, or for a write that was not sent", async () => {
  const alone = scriptedGroup({ answers: [primary()] });
  const scope = scopeOf();
  const write = await begin(alone, scope);
  await write.end();
  assertEquals([write.asks, scope.written.isUnknown, scope.written.mark], [false, false, undefined]);
  alone.checks.stop();
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const busy = await begin(group, scopeOf());
  const unsent = scopeOf();
  await assertRejects(() => group.router.write({}, unsent, () => Promise.reject(new Error("invalid statement"))));
  assertEquals(unsent.written.isUnknown, false);
  await busy.end();
  group.checks.stop();
});

Deno.test("ScopeMarks reads on the primary until it has the position that a write did not ask for, and does not wait for it", async () => {
  const group = scriptedGroup({ answers: [primary(), standby(1, { position: 200n })] });
  await group.check();
  const answer = Promise.withResolvers<unknown>();
  const asked = positions(group, () => answer.promise);
  const scope = scopeOf();
  const busy = await begin(group, scopeOf());
  await (await begin(group, scope)).end();
  assertEquals([await readOn(group, scope), await readOn(group, scope)], ["a", "a"]);
  answer.resolve({ rows: [{ position: "0/C8" }] });
  await answer.promise;
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals([scope.written.mark, asked.count], [{ position: 200n, timeline: 1 }, 1]);
  assertEquals(await readOn(group, scope), "b");
  await busy.end();
  group.checks.stop();
});

Deno.test("ScopeMarks asks again after a failure, and for a write that has ended meanwhile", async () => {
  const group = scriptedGroup({ answers: [primary(), standby(1, { position: 200n })] });
  await group.check();
  const scope = scopeOf();
  const results = [() => Promise.reject(new Error("away")), () => Promise.resolve({ rows: [{ position: null }] })];
  const asked = positions(group, () => {
    scope.written.noteUnknown();
    return results[asked.count - 1]?.() ?? Promise.resolve({ rows: [{ position: "0/1" }] });
  });
  scope.written.noteUnknown();
  for (let read = 1; read <= 4; read++) {
    assertEquals(await readOn(group, scope), "a");
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    assertEquals([asked.count, scope.written.isUnknown], [read, true]);
  }
  group.checks.stop();
});

Deno.test("PrimaryPosition.ask() sends one request at a time, and another one for who asks meanwhile", async () => {
  const group = scriptedGroup({ answers: [primary(3), standby()] });
  await group.check();
  const answers: PromiseWithResolvers<unknown>[] = [];
  positions(group, () => {
    const answer = Promise.withResolvers<unknown>();
    answers.push(answer);
    return answer.promise;
  });
  const position = new PrimaryPosition(group.topology);
  const first = position.ask();
  const later = [position.ask(), position.ask()];
  assertEquals(answers.length, 1);
  answers[0]?.resolve({ rows: [{ position: "0/A" }] });
  assertEquals(await first, { position: 10n, timeline: 3 });
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals(answers.length, 2);
  const last = position.ask();
  answers[1]?.resolve({ rows: [{ position: "0/B" }] });
  for (const each of later) assertEquals(await each, { position: 11n, timeline: 3 });
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  answers[2]?.reject(new Error("away"));
  assertEquals([await last, answers.length], [undefined, 3]);
  const none = scriptedGroup({ answers: [standby()] });
  await none.check();
  assertEquals(await new PrimaryPosition(none.topology).ask(), undefined);
  assert(none.topology.primary === undefined);
  for (const each of [group, none]) each.checks.stop();
});

Deno.test("ScopeMarks.checkedRead() looks again until the standby has replayed, as long as a read may wait", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  const { clock, topology, targets: [, b] } = group;
  assert(b);
  for (const [replayWaitMs, looks] of [[0, 1], [4, 1], [5, 2], [100, 3]] as const) {
    const marks = new ScopeMarks({ clock, topology, replayWaitMs });
    let count = 0;
    const transaction = () => {
      count++;
      const position = count === 3 ? "0/FF" : "0/1";
      return Promise.resolve([{ rows: [{ position, followed: 1, isolation: "read committed" }] }, { rows: [] }]);
    };
    const pool = { transaction } as unknown as PostgresPool;
    const reading = marks.checkedRead([{ query: "select" }], {}, pool, b.target, { position: 255n, timeline: 1 });
    for (let step = 0; step < 4; step++) await clock.advance(5);
    assertEquals([await reading === NOT_REPLAYED, count], [looks < 3, looks], String(replayWaitMs));
  }
});

Deno.test("ScopeMarks waits for the positions of writes that had ended before a read, and for no later ones", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  const { clock, topology } = group;
  const marks = new ScopeMarks({ clock, topology, replayWaitMs: 0 });
  const written = new WrittenPosition();
  const first = Promise.withResolvers<string>();
  written.note(first.promise, 1);
  let mark: unknown = "none yet";
  void Promise.resolve(marks.of(written, undefined)).then((found) => mark = found);
  written.note(new Promise(() => {}), 1);
  first.resolve("0/A");
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  assertEquals(mark, { position: 10n, timeline: 1 });
});

Deno.test("ScopeMarks.look() looks again until the standby has replayed, as long as a read may wait", async () => {
  for (const [replayWaitMs, looks] of [[0, 1], [4, 1], [5, 2], [100, 3]] as const) {
    const group = scriptedGroup({ answers: [primary(), standby()] });
    const { clock, topology, targets: [, b] } = group;
    assert(b);
    let count = 0;
    const query = () => Promise.resolve({ rows: [{ position: ++count === 3 ? "0/FF" : "0/1", followed: 1 }] });
    Object.assign(b.target.manager, { query });
    const mark = { position: 255n, timeline: 1 };
    const looking = new ScopeMarks({ clock, topology, replayWaitMs }).look(b.target, mark, undefined);
    for (let step = 0; step < 4; step++) await clock.advance(5);
    await looking;
    assertEquals([b.target.hasReplayed(mark), count], [looks === 3, looks], String(replayWaitMs));
  }
});

Deno.test("ReplicaTarget lags by what the primary has beyond a page header", () => {
  const { targets: [, b] } = scriptedGroup({ answers: [primary(), standby()] });
  const target = b?.target;
  assert(target);
  target.noteReport(standby(1, { position: 100n }), 0);
  target.expect(140n, 10);
  target.expect(140n, 1_000);
  assertEquals(target.lagMs, 0);
  target.expect(141n, 2_000);
  target.expect(150n, 2_500);
  assertEquals(target.lagMs, 500);
});

Deno.test("ReplicaRouter.read() checks that a session is on the primary where only that is certain to show a write", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const scope = scopeOf();
  scope.written.lease();
  let admitted = 0;
  const plain = (_pool: PostgresPool, _target: unknown, { admit }: CallHooks) => {
    admit?.(session(false, Infinity));
    if (admit) admitted++;
    return Promise.resolve([]);
  };
  await group.router.read([{ query: "select" }], {}, { scope, plain });
  assertEquals(admitted, 1);
  // A scope whose write is known reads on the primary with the same check.
  const known = scopeOf();
  known.written.reach({ position: 255n, timeline: 1 }, 0);
  const busy = group.targets[1]?.target.load.begin(group.clock.now() - 1_000);
  await group.router.read([{ query: "select" }], {}, { scope: known, plain });
  assertEquals(admitted, 2);
  if (busy) group.targets[1]?.target.load.drop(busy);
  group.checks.stop();
});

Deno.test("ReplicaRouter runs a read that its standby canceled on the primary without a pause", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  group.targets[0]?.target.load.begin(group.clock.now() - 1_000);
  const names: string[] = [];
  const run = (pool: PostgresPool) => {
    names.push((pool as unknown as { readonly name: string }).name);
    const conflict = new PostgresError({ code: "40001", severity: "ERROR", message: "conflict with recovery" });
    return names.length === 1 ? Promise.reject(conflict) : Promise.resolve("read");
  };
  assertEquals(await group.router.readFunction({}, scopeOf(), run, () => false), "read");
  assertEquals(names, ["b", "a"]);
  group.checks.stop();
});
