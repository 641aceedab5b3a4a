/**
 * Pools as metrics see them. The pools of this library satisfy it. It has types only.
 *
 * @module
 */

/** The statistics that metrics use. */
export interface ObservedStats {
  /** Slots held. Default: active and idle connections. */
  readonly totalConnections?: number;
  readonly activeConnections: number;
  readonly idleConnections: number;
  readonly waitingForConnection: number;
  readonly totalCreated: number;
  /** Acquires that timed out. Default: not known. */
  readonly totalTimeouts?: number;
  readonly maxConnections?: number;
  /** The number of leases that may be out now. Default: `maxConnections`. */
  readonly limit?: number;
  /** The outcomes of transactions. Default: it has none. */
  readonly transactions?: { readonly committed: number; readonly rolledBack: number; readonly unknown: number };
}

/** The events that metrics use, by name. A pool need not have all of them. */
export interface ObservedEvents {
  readonly created: { readonly durationMs: number };
  readonly destroyed: { readonly reason: string; readonly ageMs: number };
  readonly timedOut: { readonly lane: string };
  readonly leaked: unknown;
  readonly error: { readonly error: unknown; readonly source: string };
  readonly healthCheck: { readonly healthy: boolean };
  readonly recovered: { readonly downMs: number };
  readonly circuitOpened: { readonly target: string; readonly reason: string };
  readonly circuitClosed: { readonly target: string; readonly openMs: number };
  readonly limitChanged: { readonly limit: number; readonly before: number; readonly applied: boolean };
  readonly memoryLow: unknown;
  readonly closed: unknown;
  readonly called: {
    readonly durationMs: number;
    readonly method: string;
    readonly status: number | undefined;
    readonly error: unknown;
  };
}

/** Takes the wait and use times of leases, in ms. */
export interface LeaseRecorder {
  waitTime(waitedMs: number, lane: string): void;
  useTime(heldMs: number): void;
}

/** A statement, a list of statements or a transaction on Postgres. */
export interface ObservedStatement {
  readonly kind: "statement" | "list" | "transaction";
  readonly texts: readonly string[];
}

/** Takes statements and transactions; see `StatementObserver` of `postgres`. */
export interface StatementRecorder {
  observe<T>(
    work: ObservedStatement,
    times: { readonly waitedMs: number; readonly connectMs: number; readonly executionMs: number },
    run: () => Promise<T>,
  ): Promise<T>;
}

/** A pool whose metrics are taken: a `ResourcePool`, `SupabaseConnectionPool` or `PostgresConnectionManager`, for example. */
export interface ObservedPool {
  /** Returns the current statistics. */
  getStats(): ObservedStats;
  /** Calls a listener at each event; the names are those of {@linkcode ObservedEvents}. Default: it emits none. */
  on?(name: never, listener: (event: never) => void): Disposable;
  /** Passes the times of leases to a recorder. Default: they are not known. */
  record?(recorder: LeaseRecorder): Disposable;
  /** Passes statements to an observer. Default: it runs none. */
  observeStatements?(observer: StatementRecorder): Disposable;
  /** The limits in effect. Default: those of `config`. */
  readonly limits?: { readonly minConnections: number } | undefined;
  /** The options in effect. */
  readonly config?: { readonly minConnections?: number };
  /** The retry budget. Default: it has none. */
  readonly retryBudget?: { readonly totalRetries: number; getStats(): { readonly refused: number } } | undefined;
  /** The circuit breakers, by target. Default: it has none. */
  readonly circuits?: { snapshot(): Readonly<Record<string, { readonly state: string }>> } | undefined;
  /** The circuit breaker of its server. Default: it has none. */
  readonly circuit?: { snapshot(): { readonly state: string } } | undefined;
}
