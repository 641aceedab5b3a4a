/**
 * Asking a {@linkcode World}'s pool for a resource, and looking at what it
 * lends.
 *
 * @module
 */
import type { Lane, Lease } from "../../../shared/pool/mod.ts";
import type { Acquire, Grant, Item } from "./records.ts";
import type { World } from "./world.ts";

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
  world.askedIn = world.turn;
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
    crowd: undefined,
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
  const before = world.stats.waitingForConnection;
  if (how === "lease") {
    // One turn later, as an `acquire` is: the order in which two are served can be told then.
    const seen = pool.lease(options).then((lease) => lease);
    seen.then((lease) => granted(world, entry, lease.resource, lease), (error) => refused(world, entry, error));
  } else {
    pool.acquire(options).then((item) => granted(world, entry, item), (error) => refused(world, entry, error));
  }
  entry.entered = ++world.seq;
  lookAtLine(world, entry, before);
}

/** Whoever has joined the line found a place in it. */
function lookAtLine(world: World, entry: Acquire, before: number): void {
  if (world.frozen || world.nestedIn === world.turn) return;
  const { pending, stats: { waitingForConnection: waiting }, setup: { config: { maxWaiters } } } = world;
  entry.crowd = { waiting: before, pending };
  if (waiting <= before) return;
  const had = waiting <= maxWaiters || waiting - pending <= maxWaiters;
  world.verdict.hold(9, had, () => `${entry.name} has joined ${before} in the line, ${pending} being made for them`);
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
    order: lease?.id,
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
