/**
 * Reads of Redis: many values by one command, without those that were invalidated.
 *
 * @module
 */
import { decodeEnvelope, type StoredEntry } from "./envelope.ts";
import { RedisReplyError } from "./errors.ts";
import type { RedisNames } from "./keys.ts";
import type { PendingInvalidations } from "./pending_invalidations.ts";
import type { RedisCommand } from "./redis/redis_connection.ts";
import type { RedisCounters } from "./stats.ts";

/** The result of a read. An outage is not a miss. */
export type Found =
  | { readonly kind: "hit"; readonly entry: StoredEntry }
  | { readonly kind: "miss" }
  | { readonly kind: "outage" };

/** A read that waits for the end of the turn, to be sent with others. */
interface PendingRead {
  readonly key: string;
  readonly resolve: (found: Found) => void;
}

const MISS: Found = Object.freeze({ kind: "miss" });
/** The result in an outage. */
export const OUTAGE: Extract<Found, { readonly kind: "outage" }> = Object.freeze({ kind: "outage" });

/** The maximum number of keys of one command: a longer one would hold up others. */
const MAX_KEYS = 128;

/** Options of {@linkcode RedisReads}. */
export interface RedisReadsOptions {
  readonly names: RedisNames;
  /** The maximum size of a value, in characters of its text. */
  readonly maxValueBytes: number;
  readonly counters: RedisCounters;
  /** The names that Redis has yet to remove. */
  readonly pending: PendingInvalidations;
  /** Sends commands; returns `undefined` in an outage. */
  readonly send: (commands: readonly RedisCommand[]) => Promise<unknown[] | undefined>;
}

/** Reads values in Redis. None of its methods rejects. */
export class RedisReads {
  readonly #options: RedisReadsOptions;
  #reads: PendingRead[] = [];

  constructor(options: RedisReadsOptions) {
    this.#options = options;
  }

  /** Reads a value. All reads of one turn are one command. */
  read(key: string): Promise<Found> {
    return new Promise((resolve) => {
      if (this.#reads.push({ key, resolve }) === 1) queueMicrotask(() => this.#sendReads());
      else if (this.#reads.length === MAX_KEYS) this.#sendReads();
    });
  }

  #sendReads(): void {
    const reads = this.#reads;
    if (reads.length === 0) return;
    this.#reads = [];
    const [only] = reads;
    if (reads.length === 1 && only) void this.#readOne(only);
    else void this.#readAll(reads);
  }

  async #readOne({ key, resolve }: PendingRead): Promise<void> {
    const [reply] = await this.#options.send([["GET", this.#options.names.value(key)]]) ?? [];
    // Where another type of value is, the cache has none.
    const text = reply instanceof RedisReplyError ? (/^WRONGTYPE /.test(reply.message) ? null : undefined) : reply;
    const found = this.decode(key, text);
    const hasTags = found.kind === "hit" && found.entry.stamps.length > 0;
    const [checked = OUTAGE] = hasTags ? await this.withoutInvalidated([found]) : [found];
    resolve(this.#count(checked));
  }

  async #readAll(reads: readonly PendingRead[]): Promise<void> {
    const { names } = this.#options;
    const command: RedisCommand = ["MGET", ...reads.map(({ key }) => names.value(key))];
    const [texts] = await this.#options.send([command]) ?? [];
    const founds = reads.map(({ key }, index) => this.decode(key, Array.isArray(texts) ? texts[index] : undefined));
    const checked = founds.some((found) => found.kind === "hit" && found.entry.stamps.length > 0)
      ? await this.withoutInvalidated(founds)
      : founds;
    for (const [index, { resolve }] of reads.entries()) resolve(this.#count(checked[index] ?? OUTAGE));
  }

  /** @param text `null` where Redis has none; `undefined` in an outage. */
  decode(key: string, text: unknown): Found {
    // What Redis has may be what the isolate could not remove.
    if (text === undefined || this.#options.pending.has(this.#options.names.value(key))) return OUTAGE;
    if (text === null) return MISS;
    const entry = typeof text === "string" && text.length <= this.#options.maxValueBytes
      ? decodeEnvelope(text)
      : undefined;
    if (entry) return { kind: "hit", entry };
    this.#options.counters.foreign++;
    return MISS;
  }

  /** Returns what was found, without the values of which a tag was invalidated since they were loaded. */
  async withoutInvalidated(founds: readonly Found[]): Promise<Found[]> {
    const tags = new Set(founds.flatMap((found) => found.kind === "hit" ? found.entry.stamps.map(([tag]) => tag) : []));
    const stamps = await this.#stampsOf([...tags]);
    return founds.map((found) => {
      if (found.kind !== "hit" || found.entry.stamps.length === 0) return found;
      if (!stamps) return OUTAGE;
      return found.entry.stamps.every(([tag, stamp]) => stamps.get(tag) === stamp) ? found : MISS;
    });
  }

  async #stampsOf(tags: readonly string[]): Promise<ReadonlyMap<string, unknown> | undefined> {
    const { names } = this.#options;
    const [stamps] = await this.#options.send([["MGET", ...tags.map((tag) => names.tag(tag))]]) ?? [];
    if (!Array.isArray(stamps)) return undefined;
    return new Map(
      tags.map((tag, index) => [tag, this.#options.pending.has(names.tag(tag)) ? undefined : stamps[index]]),
    );
  }

  #count(found: Found): Found {
    if (found.kind === "hit") this.#options.counters.hits++;
    else if (found.kind === "miss") this.#options.counters.misses++;
    else this.#options.counters.failedReads++;
    return found;
  }
}
