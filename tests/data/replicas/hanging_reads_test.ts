import { assert, assertEquals, assertRejects } from "@std/assert";
import { AcquireTimeoutError, QueueFullError } from "../../../shared/pool/mod.ts";
import { ConnectionError, PostgresError, type PostgresPool } from "../../../shared/postgres/mod.ts";
import type { CallHooks } from "../../../shared/data/replicas/replica_router.ts";
import { TargetDownError, TargetRoleError } from "../../../shared/data/mod.ts";
import { WrittenPosition } from "../../../shared/data/replicas/wal_position.ts";
import { primary, scriptedGroup, standby } from "./scripted_group.ts";

const REFUSED = new ConnectionError("ECONNREFUSED", "connect ECONNREFUSED");

const never = () => new Promise<never>(() => {});

function scope(signal?: AbortSignal) {
  const poolOf = ({ name }: { readonly name: string }) => ({ name }) as unknown as PostgresPool;
  return { poolOf, written: new WrittenPosition(), signal };
}

const nameOf = (pool: PostgresPool) => (pool as unknown as { readonly name: string }).name;

/** A group whose standby `b` seems free. */
async function start() {
  const group = scriptedGroup({ answers: [primary(), standby()] });
  await group.check();
  const [a, b] = group.targets;
  assert(a && b);
  const busy = a.target.load.begin(group.clock.now() - 1_000);
  return { group, a, b, busy };
}

Deno.test("ReplicaRouter.readFunction() aborts a function whose target stops responding, and runs it elsewhere", async () => {
  for (const isFinal of [false, true]) {
    const { group, b } = await start();
    const sent: string[] = [];
    const aborted: unknown[] = [];
    const run = (pool: PostgresPool, { signal }: CallHooks) => {
      sent.push(nameOf(pool));
      signal?.addEventListener("abort", () => aborted.push(signal.reason));
      return sent.length === 1 ? never() : Promise.resolve("read");
    };
    const running = group.router.readFunction({}, scope(), run, () => isFinal).catch((error) => error);
    await group.clock.advance(1);
    b.answer = REFUSED;
    await group.check();
    await group.clock.advance(200);
    const outcome = await running;
    if (isFinal) assert(outcome instanceof TargetDownError);
    else assertEquals(outcome, "read");
    assertEquals(sent, isFinal ? ["b"] : ["b", "a"]);
    assert(aborted[0] instanceof TargetDownError && aborted.length === 1);
    group.checks.stop();
  }
});

Deno.test("ReplicaRouter.readFunction() passes the signal of its caller on", async () => {
  const { group } = await start();
  const controller = new AbortController();
  const run = (_pool: PostgresPool, { signal }: CallHooks) =>
    new Promise<never>((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  const running = group.router.readFunction({ signal: controller.signal }, scope(), run, () => false);
  const aborted = assertRejects(() => running, Error, "enough");
  await group.clock.advance(1);
  controller.abort(new Error("enough"));
  await aborted;
  group.checks.stop();
});

Deno.test("ReplicaRouter counts a call without a response for the load of its target only as long as it took", async () => {
  const cases = [
    [new Error("invalid statement"), false],
    [new QueueFullError("the queue is full"), false],
    [new TargetRoleError("b", "a primary"), false],
    [new PostgresError({ code: "53300", severity: "FATAL", message: "too many connections" }), false],
    // These show that the target is fast, or slow.
    [new PostgresError({ code: "42601", severity: "ERROR", message: "syntax error" }), true],
    [new AcquireTimeoutError("full"), true],
    [undefined, true],
  ] as const;
  for (const [error, counts] of cases) {
    const { group, b, busy, a } = await start();
    const { load } = b.target;
    load.end(load.begin(group.clock.now() - 100), group.clock.now());
    await group.clock.advance(5_000);
    const expected = load.latencyMs(group.clock.now());
    group.targets[0]?.target.load.drop(busy);
    a.target.load.begin(group.clock.now() - 10_000);
    const run = async () => {
      await group.clock.advance(10);
      if (error) throw error;
      return "read";
    };
    await group.router.readFunction({}, scope(), run, () => true).catch(() => {});
    const decayed = expected * Math.exp(-10 / 10_000);
    assertEquals(Math.abs(load.latencyMs(group.clock.now()) - decayed) > 1e-6, counts, String(error));
    group.checks.stop();
  }
});

Deno.test("ReplicaRouter counts an aborted call as slow as it was, not as a fast response", async () => {
  const { group, b } = await start();
  const { load } = b.target;
  const controller = new AbortController();
  const run = async () => {
    await group.clock.advance(300);
    controller.abort(new Error("enough"));
    throw new PostgresError({ code: "57014", severity: "ERROR", message: "canceling statement due to user request" });
  };
  await assertRejects(() => group.router.readFunction({ signal: controller.signal }, scope(), run, () => false));
  assertEquals(load.latencyMs(group.clock.now()), 300);
  const quick = load.begin(group.clock.now());
  load.abort(quick, group.clock.now());
  assertEquals(load.latencyMs(group.clock.now()), 300);
  group.checks.stop();
});

Deno.test("ReplicaRouter ends the waits of a scope that is aborted", async () => {
  const group = scriptedGroup({ answers: [standby(), standby()] });
  await group.check();
  const controller = new AbortController();
  const write = () => group.router.write({}, scope(controller.signal), () => Promise.resolve("sent"));
  const aborted = assertRejects(write, Error, "enough");
  await group.clock.advance(1);
  controller.abort(new Error("enough"));
  await aborted;
  group.checks.stop();
});
