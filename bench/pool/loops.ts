/**
 * The loops that call a candidate. Each candidate gets its own copy of this
 * module (see {@linkcode loadLoops}), because shared loops would be compiled for
 * all candidates at once.
 *
 * @module
 */
import type { OpenCandidate } from "./candidates/mod.ts";

/** The exports of this module. */
export type Loops = typeof import("./loops.ts");

/** Loads a copy of this module for one candidate. */
export async function loadLoops(id: string): Promise<Loops> {
  return await import(`./loops.ts?for=${encodeURIComponent(id)}`);
}

function nothing(): void {}

/** Acquires and releases `ops` times, one after the other, so that a slot is always free. */
export async function oneCaller(opened: OpenCandidate, ops: number): Promise<void> {
  if (opened.kind === "run") {
    for (let op = 0; op < ops; op++) await opened.run(nothing);
    return;
  }
  for (let op = 0; op < ops; op++) {
    const leased = await opened.acquire();
    opened.release(leased);
  }
}

/** Acquires and releases `ops` times from concurrent callers, so that each release serves a waiter. */
export async function manyCallers(opened: OpenCandidate, callers: number, ops: number): Promise<void> {
  let left = ops;
  const caller = opened.kind === "run"
    ? async () => {
      while (left-- > 0) await opened.run(nothing);
    }
    : async () => {
      while (left-- > 0) {
        const leased = await opened.acquire();
        opened.release(leased);
      }
    };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** Like {@linkcode manyCallers}, but calls `probe` after the first `skip` operations and again after `ops` more. */
export async function probedCallers(
  opened: OpenCandidate,
  { callers, skip, ops, probe }: { callers: number; skip: number; ops: number; probe: () => void },
): Promise<void> {
  let done = 0;
  const note = () => {
    if (++done === skip || done === skip + ops) probe();
  };
  // Each continues for one more operation, so that both probes find the same number of waiters.
  const all = skip + ops + callers;
  const caller = opened.kind === "run"
    ? async () => {
      while (done < all) await opened.run(note);
    }
    : async () => {
      while (done < all) {
        const leased = await opened.acquire();
        note();
        opened.release(leased);
      }
    };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** Acquires and releases once from each of `waiters` callers that start at the same time. */
export async function crowd(opened: OpenCandidate, waiters: number): Promise<void> {
  const caller = opened.kind === "run" ? () => opened.run(nothing) : async () => {
    const leased = await opened.acquire();
    opened.release(leased);
  };
  await Promise.all(Array.from({ length: waiters }, caller));
}
