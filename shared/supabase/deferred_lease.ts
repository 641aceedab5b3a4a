/**
 * A client that is there before its lease.
 *
 * @module
 */
import { type Lease, LeaseRevokedError } from "../pool/mod.ts";
import type { LeaseCalls } from "./lease_calls.ts";
import type { AnyClient, ClientParts, PooledClient } from "./pooled_client.ts";
import { createView } from "./view.ts";

/** A client and the two ways to end it; see `DeferredLease`. */
export interface Deferred {
  readonly client: AnyClient;
  readonly end: () => Promise<void>;
  readonly abort: (reason?: unknown) => void;
  readonly waitedMs: () => number;
}

/**
 * @param callsWith Makes the calls of the lease, given what they do first.
 * @param acquire Takes a place in the pool, or stops waiting for one when the signal aborts.
 * @param callerSignal The caller's own signal.
 */
export function deferLease(
  parts: ClientParts,
  callsWith: (take: () => Promise<void>) => LeaseCalls,
  acquire: (signal: AbortSignal) => Promise<Lease<PooledClient>>,
  callerSignal: AbortSignal | undefined,
): Deferred {
  let lease: Promise<Lease<PooledClient>> | undefined;
  /** Ends the wait for a place, while there is one. */
  let waiting: AbortController | undefined;
  let ended: Promise<void> | undefined;
  let waitedMs = 0;

  const acquirePlace = () => {
    const controller = waiting = new AbortController();
    const signal = callerSignal ? AbortSignal.any([callerSignal, controller.signal]) : controller.signal;
    const startMs = performance.now();
    const waited = () => {
      waitedMs += performance.now() - startMs;
      waiting = undefined;
    };
    const acquired = acquire(signal);
    acquired.then(waited, () => {
      waited();
      // A call that fails for want of a place leaves the next one free to try.
      lease = undefined;
    });
    return acquired;
  };
  const take = async () => {
    const taken = await (lease ??= acquirePlace());
    if (!taken.active) throw new LeaseRevokedError();
    taken.onLost = (reason) => calls.end(reason);
  };
  const calls = callsWith(take);

  const free = async () => {
    waiting?.abort();
    try {
      (await lease)?.[Symbol.dispose]();
    } catch {
      // The calls that waited for the lease have been told why there is none.
    }
  };
  const end = () => ended ??= calls.finish().then(free);
  const abort = (reason?: unknown) => {
    calls.end(reason);
    end();
  };
  return { client: createView(parts, calls), end, abort, waitedMs: () => waitedMs };
}
