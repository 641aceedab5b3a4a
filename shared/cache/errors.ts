/**
 * The errors of the cache.
 *
 * @module
 */
import {
  type FailureKind,
  type HttpDescription,
  INTERNAL_ERROR,
  SERVICE_UNAVAILABLE,
  UPSTREAM_TIMEOUT,
} from "../resilience/mod.ts";

/** An error of the cache. */
export abstract class CacheError extends Error {
  /** Stable across releases. */
  abstract readonly code: string;
  /** The retry class, as `classifyFailure` reads it. */
  abstract readonly retry: FailureKind;
  /** The HTTP response to the error. */
  abstract readonly http: HttpDescription;
}

/**
 * An option of the cache, or `REDIS_URL`, is missing or has a value that it cannot have.
 *
 * @cause `REDIS_URL` is not set where Redis is required, is not a URL of Redis, or an option is out of range.
 * @fix Set `REDIS_URL` to `redis://host:6379` or, with TLS, `rediss://user:password@host:6379/0`; correct the option.
 * @sample new CacheConfigError("Cannot open the Redis cache: REDIS_URL is not set; set it to redis://host:6379")
 */
export class CacheConfigError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_CONFIG_INVALID";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = CacheConfigError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheConfigError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheConfigError.http;
  /** The name of the class. */
  override readonly name = "CacheConfigError";
}

/**
 * A key, a tag, a channel or a number cannot be used with the cache.
 *
 * @cause A key is not a text, is longer than 1,024 characters or has half of a surrogate pair; a counter is not a whole
 * number.
 * @fix Pass a well-formed text as the key, and whole numbers to `increment`.
 * @sample new CacheKeyError("Cannot use the key: it is undefined; pass a text")
 */
export class CacheKeyError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_KEY_INVALID";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = CacheKeyError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheKeyError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheKeyError.http;
  /** The name of the class. */
  override readonly name = "CacheKeyError";
}

/** The message of a `CacheKeyError` for a key whose value is another one than a counter. */
export const NOT_A_COUNTER =
  "Cannot increment the counter: its value is not a safe whole number without tags; delete it first";

/**
 * A value cannot be cached, because it would not come back as it is.
 *
 * @cause The value contains a function, a symbol, an instance of a class, a cycle, or is nested too deeply.
 * @fix Cache plain data: objects, arrays, texts, numbers, bigint, `Date`, `Uint8Array`, `Map` and `Set`.
 * @sample new CacheValueError("posts", "$.author", "it is an instance of Author; cache its plain data")
 */
export class CacheValueError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_VALUE_INVALID";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = CacheValueError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheValueError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheValueError.http;
  /** The name of the class. */
  override readonly name = "CacheValueError";
  /** The path of the part that cannot be cached: `$` is the value itself. */
  readonly path: string;

  /**
   * Creates the error.
   *
   * @param key The key; a channel for messages.
   * @param path The path of the part that cannot be cached.
   * @param reason The cause, and what to do.
   */
  constructor(key: string, path: string, reason: string) {
    super(`Cannot cache the value of ${JSON.stringify(key.slice(0, 80))} at ${path}: ${reason}`);
    this.path = path;
  }
}

/**
 * Redis cannot be used now, and the operation has no other way to a right result.
 *
 * Reads, writes and loads never fail with it: they go on without Redis. `increment` does, because a count that ignores
 * other isolates is wrong.
 *
 * @cause Redis does not respond, refuses the connection or the password, or its circuit breaker is open.
 * @fix Try again after `Retry-After`. Check `REDIS_URL`, and the server with `redis-cli PING`.
 * @sample new CacheUnavailableError("connect ECONNREFUSED 127.0.0.1:6379")
 */
export class CacheUnavailableError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_UNAVAILABLE";
  /** The retry class. */
  static readonly retry = "transient";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription & { readonly detail: string } = {
    ...SERVICE_UNAVAILABLE,
    detail: "The cache is not available",
  };

  /** Stable across releases. */
  readonly code: string = CacheUnavailableError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheUnavailableError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheUnavailableError.http;
  /** The name of the class. */
  override readonly name = "CacheUnavailableError";

  /**
   * Creates the error.
   *
   * @param reason The cause.
   */
  constructor(reason: string, options?: ErrorOptions) {
    super(`Cannot use Redis: ${reason}`, options);
  }
}

