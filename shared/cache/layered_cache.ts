/**
 * LayeredCache: memory, Redis, loader.
 *
 * @module
 */
import { processVariables, VariableReader, type Variables } from "../environment/mod.ts";
import { type Clock, systemClock } from "../resilience/mod.ts";
import { CacheView, runCallersLoader, type ViewParts } from "./cache_view.ts";
import { CacheEngine } from "./engine.ts";
import { CacheConfigError } from "./errors.ts";
import { type CallerContext, identityOf } from "./identity.ts";
import { redisNames, sharedKey, userKey } from "./keys.ts";
import { checkOutsideSharedLoader, runSharedLoader } from "./loader_scope.ts";
import { keepIsolateUntil, Loads } from "./loads.ts";
import type { MemoryLevelOptions } from "./memory_level.ts";
import { MessageBus } from "./message_bus.ts";
import { MAX_SECONDS } from "./options.ts";
import { type RedisCommands, RedisConnection, type RedisConnectionOptions } from "./redis/redis_connection.ts";
import { RedisLevel } from "./redis_level.ts";
import type { CacheStats } from "./stats.ts";

/** Options for {@linkcode LayeredCache}. */
export interface LayeredCacheOptions {
  /** The name, which keys in Redis begin with: letters, digits, `.`, `_` and `-`. Default: `cache`. */
  readonly name?: string;
  /** The bounds of the memory; `false` for none. Default: 10,000 values, 16 MiB. */
  readonly memory?: MemoryLevelOptions | false;
  /**
   * The longest time for which a value in memory is used without a look at Redis, in seconds: how long an isolate that
   * misses an invalidation can return the old value. Default: 5. Without Redis it has no effect.
   */
  readonly memorySeconds?: number;
  /** Redis: its URL, the options of its connection, or a connection that others use as well. Default: none. */
  readonly redis?: string | RedisConnectionOptions | RedisCommands | undefined;
  /** The time to live of values that have none of their own, in seconds. Default: 300. */
  readonly ttlSeconds?: number;
  /**
   * The greatest part by which the time to live of a loaded value is shortened at random, so that what was loaded
   * together is not loaded again together. Default: 0.1.
   */
  readonly ttlJitter?: number;
  /**
   * The maximum size of a value in Redis, in characters of its JSON; a larger one is kept in memory only, for
   * up to `memorySeconds`. Default: 1 Mi.
   */
  readonly maxValueBytes?: number;
  /** The time for which others wait for a load whose isolate was killed, in ms. Default: 2,000. */
  readonly lockMs?: number;
  /** The longest wait for a load of another isolate, in ms. Default: 10,000. */
  readonly lockWaitMs?: number;
  /**
   * The longest time that a loader may take, in ms; then its callers are rejected, and the next one loads again. Default:
   * 30,000.
   */
  readonly loaderTimeoutMs?: number;
  /** Default: the isolate's own time. */
  readonly clock?: Clock;
  /** Returns the time, in ms since the epoch. Default: `Date.now`. */
  readonly wallClock?: () => number;
  /** Returns numbers in `[0, 1)`. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Throws if a number is out of range. */
function checkRange(name: string, value: number, least: number, most: number): void {
  if (value >= least && value <= most) return;
  throw new CacheConfigError(`Cannot use ${name}: it is ${value}; set it to ${least} to ${most}`);
}

function checkMemory({ maxEntries = 1, maxBytes = 1 }: MemoryLevelOptions): void {
  for (
    const [name, value, most] of [["maxEntries", maxEntries, 10_000_000], ["maxBytes", maxBytes, 2 ** 40]] as const
  ) {
    checkRange(name, value, 1, most);
    if (!Number.isInteger(value)) {
      throw new CacheConfigError(`Cannot use ${name}: it is ${value}; set it to a whole number`);
    }
  }
}

function isConnection(redis: RedisConnectionOptions | RedisCommands): redis is RedisCommands {
  return "send" in redis;
}

/**
 * A cache of three levels: the memory of the isolate, Redis (optional), and the loader of {@linkcode CacheView.getOrLoad}.
 *
 * Values are shared by all callers. What row-level security may hide from some of them belongs into
 * {@linkcode LayeredCache.forUser}.
 *
 * @example
 * ```ts
 * const cache = new LayeredCache({ redis: "redis://localhost:6379" });
 * const rates = await cache.getOrLoad("rates", async () => (await fetch("https://rates.example.com/")).json(), 60);
 * ```
 */
export class LayeredCache extends CacheView implements Disposable {
  readonly #parts: ViewParts;
  /** Ends what the cache has opened. */
  readonly #end: () => void;

