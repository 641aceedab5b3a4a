/**
 * What it costs when a crowd of waiters reaches its deadline at once.
 *
 * @module
 */
import { clearImmediate, setImmediate } from "node:timers";
import type { LendSession } from "../contenders/mod.ts";
import { heapLive } from "../../support/heap.ts";
import type { Case, Measurement, Stand } from "./case.ts";

const TIMEOUT_MS = 20;

/** So many expire first: a full collection, which the reading of the heap needs, leaves code that is not optimised. */
const WARM_UP = 2_000;

/** Measures how long the event loop is kept from turning. */
class Ticker {
  #last = performance.now();
  #longest = 0;
  #next = setImmediate(() => this.#tick());

  /** The longest turn so far, the one under way included, in ms. */
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

/** Lines waiters up, lets all their deadlines pass, and only then lets the event loop turn. */
async function expire(session: LendSession, waiters: number): Promise<Measurement> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let left = waiters;
  const granted = () => reject(new Error("A waiter was served that should have expired"));
  const expired = () => {
    if (--left === 0) resolve();
  };
  for (let count = 0; count < waiters; count++) session.acquire().then(granted, expired);
  const due = Date.now() + TIMEOUT_MS + 2;
  while (Date.now() < due);

  const ticker = new Ticker();
  const start = performance.now();
  await promise;
  const end = performance.now();
  return { ns: (end - start) * 1e6 / waiters, longestTickMs: ticker.stop() };
}

async function measure({ contender }: Stand, waiters: number): Promise<Measurement> {
  const session = contender.open({ slots: 1, timeoutMs: TIMEOUT_MS });
  if (session.kind !== "lend") throw new Error(`${contender.id} bounds no wait`);
  const held = await session.acquire();
  try {
    await expire(session, 100);
    const before = heapLive();
    await expire(session, WARM_UP);
    const figures = await expire(session, waiters);
    // The runtime lets go of a timer that has fired a turn later.
    await new Promise((resolve) => setTimeout(resolve, 0));
    return { ...figures, retainedBytes: heapLive() - before };
  } finally {
    await session.close(held);
  }
}

/** So many waiters that expire at once; only of those who bound a wait. */
export function expiryCase(stands: readonly Stand[], waiters: number): Case {
  const entrants = stands.filter(({ contender }) => contender.timeout !== "none").map((stand) => ({
    id: stand.contender.id,
    title: stand.contender.title,
    measure: () => measure(stand, waiters),
  }));
  const thousands = waiters / 1_000;
  return {
    id: `expiry_${thousands}k`,
    title: `${thousands}k waiters expire at once`,
    metrics: ["ns", "longestTickMs", "retainedBytes"],
    entrants,
  };
}
