/**
 * The first level: values in the memory of the isolate.
 *
 * @module
 */
import { LRUCache } from "lru-cache";
import { copyValue } from "./value.ts";

/** A cached value. Instants are in ms since the epoch. */
export interface CacheEntry {
  /** The value, frozen. */
  readonly value: unknown;
  /** True if each reader gets a copy: see `FrozenValue`. */
  readonly isCopied: boolean;
  /** The value, as a hit returns it; `undefined` if each reader gets a copy. */
  readonly resolved: Promise<unknown> | undefined;
  /** The end of the time for which it is fresh. */
  readonly freshUntil: number;
  /** The end of the time for which `getOrLoad` returns it while it is loaded again. */
  readonly staleUntil: number;
  /** The end of the time for which `getOrLoad` returns it if it cannot be loaded again. */
  readonly graceUntil: number;
  /** The tags, by which it can be invalidated. */
  readonly tags: readonly string[];
  /** Until then, a hit needs no look at another level. */
  readonly hitUntil: number;
  /** The approximate size, in bytes. */
  readonly bytes: number;
}

/** Returns the value of an entry, as its reader gets it. */
export function valueOf({ value, isCopied }: CacheEntry): unknown {
  return isCopied ? copyValue(value) : value;
}

/** Bounds of {@linkcode MemoryLevel}. */
export interface MemoryLevelOptions {
  /** The maximum number of values. Default: 10,000. */
  readonly maxEntries?: number;
  /** The maximum size of all values, in bytes; an approximation. Default: 16 MiB. */
  readonly maxBytes?: number;
}

/** The approximate size of an entry beside its key and its value, in bytes. */
const ENTRY_BYTES = 200;

/** Values in memory, the least recently used of which leave first. */
export class MemoryLevel {
  readonly #entries: LRUCache<string, CacheEntry>;
  readonly #keysOfTag = new Map<string, Set<string>>();
  /** The number of values that left for others. */
  evictions = 0;

  constructor({ maxEntries = 10_000, maxBytes = 16 * 1024 * 1024 }: MemoryLevelOptions) {
    this.#entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      dispose: (entry, key, reason) => {
        if (reason === "evict") this.evictions++;
        for (const tag of entry.tags) this.#unlink(tag, key);
      },
    });
  }

  /** The number of values. */
  get size(): number {
    return this.#entries.size;
  }

  /** Their size, in bytes. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** Returns an entry, fresh or not. */
  get(key: string): CacheEntry | undefined {
    return this.#entries.get(key);
  }

  /** Stores an entry. One that is larger than all others may be together only removes what was stored before. */
  set(key: string, entry: CacheEntry): void {
    this.#entries.set(key, entry, { size: Math.ceil(entry.bytes) + key.length * 2 + ENTRY_BYTES });
    if (entry.tags.length === 0 || !this.#entries.has(key)) return;
    for (const tag of entry.tags) {
      const keys = this.#keysOfTag.get(tag);
      if (keys) keys.add(key);
      else this.#keysOfTag.set(tag, new Set([key]));
    }
  }

  /** Removes an entry. */
  delete(key: string): void {
    this.#entries.delete(key);
  }

  /** Removes the entries of a tag, and returns their keys. */
  deleteTag(tag: string): string[] {
    const keys = [...this.#keysOfTag.get(tag) ?? []];
    for (const key of keys) this.#entries.delete(key);
    return keys;
  }

  /** Removes all entries. */
  clear(): void {
    this.#entries.clear();
  }

  #unlink(tag: string, key: string): void {
    const keys = this.#keysOfTag.get(tag);
    if (keys?.delete(key) && keys.size === 0) this.#keysOfTag.delete(tag);
  }
}
