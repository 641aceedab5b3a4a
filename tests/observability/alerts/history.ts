/**
 * A fleet store in memory: one function, samples every 15 s, and the alerts that an evaluation changed.
 *
 * @module
 */
import {
  type AlertChange,
  type AlertState,
  evaluateAlerts,
  type FleetSample,
} from "../../../shared/observability/alerts/mod.ts";

/** The distance of samples, in ms. */
export const STEP_MS = 15_000;

/** Samples of `budgets`, and what evaluations have changed so far. */
export class History {
  nowMs = 1_700_000_010_000;
  samples: FleetSample[] = [];
  alerts: AlertState[] = [];

  /** Adds samples for `ms`, evaluates after each, and returns the alerts that turned, as `raised name` or `cleared name`. */
  run(ms: number, sample: Partial<FleetSample>): string[] {
    const turned: string[] = [];
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      this.nowMs += STEP_MS;
      this.#expire();
      const atMs = this.nowMs - this.nowMs % STEP_MS;
      const rest = { waiting: 0, active: 0, limit: 10, acquisitionMs: 0, calls: 0, errors: 0 };
      this.samples.push({ atMs, function: "budgets", ...rest, ...sample });
      turned.push(...this.evaluate());
    }
    return turned;
  }

  /** Evaluates without a new sample. */
  evaluate(): string[] {
    this.#expire();
    return evaluateAlerts(this).flatMap((change) => this.#apply(change));
  }

  /** Forgets what is too old, and everything after the clock was set back, as a store does with each report. */
  #expire(): void {
    const isSetBack = this.samples.some(({ atMs }) => atMs > this.nowMs + STEP_MS);
    this.samples = isSetBack ? [] : this.samples.filter(({ atMs }) => atMs >= this.nowMs - 1_500_000);
  }

  #apply({ rule, function: name, raised, value, misses }: AlertChange): string[] {
    const former = this.alerts.find((alert) => alert.rule === rule && alert.function === name);
    const hasTurned = raised !== (former?.raised ?? false);
    const sinceMs = hasTurned ? this.nowMs : former?.sinceMs ?? this.nowMs;
    this.alerts = this.alerts.filter((alert) => alert !== former);
    this.alerts.push({ rule, function: name, raised, sinceMs, value, misses });
    return hasTurned ? [`${raised ? "raised" : "cleared"} ${rule}`] : [];
  }
}
