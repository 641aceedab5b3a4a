/**
 * A cap on the leases of all isolates together, in Redis.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import {
  type Clock,
  messageOf,
  observe,
  systemClock,
  timeoutSignal,
  type Timer,
  withoutContext,
} from "../../resilience/mod.ts";
import type { LogData, LogLevel } from "../log/mod.ts";
import { nameOf } from "./parse.ts";
import type { FleetRedis } from "./redis_store.ts";
import { SHARE } from "./redis_scripts.ts";

/** The limits of a pool that a cap changes. */
export interface CappedLimits {
  readonly maxConnections: number;
  readonly minConnections: number;
  readonly reservedConnections: number;
}

/** A pool that a cap can be put on. Every pool of `shared/` is one. */
export interface CappedPool {
  readonly limits: CappedLimits;
  /** Changes the limits. Leases above a lower one end as they would. */
  resize(limits: CappedLimits): void;
  /** Returns the leases and the waiters. */
  getStats(): { readonly activeConnections: number; readonly waitingForConnection: number };
  /** Calls a listener when an acquire waits. */
  on(event: "waited", listener: () => void): Disposable;
}

/** Options for {@linkcode FleetCap}. */
export interface FleetCapOptions {
  readonly redis: FleetRedis;
  /** The project, such as the host of its URL: projects that share a Redis have a cap each. */
  readonly project: string;
  /** The id of this isolate. */
  readonly isolate: string;
  /** The leases that all isolates may hold at once. */
  readonly cap: number;
  readonly pool: CappedPool;
  /** The limits of the pool without the cap, which it never exceeds. Default: those that it has now. */
  readonly limits?: CappedLimits | undefined;
  /** The time after which the share of an isolate that does not renew it expires, in ms. Default: 10,000. */
  readonly leaseMs?: number | undefined;
  /** Writes a line of the log. Default: none is written. */
  readonly log?: ((level: LogLevel, event: string, data: LogData) => void) | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** The shortest time between two renewals, in ms. */
const MIN_PAUSE_MS = 200;

/** Returns the limits of a pool that may hold `share` leases, 1 at least. */
export function limitsOf(share: number, full: CappedLimits): CappedLimits {
  const max = Math.max(1, Math.min(share, full.maxConnections));
  return {
    maxConnections: max,
    minConnections: Math.min(full.minConnections, max),
    reservedConnections: Math.min(full.reservedConnections, max - 1),
  };
}

/**
 * Bounds the leases of all isolates together. Each isolate leases a share of the cap in Redis, of which its pool takes
 * leases without asking again, and renews it about every two seconds.
 *
 * - A share expires with its isolate: a killed one frees it within `leaseMs`.
 * - An isolate asks for what it uses and a block more. What one isolate needs and another has beyond an equal part, the
 *   other returns as its leases end. Shares never add up to more than the cap, except that each isolate has one.
 * - While Redis cannot be reached, an isolate keeps its share until Redis may have passed it on, and then has an equal part
 *   of the cap by the number of isolates that it knew last; one that has never reached Redis has one lease.
 * - A Redis that has lost its data learns the shares again from the isolates. Until all have renewed, none asks for more.
 */
export class FleetCap {
  readonly #options: FleetCapOptions;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #full: CappedLimits;
  readonly #waited: Disposable;
  #share = 1;
  /** The isolates that shared the cap at the latest renewal. */
  #isolates: number | undefined = undefined;
  /** The instant at which Redis may have forgotten the share, in ms of the clock. */
  #expiresAt = -Infinity;
  /** The instant until which it asks for no more than it has, in ms of the clock. */
  #growsAt = -Infinity;
  #timer: Timer | undefined = undefined;
  #dueAt = Infinity;
  #renewedAt = -Infinity;
  #renewing = false;
  #isReachable = true;
  #isClosed = false;

  /** Limits the pool to one lease until Redis has replied. */
  constructor(options: FleetCapOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#leaseMs = options.leaseMs ?? 10_000;
    this.#full = options.limits ?? options.pool.limits;
    this.#apply(1);
    this.#waited = options.pool.on("waited", () => this.#soon());
    this.#schedule(0);
  }

  /** The leases that this isolate may hold at once. */
  get share(): number {
    return this.#share;
  }

