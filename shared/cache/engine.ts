/**
 * The levels of a cache as one: reads, writes and invalidations.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import type { EntryTimes, StoredEntry } from "./envelope.ts";
import { CacheClosedError, CacheKeyError, NOT_A_COUNTER } from "./errors.ts";
import { HitClock } from "./hit_clock.ts";
import { decodeInvalidation, encodeInvalidation } from "./invalidations.ts";
import { checkKey, shownKey } from "./keys.ts";
import { type CacheEntry, MemoryLevel, type MemoryLevelOptions } from "./memory_level.ts";
import { type ResolvedOptions, timesFrom } from "./options.ts";
import type { RedisLevel } from "./redis_level.ts";
import { type CacheCounters, cacheCounters, type CacheStats } from "./stats.ts";
import { freezeValue, type FrozenValue } from "./value.ts";

/** Options of a {@linkcode CacheEngine}. */
export interface EngineOptions {
  /** The memory; `undefined` for none. */
  readonly memory: MemoryLevelOptions | undefined;
  /** Redis; `undefined` for none. */
  readonly redis: RedisLevel | undefined;
  /** The id of this isolate in invalidations. */
  readonly origin: string;
  /** The longest time for which a value in memory is used without a look at Redis, in ms. */
  readonly memoryMs: number;
  readonly clock: Clock;
  /** Returns the time, in ms since the epoch. */
  readonly wallClock: () => number;
  /** Returns numbers in `[0, 1)`. */
  readonly random: () => number;
}

/** Work on a key, whose result may be unfit to be stored when it settles. */
export interface Flight {
  /** True if the key was changed or invalidated since it began: its result is not stored. */
  isInvalid: boolean;
  /** True if an invalidation may have been missed since it began: its result is not kept in memory. */
  isUncertain: boolean;
  readonly promise: Promise<unknown>;
}

/** The result of a look at all levels. An outage is not a miss. */
export type Look =
  | { readonly kind: "hit"; readonly entry: CacheEntry }
  | { readonly kind: "miss" | "outage" };

const NO_TAGS: readonly string[] = Object.freeze([]);
const MISS: Look = Object.freeze({ kind: "miss" });

/** The greatest step back of the clock, in ms, after which values that were stored before are still used. */
const CLOCK_STEP_MS = 1_000;

/** The maximum number of values or tags of one write to Redis: a larger one would hold up others. */
const MAX_WRITTEN = 128;

/** A look at Redis, which all readers of a key in the isolate share. */
interface LookFlight extends Flight {
  readonly promise: Promise<Look>;
}

