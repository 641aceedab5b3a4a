/**
 * The connections of an isolate to one Redis server: one for commands, and one for messages once there is a
 * subscription.
 *
 * @module
 */
import { installRedis } from "../../environment/mod.ts";
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitSnapshot,
  type Clock,
  Deadlines,
  messageOf,
  systemClock,
  textOf,
} from "../../resilience/mod.ts";
import { CacheConfigError, CacheUnavailableError, RedisReplyError } from "../errors.ts";
import { ListenerList } from "./listener_list.ts";
import type { RedisClient, RedisTlsOptions } from "./redis_driver.ts";
import { RedisLink } from "./redis_link.ts";
import { RedisMessages } from "./redis_messages.ts";
import { parseRedisUrl, type RedisAddress } from "./redis_url.ts";

/** A command: its name and its arguments. */
export type RedisCommand = readonly [name: string, ...args: (string | number)[]];

/** The part of Redis that a cache uses. Each of its promises settles within the deadline of a command. */
export interface RedisCommands {
  /**
   * Sends commands in one write, and returns a reply for each: what Redis replied, or a {@linkcode RedisReplyError}.
   *
   * @throws {CacheUnavailableError} if Redis cannot be used now. Whether the commands ran is then unknown.
   */
  send(commands: readonly RedisCommand[]): Promise<unknown[]>;
  /**
   * Calls `listener` with each message to `channel` from now on; the subscription outlives connections. What the listener
   * throws is ignored. Never throws.
   */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>;
  /** Removes a listener. Never throws. */
  unsubscribe(channel: string, listener: (message: string) => void): void;
  /** Calls `listener` when commands can be sent after they could not be. Returns the function that removes it. */
  onUp(listener: () => void): () => void;
  /**
   * Calls `listener` when messages arrive after some may have been lost, as at the beginning. Returns the function that
   * removes it.
   */
  onResubscribed(listener: () => void): () => void;
  /** The state, for statistics. */
  readonly state: RedisState;
  /** Closes the connections. Idempotent. */
  close(): void;
}

/** The state of the connections, as plain data. */
export interface RedisState {
  /** True if commands can be sent now. */
  readonly isConnected: boolean;
  /** True if messages arrive; false as well without a subscription. */
  readonly isSubscribed: boolean;
  /** The circuit breaker. */
  readonly circuit: CircuitSnapshot;
  /** The number of commands that exceeded their deadline. */
  readonly timeouts: number;
}

/** Options for {@linkcode RedisConnection}. */
export interface RedisConnectionOptions {
  /** The URL: `redis://` or, with TLS, `rediss://`. */
  readonly url: string;
  /** Options of TLS, for a `rediss://` URL. Default: the certificates of the system. */
  readonly tls?: RedisTlsOptions;
  /** The longest time that a command may take, in ms. Default: 250. */
  readonly commandTimeoutMs?: number;
  /** The longest time that opening a connection may take, in ms. Default: 1,000. */
  readonly connectTimeoutMs?: number;
  /** The rules by which the circuit breaker opens. Default: after 5 failures in a row. */
  readonly circuitBreaker?: Pick<
    CircuitBreakerOptions,
    "consecutiveFailures" | "failureRatio" | "minimumCalls" | "windowMs" | "openMs"
  >;
  /** Default: the isolate's own time. */
  readonly clock?: Clock;
}

/** Replies of a server that serves no client for now, or the wrong server after a failover: connect again. */
const UNUSABLE = /^(LOADING|MASTERDOWN|READONLY|CLUSTERDOWN|NOAUTH|TRYAGAIN) /;

/**
 * The least age of a connection that is replaced because of such a reply, in ms. A younger one is of the same server as
 * the one before it: more attempts would only add load, and a replica still serves reads.
 */
const REPLACED_AFTER_MS = 1_000;

/** The maximum number of callers that wait for the first connection. */
const MAX_WAITING = 1_000;

/**
 * Connections to one Redis server, for commands and for messages.
 *
 * - Nothing is opened before the first use, and nothing keeps an isolate alive but a command under way.
 * - A command settles within `commandTimeoutMs`. Without a connection it is rejected at once; only during the very first
 *   attempt it waits, up to `connectTimeoutMs`. There is no queue, and nothing is sent twice.
 * - A connection that lets a command exceed its deadline is closed and replaced: a half-open socket is never waited for
 *   twice.
 * - Failures open a circuit breaker. It is probed by attempts to connect, which include a `PING`,
 *   never by a caller's command.
 *
 * @example
 * ```ts
 * const redis = new RedisConnection({ url: "redis://localhost:6379" });
 * const [, value] = await redis.send([["SET", "greeting", "hello"], ["GET", "greeting"]]);
 * redis.close();
 * ```
 */
