/**
 * The alert rules. docs/prometheus-alerts.yml has the same ones for Prometheus.
 *
 * @module
 */
import type { AlertRuleName, FleetSample } from "./types.ts";

/** A rule: an alert is raised for a function whose value exceeds a threshold for some time. */
export interface AlertRule {
  readonly name: AlertRuleName;
  /** The threshold, which the value must exceed. */
  readonly above: number;
  /** The time for which it must, in ms. 0: once is enough. */
  readonly forMs: number;
  /** The description of the value, for people. */
  readonly summary: string;
  /** The time that the value looks back on, in ms. 0: the latest sample alone. */
  readonly windowMs: number;
  /** Returns the value from the samples of one function in that time; the latest one is the last. */
  readonly value: (recent: readonly FleetSample[]) => number;
}

/** The time that rates and counts look back on, in ms. */
const WINDOW_MS = 5 * 60_000;

/**
 * The time that the longest wait looks back on, in ms. Evaluations are 15 s apart or more, and a wait may be added to a
 * sample after that was evaluated: of a shorter time, some waits would be in no evaluation.
 */
const WAIT_WINDOW_MS = 60_000;

function sum(samples: readonly FleetSample[], name: "calls" | "errors"): number {
  return samples.reduce((total, sample) => total + sample[name], 0);
}

/** The rules of the specification, section "Alerting Thresholds" and `ConnectionHealthMonitor`. */
export const ALERT_RULES: readonly AlertRule[] = Object.freeze([
  {
    name: "waiting_requests",
    above: 10,
    forMs: 5 * 60_000,
    summary: "waiting requests",
    windowMs: 0,
    value: (recent) => recent.at(-1)?.waiting ?? 0,
  },
  {
    name: "acquisition_time",
    above: 5_000,
    forMs: 0,
    summary: "connection acquisition time in ms",
    windowMs: WAIT_WINDOW_MS,
    value: (recent) => Math.max(0, ...recent.map(({ acquisitionMs }) => acquisitionMs)),
  },
  {
    name: "error_rate",
    above: 0.05,
    forMs: 15 * 60_000,
    summary: "share of failed requests in 5 minutes",
    windowMs: WINDOW_MS,
    value: (recent) => {
      const calls = sum(recent, "calls");
      return calls === 0 ? 0 : sum(recent, "errors") / calls;
    },
  },
  {
    name: "pool_utilization",
    above: 0.9,
    forMs: 10 * 60_000,
    summary: "share of the limit that is leased",
    windowMs: 0,
    value: (recent) => {
      const { active = 0, limit = 0 } = recent.at(-1) ?? {};
      return limit === 0 ? 0 : active / limit;
    },
  },
  {
    name: "errors",
    above: 5,
    forMs: 0,
    summary: "failed requests in 5 minutes",
    windowMs: WINDOW_MS,
    value: (recent) => sum(recent, "errors"),
  },
]);
