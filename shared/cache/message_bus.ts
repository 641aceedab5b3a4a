/**
 * Messages on channels: through Redis to all isolates, and within this one.
 *
 * @module
 */
import { type RedisNames, shownKey } from "./keys.ts";
import type { RedisCommands } from "./redis/redis_connection.ts";
import type { RedisLevel } from "./redis_level.ts";
import { copyValue, encodeValue, freezeValue, reviveValue } from "./value.ts";

/** A listener of a channel. */
type Listener = (message: unknown) => void;

/** The subscribers of a channel in this isolate. */
interface Channel {
  readonly listeners: Set<Listener>;
  /** Receives messages of Redis for all of them. */
  readonly receive: (text: string) => void;
  /** Resolves when Redis sends messages, or cannot now. */
  readonly subscribed: Promise<void> | undefined;
}

/** The prefix of a message of a cache: the isolate that sent it delivers it by itself. */
const PREFIX = /^([0-9a-f-]{36}):/;

/** The part of Redis that a bus uses. */
export interface BusRedis {
  readonly level: RedisLevel;
  readonly commands: RedisCommands;
  readonly names: RedisNames;
}

/** Channels. A message reaches the subscribers of this isolate at once, and those of others through Redis. */
export class MessageBus {
  readonly #origin: string;
  readonly #redis: BusRedis | undefined;
  readonly #channels = new Map<string, Channel>();

  /** @param origin The id of this isolate. */
  constructor(origin: string, redis: BusRedis | undefined) {
    this.#origin = origin;
    this.#redis = redis;
  }

  /** Sends a message. */
  async publish(channel: string, message: unknown): Promise<void> {
    const frozen = freezeValue(shownKey(channel), message);
    this.#deliver(channel, frozen.value, frozen.isCopied);
    const { level, names } = this.#redis ?? {};
    if (level && names) await level.publish(names.channel(channel), `${this.#origin}:${encodeValue(frozen)}`);
  }

  /** Adds a listener. Returns the function that removes it. */
  async subscribe(name: string, listener: Listener): Promise<() => void> {
    const entry: Listener = (message) => listener(message);
    const channel = this.#channels.get(name) ?? this.#open(name);
    channel.listeners.add(entry);
    await channel.subscribed;
    return () => {
      if (!channel.listeners.delete(entry) || channel.listeners.size > 0) return;
      this.#channels.delete(name);
      this.#redis?.commands.unsubscribe(this.#redis.names.channel(name), channel.receive);
    };
  }

  /** Ends all subscriptions. */
  close(): void {
    const { commands, names } = this.#redis ?? {};
    for (const [name, { receive }] of this.#channels) if (names) commands?.unsubscribe(names.channel(name), receive);
    this.#channels.clear();
  }

  #open(name: string): Channel {
    const receive = (text: string) => this.#receive(name, text);
    const subscribed = this.#redis?.commands.subscribe(this.#redis.names.channel(name), receive);
    const channel = { listeners: new Set<Listener>(), receive, subscribed };
    this.#channels.set(name, channel);
    return channel;
  }

  #receive(channel: string, text: string): void {
    const [prefix = "", origin] = PREFIX.exec(text) ?? [];
    if (origin === this.#origin) return;
    try {
      const { value, isCopied } = reviveValue(JSON.parse(text.slice(prefix.length)), text.length);
      this.#deliver(channel, value, isCopied);
    } catch {
      if (this.#redis) this.#redis.level.counters.foreignMessages++;
    }
  }

  #deliver(channel: string, message: unknown, isCopied: boolean): void {
    const listeners = this.#channels.get(channel)?.listeners;
    if (!listeners) return;
    for (const listener of [...listeners]) {
      // One of those before it may have ended its subscription.
      if (listeners.has(listener)) listener(isCopied ? copyValue(message) : message);
    }
  }
}
