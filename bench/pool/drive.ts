/**
 * The loops that drive a contender. Each contender gets its own copy of this
 * module (see {@linkcode loadDriver}): shared loops would be compiled for all
 * contenders at once, and each would pay for the others.
 *
 * @module
 */
import type { Session } from "./contenders/mod.ts";

/** This module. */
export type Driver = typeof import("./drive.ts");

/** Loads a copy of this module that nobody else runs. */
export async function loadDriver(id: string): Promise<Driver> {
  return await import(`./drive.ts?for=${encodeURIComponent(id)}`);
}

function nothing(): void {}

/** One caller after another: acquire, release, `ops` times. Nobody ever waits for a release. */
export async function oneCaller(session: Session, ops: number): Promise<void> {
  if (session.kind === "run") {
    for (let op = 0; op < ops; op++) await session.run(nothing);
    return;
  }
  for (let op = 0; op < ops; op++) {
    const lent = await session.acquire();
    session.release(lent);
  }
}

/** Many callers at once, each in a loop of its own, `ops` times in all: what is released goes to one who waits. */
export async function manyCallers(session: Session, callers: number, ops: number): Promise<void> {
  let left = ops;
  const caller = session.kind === "run"
    ? async () => {
      while (left-- > 0) await session.run(nothing);
    }
    : async () => {
      while (left-- > 0) {
        const lent = await session.acquire();
        session.release(lent);
      }
    };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** {@linkcode manyCallers} that calls `probe` after the first `skip` and again after the last of `ops`. */
export async function probedCallers(
  session: Session,
  { callers, skip, ops, probe }: { callers: number; skip: number; ops: number; probe: () => void },
): Promise<void> {
  let done = 0;
  const note = () => {
    if (++done === skip || done === skip + ops) probe();
  };
  // They go on for another turn each, so that the last probe finds the same crowd as the first.
  const all = skip + ops + callers;
  const caller = session.kind === "run"
    ? async () => {
      while (done < all) await session.run(note);
    }
    : async () => {
      while (done < all) {
        const lent = await session.acquire();
        note();
        session.release(lent);
      }
    };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** So many callers that come at the same instant, each of whom acquires and releases once. */
export async function crowd(session: Session, waiters: number): Promise<void> {
  const caller = session.kind === "run" ? () => session.run(nothing) : async () => {
    const lent = await session.acquire();
    session.release(lent);
  };
  await Promise.all(Array.from({ length: waiters }, caller));
}
