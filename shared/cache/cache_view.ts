/**
 * A cache as its users see it: the shared one, or that of one caller.
 *
 * @module
 */
import { isPromiseLike, observe, withoutContext } from "../resilience/mod.ts";
import type { CacheEngine } from "./engine.ts";
import { checkKey, type KeyOf, sharedKey } from "./keys.ts";
import type { LoadRequest, Loads } from "./loads.ts";
import { valueOf } from "./memory_level.ts";
import type { MessageBus } from "./message_bus.ts";
import { type CacheLoadContext, type CacheLoadOptions, type CacheValueOptions, resolveOptions } from "./options.ts";

/**
 * A function that returns the value of a key that is not cached.
 *
 * @param context The load: pass its `signal` to `fetch` and the like.
 */
export type CacheLoader<T> = (context: CacheLoadContext) => PromiseLike<T> | T;

/** A function that is called with messages of a channel. */
export type MessageHandler = (message: unknown, channel: string) => unknown;

/** A subscription to a channel. Disposing of it ends it. */
export interface CacheSubscription extends Disposable {
  /** Ends the subscription. Idempotent. */
  unsubscribe(): void;
}

/** The parts of a view, for the modules of this folder. */
export interface ViewParts {
  readonly engine: CacheEngine;
  readonly loads: Loads;
  readonly bus: MessageBus;
  /** Names the keys of the view. */
  readonly keyOf: KeyOf;
  /** Runs a loader, in a context that suits whom its value is for. */
  readonly runLoader: (loader: () => unknown) => Promise<unknown>;
  /** Throws where the view must not be used. */
  readonly guard: (() => void) | undefined;
  /** True if the values are of one caller. */
  readonly isCallers: boolean;
  /** Keeps what a background load uses until it has settled. */
  readonly waitUntil: (promise: Promise<unknown>) => void;
  /** The default time to live, in seconds. */
  readonly ttlSeconds: number;
}

/**
 * Values by key.
 *
 * Objects and arrays that it returns are frozen. Except for `increment`, no method fails because of Redis.
 */
export class CacheView {
  readonly #parts: ViewParts;
  readonly #engine: CacheEngine;
  readonly #keyOf: KeyOf;
  readonly #guard: (() => void) | undefined;
  /** True if nothing guards it, and its keys are those of {@linkcode sharedKey}: a hit in memory is found at once. */
  readonly #isShared: boolean;

  /** @internal */
  constructor(parts: ViewParts) {
    this.#parts = parts;
    this.#engine = parts.engine;
    this.#keyOf = parts.keyOf;
    this.#guard = parts.guard;
    this.#isShared = parts.guard === undefined && parts.keyOf === sharedKey;
  }

  /**
   * Returns the value of a key, or `undefined` if there is none that is fresh.
   *
   * @throws {CacheKeyError} if the key is not a text of at most 1,024 characters.
   */
  get<T = unknown>(key: string): Promise<T | undefined> {
    const hit = this.#isShared && typeof key === "string" ? this.#engine.hit(sharedKey(key)) : undefined;
    return hit === undefined ? this.#get<T>(key) : hit as Promise<T>;
  }

