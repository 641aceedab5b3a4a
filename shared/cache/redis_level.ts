/**
 * The second level: values in Redis, which isolates share.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import { encodeEnvelope, type EntryTimes, type TagStamp } from "./envelope.ts";
import { CacheKeyError, CacheUnavailableError, NOT_A_COUNTER, RedisReplyError } from "./errors.ts";
import { encodeInvalidation } from "./invalidations.ts";
import type { RedisNames } from "./keys.ts";
import { type Invalidation, PendingInvalidations } from "./pending_invalidations.ts";
import type { RedisCommand, RedisCommands } from "./redis/redis_connection.ts";
import { type Found, OUTAGE, RedisReads } from "./redis_reads.ts";
import { ACQUIRE, INCREMENT, RELEASE, RENEW, STORE } from "./redis/scripts.ts";
import { type RedisCounters, redisCounters, type RedisStats } from "./stats.ts";
import type { FrozenValue } from "./value.ts";

/** The result of an attempt to become the one isolate that loads a value. */
export type Acquired =
  | { readonly kind: "held"; readonly found: Found }
  | { readonly kind: "busy"; readonly found: Found }
  | { readonly kind: "outage" };

/** A value to store. */
export interface StoredValue {
  readonly key: string;
  readonly frozen: FrozenValue;
  readonly times: EntryTimes;
  readonly stamps: readonly TagStamp[];
}

/** The time for which the stamp of a tag is kept, in seconds. A value whose tag has lost its stamp is a miss. */
const STAMP_SECONDS = 30 * 24 * 3_600;

/** Returns whether Redis has done all that it was sent. */
function isDone(replies: readonly unknown[] | undefined): replies is readonly unknown[] {
  return replies?.every((reply) => !(reply instanceof RedisReplyError)) === true;
}

/** Options of {@linkcode RedisLevel}. */
export interface RedisLevelOptions {
  readonly redis: RedisCommands;
  readonly names: RedisNames;
  /** The id of this isolate in invalidations. */
  readonly origin: string;
  /** The maximum size of a value, in characters of its text. */
  readonly maxValueBytes: number;
  readonly clock: Clock;
  /** Returns the time, in ms since the epoch. */
  readonly wallClock: () => number;
}

/** Values in Redis. None of its methods but {@linkcode increment} rejects. */
export class RedisLevel {
  readonly #options: RedisLevelOptions;
  readonly #counters: RedisCounters = redisCounters();
  readonly #pending: PendingInvalidations;
  /** Locks to give up. They are bounded by themselves: they must not displace an invalidation. */
  readonly #releases: PendingInvalidations;
  readonly #reads: RedisReads;
  readonly #endResends: () => void;

