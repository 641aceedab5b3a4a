/**
 * The source of connections to Redis. The driver of Redis is a part of `shared/cache`, which is uploaded and loaded only
 * where a function imports it: it installs itself here.
 *
 * @module
 */

/** A connection to Redis, as far as parts that are not the cache use it. */
export interface RedisSender {
  /** Sends commands in one write, and returns a reply for each: what Redis replied, or an error. */
  send(commands: readonly (readonly [name: string, ...args: (string | number)[]])[]): Promise<unknown[]>;
  /** Closes the connection. Idempotent. */
  close(): void;
}

/** Options of a connection. */
export interface RedisSourceOptions {
  /** The URL: `redis://` or, with TLS, `rediss://`. */
  readonly url: string;
  /** The longest time that a command may take, in ms. */
  readonly commandTimeoutMs: number;
  /** The longest time that opening a connection may take, in ms. */
  readonly connectTimeoutMs: number;
}

let installed: ((options: RedisSourceOptions) => RedisSender) | undefined = undefined;

/** Installs the function that opens connections; the latest one counts. */
export function installRedis(open: (options: RedisSourceOptions) => RedisSender): void {
  installed = open;
}

/**
 * Opens a connection. Returns `undefined` where the cache is not loaded.
 *
 * @throws what the cache throws for a URL that is not one of Redis.
 */
export function openRedis(options: RedisSourceOptions): RedisSender | undefined {
  return installed?.(options);
}
