/**
 * What can be done to the pool of a {@linkcode World}, each deed with what has
 * to be true of it at once.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import {
  DoubleReleaseError,
  ForeignReleaseError,
  LateReleaseError,
  LeaseReleasedError,
  type PoolLimits,
  type ReleaseOptions,
} from "../../../shared/pool/mod.ts";
import type { Invariant } from "./invariants.ts";
import { type Acquire, type Call, type Ending, type Grant, type Hook, Item } from "./records.ts";
import { ask } from "./asking.ts";
import type { CreateMode, HookMode } from "./workshop.ts";
import type { AnyEvent, World } from "./world.ts";

/** Aborts an acquire, whether it still waits or not. */
export function abort(world: World, entry: Acquire): void {
  if (!entry.abort || entry.abort.signal.aborted) return;
  world.transcript.did(`abort ${entry.name}`);
  const before = world.stats;
  const waits = entry.state === "waiting" ? 1 : 0;
  world.aborts += waits;
  entry.abort.abort(new Error(`${entry.name} went away`));
  // Inside the pool one may have been served already and not know it.
  if (world.nested > 0) return;
  const left = before.waitingForConnection - world.stats.waitingForConnection;
  world.verdict.hold(9, left === waits, () => `aborting ${entry.name} took ${left} out of the line, not ${waits}`);
  unchanged(world, 10, () => ({ ...before, waitingForConnection: before.waitingForConnection - waits }), "an abort");
}

/** Gives a resource back. */
export function release(world: World, grant: Grant, options: ReleaseOptions): void {
  const { item, acquire, lease } = grant;
  world.transcript.did(`release ${acquire.name} (${item})${options.destroy ? " as broken" : ""}`);
  item.holder = undefined;
  item.checkedAt = item.usedAt = world.now;
  item.broken ||= options.destroy === true;
  world.held.delete(grant);
  world.ended.push(grant);
  world.count(acquire.lane, -1);
  if (lease) lease.release(options);
  else world.pool.release(item, options);
}

/** Gives back and uses what was given back before, and gives back what was never lent. */
export function misuse(world: World, { item, acquire, lease }: Grant): void {
  world.transcript.did(`release ${acquire.name} again, use it, release a stranger`);
  const { verdict } = world;
  const before = world.stats;
  const foreign = thrown(() => world.pool.release(new Item(-1, () => {})));
  verdict.hold(16, foreign instanceof ForeignReleaseError, () => `a foreign release gives ${foreign}`);
  // By the resource alone, the next holder of what `acquire` lent cannot be told from this one.
  if (item.holder?.acquire.how !== "acquire") {
    const twice = thrown(() => world.pool.release(item));
    const isKnown = [DoubleReleaseError, ForeignReleaseError, LateReleaseError].some((kind) => twice instanceof kind);
    verdict.hold(16, isKnown, () => `releasing ${item} again gives ${twice}`);
  }
  if (lease) {
    const refused = thrown(() => lease.release());
    const isKnown = refused instanceof DoubleReleaseError || refused instanceof LateReleaseError;
    verdict.hold(16, isKnown, () => `a second release gives ${refused}`);
    lease[Symbol.dispose]();
    const late = thrown(() => lease.resource);
    verdict.hold(17, late instanceof LeaseReleasedError, () => `a late use gives ${late}`);
    verdict.hold(17, !lease.active, () => "an ended lease says that it lasts");
  }
  unchanged(world, 16, () => before, "a misuse");
}

function unchanged(world: World, invariant: Invariant, wanted: () => unknown, what: string): void {
  const difference = thrown(() => assertEquals<unknown>(world.stats, wanted()));
  world.verdict.hold(invariant, difference === undefined, () => `${what} changed the counters: ${difference}`);
}

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Ends a hook that hangs. */
export function finish(world: World, index: number, how: Ending): void {
  const hanging = [...world.calls].filter((call) => call.finish);
  const call = hanging[index % hanging.length];
  if (!call) return;
  world.transcript.did(`${call.name} ends ${how}`);
  call.finish?.(how);
}

/** Has a resource die. */
export function invalidate(world: World, item: Item): void {
  world.transcript.did(`${item} dies`);
  item.invalidate();
}

/** Decides how a hook behaves from now on. */
export function setMode(
  world: World,
  mode: { readonly hook: "create"; readonly mode: CreateMode } | {
    readonly hook: "validate" | "reset" | "destroy";
    readonly mode: HookMode;
  },
): void {
  world.transcript.did(`from now on ${mode.hook} ${mode.mode}`);
  if (mode.hook === "create") world.workshop.modes.create = mode.mode;
  else world.workshop.modes[mode.hook] = mode.mode;
}

