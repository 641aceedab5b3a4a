/**
 * The connection of an isolate for messages of Redis: a connection with a subscription can send no other commands.
 *
 * @module
 */
import { type Clock, Deadlines, messageOf, observe, type Timer } from "../../resilience/mod.ts";
import { ListenerList } from "./listener_list.ts";
import type { RedisClient } from "./redis_driver.ts";
import { RedisLink } from "./redis_link.ts";

/** Options of {@linkcode RedisMessages}. */
export interface RedisMessagesOptions {
  /** Creates a connection. */
  readonly create: () => Promise<RedisClient>;
  /** The longest time until a heartbeat has a reply, in ms. */
  readonly heartbeatTimeoutMs: number;
  /** The longest time that opening and subscribing may take, in ms. */
  readonly connectTimeoutMs: number;
  readonly clock: Clock;
}

/** A listener of a channel. */
type MessageListener = (message: string) => void;

/** The time between two heartbeats, in ms. */
const HEARTBEAT_MS = 5_000;

/** The channels of an isolate. They outlive connections; messages that are sent meanwhile are lost. */
export class RedisMessages {
  readonly #clock: Clock;
  readonly #deadlines: Deadlines;
  readonly #heartbeatTimeoutMs: number;
  readonly #link: RedisLink;
  readonly #listeners = new Map<string, Set<MessageListener>>();
  /** The subscriptions under way, by channel. */
  readonly #subscribing = new Map<string, Promise<void>>();
  readonly #onResubscribed = new ListenerList();
  /** The channels that the connection was subscribed to when it was opened. */
  #subscribed: ReadonlySet<string> = new Set();
  #heartbeat: Timer | undefined = undefined;

  constructor({ create, heartbeatTimeoutMs, connectTimeoutMs, clock }: RedisMessagesOptions) {
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock);
    this.#heartbeatTimeoutMs = heartbeatTimeoutMs;
    this.#link = new RedisLink({
      create,
      prepare: (client) => this.#resubscribe(client),
      onAttempt: () => {},
      onUp: (client) => {
        this.#subscribeToOthers(client);
        this.#onResubscribed.notify();
        this.#beat();
      },
      onDown: () => this.#heartbeat?.cancel(),
      connectTimeoutMs,
      clock,
    });
  }

  /** True if messages arrive. */
  get isSubscribed(): boolean {
    return this.#link.client !== undefined;
  }

  /**
   * Calls `listener` when messages arrive after some may have been lost, as at the beginning. Returns the function that
   * removes it.
   */
  onResubscribed(listener: () => void): () => void {
    return this.#onResubscribed.add(listener);
  }

  /** Calls `listener` with each message to `channel`. Resolves when it is subscribed to, or cannot be now. */
  async subscribe(channel: string, listener: MessageListener): Promise<void> {
    const listeners = this.#listeners.get(channel);
    if (listeners) {
      listeners.add(listener);
      // It may be under way for another listener.
      await this.#subscribing.get(channel);
      return;
    }
    this.#listeners.set(channel, new Set([listener]));
    const subscribing = this.#begin(channel);
    this.#subscribing.set(channel, subscribing);
    await subscribing;
    if (this.#subscribing.get(channel) === subscribing) this.#subscribing.delete(channel);
  }

  /** Subscribes to a channel, and connects if need be. Never throws. */
  async #begin(channel: string): Promise<void> {
    const { client } = this.#link;
    if (client) {
      await this.#subscribeTo(client, channel);
      return;
    }
    this.#link.start();
    const { firstAttempt } = this.#link;
    if (!firstAttempt) return;
    this.#link.keepAlive(true);
    await firstAttempt;
    this.#link.keepAlive(false);
  }

  /** Removes a listener. */
  unsubscribe(channel: string, listener: MessageListener): void {
    const listeners = this.#listeners.get(channel);
    listeners?.delete(listener);
    if (listeners?.size !== 0) return;
    this.#listeners.delete(channel);
    this.#link.client?.redis.unsubscribe(channel).catch(() => {});
  }

  /** Closes the connection. Idempotent. */
  close(): void {
    this.#heartbeat?.cancel();
    this.#link.close();
    this.#listeners.clear();
    this.#deadlines.stop();
  }

  async #resubscribe({ redis }: RedisClient): Promise<void> {
    redis.on("message", (channel: string, message: string) => {
      // What one of them throws must reach neither the others nor the driver.
      for (const listener of [...this.#listeners.get(channel) ?? []]) observe(() => listener(message), () => {});
    });
    const subscribed = this.#subscribed = new Set<string>();
    // One that is added while the others are being subscribed to is subscribed to as well.
    for (let missing = [...this.#listeners.keys()]; missing.length > 0;) {
      await redis.subscribe(...missing);
      for (const channel of missing) subscribed.add(channel);
      missing = [...this.#listeners.keys()].filter((channel) => !subscribed.has(channel));
    }
  }

  /** Subscribes to channels that were added since {@linkcode #resubscribe}, and leaves those that were removed. */
  #subscribeToOthers(client: RedisClient): void {
    const channels = new Set(this.#listeners.keys());
    for (const channel of channels) if (!this.#subscribed.has(channel)) void this.#subscribeTo(client, channel);
    for (const channel of this.#subscribed) {
      if (!channels.has(channel)) client.redis.unsubscribe(channel).catch(() => {});
    }
  }

  /** Never throws, and settles within the deadline: a connection without a reply is replaced. */
  async #subscribeTo(client: RedisClient, channel: string): Promise<void> {
    const drop = (reason: string) => this.#link.drop(client, reason);
    const deadline = this.#deadlines.start(this.#heartbeatTimeoutMs, () => drop("it did not confirm a subscription"));
    await client.redis.subscribe(channel).catch((error) => drop(messageOf(error)));
    deadline.cancel();
  }

  /** A socket that died in silence looks like a quiet channel. */
  #beat(): void {
    const { client } = this.#link;
    if (!client) return;
    this.#heartbeat = this.#clock.setTimer(() => {
      const drop = () => this.#link.drop(client, "it did not reply to a heartbeat");
      const deadline = this.#deadlines.start(this.#heartbeatTimeoutMs, drop);
      void client.redis.ping().then(() => {
        if (this.#link.client === client) this.#beat();
      }, drop).finally(() => deadline.cancel());
    }, HEARTBEAT_MS);
  }
}
