/**
 * Operations of a few ns: leasing without waiting, and reading the clock.
 *
 * @module
 */
import { systemClock } from "../../../shared/resilience/mod.ts";
import { openPool, type Thing } from "../candidates/mod.ts";
import { tidy } from "../../support/heap.ts";
import { type Candidate, type Case, SLOTS, TIMEOUT_MS } from "./case.ts";

const OPS = 200_000;

function timed(id: string, title: string, loop: (ops: number) => number): Candidate {
  return {
    id,
    title,
    measure: () => {
      tidy();
      loop(OPS / 10);
      const start = performance.now();
      const sum = loop(OPS);
      const ns = (performance.now() - start) * 1e6 / OPS;
      // The compiler must not remove the loop.
      if (Number.isNaN(sum)) throw new Error(`${id} returned NaN`);
      return { ns };
    },
  };
}

/** Calls functions that pop and push an array: two of each in turn, so that the compiler cannot inline them. */
function bareArray(): (ops: number) => number {
  const free: Thing[] = Array.from({ length: SLOTS }, (_, id) => ({ id }));
  const take = [() => free.pop(), () => free.pop()];
  const put = [(thing: Thing) => void free.push(thing), (thing: Thing) => void free.push(thing)];
  return (ops) => {
    let sum = 0;
    for (let op = 0; op < ops; op++) {
      const thing = take[op & 1]?.();
      if (!thing) return NaN;
      sum += thing.id;
      put[op & 1]?.(thing);
    }
    return sum;
  };
}

function tryLease(): (ops: number) => number {
  const pool = openPool({ slots: SLOTS, timeoutMs: TIMEOUT_MS });
  return (ops) => {
    let sum = 0;
    for (let op = 0; op < ops; op++) {
      const lease = pool.tryLease();
      if (!lease) return NaN;
      sum += lease.resource.id;
      lease.release();
    }
    return sum;
  };
}

function clock(now: () => number): (ops: number) => number {
  return (ops) => {
    let sum = 0;
    for (let op = 0; op < ops; op++) sum += now();
    return sum;
  };
}

/** Returns the case of `tryLease()`, a bare array, and one reading of the clock. */
export function synchronousCase(): Case {
  return {
    id: "sync",
    title: "without waiting",
    metrics: ["ns"],
    candidates: [
      timed("bare_array", "bare array: pop, push, two calls", bareArray()),
      timed("ours_try", "ours: tryLease, release", tryLease()),
      timed("clock_date", "Date.now()", clock(() => Date.now())),
      timed("clock_performance", "performance.now()", clock(() => performance.now())),
      timed("clock_ours", "the pool's clock", clock(() => systemClock.now())),
    ],
  };
}