/**
 * Redis rejected a command; the connection is usable.
 *
 * @cause The command is not valid, the user of `REDIS_URL` may not send it, or the memory of Redis is full.
 * @fix Read the message, which is that of Redis. Set `maxmemory-policy` to `allkeys-lru` for a Redis that is a cache.
 * @sample new RedisReplyError("OOM command not allowed when used memory > 'maxmemory'.")
 */
export class RedisReplyError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "REDIS_REJECTED";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = RedisReplyError.code;
  /** The retry class. */
  readonly retry: FailureKind = RedisReplyError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = RedisReplyError.http;
  /** The name of the class. */
  override readonly name = "RedisReplyError";

  /** True if Redis has no memory for a write (`maxmemory` with the policy `noeviction`). */
  get isFull(): boolean {
    return this.message.startsWith("OOM ");
  }
}

/**
 * A loader of the shared cache used a caller's client or connection: what it returns would reach other callers.
 *
 * @cause The loader of `cache.getOrLoad` used `ctx.supabase`, or another view of a signed-in user.
 * @fix Load with `cache.forUser(ctx).getOrLoad`, or load with `ctx.supabaseAdmin` what everyone may see.
 * @sample new SharedLoaderError()
 */
export class SharedLoaderError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_SHARED_LOADER";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = SharedLoaderError.code;
  /** The retry class. */
  readonly retry: FailureKind = SharedLoaderError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = SharedLoaderError.http;
  /** The name of the class. */
  override readonly name = "SharedLoaderError";

  /** Creates the error. */
  constructor() {
    super(
      "Cannot act for a caller inside a loader of the shared cache: other callers would receive the rows. " +
        "Use cache.forUser(ctx).getOrLoad, or the admin client for what everyone may see",
    );
  }
}

/**
 * A loader loads the value that it is loading, by itself or behind others: it would wait for itself.
 *
 * @cause The loader of a key calls `getOrLoad` of the same key, or of one whose loader does.
 * @fix Load in the loader without the cache, or use another key.
 * @sample new CacheLoadCycleError("posts")
 */
export class CacheLoadCycleError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_LOAD_CYCLE";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = CacheLoadCycleError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheLoadCycleError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheLoadCycleError.http;
  /** The name of the class. */
  override readonly name = "CacheLoadCycleError";

  /**
   * Creates the error.
   *
   * @param key The key.
   */
  constructor(key: string) {
    super(
      `Cannot load ${JSON.stringify(key.slice(0, 80))}: its own loader asks for it and would wait for itself; ` +
        "load it there without the cache",
    );
  }
}

/**
 * A loader did not settle in time. Its callers are rejected, and the next one loads again.
 *
 * @cause The loader waits for something that does not respond, and has no time limit of its own.
 * @fix Give what the loader calls a time limit, or raise `loaderTimeoutMs`.
 * @sample new CacheLoadTimeoutError("posts", 30_000)
 */
export class CacheLoadTimeoutError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_LOAD_TIMEOUT";
  /** The retry class. */
  static readonly retry = "ambiguous";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription & { readonly detail: string } = {
    ...UPSTREAM_TIMEOUT,
    detail: "A value could not be loaded in time",
  };

  /** Stable across releases. */
  readonly code: string = CacheLoadTimeoutError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheLoadTimeoutError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheLoadTimeoutError.http;
  /** The name of the class. */
  override readonly name = "CacheLoadTimeoutError";

  /**
   * Creates the error.
   *
   * @param key The key.
   * @param timeoutMs The limit, in ms.
   */
  constructor(key: string, timeoutMs: number) {
    super(
      `Cannot load ${JSON.stringify(key.slice(0, 80))}: the loader did not settle within ${timeoutMs} ms ` +
        "(loaderTimeoutMs); give what it calls a time limit",
    );
  }
}

/**
 * The cache was closed.
 *
 * @cause `close()` was called before.
 * @fix Close the cache after its last use.
 * @sample new CacheClosedError()
 */
export class CacheClosedError extends CacheError {
  /** The code in logs and responses. */
  static readonly code = "CACHE_CLOSED";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = SERVICE_UNAVAILABLE;

  /** Stable across releases. */
  readonly code: string = CacheClosedError.code;
  /** The retry class. */
  readonly retry: FailureKind = CacheClosedError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = CacheClosedError.http;
  /** The name of the class. */
  override readonly name = "CacheClosedError";

  /** Creates the error. */
  constructor() {
    super("Cannot use the cache: it was closed; close it after its last use");
  }
}