/** The levels of a cache. Its keys are those of {@linkcode KeyOf}. */
export class CacheEngine {
  readonly options: EngineOptions;
  /** The counters. */
  readonly counters: CacheCounters = cacheCounters();
  readonly redis: RedisLevel | undefined;
  readonly #memory: MemoryLevel | undefined;
  readonly #wallClock: () => number;
  readonly #hitClock: HitClock;
  readonly #looks = new Map<string, LookFlight>();
  /** Writes that wait for the stamps of their tags, by key. */
  readonly #waiting = new Map<string, CacheEntry>();
  /** Work under way by key, such as loads: `invalidate` marks and removes it. */
  readonly flights: Map<string, Flight>[] = [this.#looks];
  /** Called once, before Redis is used. */
  onFirstUse: (() => void) | undefined = undefined;
  #hits = 0;
  #misses = 0;
  #drops = 0;
  #isClosed = false;

  constructor(options: EngineOptions) {
    this.options = options;
    this.redis = options.redis;
    this.#wallClock = options.wallClock;
    this.#hitClock = new HitClock(options.wallClock, options.clock);
    this.#memory = options.memory && new MemoryLevel(options.memory);
  }

  /** Returns the value in memory that is returned as it is; `undefined` if another level must be looked at. */
  hit(key: string): Promise<unknown> | undefined {
    const entry = this.#memory?.get(key);
    if (entry === undefined) return undefined;
    const now = this.#hitClock.now();
    if (now >= entry.hitUntil || now < entry.storedAt) return undefined;
    // What each reader gets a copy of is for the slow path, which counts the hit.
    if (entry.resolved !== undefined) this.#hits++;
    return entry.resolved;
  }

  /** Looks at the memory, then at Redis. Throws if the cache is closed. */
  look(key: string): Promise<Look> {
    this.begin();
    let entry = this.#memory?.get(key);
    if (entry !== undefined) {
      const now = this.#wallClock();
      entry = this.#unlessOfLater(key, entry, now);
      if (entry && now < entry.hitUntil) {
        this.#hits++;
        return Promise.resolve({ kind: "hit", entry });
      }
    }
    this.#misses++;
    if (this.redis) return this.#lookAtRedis(this.redis, key, entry);
    return Promise.resolve(entry ? { kind: "hit", entry } : MISS);
  }

  /** Returns the fresh value of a key; in an outage of Redis that of memory, which can miss an invalidation then. */
  async fresh(key: string): Promise<CacheEntry | undefined> {
    const look = await this.look(key);
    const entry = look.kind === "hit" ? look.entry : look.kind === "outage" ? this.remembered(key) : undefined;
    return entry && this.#wallClock() < entry.freshUntil ? entry : undefined;
  }

  /** Returns what memory has of a key, fresh or not. */
  remembered(key: string): CacheEntry | undefined {
    const entry = this.#memory?.get(key);
    return entry && this.#unlessOfLater(key, entry, this.#wallClock());
  }

  /** Removes an entry that was stored later than now: the clock was set back, and how old it is is not known. */
  #unlessOfLater(key: string, entry: CacheEntry, now: number): CacheEntry | undefined {
    if (entry.storedAt - now <= CLOCK_STEP_MS) return entry;
    this.#memory?.delete(key);
    return undefined;
  }

  /** Throws if the cache is closed. */
  checkOpen(): void {
    if (this.#isClosed) throw new CacheClosedError();
  }

  /** Called before a use of the levels. Throws if the cache is closed. */
  begin(): void {
    this.checkOpen();
    if (this.onFirstUse === undefined) return;
    const call = this.onFirstUse;
    this.onFirstUse = undefined;
    call();
  }

  /** @param before What memory has of the key. */
  #lookAtRedis(redis: RedisLevel, key: string, before: CacheEntry | undefined): Promise<Look> {
    const under = this.#looks.get(key);
    if (under) return under.promise;
    const promise = redis.read(key).then((found): Look => {
      const isCurrent = !flight.isInvalid && !flight.isUncertain;
      if (isCurrent) this.#looks.delete(key);
      if (found.kind !== "hit") {
        // What others have removed must not come back in an outage.
        if (isCurrent && before && found.kind === "miss" && this.#memory?.get(key) === before) this.#memory.delete(key);
        return found;
      }
      return { kind: "hit", entry: this.adopt(key, found.entry, flight) };
    });
    const flight: LookFlight = { isInvalid: false, isUncertain: false, promise };
    this.#looks.set(key, flight);
    return promise;
  }

  /** Keeps a value of Redis in memory, unless its key was invalidated since it was read. */
  adopt(key: string, stored: StoredEntry, flight: Flight): CacheEntry {
    const tags = stored.stamps.length === 0 ? NO_TAGS : stored.stamps.map(([tag]) => tag);
    const entry = this.#entry(stored, stored, tags);
    this.#keep(key, entry, flight);
    return entry;
  }

  /** Keeps an entry in memory, unless `flight` forbids it or the cache was closed meanwhile. */
  #keep(key: string, entry: CacheEntry, flight: Flight | undefined): void {
    if (!this.#isClosed && !flight?.isInvalid && !flight?.isUncertain) this.#memory?.set(key, entry);
  }

  #entry(frozen: Omit<FrozenValue, "isPlain">, times: EntryTimes, tags: readonly string[]): CacheEntry {
    const { value, isCopied, bytes } = frozen;
    const { freshUntil, staleUntil, graceUntil } = times;
    const resolved = isCopied || !this.#memory ? undefined : Object.freeze(Promise.resolve(value));
    // Without a memory, the times of the value itself count alone.
    const now = this.#memory ? this.#wallClock() : 0;
    const hitUntil = this.redis && this.#memory ? Math.min(freshUntil, now + this.options.memoryMs) : freshUntil;
    return {
      value,
      isCopied,
      bytes,
      resolved,
      freshUntil,
      staleUntil,
      graceUntil,
      tags,
      hitUntil,
      // What does not expire does not depend on the clock.
      storedAt: freshUntil === Number.MAX_SAFE_INTEGER ? 0 : now,
    };
  }