  constructor(options: RedisLevelOptions) {
    this.#options = options;
    this.#pending = new PendingInvalidations(options.redis, options.clock);
    this.#releases = new PendingInvalidations(options.redis, options.clock);
    this.#reads = new RedisReads({
      names: options.names,
      maxValueBytes: options.maxValueBytes,
      counters: this.#counters,
      pending: this.#pending,
      send: (commands) => this.#send(commands),
    });
    this.#endResends = options.redis.onUp(() => {
      void this.#pending.resend();
      void this.#releases.resend();
    });
  }

  /** The counters. */
  get counters(): RedisCounters {
    return this.#counters;
  }

  /** Returns the statistics. */
  stats(): RedisStats {
    const { size, lost } = this.#pending;
    return {
      ...this.#options.redis.state,
      ...this.#counters,
      pendingInvalidations: size,
      lostInvalidations: lost,
    };
  }

  /** Reads a value. All reads of one turn are one command. */
  read(key: string): Promise<Found> {
    return this.#reads.read(key);
  }

  /** Returns the stamps of tags, which are created where there are none; `undefined` in an outage. */
  async stamps(tags: readonly string[]): Promise<readonly TagStamp[] | undefined> {
    if (tags.length === 0) return [];
    const { names } = this.#options;
    const stamp = crypto.randomUUID();
    const sets = tags.map((tag): RedisCommand => ["SET", names.tag(tag), stamp, "EX", STAMP_SECONDS, "NX"]);
    const replies = await this.#send([...sets, ["MGET", ...tags.map((tag) => names.tag(tag))]]);
    const stamps = replies?.at(-1);
    if (!Array.isArray(stamps)) return undefined;
    return tags.flatMap((tag, index) => {
      const current: unknown = stamps[index];
      // Without a stamp, as in a Redis that is full, the value matches none.
      return [[tag, typeof current === "string" && !this.#pending.has(names.tag(tag)) ? current : stamp] as const];
    });
  }

  /** Stores values that are newer than what a load under way may return. */
  async write(values: readonly StoredValue[], message: string): Promise<void> {
    if (values.length === 0) return;
    const { names } = this.#options;
    const texts = values.map(({ frozen, times, stamps }) => encodeEnvelope(times, stamps, frozen));
    const commands = values.flatMap(({ key, times }, index): RedisCommand[] => {
      const text = texts[index] ?? "";
      // The lock goes first: its holder loads an older value, and stores nothing without it.
      if (this.#isTooLarge(text)) return [["DEL", names.lock(key), names.value(key)]];
      return [["DEL", names.lock(key)], ["SET", names.value(key), text, ...this.#expiry(times)]];
    });
    const pending = this.#pending.hold(values.map(({ key }) => names.value(key)));
    const replies = await this.#send([...commands, ["PUBLISH", names.invalidations, message]]);
    this.#pending.letGo(pending);
    if (isDone(replies)) this.#pending.settle(pending);
    // The older value must not come back.
    else await this.remove(values.map(({ key }) => key), message);
  }

  #isTooLarge(text: string): boolean {
    const isTooLarge = text.length > this.#options.maxValueBytes;
    if (isTooLarge) this.#counters.tooLarge++;
    return isTooLarge;
  }

  #expiry({ graceUntil }: EntryTimes): readonly (string | number)[] {
    return ["PX", Math.max(1, Math.ceil(graceUntil - this.#options.wallClock()))];
  }

  /** Removes values. In an outage they are removed later. Returns whether Redis had any of them. */
  async remove(keys: readonly string[], message: string): Promise<boolean> {
    if (keys.length === 0) return false;
    const { names } = this.#options;
    const commands = keys.map((key): RedisCommand => ["DEL", names.lock(key), names.value(key)]);
    // Noted first: a read that is sent meanwhile must not bring the old value back.
    const added = keys.map((key) => this.#note(names.value(key), [key], []));
    const replies = await this.#send([
      ...keys.map((key): RedisCommand => ["EXISTS", names.value(key)]),
      ...commands,
      ["PUBLISH", names.invalidations, message],
    ]);
    if (!isDone(replies)) {
      this.#pending.resendLater();
      return false;
    }
    this.#pending.settle(added);
    return replies.slice(0, keys.length).includes(1);
  }

  /** Invalidates the values of tags. In an outage, this is done later. */
  async removeTags(tags: readonly string[], message: string): Promise<void> {
    const { names } = this.#options;
    const commands = tags.map((tag): RedisCommand => ["DEL", names.tag(tag)]);
    const added = tags.map((tag) => this.#note(names.tag(tag), [], [tag]));
    if (isDone(await this.#send([...commands, ["PUBLISH", names.invalidations, message]]))) this.#pending.settle(added);
    else this.#pending.resendLater();
  }

  /** Notes that Redis has to delete a name. Its message is of that name alone: each may be sent by itself. */
  #note(name: string, keys: readonly string[], tags: readonly string[]): Invalidation {
    const { names, origin } = this.#options;
    const message = encodeInvalidation({ origin, keys, tags });
    return this.#pending.add(name, [["DEL", name], ["PUBLISH", names.invalidations, message]]);
  }

  /** Tries to become the isolate that loads a value, and reads it once more. */
  async acquire(key: string, token: string, lockMs: number): Promise<Acquired> {
    const { names } = this.#options;
    const replies = await this.#send([["EVAL", ACQUIRE, 2, names.lock(key), names.value(key), token, lockMs]]);
    if (!replies) this.#releaseLater(key, token);
    const reply = replies?.[0];
    if (!Array.isArray(reply)) return OUTAGE;
    const [isHeld, text]: unknown[] = reply;
    const [found = OUTAGE] = await this.#reads.withoutInvalidated([this.#reads.decode(key, text ?? null)]);
    return { kind: isHeld === 1 ? "held" : "busy", found };
  }

  /** Keeps the lock of a load. */
  async renew(key: string, token: string, lockMs: number): Promise<void> {
    await this.#send([["EVAL", RENEW, 1, this.#options.names.lock(key), token, lockMs]]);
  }

  /** Gives up the lock of a load. */
  async release(key: string, token: string): Promise<void> {
    const replies = await this.#send([["EVAL", RELEASE, 1, this.#options.names.lock(key), token]]);
    if (!replies) this.#releaseLater(key, token);
  }

  /** A command without a reply may run later, in a server that was stopped: its lock must not hold up others. */
  #releaseLater(key: string, token: string): void {
    const name = this.#options.names.lock(key);
    this.#releases.add(name, [["EVAL", RELEASE, 1, name, token]]);
  }

  /** Stores a value that was loaded, unless the lock was lost: to a newer value, an invalidation or another isolate. */
  async store({ key, frozen, times, stamps }: StoredValue, token: string): Promise<void> {
    const { names } = this.#options;
    const text = encodeEnvelope(times, stamps, frozen);
    if (this.#isTooLarge(text)) return await this.release(key, token);
    const [, ms = 1] = this.#expiry(times);
    const replies = await this.#send([["EVAL", STORE, 2, names.lock(key), names.value(key), token, text, ms]]);
    if (!isDone(replies)) await this.release(key, token);
  }

  /**
   * Adds to a counter.
   *
   * @param ms The time until a new counter expires, in ms; 0 for never.
   * @throws {CacheUnavailableError} in an outage, and if Redis is full.
   * @throws {CacheKeyError} if there is another value than a whole number.
   */
  async increment(key: string, by: number, ms: number, message: string): Promise<number> {
    const { names, redis } = this.#options;
    const pending = this.#pending.get([names.value(key)]);
    if (pending.length > 0 && !await this.#pending.send(pending)) {
      throw new CacheUnavailableError("an invalidation of the counter has not reached it");
    }
    const now = this.#options.wallClock();
    const until = ms === 0 ? Number.MAX_SAFE_INTEGER : Math.ceil(now + ms);
    const [reply] = await redis.send([
      ["EVAL", INCREMENT, 1, names.value(key), by, ms, until, Math.floor(now)],
      ["PUBLISH", names.invalidations, message],
    ]);
    if (typeof reply === "string" && Number.isSafeInteger(Number(reply))) return Number(reply);
    if (reply instanceof RedisReplyError && !/^(ERR )?not a counter/.test(reply.message)) {
      if (reply.isFull) this.#counters.full++;
      throw new CacheUnavailableError(reply.isFull ? "its memory is full" : "it rejected the command");
    }
    throw new CacheKeyError(NOT_A_COUNTER);
  }

  /** Sends a message. Returns the number of isolates that it reached. */
  async publish(channel: string, text: string): Promise<number> {
    const [count] = await this.#send([["PUBLISH", channel, text]]) ?? [];
    return typeof count === "number" ? count : 0;
  }

  /** Ends the waits before invalidations are sent again. Idempotent. */
  close(): void {
    this.#endResends();
    this.#pending.close();
    this.#releases.close();
  }

  /** Sends commands; returns `undefined` in an outage. */
  async #send(commands: readonly RedisCommand[]): Promise<unknown[] | undefined> {
    try {
      const replies = await this.#options.redis.send(commands);
      if (replies.some((reply) => reply instanceof RedisReplyError && reply.isFull)) this.#counters.full++;
      return replies;
    } catch {
      if (commands[0]?.[0] !== "MGET" && commands[0]?.[0] !== "GET") this.#counters.failedWrites++;
      return undefined;
    }
  }
}
