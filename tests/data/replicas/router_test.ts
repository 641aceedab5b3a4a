import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  CommitOutcomeUnknownError,
  ConnectionError,
  ConnectionLostError,
  PostgresError,
  type PostgresPool,
  SessionUnsuitableError,
} from "../../../shared/postgres/mod.ts";
import { AcquireTimeoutError } from "../../../shared/pool/mod.ts";
import type { CallHooks } from "../../../shared/data/replicas/replica_router.ts";
import type { ReplicaTarget } from "../../../shared/data/replicas/replica_target.ts";
import { WrittenPosition } from "../../../shared/data/replicas/wal_position.ts";
import { primary, scriptedGroup, session, standby } from "./scripted_group.ts";

const REFUSED = new ConnectionError("ECONNREFUSED", "connect ECONNREFUSED");
const LOST = new ConnectionLostError(new Error("reset"));
const READ_ONLY = new PostgresError({ code: "25006", severity: "ERROR", message: "cannot execute INSERT" });
const UNIQUE = new PostgresError({ code: "23505", severity: "ERROR", message: "duplicate key" });
const CONFLICT = new PostgresError({ code: "40001", severity: "ERROR", message: "conflict with recovery" });

/** A scope whose pools are named as their targets. */
function scopeOf() {
  const written = new WrittenPosition();
  return { poolOf: ({ name }: { readonly name: string }) => ({ name }) as unknown as PostgresPool, written };
}

const nameOf = (pool: PostgresPool) => (pool as unknown as { readonly name: string }).name;

/** Runs a write whose attempts have the given results, and returns the targets that it was sent to. */
async function write(
  group: ReturnType<typeof scriptedGroup>,
  results: readonly unknown[],
  { begun = false, scope = scopeOf() } = {},
): Promise<{ readonly sent: string[]; readonly outcome: unknown }> {
  const sent: string[] = [];
  const running = group.router.write({}, scope, (pool, { admit }: CallHooks) => {
    const result = results[sent.length] ?? "done";
    sent.push(nameOf(pool));
    if (result !== REFUSED) admit?.(session(false, Infinity));
    return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
  }, () => begun);
  let outcome: unknown;
  const settled = running.then((result) => outcome = result, (error) => outcome = error);
  // First what is due at once: a check takes no time here.
  for (let step = 0; step < 20; step++) await group.clock.advance(1);
  await group.clock.advance(3_000);
  await settled;
  group.checks.stop();
  return { sent, outcome };
}

Deno.test("ReplicaRouter.write() never repeats a write whose outcome is unknown", async () => {
  for (const error of [LOST, new CommitOutcomeUnknownError(LOST)]) {
    const group = scriptedGroup({ answers: [primary(), standby()] });
    const { sent, outcome } = await write(group, [error]);
    assertEquals([sent, outcome], [["a"], error]);
  }
});

Deno.test("ReplicaRouter.write() repeats a write that was not sent on the new primary, unless its function has begun", async () => {
  for (const begun of [false, true]) {
    for (const error of [REFUSED, new SessionUnsuitableError("primary")]) {
      const group = scriptedGroup({ answers: [primary(), standby()] });
      await group.check();
      const [a, b] = group.targets;
      assert(a && b);
      a.answer = REFUSED;
      b.answer = primary(2);
      const { sent, outcome } = await write(group, [error], { begun });
      assertEquals([sent, outcome], begun ? [["a"], error] : [["a", "b"], "done"]);
    }
  }
});

Deno.test("ReplicaRouter.write() repeats what a demoted primary rejected, and passes on what its primary rejects", async () => {
  const demoted = scriptedGroup({ answers: [primary(), standby()] });
  await demoted.check();
  const [a, b] = demoted.targets;
  assert(a && b);
  a.answer = standby();
  b.answer = primary(2);
  assertEquals((await write(demoted, [READ_ONLY])).sent, ["a", "b"]);
  const same = scriptedGroup({ answers: [primary(), standby()] });
  assertEquals(await write(same, [READ_ONLY]), { sent: ["a"], outcome: READ_ONLY });
  const other = scriptedGroup({ answers: [primary(), standby()] });
  assertEquals(await write(other, [UNIQUE]), { sent: ["a"], outcome: UNIQUE });
});

Deno.test("ReplicaRouter.write() sends nothing on a session that is on a standby", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const [a, b] = group.targets;
  assert(a && b);
  a.answer = standby();
  b.answer = primary(2);
  const sent: string[] = [];
  const running = group.router.write({}, scopeOf(), (pool, { admit }) => {
    admit?.(session(nameOf(pool) === "a", Infinity));
    sent.push(nameOf(pool));
    return Promise.resolve();
  });
  await group.clock.advance(100);
  await running;
  assertEquals(sent, ["b"]);
});

