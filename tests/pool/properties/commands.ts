/**
 * Commands on the pool of a {@linkcode Model}, each with the invariants that hold
 * right after it.
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
import { requestLease } from "./acquire_oracle.ts";
import type { CreateMode, HookMode } from "./fake_factory.ts";
import type { AnyEvent, Model } from "./model.ts";
import { isProbeSlotHeld, requestProbe } from "./probes.ts";
import { tamperWithLease, tamperWithPool } from "./tampering.ts";

/** Aborts an acquire, whether it still waits or not. */
export function abort(model: Model, entry: Acquire): void {
  if (!entry.abort || entry.abort.signal.aborted) return;
  model.transcript.did(`abort ${entry.name}`);
  const before = model.stats;
  const waits = entry.state === "waiting" ? 1 : 0;
  model.aborts += waits;
  entry.abort.abort(new Error(`${entry.name} was aborted`));
  // Inside the pool an acquire may have been served without having been notified.
  if (model.nested > 0) return;
  const left = before.waitingForConnection - model.stats.waitingForConnection;
  model.verdict.hold(9, left === waits, () => `aborting ${entry.name} removed ${left} from the queue, not ${waits}`);
  const waiting = { waitingForConnection: before.waitingForConnection - waits };
  // The number of flows follows from the waiters.
  const { waitingFlows } = model.stats;
  const flows = waitingFlows === undefined ? {} : { waitingFlows };
  unchanged(model, 10, () => ({ ...before, ...waiting, ...flows }), "an abort");
}

/** Gives a resource back. */
export function release(model: Model, grant: Grant, options: ReleaseOptions): void {
  const { item, acquire, lease } = grant;
  model.transcript.did(`release ${acquire.name} (${item})${options.destroy ? " as broken" : ""}`);
  item.holder = undefined;
  item.checkedAt = item.usedAt = model.now;
  item.broken ||= options.destroy === true;
  model.held.delete(grant);
  model.ended.push(grant);
  model.count(acquire.lane, -1);
  if (lease) lease.release(options);
  else model.pool.release(item, options);
}

/** Releases and uses a released resource, and releases one that was never leased. */
export function misuse(model: Model, { item, acquire, lease }: Grant): void {
  model.transcript.did(`release ${acquire.name} again, use it, release a stranger`);
  const { verdict } = model;
  const before = model.stats;
  const foreign = thrown(() => model.pool.release(new Item(-1, () => {})));
  verdict.hold(16, foreign instanceof ForeignReleaseError, () => `a foreign release gives ${foreign}`);
  // By the resource alone, the pool cannot distinguish the next holder of an `acquire` from this one.
  if (item.holder?.acquire.how !== "acquire") {
    const twice = thrown(() => model.pool.release(item));
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
    verdict.hold(17, !lease.active, () => "a released lease is active");
  }
  unchanged(model, 16, () => before, "a misuse");
}

function unchanged(model: Model, invariant: Invariant, wanted: () => unknown, what: string): void {
  const difference = thrown(() => assertEquals<unknown>(model.stats, wanted()));
  model.verdict.hold(invariant, difference === undefined, () => `${what} changed the counters: ${difference}`);
}

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

/** Settles a hook that hangs. */
export function finish(model: Model, index: number, how: Ending): void {
  const hanging = [...model.calls].filter((call) => call.finish);
  const call = hanging[index % hanging.length];
  if (!call) return;
  model.transcript.did(`${call.name} ends ${how}`);
  call.finish?.(how);
}

/** Invalidates a resource. */
export function invalidate(model: Model, item: Item): void {
  model.transcript.did(`${item} dies`);
  item.invalidate();
}

/** Sets the behavior of a hook. */
export function setMode(
  model: Model,
  mode: { readonly hook: "create"; readonly mode: CreateMode } | {
    readonly hook: "validate" | "reset" | "destroy";
    readonly mode: HookMode;
  },
): void {
  model.transcript.did(`from now on ${mode.hook} ${mode.mode}`);
  if (mode.hook === "create") model.factory.modes.create = mode.mode;
  else model.factory.modes[mode.hook] = mode.mode;
}

/** Resizes the pool. */
export function resize(model: Model, limits: PoolLimits): void {
  model.transcript.did(`pool.resize(${JSON.stringify(limits)})`);
  model.limits = limits;
  model.surplusSince = model.now;
  model.resizes++;
  model.pool.resize(limits);
}

