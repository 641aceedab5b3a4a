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
  type Lane,
  LateReleaseError,
  type Lease,
  LeaseReleasedError,
  type PoolLimits,
  type ReleaseOptions,
} from "../../../shared/pool/mod.ts";
import type { Invariant } from "./invariants.ts";
import { type Acquire, type Call, type Ending, type Grant, type Hook, Item } from "./records.ts";
import type { CreateMode, HookMode } from "./workshop.ts";
import type { AnyEvent, World } from "./world.ts";

/** How a resource is asked for. */
export interface Ask {
  readonly how: Acquire["how"];
  readonly lane: Lane;
  readonly timeoutMs: number;
  /** Whether it has a signal. */
  readonly abortable: boolean;
}

/** Asks for a resource. */
export function ask(world: World, { how, lane, timeoutMs, abortable }: Ask): void {
  const abort = abortable ? new AbortController() : undefined;
  const entry: Acquire = {
    name: `a${world.acquires++}`,
    seq: ++world.seq,
    turn: world.turn,
    entered: Infinity,
    how,
    lane,
    since: world.now,
    deadline: world.now + timeoutMs,
    abort,
    listeners: 0,
    state: "waiting",
    grant: undefined,
    error: undefined,
  };
  if (how === "tryLease") {
    world.transcript.did(`${entry.name} = pool.tryLease("${lane}")`);
    return tryLease(world, entry);
  }
  const signal = abort && spy(abort.signal, entry);
  const options = { lane, timeoutMs, signal };
  const shown = `{ lane: "${lane}", timeoutMs: ${timeoutMs}${signal ? `, signal` : ""} }`;
  world.transcript.did(`${entry.name} = pool.${how}(${shown})`);
  world.waiting.add(entry);
  const { pool } = world;
  if (how === "lease") {
    // One turn later, as an `acquire` is: the order in which two are served can be told then.
    const seen = pool.lease(options).then((lease) => lease);
    seen.then((lease) => granted(world, entry, lease.resource, lease), (error) => refused(world, entry, error));
  } else {
    pool.acquire(options).then((item) => granted(world, entry, item), (error) => refused(world, entry, error));
  }
  entry.entered = ++world.seq;
}

function refused(world: World, entry: Acquire, error: unknown): void {
  entry.error = error;
  entry.state = "refused";
  world.transcript.saw(`${entry.name} is refused: ${String(error).slice(0, 60)}`);
  world.waiting.delete(entry);
  world.news.settled.push(entry);
}

/** Looks at what was lent, at the moment its holder learns of it. */
function granted(world: World, entry: Acquire, item: Item, lease?: Lease<Item>): void {
  const { verdict, now, room } = world;
  const grant: Grant = {
    seq: ++world.seq,
    order: entry.how === "tryLease" ? world.stats.totalAcquired : undefined,
    at: lease?.acquiredAt ?? now,
    item,
    acquire: entry,
    lease,
    room,
  };
  world.transcript.saw(`${entry.name} has ${item}`);
  entry.grant = grant;
  entry.state = "granted";
  world.waiting.delete(entry);
  world.news.settled.push(entry);
  world.news.grants.push(grant);
  verdict.hold(3, item.holder === undefined, () => `${item} is lent while ${item.holder?.acquire.name} holds it`);
  verdict.hold(3, item.hook === undefined || world.isOver(item.hook), () => `${item} is lent during a hook`);
  verdict.hold(18, item.live || world.shutdown !== undefined, () => `${item} is lent after its destruction`);
  // What dies in the same turn may have died after it was lent.
  const alive = item.diedIn === undefined || item.diedIn === world.turn;
  verdict.hold(18, alive, () => `${item} is lent though it died`);
  verdict.hold(18, !item.failed, () => `${item} is lent though a hook failed`);
  verdict.hold(18, now < item.expiresAt, () => `${item} is lent ${now - item.expiresAt} ms after its end`);
  verdict.hold(18, item.uses < world.setup.config.maxUses, () => `${item} is lent after ${item.uses} uses`);
  // What was just made, reset or given back is as good as checked.
  const checked = now === item.checkedAt || !world.isStale(item);
  verdict.hold(18, checked, () => `${item} is lent unchecked after ${now - item.checkedAt} ms`);
  item.uses++;
  item.holder = grant;
  world.held.add(grant);
  world.count(entry.lane, 1);
}

function tryLease(world: World, entry: Acquire): void {
  const must = isSure(world, entry.lane);
  const before = world.stats.totalAcquired;
  const lease = world.pool.tryLease(entry.lane);
  if (must) {
    world.verdict.hold(5, lease !== undefined, () => `tryLease finds none of ${world.stats.idleConnections} idle`);
  }
  if (lease) granted(world, entry, lease.resource, lease);
  else world.verdict.hold(10, world.stats.totalAcquired >= before, () => "a lease was taken back");
}

/** Whether something is free for a lane beyond doubt. */
function isSure(world: World, lane: Lane): boolean {
  const { stats, room, heard, setup: { config } } = world;
  if (!heard || world.shutdown || world.nested > 0 || stats.waitingForConnection > 0) return false;
  const idle = world.live.filter((item) => !item.holder && !item.hook);
  const isUsable = (item: Item) =>
    !item.invalid && item.uses < config.maxUses && !world.isStale(item) &&
    world.now < Math.min(item.expiresAt - 1, item.usedAt + config.idleTimeoutMs);
  const free = lane === "admin" ? room.admin : room.others;
  return free > 0 && idle.length > 0 && idle.length === stats.idleConnections && idle.every(isUsable);
}

/** Counts the listeners on a signal. */
function spy(signal: AbortSignal, entry: Acquire): AbortSignal {
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    entry.listeners++;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    entry.listeners--;
    Reflect.apply(removeEventListener, signal, args);
  };
  return signal;
}

/** Aborts an acquire, whether it still waits or not. */
export function abort(world: World, entry: Acquire): void {
  if (!entry.abort || entry.abort.signal.aborted) return;
  world.transcript.did(`abort ${entry.name}`);
  const before = world.stats;
  const waits = entry.state === "waiting" ? 1 : 0;
  world.aborts += waits;
  entry.abort.abort(new Error(`${entry.name} went away`));
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
  world.transcript.did(`pool.setLimits(${JSON.stringify(limits)})`);
  world.limits = limits;
  world.surplusSince = world.now;
  world.resizes++;
  world.pool.setLimits(limits);
}

/** What a listener, or a hook, does that nobody expects. */
export type Mischief = "throws" | "tryLease" | "invalidates";

function play(world: World, mischief: Mischief): void {
  if (mischief === "throws") throw new Error("a listener throws");
  world.nested++;
  if (mischief === "tryLease") ask(world, { how: "tryLease", lane: "normal", timeoutMs: 0, abortable: false });
  const item = world.live.at(-1);
  if (mischief === "invalidates" && item) invalidate(world, item);
  world.nested--;
}

/** Adds a listener that misbehaves, once. */
export function listen(world: World, event: AnyEvent, mischief: Mischief): void {
  if (!world.heard) return;
  world.transcript.did(`at the next ${event}, a listener: ${mischief}`);
  const subscription = world.pool.on(event, () => {
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
  world.shutdown = before ?? { since: world.now, deadline: world.now + deadlineMs, promise: Promise.resolve() };
  const held = world.held.size;
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
    if (isCut) { for (const call of world.calls) call.givenUp = true; }
  });
  const waiting = world.stats.waitingForConnection;
  world.verdict.hold(22, waiting === 0, () => `${waiting} still wait when shutdown has returned`);
}
