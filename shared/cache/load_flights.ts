/**
 * Loads under way: which waits for which, and who waits for them.
 *
 * @module
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { failureChain, textOf } from "../resilience/mod.ts";
import type { Flight } from "./engine.ts";
import type { CacheEntry } from "./memory_level.ts";

/** A load under way. */
export interface LoadFlight extends Flight {
  readonly key: string;
  /** The loads of the cache that it is one of. */
  readonly owner: object;
  promise: Promise<CacheEntry>;
  /** The load in whose loader it began. */
  readonly outer: RunningLoad | undefined;
  /** The loads that its loader waits for. */
  readonly waitsFor: Set<LoadFlight>;
  /** The number of calls that wait for it. A load in the background has none. */
  waiting: number;
  /** Aborts the loader: when all calls that waited for it are aborted, or it takes too long. */
  readonly controller: AbortController;
}

/**
 * Marks what a loader starts. The runtime keeps it until the next full collection for each response of `fetch`: it holds
 * the load, and with it the value, only until that has settled.
 */
export interface RunningLoad {
  flight: LoadFlight | undefined;
}

/** The load whose loader the running code is part of. */
export const running = new AsyncLocalStorage<RunningLoad>();

/** The codes of errors of a request that has ended: its loads fail, and those of other requests need not. */
const ENDED_REQUEST: ReadonlySet<string | undefined> = new Set([
  "ACQUIRE_ABORTED",
  "CLIENT_CLOSED_REQUEST",
  "DEADLINE_EXCEEDED",
  "LEASE_RELEASED",
  "LEASE_REVOKED",
  "REQUEST_ENDED",
]);

/** Returns whether a load failed because the request that began it has ended. */
export function isOfEndedRequest(failure: unknown): boolean {
  return failureChain(failure).some((link) =>
    ENDED_REQUEST.has(textOf(link, "code")) || textOf(link, "name") === "AbortError" ||
    textOf(link, "message")?.startsWith("AbortError") === true
  );
}

/** Returns whether `load` waits for `other`, perhaps behind others. */
export function waitsFor(load: LoadFlight, other: LoadFlight, seen: Set<LoadFlight> = new Set()): boolean {
  if (load === other) return true;
  if (seen.has(load)) return false;
  seen.add(load);
  for (const next of load.waitsFor) if (waitsFor(next, other, seen)) return true;
  return false;
}