Deno.test("ReplicaRouter.write() sends nothing to a primary that was replaced while a write waited for its connection", async () => {
  for (const isAway of [false, true]) {
    const group = scriptedGroup({ answers: [primary(), standby()] });
    await group.check();
    const [a, b] = group.targets;
    assert(a && b);
    const leased = Promise.withResolvers<void>();
    const sent: string[] = [];
    const running = group.router.write({}, scopeOf(), async (pool, { admit }) => {
      if (nameOf(pool) === "a") await leased.promise;
      admit?.(session(false, 0));
      sent.push(nameOf(pool));
    });
    await group.clock.advance(0);
    // The old primary goes on, and accepts writes.
    b.answer = primary(2);
    await group.check();
    if (isAway) {
      b.answer = REFUSED;
      await group.check();
    }
    const checks = a.checks;
    leased.resolve();
    await group.clock.advance(50);
    b.answer = primary(2);
    await group.clock.advance(200);
    await running;
    assertEquals(sent, ["b"]);
    if (!isAway) {
      assertEquals([a.checks, group.events.filter((line) => line.startsWith("splitBrain"))], [checks, [
        "splitBrain b a",
      ]]);
    }
    group.checks.stop();
  }
});

Deno.test("ReplicaRouter.write() notes the position of every attempt, also of one that failed", async () => {
  const group = scriptedGroup({ answers: [primary(3), standby()] });
  const scope = scopeOf();
  await group.router.write({}, scope, (_pool, { onWalPosition }) => {
    onWalPosition?.(Promise.resolve("0/A"));
    return Promise.resolve();
  });
  await scope.written.pending;
  assertEquals(scope.written.mark, { position: 10n, timeline: 3 });
  await assertRejects(() =>
    group.router.write({}, scope, (_pool, { onWalPosition }) => {
      onWalPosition?.(Promise.resolve(undefined));
      return Promise.reject(LOST);
    })
  );
  await scope.written.pending;
  assertEquals(scope.written.isUnknown, true);
});

Deno.test("ReplicaRouter.readFunction() runs a read elsewhere that its target failed, and on the primary after a conflict", async () => {
  const cases = [
    { error: LOST, then: ["a"] },
    { error: CONFLICT, then: ["a"] },
    { error: READ_ONLY, then: ["a"] },
    { error: new AcquireTimeoutError("full"), then: ["a"] },
    { error: UNIQUE, then: [] },
  ];
  for (const { error, then } of cases) {
    for (const isFinal of [false, true]) {
      const group = scriptedGroup({ answers: [primary(), standby()], readsAvoidPrimary: error === CONFLICT });
      await group.check();
      // Only the standby seems free.
      group.targets[0]?.target.load.begin(group.clock.now() - 1_000);
      const sent: string[] = [];
      const running = group.router.readFunction({}, scopeOf(), (pool) => {
        sent.push(nameOf(pool));
        return sent.length === 1 ? Promise.reject(error) : Promise.resolve("read");
      }, () => isFinal);
      const settled = running.catch((thrown) => thrown);
      await group.clock.advance(200);
      const outcome = await settled;
      const isRepeated = !isFinal && then.length > 0;
      assertEquals([sent, outcome], isRepeated ? [["b", ...then], "read"] : [["b"], error], String(error));
      group.checks.stop();
    }
  }
});

Deno.test("ReplicaRouter.readFunction() runs a read on the primary that a standby canceled, and not on another standby", async () => {
  const group = scriptedGroup({ answers: [primary(), standby(), standby()], readsAvoidPrimary: true });
  await group.check();
  const sent: string[] = [];
  const reading = group.router.readFunction({}, scopeOf(), (pool) => {
    sent.push(nameOf(pool));
    return sent.length === 1 ? Promise.reject(CONFLICT) : Promise.resolve("read");
  }, () => false);
  await group.clock.advance(100);
  assertEquals([await reading, sent[1]], ["read", "a"]);
  group.checks.stop();
});

Deno.test("WrittenPosition keeps the latest position of the highest timeline, and waits for those on their way", async () => {
  const written = new WrittenPosition();
  assertEquals([written.mark, written.pending], [undefined, undefined]);
  const later = Promise.withResolvers<string | undefined>();
  written.note(Promise.resolve("1/0"), 1);
  written.note(later.promise, 1);
  const { pending } = written;
  assert(pending);
  later.resolve("0/FF");
  await pending;
  assertEquals([written.mark, written.pending], [{ position: 1n << 32n, timeline: 1 }, undefined]);
  written.note(Promise.resolve("0/1"), 2);
  await written.pending;
  assertEquals(written.mark, { position: 1n, timeline: 2 });
  written.note(Promise.resolve("no position"), 2);
  await written.pending;
  assertEquals(written.isUnknown, true);
  const { unknown } = written;
  written.note(Promise.resolve(undefined), 2);
  await written.pending;
  written.reach({ position: 9n, timeline: 2 }, unknown);
  assertEquals([written.isUnknown, written.mark], [true, { position: 9n, timeline: 2 }]);
  written.reach({ position: 10n, timeline: 2 }, written.unknown);
  assertEquals([written.isUnknown, written.mark], [false, { position: 10n, timeline: 2 }]);
});

