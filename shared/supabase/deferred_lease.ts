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
  const controller = new AbortController();
  let lease: Promise<Lease<PooledClient>> | undefined;
  let ended: Promise<void> | undefined;
  let waitedMs = 0;

  const take = async () => {
    if (!lease) {
      const signal = callerSignal ? AbortSignal.any([callerSignal, controller.signal]) : controller.signal;
      const startMs = performance.now();
      const waited = () => waitedMs += performance.now() - startMs;
      lease = acquire(signal);
      lease.then(waited, () => {
        waited();
        // A call that fails for want of a place leaves the next one free to try.
        lease = undefined;
      });
    }
    const taken = await lease;
    if (!taken.active) throw new LeaseRevokedError();
    taken.onLost = (reason) => calls.end(reason);
  };
  const calls = callsWith(take);

  const free = async () => {
    controller.abort();
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
