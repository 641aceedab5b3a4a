/**
 * Invalidations that have not reached Redis.
 *
 * @module
 */
import type { Clock, Timer } from "../resilience/mod.ts";
import { RedisReplyError } from "./errors.ts";
import type { RedisCommand, RedisCommands } from "./redis/redis_connection.ts";

/** The maximum number of invalidations that are kept. */
const MAX_PENDING = 10_000;

/** The number of invalidations that are sent at once. */
const BATCH = 200;

/** The pause before invalidations that Redis has rejected are sent again, in ms. */
const RESEND_MS = 1_000;

/** One invalidation. */
export interface Invalidation {
  /** The name in Redis of what is invalid. */
  readonly name: string;
  readonly commands: readonly RedisCommand[];
}

/**
 * Keeps invalidations until Redis has them: a value that was removed during an outage must not come back with Redis. As
 * long as one is pending, this isolate reads nothing of that name.
 */
export class PendingInvalidations {
  readonly #redis: RedisCommands;
  readonly #clock: Clock;
  /** The invalidations by the name in Redis, the oldest first. */
  readonly #all = new Map<string, Invalidation>();
  /** The invalidations of names that are being written: sent after the newer value, they would remove it. */
  readonly #held = new Set<Invalidation>();
  /** The number of invalidations that were not kept. */
  lost = 0;
  #timer: Timer | undefined = undefined;
  #isClosed = false;

  constructor(redis: RedisCommands, clock: Clock) {
    this.#redis = redis;
    this.#clock = clock;
  }

  /** The number of invalidations. */
  get size(): number {
    return this.#all.size;
  }

  /** Returns whether one of that name is pending. */
  has(name: string): boolean {
    return this.#all.size > 0 && this.#all.has(name);
  }

  /** Adds an invalidation, in place of an earlier one of that name. */
  add(name: string, commands: readonly RedisCommand[]): Invalidation {
    const invalidation = { name, commands };
    this.#all.delete(name);
    this.#all.set(name, invalidation);
    if (this.#all.size > MAX_PENDING) {
      for (const oldest of this.#all.keys()) {
        this.#all.delete(oldest);
        this.lost++;
        break;
      }
    }
    return invalidation;
  }

  /** Returns the invalidations of these names. */
  get(names: readonly string[]): Invalidation[] {
    if (this.#all.size === 0) return [];
    return names.flatMap((name) => this.#all.get(name) ?? []);
  }

  /**
   * Returns the invalidations of these names, which are not sent until they are settled or let go. Reads go on as if they
   * were to be sent.
   */
  hold(names: readonly string[]): Invalidation[] {
    const invalidations = this.get(names);
    for (const invalidation of invalidations) this.#held.add(invalidation);
    return invalidations;
  }

  /** Ends what {@linkcode hold} began. */
  letGo(invalidations: readonly Invalidation[]): void {
    for (const invalidation of invalidations) this.#held.delete(invalidation);
  }

  /** Removes invalidations that have reached Redis, or that a newer value has superseded; not those added since. */
  settle(invalidations: readonly Invalidation[]): void {
    for (const invalidation of invalidations) {
      if (this.#all.get(invalidation.name) === invalidation) this.#all.delete(invalidation.name);
    }
  }

  /** Sends what is pending, and again after a pause what did not arrive. Never throws. */
  async resend(): Promise<void> {
    if (!await this.send()) this.resendLater();
  }

  /**
   * Sends what is pending after a pause, if Redis is connected then; otherwise it is sent once it is. A Redis that is
   * busy, or whose disk is full, rejects commands for a while on a connection that stays.
   */
  resendLater(): void {
    if (this.#isClosed) return;
    this.#timer ??= this.#clock.setTimer(() => {
      this.#timer = undefined;
      if (this.#all.size > 0 && this.#redis.state.isConnected) void this.resend();
    }, RESEND_MS);
  }

  /** Ends the wait before the next attempt. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }

  /**
   * Sends what is pending, or a part of it. Returns whether it has arrived. Never throws.
   *
   * @param invalidations Default: all.
   */
  async send(invalidations: readonly Invalidation[] = [...this.#all.values()]): Promise<boolean> {
    for (let start = 0; start < invalidations.length; start += BATCH) {
      const batch = invalidations.slice(start, start + BATCH).filter((one) => this.#isDue(one));
      if (batch.length === 0) continue;
      try {
        const replies = await this.#redis.send(batch.flatMap(({ commands }) => commands));
        if (replies.some((reply) => reply instanceof RedisReplyError)) return false;
      } catch {
        return false;
      }
      this.settle(batch);
    }
    return true;
  }

  /** Returns whether one that was to be sent still is: a newer value may have superseded it meanwhile. */
  #isDue(invalidation: Invalidation): boolean {
    return this.#all.get(invalidation.name) === invalidation && !this.#held.has(invalidation);
  }
}
