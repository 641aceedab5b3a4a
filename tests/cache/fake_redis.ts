/**
 * A Redis in memory, on the time of a test: the commands that the cache sends, and nothing else.
 *
 * @module
 */
import {
  CacheUnavailableError,
  type RedisCommand,
  type RedisCommands,
  RedisReplyError,
} from "../../shared/cache/mod.ts";
import type { RedisState } from "../../shared/cache/mod.ts";
import { ACQUIRE, INCREMENT, RELEASE, RENEW, STORE } from "../../shared/cache/redis/scripts.ts";

interface Stored {
  readonly text: string;
  readonly until: number;
}

/** A server, which several isolates use. */
export class FakeServer {
  readonly #now: () => number;
  readonly #values = new Map<string, Stored>();
  readonly isolates: FakeRedis[] = [];
  /** True while it rejects writes. */
  isFull = false;
  /** The largest number of commands that were sent at once. */
  longest = 0;
  /** True while it rejects every write, as one whose disk is full does. */
  isMisconfigured = false;
  /** The number of commands it ran. */
  commands = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Returns the text of a name. */
  get(name: string): string | null {
    const stored = this.#values.get(name);
    if (!stored || this.#now() >= stored.until) return null;
    return stored.text;
  }

  /** Stores a text. */
  set(name: string, text: string, ms = Infinity): void {
    this.#values.set(name, { text, until: this.#now() + ms });
  }

  /** The names. */
  get names(): string[] {
    return [...this.#values.keys()].filter((name) => this.get(name) !== null);
  }

  /** Removes everything. */
  flush(): void {
    this.#values.clear();
  }

  /** Runs one command. */
  run([command, ...args]: RedisCommand): unknown {
    this.commands++;
    const texts = args.map(String);
    const [first = "", second = ""] = texts;
    if (this.isMisconfigured && ["DEL", "SET", "EVAL"].includes(command)) {
      return new RedisReplyError("MISCONF Redis is configured to save RDB snapshots");
    }
    switch (command) {
      case "GET":
        return this.get(first);
      case "MGET":
        return texts.map((name) => this.get(name));
      case "EXISTS":
        return texts.filter((name) => this.get(name) !== null).length;
      case "DEL": {
        const existing = texts.filter((name) => this.get(name) !== null);
        for (const name of texts) this.#values.delete(name);
        return existing.length;
      }
      case "SET": {
        if (this.isFull) return new RedisReplyError("OOM command not allowed");
        if (texts.includes("NX") && this.get(first) !== null) return null;
        const unit = texts[2];
        this.set(first, second, Number(texts[3] ?? Infinity) * (unit === "EX" ? 1_000 : 1));
        return "OK";
      }
      case "PUBLISH":
        for (const isolate of this.isolates) isolate.receive(first, second);
        return this.isolates.length;
      case "EVAL":
        return this.#script(texts);
      default:
        return new RedisReplyError(`ERR unknown command ${command}`);
    }
  }

  #script([script, , ...rest]: readonly string[]): unknown {
    const [one = "", two = "", three = "", four = "", five = ""] = rest;
    switch (script) {
      case ACQUIRE: {
        if (this.isFull) return new RedisReplyError("OOM command not allowed");
        const isHeld = this.get(one) === null;
        if (isHeld) this.set(one, three, Number(four));
        return [isHeld ? 1 : 0, this.get(two)];
      }
      case RENEW:
        if (this.get(one) !== two) return 0;
        this.set(one, two, Number(three));
        return 1;
      case RELEASE:
        return this.get(one) === two ? this.run(["DEL", one]) : 0;
      case STORE:
        if (this.get(one) !== three) return 0;
        if (this.isFull) return new RedisReplyError("OOM command not allowed");
        this.set(two, four, Number(five));
        return this.run(["DEL", one]);
      case INCREMENT: {
        const stored = this.get(one);
        const fresh = /^\[1,(\d+),/.exec(stored ?? "")?.[1];
        const text = fresh !== undefined && Number(fresh) <= Number(five) ? null : stored;
        const [, head = `[1,${four},${four},${four},0,`, number = "0"] =
          /^(\[1,\d+,\d+,\d+,0,)(-?\d+)\]$/.exec(text ?? "") ?? [];
        if (text !== null && !/,0,-?\d+\]$/.test(text)) return new RedisReplyError("ERR not a counter");
        const sum = Number(number) + Number(two);
        const left = text === null ? (three === "0" ? Infinity : Number(three)) : (this.#values.get(one)?.until ?? 0) -
          this.#now();
        this.set(one, `${head}${sum}]`, left);
        return String(sum);
      }
      default:
        return new RedisReplyError("ERR unknown script");
    }
  }
}

/** The connections of one isolate to a {@linkcode FakeServer}. */
export class FakeRedis implements RedisCommands {
  readonly #server: FakeServer;
  readonly #listeners = new Map<string, Set<(message: string) => void>>();
  readonly #onUp = new Set<() => void>();
  readonly #onResubscribed = new Set<() => void>();
  /** True while commands are rejected. */
  isDown = false;
  /** True if a command is rejected after the server ran it. */
  losesReplies = false;
  /** True while messages are lost. */
  isDeaf = false;

  constructor(server: FakeServer) {
    this.#server = server;
    server.isolates.push(this);
  }

  /** Ends an outage. */
  up(): void {
    this.isDown = false;
    this.losesReplies = false;
    for (const listener of this.#onUp) listener();
  }

  /** Lets messages arrive again. */
  resubscribe(): void {
    this.isDeaf = false;
    for (const listener of this.#onResubscribed) listener();
  }

  get state(): RedisState {
    return { isConnected: !this.isDown, isSubscribed: !this.isDeaf, circuit: { state: "closed" }, timeouts: 0 };
  }

  async send(commands: readonly RedisCommand[]): Promise<unknown[]> {
    await Promise.resolve();
    if (this.isDown) throw new CacheUnavailableError("it is down");
    this.#server.longest = Math.max(this.#server.longest, commands.length);
    const replies = commands.map((command) => this.#server.run(command));
    await Promise.resolve();
    if (this.losesReplies) throw new CacheUnavailableError("it did not reply");
    return replies;
  }

  receive(channel: string, message: string): void {
    const isLost = this.isDeaf;
    queueMicrotask(() => {
      if (!isLost) { for (const listener of this.#listeners.get(channel) ?? []) listener(message); }
    });
  }

  subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    return Promise.resolve();
  }

  unsubscribe(channel: string, listener: (message: string) => void): void {
    this.#listeners.get(channel)?.delete(listener);
  }

  onUp(listener: () => void): () => void {
    this.#onUp.add(listener);
    return () => void this.#onUp.delete(listener);
  }

  onResubscribed(listener: () => void): () => void {
    this.#onResubscribed.add(listener);
    return () => void this.#onResubscribed.delete(listener);
  }

  /** The number of listeners of both kinds. */
  get listeners(): number {
    return this.#onUp.size + this.#onResubscribed.size;
  }

  close(): void {}
}
