/**
 * A pool that does what a test says, and its metrics as text.
 *
 * @module
 */
import {
  type MetricsSnapshot,
  type ObservedEvents,
  type ObservedPool,
  type ObservedStats,
  POOL_LABEL,
  type StatementRecorder,
} from "../../../shared/observability/mod.ts";

/** Returns `labels value` or `labels counts` of each series of a metric, without the name of the pool `x`. */
export function shown(snapshot: MetricsSnapshot, name: string): string[] {
  const series = snapshot.metrics.find((metric) => metric.name === name)?.series ?? [];
  return series.map(({ labels, value, counts = [] }) => {
    const text = Object.entries(labels).filter(([label, of]) => label !== POOL_LABEL || of !== "x").map(([, of]) => of);
    return [...text, value ?? counts.join(",")].join(" ");
  });
}

/** A pool that does what a test says. */
export class ScriptedPool implements ObservedPool {
  readonly listeners = new Map<string, Set<(event: never) => void>>();
  recorder: StatementRecorder | undefined = undefined;
  retryBudget = { totalRetries: 3, getStats: () => ({ refused: 1 }) };
  states: Record<string, { readonly state: string }> = {};
  circuits = { snapshot: () => this.states };
  config = { minConnections: 2 };

  totals = { totalCreated: 9, totalTimeouts: 5, transactions: { committed: 4, rolledBack: 1, unknown: 0 } };

  getStats(): ObservedStats {
    const now = { activeConnections: 6, idleConnections: 1, waitingForConnection: 2 };
    return { ...now, ...this.totals, maxConnections: 10, limit: 8 };
  }

  on(name: never, listener: (event: never) => void): Disposable {
    const all = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, all.add(listener));
    return { [Symbol.dispose]: () => void all.delete(listener) };
  }

  observeStatements(recorder: StatementRecorder): Disposable {
    this.recorder = recorder;
    return { [Symbol.dispose]: () => void (this.recorder = undefined) };
  }

  emit<K extends keyof ObservedEvents>(name: K, event: ObservedEvents[K]): void {
    for (const listener of this.listeners.get(name) ?? []) listener(event as never);
  }
}
