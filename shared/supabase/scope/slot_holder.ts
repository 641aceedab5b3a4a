/**
 * The slot of a scope.
 *
 * @module
 */
import {
  AcquireAbortedError,
  type AcquireLane,
  AcquireTimeoutError,
  type Flow,
  type Lease,
  LeaseRevokedError,
  type ResourcePool,
} from "../../pool/mod.ts";
import { BusyTime, type Clock } from "../../resilience/mod.ts";
import type { ClientSlot } from "../client_template.ts";
import type { CallLimiter } from "../calls/call_limiter.ts";
import type { CallLimit } from "../calls/call_host.ts";

/** The pool of slots, as a scope uses it. */
export type SlotPool = Pick<ResourcePool<ClientSlot>, "config" | "lease" | "tryLease">;

/** A lease or a view that takes part in the slot. */
export interface SlotMember {
  /** True for a view: nothing releases it, so that it leaves when the slot is lost. */
  readonly isView: boolean;
  /** Ends its calls: the slot is lost. */
  end(reason: unknown): void;
}

/** A member that waits for the slot. */
interface Waiting {
  readonly granted: PromiseWithResolvers<void>;
  /** The end of its own time, in ms of the clock. */
  readonly untilMs: number;
  /** Removes the listener of its signal. */
  readonly stopListening: (() => void) | undefined;
}

/**
 * One acquire in the pool, for all members that wait in the same lane and for
 * the same time. It is in the pool's queue exactly as long as it has members.
 */
interface Wait {
  readonly key: string;
  readonly lane: AcquireLane | undefined;
  /** The member whose time the acquire has: it is the first to reach its deadline. */
  readonly startedBy: SlotMember;
  readonly members: Map<SlotMember, Waiting>;
  readonly controller: AbortController;
}

const DESTROY = Object.freeze({ destroy: true });

/**
 * Takes a slot when its first member needs one, shares it among all members,
 * and releases it with the last. A member never waits for a slot that its own
 * scope holds, so nested use cannot wait for itself.
 *
 * Without members it holds no slot and waits for none.
 */
export class SlotHolder<Member extends SlotMember = SlotMember> implements CallLimit {
  /** The number of calls of all members together that run at once. */
  readonly callsAtOnce: number;
  /** Limits them; created by the first call. */
  limiter: CallLimiter | undefined = undefined;
  /** Returns the time that the scope has left, in ms. */
  readonly timeLeftMs: (() => number) | undefined;
  /** Called with the number of each lease. */
  onLeased: ((leaseId: number) => void) | undefined = undefined;
  /** Returns headers for each call that carry the caller's trace. */
  traceHeaders: CallLimit["traceHeaders"] = undefined;
  /** Sums the time in which calls of the members are under way. */
  readonly upstream = new BusyTime();
  readonly #pool: SlotPool;
  readonly #clock: Clock;
  readonly #flow: Flow | undefined;
  /** The members in the slot, and those that wait for it: a few. */
  readonly #members: Member[] = [];
  #slot: Lease<ClientSlot> | undefined = undefined;
  /** The reason why the slot can no longer be used, until its members have left. */
  #lost: { readonly reason: unknown } | undefined = undefined;
  #destroy = false;
  #aborted: { readonly reason: unknown } | undefined = undefined;
  /** Created when a member has to wait: most slots are free. */
  #waits: Map<string, Wait> | undefined = undefined;
  #waitingSinceMs = 0;
  #waitedMs = 0;

  /**
   * @param callsAtOnce How many calls run in the slot at once.
   * @param timeLeftMs Returns the time that the scope has left, in ms. Default: no limit.
   * @param flow The flow whose share the slot takes. Default: that of acquires without one.
   */
  constructor(
    pool: SlotPool,
    clock: Clock,
    callsAtOnce: number,
    timeLeftMs?: (() => number) | undefined,
    flow?: Flow | undefined,
  ) {
    this.#flow = flow;
    this.timeLeftMs = timeLeftMs;
    this.#pool = pool;
    this.#clock = clock;
    this.callsAtOnce = callsAtOnce;
  }

