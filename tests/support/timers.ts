/**
 * The timers of this isolate.
 *
 * @module
 */

/** What {@linkcode watchTimers} sees, until it is disposed of. */
export interface TimerWatch extends Disposable {
  /** How many timers that were set since have neither fired nor been cleared. */
  readonly live: number;
  /** How many were set since. */
  readonly set: number;
}

/** Watches `setTimeout`, until the scope ends. Timers that were set before do not count. */
export function watchTimers(): TimerWatch {
  const { setTimeout: realSet, clearTimeout: realClear } = globalThis;
  const live = new Set<unknown>();
  let set = 0;
  const watchedSet = (callback: () => void, ms?: number) => {
    set++;
    const id: unknown = realSet(() => {
      live.delete(id);
      callback();
    }, ms);
    live.add(id);
    return id;
  };
  const watchedClear = (id?: number) => {
    live.delete(id);
    realClear(id);
  };
  Object.assign(globalThis, { setTimeout: watchedSet, clearTimeout: watchedClear });
  return {
    get live() {
      return live.size;
    },
    get set() {
      return set;
    },
    [Symbol.dispose]: () => void Object.assign(globalThis, { setTimeout: realSet, clearTimeout: realClear }),
  };
}