/** Unexpected actions of a listener or a hook. */
export type Interference =
  | "throws"
  | "leases"
  | "tryLease"
  | "invalidates"
  | "aborts"
  | "releases"
  | "probes"
  | "tampers";

function play(model: Model, interference: Interference, target = model.live.at(-1)): void {
  if (interference === "throws") throw new Error("a listener throws");
  model.nested++;
  model.nestedIn = model.turn;
  const grant = [...model.held].at(-1);
  const waiter = [...model.waiting].find((entry) => entry.abort);
  if (interference === "leases") {
    // One of them may be served by a resource that is being created already.
    for (let i = 0; i < 2; i++) requestLease(model, { how: "lease", lane: "normal", timeoutMs: 120, abortable: true });
  }
  if (interference === "tryLease") {
    requestLease(model, { how: "tryLease", lane: "normal", timeoutMs: 0, abortable: false });
  }
  if (interference === "invalidates" && target) invalidate(model, target);
  if (interference === "probes") requestProbe(model, 120, true);
  if (interference === "tampers") {
    tamperWithPool(model);
    if (grant) tamperWithLease(model, grant);
  }
  if (interference === "releases" && grant?.lease?.active) release(model, grant, {});
  if (interference === "aborts" && waiter) abort(model, waiter);
  model.nested--;
}

/** Releases a lease as soon as its resource is lost. */
export function releaseWhenLost(model: Model, grant: Grant): void {
  const { lease, acquire } = grant;
  if (!lease?.active) return;
  model.transcript.did(`${acquire.name} releases when it is lost`);
  lease.onLost(() => {
    if (!lease.active) return;
    model.nestedIn = model.turn;
    release(model, grant, {});
  });
}

/** Adds a listener that misbehaves, once. */
export function listen(model: Model, event: AnyEvent, interference: Interference): void {
  if (!model.observed) return;
  model.transcript.did(`at the next ${event}, a listener: ${interference}`);
  const subscription = model.pool.on(event, (observed) => {
    // Ignores the errors of other listeners.
    if ("source" in observed && observed.source === "listener") return;
    subscription[Symbol.dispose]();
    model.subscriptions.delete(subscription);
    play(model, interference);
  });
  model.subscriptions.add(subscription);
}

/** Makes the next call of a hook use the pool that called it. */
export function trap(model: Model, hook: Hook, interference: Exclude<Interference, "throws">): void {
  model.transcript.did(`in the next ${hook}: ${interference}`);
  model.traps.set(hook, (item) => play(model, interference, item));
}

function holdsSlot(model: Model, call: Call): boolean {
  return call.hook === "create" ? !model.isForgotten(call) : !model.isOver(call) && !call.item?.slotless;
}

/** Starts the shutdown, or calls it again. */
export function shutdown(model: Model, deadlineMs: number): void {
  model.transcript.did(`pool.shutdown(${deadlineMs})`);
  const before = model.shutdown;
  // Recorded first: inside the call, the pool is already shutting down.
  const deadline = Math.min(before?.deadline ?? Infinity, model.now + deadlineMs);
  model.shutdown = { since: model.now, promise: Promise.resolve(), isForced: false, ...before, deadline };
  const held = model.held.size;
  const probing = isProbeSlotHeld(model);
  const forced = deadlineMs === 0 && !model.closed &&
    (held > 0 || isProbeSlotHeld(model) || [...model.calls].some((call) => holdsSlot(model, call)));
  if (before && forced) model.shutdown = { ...model.shutdown, isForced: true };
  const promise = model.pool.shutdown(deadlineMs);
  if (before) {
    model.verdict.hold(22, promise === before.promise, () => "a second shutdown is not the first one");
    return;
  }
  model.shutdown = { ...model.shutdown, promise };
  promise.then(() => {
    model.closed = true;
    // At its deadline it no longer waits for hooks; without anything to wait for, there was no deadline.
    const taken = held > 0 || probing || [...model.calls].some((call) => holdsSlot(model, call));
    const isForced = deadlineMs === 0 ? taken : model.clock.ran >= (model.shutdown?.deadline ?? Infinity);
    if (isForced || model.shutdown?.isForced) { for (const call of model.calls) call.givenUp = true; }
  });
  const waiting = model.stats.waitingForConnection;
  model.verdict.hold(22, waiting === 0, () => `${waiting} still wait when shutdown has returned`);
}