  /**
   * Returns the share to the others; the leases that have not ended count until it expires. The pool keeps its limit.
   * Idempotent, never rejects.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#waited[Symbol.dispose]();
    await this.#send(0).catch(() => {});
  }

  /** Renews at once, if the latest renewal was long enough ago: a request waits. */
  #soon(): void {
    if (this.#share >= Math.min(this.#options.cap, this.#full.maxConnections)) return;
    this.#schedule(Math.max(this.#renewedAt + MIN_PAUSE_MS - this.#clock.now(), 0));
  }

  #schedule(delayMs: number): void {
    const dueAt = this.#clock.now() + delayMs;
    if (this.#isClosed || this.#renewing || dueAt >= this.#dueAt) return;
    this.#timer?.cancel();
    this.#dueAt = dueAt;
    this.#timer = this.#clock.setTimer(() => withoutContext(() => void this.#renew()), delayMs);
  }

  async #renew(): Promise<void> {
    const { cap, pool } = this.#options;
    this.#renewing = true;
    let want = 1;
    // Redis counts the time of the share from later on.
    const sentAt = this.#renewedAt = this.#clock.now();
    try {
      const { activeConnections, waitingForConnection } = pool.getStats();
      const block = Math.max(1, Math.ceil(cap / 10));
      want = Math.min(activeConnections + waitingForConnection + block, this.#full.maxConnections);
      // Redis may have lost its data: until every isolate has connected and renewed, it does not know what the others have.
      if (!this.#isReachable) this.#growsAt = sentAt + this.#leaseMs;
      if (sentAt < this.#growsAt) want = Math.min(want, this.#share);
      const [share, isolates, isLost] = await this.#send(want);
      if (this.#isClosed) return;
      this.#expiresAt = sentAt + this.#leaseMs;
      if (isLost) this.#growsAt = this.#expiresAt;
      this.#isolates = isolates;
      this.#reached();
      this.#apply(share);
    } catch (error) {
      if (this.#isClosed) return;
      this.#missed(error);
    }
    this.#renewing = false;
    this.#dueAt = Infinity;
    const isShort = this.#isReachable && this.#share < want;
    this.#schedule(isShort ? 2 * MIN_PAUSE_MS : this.#leaseMs / 5);
  }

  /** Asks Redis for a share. A connection may hang in spite of its own deadline. */
  async #send(want: number): Promise<[share: number, isolates: number, isLost: boolean]> {
    const { redis, project, isolate, cap, pool } = this.#options;
    const keys = ["shares", "wants", "expiry"].map((key) => `pool:cap:{${nameOf(project)}}:${key}`);
    const { activeConnections } = pool.getStats();
    const claim = this.#clock.now() < this.#expiresAt ? this.#share : 0;
    const timeoutMs = this.#leaseMs / 5;
    using timeout = timeoutSignal(timeoutMs, this.#clock, () => new Error(`it did not reply within ${timeoutMs} ms`));
    const [reply] = await abortable(
      redis.send([
        ["EVAL", SHARE, keys.length, ...keys, nameOf(isolate), want, activeConnections, cap, this.#leaseMs, claim],
      ]),
      timeout.signal,
    );
    if (reply instanceof Error) throw reply;
    const [share, isolates, lost] = Array.isArray(reply) ? reply : [];
    if (!Number.isInteger(share) || !Number.isInteger(isolates)) throw new Error("its reply is not a share");
    return [share, isolates, lost === 1];
  }

  #reached(): void {
    if (!this.#isReachable) this.#log("info", "fleet_cap_restored", {});
    this.#isReachable = true;
  }

  #missed(error: unknown): void {
    const { cap } = this.#options;
    const share = this.#isolates === undefined ? 1 : Math.max(1, Math.floor(cap / Math.max(this.#isolates, 1)));
    if (this.#isReachable) this.#log("warn", "fleet_cap_unreachable", { reason: messageOf(error), share });
    this.#isReachable = false;
    // By the time of the next reply, Redis may have passed the share on.
    const nextMs = 2 * this.#leaseMs / 5;
    if (this.#clock.now() + nextMs >= this.#expiresAt) this.#apply(Math.min(share, cap));
  }

  /** Writes a line of the log. One that throws stops no renewal. */
  #log(level: LogLevel, event: string, data: LogData): void {
    observe(() => this.#options.log?.(level, event, data), () => {});
  }

  #apply(share: number): void {
    const limits = limitsOf(share, this.#full);
    this.#share = limits.maxConnections;
    this.#options.pool.resize(limits);
  }
}