  /** Returns the entry of a value that was not read from Redis, and keeps it in memory unless `flight` forbids it. */
  remember(
    key: string,
    frozen: FrozenValue,
    times: EntryTimes,
    tags: readonly string[],
    flight?: Flight,
  ): CacheEntry {
    const entry = this.#entry(frozen, times, tags);
    this.#keep(key, entry, flight);
    return entry;
  }

  /** Lets `getOrLoad` return a value in memory until `until`, although it is not fresh; `get` does not. */
  extend(key: string, entry: CacheEntry, until: number): void {
    this.#keep(key, { ...entry, resolved: undefined, hitUntil: until }, undefined);
  }

  /** Stores values in all levels, in place of what is there and of loads under way. */
  async write(values: readonly (readonly [key: string, value: unknown])[], options: ResolvedOptions): Promise<void> {
    // All are checked before the first is stored.
    this.begin();
    const frozen = values.map(([key, value]) => [key, freezeValue(shownKey(key), value)] as const);
    const { redis } = this;
    const { tags } = options;
    const times = timesFrom(this.#wallClock(), options.ttlMs, options);
    let stamping: ReturnType<RedisLevel["stamps"]> | undefined = undefined;
    for (let at = 0; at < frozen.length; at += MAX_WRITTEN) {
      const part = frozen.slice(at, at + MAX_WRITTEN);
      const keys = part.map(([key]) => key);
      // With each part: what Redis had of it can be read until now.
      for (const key of keys) this.#invalidateFlight(key);
      this.#supersede(keys);
      if (!redis) {
        for (const [key, frozen] of part) this.remember(key, frozen, times, tags);
        continue;
      }
      const written = part.map(([key, frozen]) => ({ key, frozen, entry: this.remember(key, frozen, times, tags) }));
      if (tags.length === 0) {
        // At once: what is called after it is sent after it.
        await redis.write(written.map(({ key, frozen }) => ({ key, frozen, times, stamps: [] })), this.message(keys));
        continue;
      }
      for (const { key, entry } of written) this.#waiting.set(key, entry);
      const stamps = await (stamping ??= redis.stamps(tags));
      const latest = written.filter(({ key, entry }) => this.#isLatest(key, entry));
      const message = this.message(latest.map(({ key }) => key));
      if (!stamps) await redis.remove(latest.map(({ key }) => key), message);
      else await redis.write(latest.map(({ key, frozen }) => ({ key, frozen, times, stamps })), message);
    }
  }

  /** Notes that a write or a removal takes the place of those that wait for the stamps of their tags. */
  #supersede(keys: readonly string[]): void {
    if (this.#waiting.size > 0) { for (const key of keys) this.#waiting.delete(key); }
  }

  /** Ends the wait of a write. Returns whether it is still the latest one of its key. */
  #isLatest(key: string, entry: CacheEntry): boolean {
    if (this.#waiting.get(key) !== entry) return false;
    this.#waiting.delete(key);
    // Without it in memory, what Redis had could be read until now.
    if (this.#memory?.get(key) !== entry) this.invalidate([key]);
    return true;
  }

  /** Removes values from all levels. Returns whether one of them was there. */
  async remove(keys: readonly string[]): Promise<boolean> {
    this.begin();
    const now = this.#wallClock();
    const wasThere = keys.some((key) => now < (this.remembered(key)?.freshUntil ?? 0));
    this.invalidate(keys);
    this.#supersede(keys);
    const existed = await this.redis?.remove(keys, this.message(keys));
    return existed === true || wasThere;
  }

  /** Invalidates the values of tags in all levels. */
  async removeTags(tags: readonly string[]): Promise<void> {
    this.checkOpen();
    for (const tag of tags) checkKey(tag, "tag");
    for (let at = 0; at < tags.length; at += MAX_WRITTEN) {
      const part = tags.slice(at, at + MAX_WRITTEN);
      this.invalidateTags(part);
      await this.redis?.removeTags(part, this.message([], part));
    }
  }

  /**
   * Adds to a counter.
   *
   * @param ttlMs The time until a new counter expires, in ms; `undefined` for never.
   */
  async increment(key: string, by: number, ttlMs: number | undefined): Promise<number> {
    this.begin();
    if (!Number.isSafeInteger(by)) {
      throw new CacheKeyError(`Cannot increment the counter: ${by} is not a safe whole number; pass one`);
    }
    const { redis } = this;
    const now = this.#wallClock();
    const before = this.remembered(key);
    this.invalidate([key]);
    if (redis) return await redis.increment(key, by, Math.ceil(ttlMs ?? 0), this.message([key]));
    const isSet = before !== undefined && now < before.freshUntil;
    const sum = (isSet ? Number(before.value) : 0) + by;
    const isCounter = !isSet || (typeof before.value === "number" && before.tags.length === 0);
    if (!isCounter || !Number.isSafeInteger(sum)) {
      if (before) this.#memory?.set(key, before);
      throw new CacheKeyError(NOT_A_COUNTER);
    }
    const until = isSet ? before.freshUntil : ttlMs === undefined ? Number.MAX_SAFE_INTEGER : Math.ceil(now + ttlMs);
    const times = { freshUntil: until, staleUntil: until, graceUntil: until };
    this.remember(key, freezeValue(key, sum), times, NO_TAGS);
    return sum;
  }

  /** Drops values of memory, and marks what is under way for them. */
  invalidate(keys: readonly string[]): void {
    for (const key of keys) {
      this.#memory?.delete(key);
      this.#invalidateFlight(key);
    }
  }

  /** Marks what is under way for a key. */
  #invalidateFlight(key: string): void {
    for (const flights of this.flights) {
      const flight = flights.get(key);
      if (!flight) continue;
      flight.isInvalid = true;
      // Who asks from now on must not get what was read before.
      flights.delete(key);
    }
  }

  /** Drops the values of tags from memory, and marks all that is under way: its tags may not be known yet. */
  invalidateTags(tags: readonly string[]): void {
    for (const tag of tags) this.#memory?.deleteTag(tag);
    this.#invalidateFlights();
  }

  #invalidateFlights(): void {
    for (const flights of this.flights) this.invalidate([...flights.keys()]);
  }

  /** Drops all values of memory: invalidations may have been lost. */
  drop(): void {
    this.#drops++;
    this.#memory?.clear();
    for (const flights of this.flights) {
      for (const flight of flights.values()) flight.isUncertain = true;
    }
    // Loads go on: others may join them, and Redis takes their values only from the holder of the lock.
    this.#looks.clear();
  }

  /** Receives an invalidation of another isolate. */
  receive(text: string): void {
    const counters = this.redis?.counters;
    const message = decodeInvalidation(text);
    if (message?.origin === this.options.origin || !counters) return;
    if (!message) {
      counters.foreignMessages++;
      return;
    }
    counters.receivedInvalidations++;
    this.invalidate(message.keys);
    if (message.tags.length > 0) this.invalidateTags(message.tags);
  }

  /** Returns the message that makes other isolates drop values. */
  message(keys: readonly string[], tags: readonly string[] = NO_TAGS): string {
    return encodeInvalidation({ origin: this.options.origin, keys, tags });
  }

  /** Returns the statistics. */
  stats(): CacheStats {
    const { size = 0, bytes = 0, evictions = 0 } = this.#memory ?? {};
    return {
      memory: { hits: this.#hits, misses: this.#misses, entries: size, bytes, evictions, drops: this.#drops },
      redis: this.redis?.stats(),
      ...this.counters,
    };
  }

  /** Refuses what comes later, and drops all values of memory. */
  close(): void {
    this.#isClosed = true;
    this.drop();
    this.redis?.close();
  }
}
