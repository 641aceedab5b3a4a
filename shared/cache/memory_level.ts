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
  /** The instant at which it came into memory: before it, its times mean nothing. */
  readonly storedAt: number;
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

/** The approximate size of an entry beside its key, its value and its tags, in bytes. */
const ENTRY_BYTES = 200;

/** The approximate size of a tag of an entry beside its text, in bytes: a tag of one entry has a set for it. */
const TAG_BYTES = 250;

/** Returns the approximate size of an entry in memory, in bytes. */
function sizeOf(key: string, { bytes, tags }: CacheEntry): number {
  let size = Math.ceil(bytes) + key.length * 2 + ENTRY_BYTES;
  for (const tag of tags) size += tag.length * 2 + TAG_BYTES;
  return size;
}

/** The place of a key: it outlives its entry in the list of uses, and holds no value then. */
interface Place {
  readonly key: string;
  /** `undefined` once it was removed. */
  entry: CacheEntry | undefined;
  /** The number of its latest use, in the count of the level. */
  usedAt: number;
}

/** Returns whether the latest uses of places came in their order, as those of a few often do. */
function isOrdered(places: readonly Place[]): boolean {
  let latest = 0;
  for (const { usedAt } of places) {
    if (usedAt < latest) return false;
    latest = usedAt;
  }
  return true;
}

/** The number of places in the list of uses, beside twice that of the entries, above which removed ones leave it. */
const MAX_REMOVED = 1_024;

/**
 * Values in memory, the least recently used of which leave first.
 *
 * A hit finds its place in `#places` and counts the use there: an `LRUCache` does more for each `get` than all the rest of
 * a hit takes. `#entries` gets the uses, in their order, before the next value that may displace others.
 */
export class MemoryLevel {
  readonly #entries: LRUCache<string, CacheEntry>;
  /** The places of the entries. */
  readonly #places = new Map<string, Place>();
  readonly #keysOfTag = new Map<string, Set<string>>();
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  /** The number of uses. */
  #uses = 0;
  /** The number of those that `#entries` has. */
  #noted = 0;
  /** The places that were used since, each once. */
  #used: Place[] = [];
  /** The number of values that left for others. */
  evictions = 0;

  constructor({ maxEntries = 10_000, maxBytes = 16 * 1024 * 1024 }: MemoryLevelOptions) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
    this.#entries = new LRUCache({
      max: maxEntries,
      maxSize: maxBytes,
      dispose: (entry, key, reason) => {
        if (reason === "evict") this.evictions++;
        for (const tag of entry.tags) this.#unlink(tag, key);
        if (reason !== "set") this.#leave(key);
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
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    if (place.usedAt <= this.#noted) this.#used.push(place);
    place.usedAt = ++this.#uses;
    return place.entry;
  }

  /** Stores an entry. One that is larger than all others may be together only removes what was stored before. */
  set(key: string, entry: CacheEntry): void {
    const size = sizeOf(key, entry);
    const { size: entries, calculatedSize } = this.#entries;
    const displaces = entries >= this.#maxEntries || calculatedSize + size > this.#maxBytes;
    if (displaces || this.#used.length > MAX_REMOVED + 2 * entries) this.#noteUses();
    this.#entries.set(key, entry, { size });
    if (size > this.#maxBytes) {
      this.#leave(key);
      return;
    }
    this.#use(key, entry);
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
    this.#used = [];
  }

  /** Puts an entry that `#entries` has got into the place of its key. */
  #use(key: string, entry: CacheEntry): void {
    let place = this.#places.get(key);
    if (place) place.entry = entry;
    else this.#places.set(key, place = { key, entry, usedAt: 0 });
    // Without uses since, it is the latest one there as well.
    if (this.#used.length === 0) this.#noted = this.#uses + 1;
    else if (place.usedAt <= this.#noted) this.#used.push(place);
    place.usedAt = ++this.#uses;
  }

  /** Ends the place of a key. */
  #leave(key: string): void {
    const place = this.#places.get(key);
    if (!place) return;
    place.entry = undefined;
    this.#places.delete(key);
  }

  /** Gives `#entries` the order of the uses since it had them. */
  #noteUses(): void {
    const used = this.#used;
    this.#used = [];
    this.#noted = this.#uses;
    if (!isOrdered(used)) used.sort((a, b) => a.usedAt - b.usedAt);
    for (const { key, entry } of used) if (entry) this.#entries.get(key);
  }

  #unlink(tag: string, key: string): void {
    const keys = this.#keysOfTag.get(tag);
    if (keys?.delete(key) && keys.size === 0) this.#keysOfTag.delete(tag);
  }
}
