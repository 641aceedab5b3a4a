/**
 * A connection to Redis that is opened again whenever it is lost.
 *
 * @module
 */
import { backoffDelayMs, type Clock, messageOf, type Timer } from "../../resilience/mod.ts";
import type { RedisClient } from "./redis_driver.ts";

/** Options of a {@linkcode RedisLink}. */
export interface RedisLinkOptions {
  /** Creates a connection. */
  readonly create: () => Promise<RedisClient>;
  /** Called with a connection that has been opened, before it is used; what it rejects with fails the attempt. */
  readonly prepare: (client: RedisClient) => Promise<unknown>;
  /** Called with the outcome of each attempt. */
  readonly onAttempt: (succeeded: boolean) => void;
  /** Called when a connection can be used. */
  readonly onUp: (client: RedisClient) => void;
  /** Called when it is lost. */
  readonly onDown: () => void;
  /** The longest time that opening and preparing may take, in ms. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

/** The pause after a failed attempt: the first is short, for a server that was restarted. */
const PAUSE = { baseMs: 50, capMs: 2_000 };

/**
 * Keeps one connection open.
 *
 * Attempts are paced by a backoff with jitter, so that isolates which lost the same server do not come back together.
 * Its timers and its socket do not keep the process alive.
 */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  #client: RedisClient | undefined = undefined;
  #attempt: Promise<void> | undefined = undefined;
  #opening: RedisClient | undefined = undefined;
  #failures = 0;
  #openedAt = 0;
  #timer: Timer | undefined = undefined;
  #isClosed = false;
  #isKept = false;
  /** The reason of the latest failure. */
  #reason = "the connection is being opened";

  constructor(options: RedisLinkOptions) {
    this.#options = options;
  }

  /** The connection, if there is one that can be used. */
  get client(): RedisClient | undefined {
    return this.#client;
  }

  /** The time since the connection was opened, in ms. */
  get ageMs(): number {
    return this.#options.clock.now() - this.#openedAt;
  }

  /** The cause why there is none. */
  get reason(): string {
    return this.#reason;
  }

  /** The first attempt, while it is under way: those that come later are not worth the wait. */
  get firstAttempt(): Promise<void> | undefined {
    return this.#failures === 0 ? this.#attempt : undefined;
  }

  /** Begins to connect, unless it is connected, connecting or pausing. Never throws. */
  start(): void {
    if (this.#isClosed || this.#client || this.#attempt || this.#timer) return;
    this.#attempt = this.#connect().finally(() => this.#attempt = undefined);
  }

  /** Drops the connection `client`, if it is still in use, and connects again. */
  drop(client: RedisClient, reason: string): void {
    client.destroy();
    this.#lost(client, reason);
  }

  /** Sets whether the connection keeps the process alive: while a command is under way, its caller waits for it. */
  keepAlive(keeps: boolean): void {
    this.#isKept = keeps;
    this.#client?.keepAlive(keeps);
    this.#opening?.keepAlive(keeps);
  }

  /** Closes the connection. Idempotent. */
  close(): void {
    this.#isClosed = true;
    this.#reason = "the connection was closed";
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#opening?.destroy();
    this.#client?.destroy();
    this.#client = undefined;
  }

  async #connect(): Promise<void> {
    const { create, prepare, onAttempt, onUp, connectTimeoutMs, clock } = this.#options;
    let client: RedisClient | undefined;
    let timer: Timer | undefined;
    try {
      client = this.#opening = await create();
      if (this.#isKept) client.keepAlive(true);
      const opening = client;
      const deadline = new Promise<never>((_, reject) => {
        timer = clock.setTimer(
          () => reject(new Error(`it did not accept a connection within ${connectTimeoutMs} ms`)),
          connectTimeoutMs,
        );
      });
      await Promise.race([opening.connect().then(() => prepare(opening)), deadline]);
      if (this.#isClosed) throw new Error(this.#reason);
    } catch (error) {
      client?.destroy();
      onAttempt(false);
      this.#pause(messageOf(error));
      return;
    } finally {
      this.#opening = undefined;
      timer?.cancel();
    }
    const open = client;
    this.#client = open;
    this.#openedAt = clock.now();
    this.#failures = 0;
    open.redis.once("end", () => this.#lost(open, "the connection was lost"));
    onAttempt(true);
    onUp(open);
  }

  #lost(client: RedisClient, reason: string): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    this.#options.onDown();
    this.#pause(reason);
  }

  #pause(reason: string): void {
    if (this.#isClosed) return;
    this.#reason = reason;
    const delayMs = backoffDelayMs(this.#failures++, PAUSE);
    this.#timer = this.#options.clock.setTimer(() => {
      this.#timer = undefined;
      this.start();
    }, delayMs);
  }
}