  /**
   * Opens nothing yet: Redis is connected to at the first use.
   *
   * @throws {CacheConfigError} if an option is out of range.
   */
  constructor(options: LayeredCacheOptions = {}) {
    const { name = "cache", memory = {}, memorySeconds = 5, ttlSeconds = 300, ttlJitter = 0.1 } = options;
    const { maxValueBytes = 1024 * 1024, lockMs = 2_000, lockWaitMs = 10_000 } = options;
    const { loaderTimeoutMs = 30_000 } = options;
    const { clock = systemClock, wallClock = Date.now, random = Math.random, redis } = options;
    if (memory !== false) checkMemory(memory);
    checkRange("ttlSeconds", ttlSeconds, 0.001, MAX_SECONDS);
    checkRange("memorySeconds", memorySeconds, 0, 86_400);
    checkRange("ttlJitter", ttlJitter, 0, 0.9);
    checkRange("maxValueBytes", maxValueBytes, 64, 512 * 1024 * 1024);
    checkRange("lockMs", lockMs, 30, 600_000);
    checkRange("lockWaitMs", lockWaitMs, 0, 600_000);
    checkRange("loaderTimeoutMs", loaderTimeoutMs, 1, 600_000);
    const names = redisNames(name);
    const origin = crypto.randomUUID();
    const connected = typeof redis === "string" ? { url: redis } : redis;
    const commands = connected === undefined || isConnection(connected)
      ? connected
      : new RedisConnection({ clock, ...connected });
    const level = commands && new RedisLevel({ redis: commands, names, origin, maxValueBytes, clock, wallClock });
    const engine = new CacheEngine({
      memory: memory === false ? undefined : memory,
      redis: level,
      origin,
      memoryMs: memorySeconds * 1_000,
      clock,
      wallClock,
      random,
    });
    const parts: ViewParts = {
      engine,
      // Redis takes whole milliseconds only.
      loads: new Loads(engine, { lockMs: Math.ceil(lockMs), lockWaitMs, loaderTimeoutMs, ttlJitter }),
      bus: new MessageBus(origin, level && commands && { level, commands, names }),
      keyOf: sharedKey,
      runLoader: runSharedLoader,
      guard: undefined,
      isCallers: false,
      waitUntil: keepIsolateUntil,
      ttlSeconds,
    };
    super(parts);
    this.#parts = parts;
    const receive = (text: string): void => engine.receive(text);
    const keepsMemory = memory !== false && commands !== undefined;
    const endDrops = keepsMemory ? commands.onResubscribed(() => engine.drop()) : undefined;
    if (keepsMemory) engine.onFirstUse = () => void commands.subscribe(names.invalidations, receive);
    this.#end = () => {
      endDrops?.();
      commands?.unsubscribe(names.invalidations, receive);
      // A connection that was given is used by others as well.
      if (commands !== redis) commands?.close();
    };
  }

  /**
   * Creates a cache whose Redis is that of `REDIS_URL`; without that variable it has the memory only.
   *
   * @param options Options in code win over the environment.
   * @param variables Default: the variables of this process.
   * @throws {CacheConfigError} if `REDIS_URL` is not a URL of Redis.
   */
  static fromEnvironment(
    options: LayeredCacheOptions = {},
    variables: Variables = processVariables(),
  ): LayeredCache {
    const redis = options.redis ?? new VariableReader(variables).text("REDIS_URL");
    return new LayeredCache({ ...options, redis });
  }

  /**
   * Returns the cache of one caller: no other caller's keys or channels can be reached through it, whatever the keys
   * are. Values of two callers are the same only if all claims of their tokens are, except `iat`, `exp`, `nbf` and `jti`.
   *
   * @param ctx The context of the handler.
   * @throws {CacheKeyError} if the context has no identity.
   * @example
   * ```ts
   * const budgets = await cache.forUser(ctx).getOrLoad("budgets", async () => {
   *   const { data } = await ctx.supabase.from("budgets").select().throwOnError();
   *   return data;
   * }, 30);
   * ```
   */
  forUser(ctx: CallerContext): CacheView {
    const waitUntil = ctx.waitUntil === undefined
      ? keepIsolateUntil
      : (promise: Promise<unknown>) => ctx.waitUntil?.(promise);
    return new CacheView({
      ...this.#parts,
      keyOf: userKey(identityOf(ctx)),
      runLoader: runCallersLoader,
      guard: checkOutsideSharedLoader,
      isCallers: true,
      waitUntil,
    });
  }

  /**
   * Invalidates all values of the tags, of all callers, in all levels and isolates.
   *
   * @throws {CacheKeyError} if a tag is not a text.
   */
  async invalidateTags(tags: readonly string[]): Promise<void> {
    await this.#parts.engine.removeTags(tags);
  }

  /** Returns the statistics. */
  stats(): CacheStats {
    return this.#parts.engine.stats();
  }

  /**
   * Closes the cache: ends its subscriptions, and closes its connections unless they were given. What is called later is
   * rejected. Idempotent.
   */
  close(): void {
    this.#parts.engine.close();
    this.#parts.bus.close();
    this.#end();
  }

  /** Closes the cache. */
  [Symbol.dispose](): void {
    this.close();
  }
}