  async #get<T>(key: string): Promise<T | undefined> {
    this.#guard?.();
    checkKey(key);
    const name = this.#keyOf(key);
    const hit = this.#isShared ? undefined : this.#engine.hit(name);
    if (hit !== undefined) return await hit as T;
    const entry = await this.#engine.fresh(name);
    return entry && valueOf(entry) as T;
  }

  /**
   * Stores a value in place of what is cached.
   *
   * @param value Plain data: see {@linkcode CacheValueError}. It is copied; a later change to it changes nothing.
   * @param ttl The time to live, in seconds, or options. Default: that of the cache, 300.
   * @throws {CacheValueError} if the value would not come back as it is.
   * @throws {CacheKeyError} if the key is not a text of at most 1,024 characters.
   * @throws {CacheConfigError} if a time is out of range.
   */
  async set(key: string, value: unknown, ttl?: number | CacheValueOptions): Promise<void> {
    this.#guard?.();
    checkKey(key);
    await this.#engine.write([[this.#keyOf(key), value]], resolveOptions(ttl, this.#parts.ttlSeconds));
  }

  /**
   * Removes a value from all levels and all isolates. In an outage of Redis it is removed there afterwards.
   *
   * @returns Whether there was one.
   */
  async delete(key: string): Promise<boolean> {
    this.#guard?.();
    checkKey(key);
    return await this.#engine.remove([this.#keyOf(key)]);
  }

  /** Returns whether a key has a value that is fresh, which may be `undefined`. */
  async exists(key: string): Promise<boolean> {
    this.#guard?.();
    checkKey(key);
    return await this.#engine.fresh(this.#keyOf(key)) !== undefined;
  }

  /** Returns the values of keys in their order, as {@linkcode get} does. */
  async mget<T = unknown>(keys: readonly string[]): Promise<(T | undefined)[]> {
    return await Promise.all(keys.map((key) => this.get<T>(key)));
  }

  /** Stores the values of an object by its keys, as {@linkcode set} does. If one of them cannot be cached, none is. */
  async mset(values: Readonly<Record<string, unknown>>, ttl?: number | CacheValueOptions): Promise<void> {
    this.#guard?.();
    const entries = Object.entries(values).map(([key, value]) => {
      checkKey(key);
      return [this.#keyOf(key), value] as const;
    });
    await this.#engine.write(entries, resolveOptions(ttl, this.#parts.ttlSeconds));
  }

  /**
   * Adds to a counter. With Redis, it is the same one in all isolates.
   *
   * @param by A whole number. Default: 1.
   * @param ttlSeconds The time to live of a new counter, in seconds. Default: it does not expire.
   * @returns The sum.
   * @throws {CacheUnavailableError} if Redis is configured and cannot be used now.
   * @throws {CacheKeyError} if the value is not a safe whole number.
   */
  async increment(key: string, by = 1, ttlSeconds?: number): Promise<number> {
    this.#guard?.();
    checkKey(key);
    const { ttlMs } = resolveOptions(ttlSeconds, this.#parts.ttlSeconds);
    return await this.#engine.increment(this.#keyOf(key), by, ttlSeconds === undefined ? undefined : ttlMs);
  }

  /**
   * Sends a message to the subscribers of a channel: in all isolates with Redis, in this one otherwise and in an outage.
   * A message is delivered at most once; one that is sent while an isolate has no connection does not reach it.
   *
   * @param message Plain data, as for {@linkcode set}.
   * @throws {CacheValueError} if the message is not plain data.
   */
  async publish(channel: string, message: unknown): Promise<void> {
    this.#guard?.();
    checkKey(channel, "channel");
    this.#engine.checkOpen();
    await this.#parts.bus.publish(this.#keyOf(channel), message);
  }

  /**
   * Calls `handler` with each message that is published to a channel from now on, outside of the async context of the
   * publisher and of any request. What it throws is ignored.
   *
   * @example
   * ```ts
   * using subscription = await cache.subscribe("user-updates", (message, channel) => {
   *   console.log(`Received message on channel ${channel}:`, message);
   * });
   * ```
   */
  async subscribe(channel: string, handler: MessageHandler): Promise<CacheSubscription> {
    this.#guard?.();
    checkKey(channel, "channel");
    this.#engine.checkOpen();
    const unsubscribe = await this.#parts.bus.subscribe(
      this.#keyOf(channel),
      // Neither in a transaction of the publisher, nor in the request that was first to connect.
      (message) => withoutContext(observe, () => handler(message, channel), () => {}),
    );
    return { unsubscribe, [Symbol.dispose]: unsubscribe };
  }

  /**
   * Returns the value of a key; if there is none that is fresh, the loader's, which is stored.
   *
   * Calls for one key share one load: in the isolate always, and across isolates with Redis. `null` and `undefined` are
   * cached as well (`negativeSeconds`). A value within `staleSeconds` is returned at once and loaded again in the
   * background; one within `graceSeconds` is returned if the loader fails. Otherwise the promise rejects with what the
   * loader throws, which is not cached.
   *
   * @example
   * ```ts
   * const load = async () => (await fetch("https://rates.example.com/")).json();
   * const rates = await cache.getOrLoad("rates", load, { ttlSeconds: 60, staleSeconds: 600 });
   * ```
   * A load whose request has ended is begun again for those who share it.
   *
   * @param ttl The time to live, in seconds, or options. Default: that of the cache, 300.
   * @throws {SharedLoaderError} if the loader of a shared value used a caller's scope.
   * @throws {CacheLoadTimeoutError} if the loader takes longer than `loaderTimeoutMs`.
   * @throws {CacheLoadCycleError} if the loader asks for its own key.
   * @throws {CacheValueError} if the value would not come back as it is.
   */
  getOrLoad<T>(key: string, loader: CacheLoader<T>, ttl?: number | CacheLoadOptions): Promise<T> {
    const hit = this.#isShared && typeof key === "string" ? this.#engine.hit(sharedKey(key)) : undefined;
    return hit === undefined ? this.#getOrLoad(key, loader, ttl) : hit as Promise<T>;
  }

  async #getOrLoad<T>(key: string, loader: CacheLoader<T>, ttl: number | CacheLoadOptions | undefined): Promise<T> {
    const { loads, runLoader, isCallers, waitUntil, ttlSeconds } = this.#parts;
    this.#guard?.();
    checkKey(key);
    const options = resolveOptions(ttl, ttlSeconds);
    options.signal?.throwIfAborted();
    const run: LoadRequest["run"] = (within) => runLoader(() => within(loader));
    return valueOf(await loads.getOrLoad({ key: this.#keyOf(key), run, options, isCallers, waitUntil })) as T;
  }
}

/** Runs the loader of one caller, in its own async context. */
export async function runCallersLoader(loader: () => unknown): Promise<unknown> {
  const value = loader();
  return isPromiseLike(value) ? await value : value;
}