export class RedisConnection implements RedisCommands, Disposable {
  readonly #address: RedisAddress;
  readonly #tls: RedisTlsOptions;
  readonly #commandTimeoutMs: number;
  readonly #connectTimeoutMs: number;
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #breaker: CircuitBreaker;
  readonly #commands: RedisLink;
  readonly #messages: RedisMessages;
  readonly #onUp = new ListenerList();
  #underWay = 0;
  #timeouts = 0;

  /**
   * Opens nothing yet.
   *
   * @throws {CacheConfigError} if the URL, a time or the circuit breaker is not valid.
   */
  constructor(options: RedisConnectionOptions) {
    const { url, tls = {}, commandTimeoutMs = 250, connectTimeoutMs = 1_000, clock = systemClock } = options;
    for (const [name, value] of Object.entries({ commandTimeoutMs, connectTimeoutMs })) {
      if (value > 0 && value <= 60_000) continue;
      throw new CacheConfigError(`Cannot use ${name}: it is ${value}; set it to 1 to 60,000 ms`);
    }
    this.#address = parseRedisUrl(url);
    this.#tls = tls;
    this.#commandTimeoutMs = commandTimeoutMs;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock, { keepTimer: true });
    try {
      this.#breaker = new CircuitBreaker({ consecutiveFailures: 5, ...options.circuitBreaker, target: "Redis", clock });
    } catch (error) {
      throw new CacheConfigError(`Cannot use circuitBreaker: ${messageOf(error)}`, { cause: error });
    }
    const create = async () => (await import("./redis_driver.ts")).createRedisClient(this.#address, this.#tls);
    this.#commands = new RedisLink({
      create,
      prepare: (client) => this.#ping(client),
      // Its permit is of the state at its end: callers that fail meanwhile may have opened the circuit.
      onAttempt: (succeeded) => this.#breaker.settle(this.#breaker.admitPaced(), succeeded ? "succeeded" : "failed"),
      onUp: () => this.#onUp.notify(),
      onDown: () => {},
      connectTimeoutMs,
      clock,
    });
    this.#messages = new RedisMessages({
      create,
      heartbeatTimeoutMs: commandTimeoutMs,
      connectTimeoutMs,
      clock,
    });
  }

  /** The state, for statistics. */
  get state(): RedisState {
    return {
      isConnected: this.#commands.client !== undefined,
      isSubscribed: this.#messages.isSubscribed,
      circuit: this.#breaker.snapshot(),
      timeouts: this.#timeouts,
    };
  }

  /**
   * Sends commands in one write, and returns a reply for each: what Redis replied, or a {@linkcode RedisReplyError}.
   *
   * @throws {CacheUnavailableError} if Redis cannot be used now. Whether the commands ran is then unknown.
   */
  async send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    if (++this.#underWay === 1) this.#commands.keepAlive(true);
    try {
      const { client } = this.#commands;
      // One promise after the other costs as much as the rest of a command.
      return await (client ? this.#bounded(client, commands) : this.#sendFirst(commands));
    } finally {
      if (--this.#underWay === 0) this.#commands.keepAlive(false);
    }
  }

  /** Sends commands by the first connection. */
  async #sendFirst(commands: readonly RedisCommand[]): Promise<unknown[]> {
    return await this.#bounded(await this.#firstClient(), commands);
  }

  /** Waits for the first connection. An isolate does so once: later attempts are not waited for. */
  async #firstClient(): Promise<RedisClient> {
    this.#commands.start();
    const { firstAttempt } = this.#commands;
    if (firstAttempt && this.#underWay <= MAX_WAITING) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const deadline = this.#deadlines.start(this.#connectTimeoutMs, resolve);
      await Promise.race([firstAttempt, promise]);
      deadline.cancel();
    }
    const { client, reason } = this.#commands;
    if (client) return client;
    // The callers see the outage as well: it opens the breaker before the next attempt does.
    if (this.#breaker.isClosed) this.#breaker.settle(this.#breaker.admit(), "failed");
    throw new CacheUnavailableError(reason);
  }

  #bounded(client: RedisClient, commands: readonly RedisCommand[]): Promise<unknown[]> {
    const permit = this.#breaker.admit();
    const now = this.#clock.now();
    return new Promise((resolve, reject) => {
      let isSettled = false;
      // A connection that failed is replaced: once the new one is open, the circuit is closed as well.
      const fail = (reason: string) => {
        isSettled = true;
        deadline.cancel();
        this.#breaker.settle(permit, "failed");
        this.#commands.drop(client, reason);
        reject(new CacheUnavailableError(reason));
      };
      const deadline = this.#deadlines.start(this.#commandTimeoutMs, () => {
        this.#timeouts++;
        // Its reply may never come, and nothing that is sent after it is served before.
        fail(`it did not reply within ${this.#commandTimeoutMs} ms`);
      }, now);
      const onReplies = (replies: unknown[]): void => {
        if (isSettled) return;
        const unusable = replies.find((reply) => reply instanceof RedisReplyError && UNUSABLE.test(reply.message));
        if (unusable instanceof RedisReplyError && this.#commands.ageMs >= REPLACED_AFTER_MS) {
          fail(unusable.message);
          return;
        }
        isSettled = true;
        deadline.cancel();
        this.#breaker.settle(permit, "succeeded", now);
        resolve(replies);
      };
      const onError = (error: unknown): void => {
        if (!isSettled) fail(messageOf(error));
      };
      const [only] = commands;
      if (commands.length !== 1 || !only) {
        exchange(client, commands).then(onReplies, onError);
        return;
      }
      const [name, ...args] = only;
      client.redis.call(name, ...args).then((reply) => onReplies([reply]), (error) => {
        const reply = replyOf(error);
        if (reply) onReplies([reply]);
        else onError(error);
      });
    });
  }

  /** Rejects unless the server replies within the deadline of a command: one that is too slow is not used. */
  async #ping(client: RedisClient): Promise<void> {
    const { promise, reject } = Promise.withResolvers<never>();
    const reason = `it did not reply to PING within ${this.#commandTimeoutMs} ms`;
    const deadline = this.#deadlines.start(this.#commandTimeoutMs, () => reject(new Error(reason)));
    try {
      await Promise.race([client.redis.call("PING"), promise]);
    } finally {
      deadline.cancel();
    }
  }

  /**
   * Calls `listener` with each message to `channel` from now on; the subscription outlives connections. What the listener
   * throws is ignored. Never throws.
   */
  subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    return this.#messages.subscribe(channel, listener);
  }

  /** Removes a listener. Never throws. */
  unsubscribe(channel: string, listener: (message: string) => void): void {
    this.#messages.unsubscribe(channel, listener);
  }

  /** Calls `listener` when commands can be sent after they could not be. Returns the function that removes it. */
  onUp(listener: () => void): () => void {
    return this.#onUp.add(listener);
  }

  /**
   * Calls `listener` when messages arrive after some may have been lost, as at the beginning. Returns the function that
   * removes it.
   */
  onResubscribed(listener: () => void): () => void {
    return this.#messages.onResubscribed(listener);
  }

  /** Closes the connections. Commands under way are rejected. Idempotent. */
  close(): void {
    this.#commands.close();
    this.#messages.close();
    this.#deadlines.stop();
  }

  /** Closes the connections. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Sends commands in one write and returns their replies. Rejects if the connection is lost. */
async function exchange({ redis }: RedisClient, commands: readonly RedisCommand[]): Promise<unknown[]> {
  const pipeline = redis.pipeline();
  for (const [name, ...args] of commands) pipeline.call(name, ...args);
  const replies = await pipeline.exec() ?? [];
  return replies.map(([error, reply]) => {
    if (!error) return reply;
    const rejected = replyOf(error);
    if (!rejected) throw error;
    return rejected;
  });
}

/** Returns the error of a reply; `undefined` for that of a connection. */
function replyOf(error: unknown): RedisReplyError | undefined {
  // The error of the driver has the arguments of the command, which are values of callers.
  return textOf(error, "name") === "ReplyError" ? new RedisReplyError(messageOf(error)) : undefined;
}

installRedis((options) => new RedisConnection(options));
