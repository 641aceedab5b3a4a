/**
 * Acquires from a {@linkcode Model}'s pool, and asserts the invariants of what it
 * leases.
 *
 * @module
 */
import type { Flow, Lane, Lease } from "../../../shared/pool/mod.ts";
import { type Acquire, type FlowName, type Grant, type Item, WEIGHTS } from "./records.ts";
import type { Model } from "./model.ts";

/** The method and the options of an acquire. */
export interface LeaseRequest {
  readonly how: Acquire["how"];
  readonly lane: Lane;
  readonly timeoutMs: number;
  /** Passes a signal. */
  readonly abortable: boolean;
  /** Default: none. */
  readonly flow?: FlowName;
}

/** Returns a flow as the pool takes it. */
function flowOption(flow: FlowName): Flow | undefined {
  const weight = WEIGHTS[flow];
  if (flow === "") return undefined;
  return weight === 1 ? flow : { key: flow, weight };
}

/** Acquires a resource. */
export function requestLease(model: Model, { how, lane, timeoutMs, abortable, flow = "" }: LeaseRequest): void {
  model.askedIn = model.turn;
  const abort = abortable ? new AbortController() : undefined;
  const entry: Acquire = {
    name: `a${model.acquires++}`,
    seq: ++model.seq,
    turn: model.turn,
    entered: Infinity,
    how,
    lane,
    flow,
    since: model.now,
    deadline: model.now + timeoutMs,
    abort,
    queue: undefined,
    listeners: 0,
    state: "waiting",
    grant: undefined,
    error: undefined,
  };
  if (how === "tryLease") {
    model.transcript.did(`${entry.name} = pool.tryLease("${lane}"${flow && `, "${flow}"`})`);
    return tryLease(model, entry);
  }
  const signal = abort && spy(abort.signal, entry);
  const options = { lane, timeoutMs, signal, flow: flowOption(flow) };
  const shown = `{ lane: "${lane}", timeoutMs: ${timeoutMs}${signal ? `, signal` : ""}${flow && `, flow: "${flow}"`} }`;
  model.transcript.did(`${entry.name} = pool.${how}(${shown})`);
  model.waiting.add(entry);
  const { pool } = model;
  const before = model.stats.waitingForConnection;
  if (how === "lease") {
    // One turn later, as for an `acquire`: the order of two grants is comparable then.
    const seen = pool.lease(options).then((lease) => lease);
    seen.then((lease) => granted(model, entry, lease.resource, lease), (error) => refused(model, entry, error));
  } else {
    pool.acquire(options).then((item) => granted(model, entry, item), (error) => refused(model, entry, error));
  }
  entry.entered = ++model.seq;
  assertLine(model, entry, before);
}

/** Asserts that an acquire that has joined the queue found it not full. */
function assertLine(model: Model, entry: Acquire, before: number): void {
  if (model.frozen || model.nestedIn === model.turn) return;
  const { pending, stats: { waitingForConnection: waiting }, setup: { config: { maxWaiters } } } = model;
  entry.queue = { waiting: before, pending };
  if (waiting <= before) return;
  const had = waiting <= maxWaiters || waiting - pending <= maxWaiters;
  model.verdict.hold(
    9,
    had,
    () => `${entry.name} has joined ${before} in the queue, ${pending} being created for them`,
  );
}

function refused(model: Model, entry: Acquire, error: unknown): void {
  entry.error = error;
  entry.state = "refused";
  model.transcript.saw(`${entry.name} is refused: ${String(error).slice(0, 60)}`);
  model.waiting.delete(entry);
  model.news.settled.push(entry);
}

/** Asserts the invariants of a leased resource when its holder receives it. */
function granted(model: Model, entry: Acquire, item: Item, lease?: Lease<Item>): void {
  const { verdict, now, room } = model;
  const grant: Grant = {
    seq: ++model.seq,
    order: lease?.id,
    at: lease?.acquiredAt ?? now,
    item,
    acquire: entry,
    lease,
    room,
  };
  model.transcript.saw(`${entry.name} has ${item}`);
  entry.grant = grant;
  entry.state = "granted";
  model.waiting.delete(entry);
  model.news.settled.push(entry);
  model.news.grants.push(grant);
  verdict.hold(3, item.holder === undefined, () => `${item} is leased while ${item.holder?.acquire.name} holds it`);
  verdict.hold(3, item.hook === undefined || model.isOver(item.hook), () => `${item} is leased during a hook`);
  verdict.hold(18, item.live || model.shutdown !== undefined, () => `${item} is leased after its destruction`);
  // A resource that dies in the same turn may have died after the lease.
  const alive = item.diedIn === undefined || item.diedIn === model.turn;
  verdict.hold(18, alive, () => `${item} is leased though it died`);
  verdict.hold(18, !item.failed, () => `${item} is leased though a hook failed`);
  verdict.hold(18, now < item.expiresAt, () => `${item} is leased ${now - item.expiresAt} ms after its end`);
  verdict.hold(18, item.uses < model.setup.config.maxUses, () => `${item} is leased after ${item.uses} uses`);
  // A resource that was just created, reset or released counts as checked.
  const checked = now === item.checkedAt || !model.isStale(item);
  verdict.hold(18, checked, () => `${item} is leased unchecked after ${now - item.checkedAt} ms`);
  item.uses++;
  item.holder = grant;
  model.held.add(grant);
  model.count(entry.lane, 1);
}

function tryLease(model: Model, entry: Acquire): void {
  const must = isSure(model, entry.lane);
  const before = model.stats.totalAcquired;
  const lease = model.pool.tryLease(entry.lane, flowOption(entry.flow));
  if (must) {
    model.verdict.hold(5, lease !== undefined, () => `tryLease finds none of ${model.stats.idleConnections} idle`);
  }
  if (lease) granted(model, entry, lease.resource, lease);
  else model.verdict.hold(10, model.stats.totalAcquired >= before, () => "a lease was revoked");
}

/** Returns whether a resource is certainly free for a lane. */
function isSure(model: Model, lane: Lane): boolean {
  const { stats, room, observed, setup: { config } } = model;
  if (!observed || model.shutdown || model.nested > 0 || stats.waitingForConnection > 0) return false;
  const idle = model.live.filter((item) => !item.holder && !item.hook);
  const isUsable = (item: Item) =>
    !item.invalid && item.uses < config.maxUses && !model.isStale(item) &&
    model.now < Math.min(item.expiresAt - 1, item.usedAt + config.idleTimeoutMs);
  const free = lane === "admin" ? room.admin : room.others;
  return free > 0 && idle.length > 0 && idle.length === stats.idleConnections && idle.every(isUsable);
}

/** Returns the signal, and counts its listeners. */
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