/** Replaces a method of a target's manager. */
function script(target: ReplicaTarget, methods: Partial<Record<"lease" | "query", () => Promise<unknown>>>): void {
  Object.assign(target.manager, methods);
}

const never = () => new Promise<never>(() => {});

Deno.test("ReplicaRouter.readFunction() keeps reading on the primary after a write of unknown outcome during its look", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const [a] = group.targets;
  assert(a);
  const scope = scopeOf();
  scope.written.note(Promise.resolve(undefined), 1);
  script(a.target, {
    query: async () => {
      // Another write of the scope ends before the position of the first one has arrived.
      scope.written.note(Promise.resolve(undefined), 1);
      await scope.written.pending;
      return { rows: [{ position: "0/1" }] };
    },
  });
  // Only the standby seems free.
  a.target.load.begin(group.clock.now() - 1_000);
  const read = () => group.router.readFunction({}, scope, (pool) => Promise.resolve(nameOf(pool)), () => false);
  assertEquals(await read(), "a");
  group.checks.stop();
});

Deno.test("ReplicaRouter reads on the primary if the position of a write does not arrive, and not after an abort", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const scope = scopeOf();
  scope.written.note(never(), 1);
  const read = (signal?: AbortSignal) =>
    group.router.readFunction({ signal }, scope, (pool) => Promise.resolve(nameOf(pool)), () => false);
  const controller = new AbortController();
  const aborted = assertRejects(() => read(controller.signal), Error, "enough");
  const running = read();
  controller.abort(new Error("enough"));
  await aborted;
  await group.clock.advance(1_100);
  assertEquals(await running, "a");
  group.checks.stop();
});

Deno.test("ReplicaRouter.write() does not wait for the position of a write whose server goes down", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const [a] = group.targets;
  assert(a);
  const scope = scopeOf();
  await group.router.write({}, scope, (_pool, { onWalPosition }) => {
    onWalPosition?.(never());
    return Promise.resolve();
  });
  const { pending } = scope.written;
  a.answer = REFUSED;
  await group.check();
  await pending;
  assertEquals(scope.written.isUnknown, true);
  group.checks.stop();
});

Deno.test("ReplicaRouter.readFunction() does not wait for a look at a standby that goes down", async () => {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const [a, b] = group.targets;
  assert(a && b);
  const scope = scopeOf();
  scope.written.note(Promise.resolve("0/FF"), 1);
  await scope.written.pending;
  await group.clock.advance(20);
  a.target.load.begin(group.clock.now() - 1_000);
  let looks = 0;
  script(b.target, {
    query: () => {
      looks++;
      return never();
    },
  });
  const running = group.router.readFunction({}, scope, (pool) => Promise.resolve(nameOf(pool)), () => false);
  await group.clock.advance(1);
  b.answer = REFUSED;
  await group.check();
  await group.clock.advance(100);
  assertEquals([await running, looks], ["a", 1]);
  group.checks.stop();
});

Deno.test("ReplicaRouter ends a call that is aborted while targets are checked", async () => {
  const group = scriptedGroup({ answers: [primary()] });
  const [a] = group.targets;
  assert(a);
  script(a.target, { lease: never });
  const controller = new AbortController();
  const write = () => group.router.write({ signal: controller.signal }, scopeOf(), () => Promise.resolve("sent"));
  const aborted = assertRejects(write, Error, "enough");
  controller.abort(new Error("enough"));
  await aborted;
  group.checks.stop();
});

Deno.test("ReplicaRouter.read() counts a look in one snapshot only for the next one", async () => {
  for (const [isolation, transactions] of [["read committed", 1], ["repeatable read", 2]] as const) {
    const group = scriptedGroup({ answers: [primary(), standby()] });
    await group.check();
    const [a] = group.targets;
    assert(a);
    const written = new WrittenPosition();
    written.note(Promise.resolve("0/FF"), 1);
    await written.pending;
    await group.clock.advance(20);
    a.target.load.begin(group.clock.now() - 1_000);
    const sent: string[] = [];
    const poolOf = ({ name }: { readonly name: string }) => {
      const transaction = () => {
        sent.push(name);
        const look = { rows: [{ position: "0/FF", followed: 1, isolation }] };
        return Promise.resolve([look, { rows: [{ n: sent.length }] }]);
      };
      return { name, transaction } as unknown as PostgresPool;
    };
    const [result] = await group.router.read([{ query: "select n" }], {}, {
      scope: { poolOf, written },
      plain: () => Promise.reject(new Error("not checked")),
    });
    assertEquals([sent, result?.rows], [Array(transactions).fill("b"), [{ n: transactions }]]);
    group.checks.stop();
  }
});