  /** The members: in the slot, or waiting for it. */
  get members(): readonly Member[] {
    return this.#members;
  }

  /** The time members have waited for slots so far, in ms. Time in which several wait counts once. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Puts the first member into a slot that was leased for it. */
  adopt(slot: Lease<ClientSlot>, member: Member): void {
    this.#members.push(member);
    this.#hold(slot);
  }

  /**
   * Lets `member` into the slot, which is taken if need be; follow it with {@linkcode leave}. Returns `undefined` if
   * the slot is held or free. Otherwise the member waits in `lane` and for `timeoutMs`; the first slot that any member
   * is granted serves them all. A member that waits already gets the same promise again.
   *
   * @throws the errors of an acquire from the pool; the member has left then.
   */
  take(
    member: Member,
    lane: AcquireLane | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> | undefined {
    if (this.#members.includes(member)) return this.#waitingOf(member)?.granted.promise;
    if (this.#aborted) throw new AcquireAbortedError(this.#aborted.reason);
    if (signal?.aborted) throw new AcquireAbortedError(signal.reason);
    if (this.#lost) throw this.#lost.reason;
    if (!this.#slot) {
      const slot = this.#tryLease(lane, timeoutMs);
      if (!slot) return this.#wait(member, lane, timeoutMs, signal);
      this.#hold(slot);
    }
    this.#members.push(member);
    return undefined;
  }

  /**
   * Removes `member`, whether it is in the slot or waits for it; with the last one the slot is released. Does nothing
   * for others.
   *
   * @param destroy True if the slot is not to be leased again.
   * @param reason Why a member that waits is rejected. Default: its wait resolves, and it is not a member any more.
   * @returns False if the pool had revoked the slot.
   */
  leave(member: Member, destroy = false, reason?: unknown): boolean {
    if (!remove(this.#members, member)) return true;
    this.#destroy ||= destroy;
    const kept = this.#slot === undefined || this.#slot.active;
    if (this.#waits) this.#withdraw(member, reason);
    if (this.#members.length === 0) this.#release();
    return kept;
  }

  /** Removes all members, rejects those that wait and those that come later, and releases the slot at once. */
  abort(reason: unknown): void {
    this.#aborted ??= { reason };
    for (const member of this.#members.splice(0)) if (this.#waits) this.#withdraw(member, reason);
    this.#release();
  }

  /** Leases a slot that is free. The pool itself judges a timeout, and has the probe slot. */
  #tryLease(lane: AcquireLane | undefined, timeoutMs: number | undefined): Lease<ClientSlot> | undefined {
    return this.#waits || timeoutMs !== undefined || lane === "probe"
      ? undefined
      : this.#pool.tryLease(lane, this.#flow);
  }

  #hold(slot: Lease<ClientSlot>): void {
    this.#slot = slot;
    this.onLeased?.(slot.id);
    slot.onLost((reason) => this.#lose(reason));
  }

  #release(): void {
    const slot = this.#slot;
    const destroy = this.#destroy;
    this.#slot = undefined;
    this.#lost = undefined;
    this.#destroy = false;
    if (slot?.active) slot.release(destroy ? DESTROY : undefined);
  }

  #lose(reason: unknown): void {
    this.#lost = { reason };
    for (const member of [...this.#members]) {
      member.end(reason);
      if (member.isView) this.leave(member);
    }
  }

  #wait(
    member: Member,
    lane: AcquireLane | undefined,
    timeoutMs: number | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const nowMs = this.#clock.now();
    const granted = Promise.withResolvers<void>();
    const onAbort = signal && (() => void this.leave(member, false, signal.reason));
    if (onAbort) signal.addEventListener("abort", onAbort, { once: true });
    const waiting: Waiting = {
      granted,
      untilMs: nowMs + (timeoutMs ?? this.#pool.config.acquireTimeoutMs),
      stopListening: onAbort && (() => signal.removeEventListener("abort", onAbort)),
    };
    this.#members.push(member);
    if (!this.#waits) {
      this.#waits = new Map();
      this.#waitingSinceMs = nowMs;
    }
    const key = `${lane ?? "normal"} ${timeoutMs}`;
    const wait = this.#waits.get(key);
    if (wait) wait.members.set(member, waiting);
    else this.#start(key, lane, timeoutMs, new Map([[member, waiting]]), member);
    return granted.promise;
  }

  #start(
    key: string,
    lane: AcquireLane | undefined,
    timeoutMs: number | undefined,
    members: Map<SlotMember, Waiting>,
    startedBy: SlotMember,
  ): void {
    const controller = new AbortController();
    const wait: Wait = { key, lane, startedBy, members, controller };
    this.#waits?.set(key, wait);
    this.#pool.lease({ lane, timeoutMs, signal: controller.signal, flow: this.#flow }).then(
      (slot) => this.#granted(wait, slot),
      (error) => this.#failed(wait, error),
    );
  }

  #granted(wait: Wait, slot: Lease<ClientSlot>): void {
    // Its members have left, or another wait was granted first.
    if (this.#waits?.get(wait.key) !== wait) return slot[Symbol.dispose]();
    // A shutdown may have revoked it since it was granted.
    if (!slot.active) return this.#failed(wait, new LeaseRevokedError());
    const waits = [...this.#waits.values()];
    this.#stopWaiting();
    this.#hold(slot);
    for (const each of waits) {
      if (each !== wait) each.controller.abort();
      for (const { granted, stopListening } of each.members.values()) {
        stopListening?.();
        granted.resolve();
      }
    }
  }

  #failed(wait: Wait, error: unknown): void {
    if (this.#waits?.get(wait.key) !== wait) return;
    this.#waits.delete(wait.key);
    const nowMs = this.#clock.now();
    // Members that joined later have time left: they wait on.
    const others = new Map<SlotMember, Waiting>();
    let leftMs: number | undefined;
    let first: SlotMember | undefined;
    for (const [member, waiting] of wait.members) {
      const ms = Math.ceil(waiting.untilMs - nowMs);
      if (error instanceof AcquireTimeoutError && member !== wait.startedBy && ms > 0) {
        leftMs ??= ms;
        first ??= member;
        others.set(member, waiting);
      } else {
        remove(this.#members, member);
        waiting.stopListening?.();
        waiting.granted.reject(error);
      }
    }
    if (first) this.#start(wait.key, wait.lane, leftMs, others, first);
    else if (this.#waits.size === 0) this.#stopWaiting();
    if (this.#members.length === 0) this.#release();
  }

  /** Takes `member` out of its wait, if it has one; a wait without members ends. */
  #withdraw(member: Member, reason: unknown): void {
    for (const wait of this.#waits?.values() ?? []) {
      const waiting = wait.members.get(member);
      if (!waiting) continue;
      wait.members.delete(member);
      waiting.stopListening?.();
      if (reason === undefined) waiting.granted.resolve();
      else waiting.granted.reject(new AcquireAbortedError(reason));
      if (wait.members.size > 0) return;
      this.#waits?.delete(wait.key);
      if (this.#waits?.size === 0) this.#stopWaiting();
      wait.controller.abort(reason);
      return;
    }
  }

  #waitingOf(member: Member): Waiting | undefined {
    for (const { members } of this.#waits?.values() ?? []) {
      const waiting = members.get(member);
      if (waiting) return waiting;
    }
    return undefined;
  }

  #stopWaiting(): void {
    this.#waits = undefined;
    this.#waitedMs += this.#clock.now() - this.#waitingSinceMs;
  }
}

/** Removes `member` from a short list, and returns whether it was in it. */
function remove(members: unknown[], member: unknown): boolean {
  const at = members.lastIndexOf(member);
  if (at >= 0) members.splice(at, 1);
  return at >= 0;
}