/** Changes the size of the pool. */
export function resize(world: World, limits: PoolLimits): void {
  world.transcript.did(`pool.resize(${JSON.stringify(limits)})`);
  world.limits = limits;
  world.surplusSince = world.now;
  world.resizes++;
  world.pool.resize(limits);
}

/** What a listener, or a hook, does that nobody expects. */
export type Mischief = "throws" | "leases" | "tryLease" | "invalidates" | "aborts" | "releases";

function play(world: World, mischief: Mischief): void {
  if (mischief === "throws") throw new Error("a listener throws");
  world.nested++;
  world.nestedIn = world.turn;
  const [item, grant] = [world.live.at(-1), [...world.held].at(-1)];
  const waiter = [...world.waiting].find((entry) => entry.abort);
  if (mischief === "leases") {
    // One might be served by what is being made already.
    for (let i = 0; i < 2; i++) ask(world, { how: "lease", lane: "normal", timeoutMs: 120, abortable: true });
  }
  if (mischief === "tryLease") ask(world, { how: "tryLease", lane: "normal", timeoutMs: 0, abortable: false });
  if (mischief === "invalidates" && item) invalidate(world, item);
  if (mischief === "releases" && grant?.lease?.active) release(world, grant, {});
  if (mischief === "aborts" && waiter) abort(world, waiter);
  world.nested--;
}

/** Has a holder give its resource back as soon as it learns that it has lost it. */
export function letGo(world: World, grant: Grant): void {
  const { lease, acquire } = grant;
  if (!lease?.active) return;
  world.transcript.did(`${acquire.name} releases when it is lost`);
  lease.onLost(() => {
    if (!lease.active) return;
    world.nestedIn = world.turn;
    release(world, grant, {});
  });
}

/** Adds a listener that misbehaves, once. */
export function listen(world: World, event: AnyEvent, mischief: Mischief): void {
  if (!world.heard) return;
  world.transcript.did(`at the next ${event}, a listener: ${mischief}`);
  const subscription = world.pool.on(event, (heard) => {
    // What other listeners throw is none of its business.
    if ("source" in heard && heard.source === "listener") return;
    subscription[Symbol.dispose]();
    world.subscriptions.delete(subscription);
    play(world, mischief);
  });
  world.subscriptions.add(subscription);
}

/** Has the next call of a hook use the pool that called it. */
export function trap(world: World, hook: Hook, mischief: Exclude<Mischief, "throws">): void {
  world.transcript.did(`in the next ${hook}: ${mischief}`);
  world.traps.set(hook, () => play(world, mischief));
}

function holdsSlot(world: World, call: Call): boolean {
  return call.hook === "create" ? !world.isForgotten(call) : !world.isOver(call) && !call.item?.slotless;
}

/** Begins, or asks again for, the shutdown. */
export function shutdown(world: World, deadlineMs: number): void {
  world.transcript.did(`pool.shutdown(${deadlineMs})`);
  const before = world.shutdown;
  // Noted first: what the pool does inside the call is done by a pool that shuts down.
  const deadline = Math.min(before?.deadline ?? Infinity, world.now + deadlineMs);
  world.shutdown = { since: world.now, promise: Promise.resolve(), isCut: false, ...before, deadline };
  const held = world.held.size;
  const cut = deadlineMs === 0 && !world.closed &&
    (held > 0 || [...world.calls].some((call) => holdsSlot(world, call)));
  if (before && cut) world.shutdown = { ...world.shutdown, isCut: true };
  const promise = world.pool.shutdown(deadlineMs);
  if (before) {
    world.verdict.hold(22, promise === before.promise, () => "a second shutdown is not the first one");
    return;
  }
  world.shutdown = { ...world.shutdown, promise };
  promise.then(() => {
    world.closed = true;
    // At its deadline it waits for no hook any longer; where nothing had to be waited for, there was no deadline.
    const taken = held > 0 || [...world.calls].some((call) => holdsSlot(world, call));
    const isCut = deadlineMs === 0 ? taken : world.clock.ran >= (world.shutdown?.deadline ?? Infinity);
    if (isCut || world.shutdown?.isCut) { for (const call of world.calls) call.givenUp = true; }
  });
  const waiting = world.stats.waitingForConnection;
  world.verdict.hold(22, waiting === 0, () => `${waiting} still wait when shutdown has returned`);
}
