/**
 * The cost of many waiters that expire at once.
 *
 * @module
 */
import { clearImmediate, setImmediate } from "node:timers";
import type { OpenPool } from "../candidates/mod.ts";
import { heapLive } from "../../support/heap.ts";
import type { Case, Measurement, Setup } from "./case.ts";

const TIMEOUT_MS = 20;

/** The waiters that expire first, to optimize code that the full collection of the heap size discarded. */
const WARM_UP = 2_000;

/** Measures the longest time between two turns of the event loop. */
class Ticker {
  #last = performance.now();
  #longest = 0;
  #next = setImmediate(() => this.#tick());

  /** Stops and returns the longest turn in ms, the current one included. */
  stop(): number {
    clearImmediate(this.#next);
    return Math.max(this.#longest, performance.now() - this.#last);
  }

  #tick(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
    this.#next = setImmediate(() => this.#tick());
  }
}

/** Queues waiters, lets all their deadlines pass, and only then lets the event loop turn. */
async function expire(opened: OpenPool, waiters: number): Promise<Measurement> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let left = waiters;
  const granted = () => reject(new Error("A waiter that should have expired was served"));
  const expired = () => {
    if (--left === 0) resolve();
  };
  for (let count = 0; count < waiters; count++) opened.acquire().then(granted, expired);
  const due = Date.now() + TIMEOUT_MS + 2;
  while (Date.now() < due);

  const ticker = new Ticker();
  const start = performance.now();
  await promise;
  const end = performance.now();
  return { ns: (end - start) * 1e6 / waiters, longestTickMs: ticker.stop() };
}

async function measure({ candidate }: Setup, waiters: number): Promise<Measurement> {
  const opened = candidate.open({ slots: 1, timeoutMs: TIMEOUT_MS });
  if (opened.kind !== "lease") throw new Error(`${candidate.id} has no acquire timeout`);
  const held = await opened.acquire();
  try {
    await expire(opened, 100);
    const before = heapLive();
    await expire(opened, WARM_UP);
    const measured = await expire(opened, waiters);
    // The runtime drops a fired timer one turn later.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return { ...measured, retainedBytes: heapLive() - before };
  } finally {
    await opened.close(held);
  }
}

/** Returns the case of `waiters` that expire at once, for candidates with an acquire timeout. */
export function expiryCase(setups: readonly Setup[], waiters: number): Case {
  const candidates = setups.filter(({ candidate }) => candidate.timeout !== "none").map((setup) => ({
    id: setup.candidate.id,
    title: setup.candidate.title,
    measure: () => measure(setup, waiters),
  }));
  const thousands = waiters / 1_000;
  return {
    id: `expiry_${thousands}k`,
    title: `${thousands}k waiters expire at once`,
    metrics: ["ns", "longestTickMs", "retainedBytes"],
    candidates,
  };
}
