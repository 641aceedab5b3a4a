/**
 * The state that the parts of one pool share, and the part that connects them.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import type { Capacity } from "./capacity.ts";
import type { PoolConfig } from "./config.ts";
import type { CreationFailure } from "./creation_backoff.ts";
import type { PoolEventHub } from "./events.ts";
import type { ResourceFactory } from "./resource_factory.ts";
import type { ResourceHooks } from "./resource_hooks.ts";
import type { Slot, SlotOwner } from "./slot.ts";

/** The parts that a pool is built from. */
export interface PoolParts<T extends object> {
  readonly factory: ResourceFactory<T>;
  readonly config: Readonly<PoolConfig>;
  readonly clock: Clock;
  /** Yields numbers in `[0, 1)`, for jitter. */
  readonly random: () => number;
  readonly events: PoolEventHub;
}

/** The state that the parts of one pool share. */
export interface PoolContext<T extends object> extends PoolParts<T> {
  readonly hooks: ResourceHooks<T>;
  readonly capacity: Capacity;
}

/** The part of a pool that connects the others: {@linkcode Dispatcher}. */
export interface PoolHost<T extends object> extends SlotOwner<T> {
  /** The latest failed creation that no success has followed. */
  readonly lastCreationFailure: CreationFailure | undefined;
  /** Describes the state of the pool in one line, for errors. */
  describe(now: number): string;
  /** Leases a usable slot to the next waiter, or parks it. */
  handOff(slot: Slot<T>, now: number): void;
  /** Serves waiters and creates what they lack: capacity was freed, or a pause after a failed creation has ended. */
  schedule(): void;
  /** Rejects the waiters that a permanently failed creation leaves without hope. */
  onPermanentFailure(error: unknown): void;
  /** Rejects the waiters that only a new resource can serve: creating has failed for `createRetryMs`. */
  onLastingFailure(error: unknown): void;
}
