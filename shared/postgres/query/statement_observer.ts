/**
 * Observers of statements and transactions: for spans and histograms.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";
import type { LeasedSession } from "../connection/session.ts";
import type { LeaseOptions } from "./query_options.ts";

/** Work that is observed. It holds no values. */
export interface ObservedWork {
  /** One statement, a list in one round trip, or the function of a transaction, whose statements are observed too. */
  readonly kind: "statement" | "list" | "transaction";
  /** The texts of the statements; of a transaction none. They may hold values that a program has put into them. */
  readonly texts: readonly string[];
}

/** The times of observed work, in ms. */
export interface ObservedTimes {
  /** The time it waited for a connection, without {@linkcode connectMs}. */
  waitedMs: number;
  /** The time that a new connection took, which it waited for. */
  connectMs: number;
  /** The time from when it had a connection until it settled. */
  executionMs: number;
}

/** Observes the work on a pool. */
export interface StatementObserver {
  /**
   * Runs work, and returns or throws what it does. Called once for each; it must call `run` once.
   *
   * @param times They are complete when the work has settled.
   */
  observe<T>(work: ObservedWork, times: Readonly<ObservedTimes>, run: () => Promise<T>): Promise<T>;
}

/** The observers of a pool. Without one, work is run as it is. */
export class StatementObservers {
  /** All of them as one; `undefined` for none. */
  current: StatementObserver | undefined = undefined;
  #all: readonly StatementObserver[] = [];

  /** Adds an observer, until the subscription is disposed of. */
  add(observer: StatementObserver): Disposable {
    const entry: StatementObserver = { observe: (work, times, run) => observer.observe(work, times, run) };
    this.#set([...this.#all, entry]);
    return { [Symbol.dispose]: () => this.#set(this.#all.filter((other) => other !== entry)) };
  }

  #set(all: readonly StatementObserver[]): void {
    this.#all = all;
    this.current = all.length < 2 ? all[0] : {
      observe: (work, times, run) =>
        all.reduceRight((inner, observer) => () => observer.observe(work, times, inner), run)(),
    };
  }
}

function noTimes(): ObservedTimes {
  return { waitedMs: 0, connectMs: 0, executionMs: 0 };
}

/**
 * Runs work that leases a connection, and takes its times.
 *
 * @param options Its `admit` notes when it has a connection. Pass the options that `run` gets on.
 */
export function observeLeasing<T, O extends LeaseOptions>(
  observer: StatementObserver,
  clock: Clock,
  work: ObservedWork,
  options: O,
  run: (options: O) => Promise<T>,
): Promise<T> {
  const times = noTimes();
  return observer.observe(work, times, async () => {
    const since = clock.now();
    let leasedAt: number | undefined;
    const admit = (session: LeasedSession) => {
      // A retry leases again.
      if (leasedAt === undefined) {
        leasedAt = clock.now();
        const connectingAt = session.establishedAt - (session.connectMs ?? 0);
        times.connectMs = session.establishedAt >= since ? leasedAt - Math.max(since, connectingAt) : 0;
        times.waitedMs = leasedAt - since - times.connectMs;
      }
      options.admit?.(session);
    };
    try {
      return await run({ ...options, admit });
    } finally {
      const now = clock.now();
      if (leasedAt === undefined) times.waitedMs = now - since;
      else times.executionMs = now - leasedAt;
    }
  });
}

/** Runs work on a connection that is leased, and takes its time. */
export function observeLeased<T>(
  observer: StatementObserver,
  clock: Clock,
  work: ObservedWork,
  run: () => Promise<T>,
): Promise<T> {
  const times = noTimes();
  return observer.observe(work, times, async () => {
    const since = clock.now();
    try {
      return await run();
    } finally {
      times.executionMs = clock.now() - since;
    }
  });
}
