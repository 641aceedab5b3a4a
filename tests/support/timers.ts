/**
 * The timers of this isolate.
 *
 * @module
 */

/** The counters of {@linkcode watchTimers}. */
export interface TimerWatch extends Disposable {
  /** The number of timers that have neither fired nor been cleared. */
  readonly live: number;
  /** The number of timers that were set. */
  readonly set: number;
}

/** Counts timers that are set from now on, until the result is disposed of. */
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
