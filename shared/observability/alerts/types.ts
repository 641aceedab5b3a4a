/**
 * Alerts as plain data: the rules, the samples that they are evaluated on, and the alerts that a store keeps. It has types
 * only.
 *
 * @module
 */

/** The name of an alert rule. */
export type AlertRuleName =
  | "waiting_requests"
  | "acquisition_time"
  | "error_rate"
  | "pool_utilization"
  | "errors";

/** One sample of a function: all its isolates at one instant, by the clock of the store. */
export interface FleetSample {
  /** The instant, in ms since 1970 by the clock of the store. */
  readonly atMs: number;
  /** The function. */
  readonly function: string;
  /** The requests that waited for a slot. */
  readonly waiting: number;
  /** The leased slots. */
  readonly active: number;
  /** The leases that may be out at once. */
  readonly limit: number;
  /** The longest wait for a slot since the sample before, in ms. */
  readonly acquisitionMs: number;
  /** The requests since the sample before. */
  readonly calls: number;
  /** The requests that failed since the sample before. */
  readonly errors: number;
}

/** The state of one rule for one function, as the store keeps it. */
export interface AlertState {
  /** The rule. */
  readonly rule: AlertRuleName;
  /** The function that it is raised for. */
  readonly function: string;
  /** True while the alert is raised. */
  readonly raised: boolean;
  /** The instant of the latest change of `raised`, in ms since 1970 by the clock of the store. */
  readonly sinceMs: number;
  /** The value that raised it, or the latest one. */
  readonly value: number;
  /** The evaluations in a row that did not find the condition of a raised alert. */
  readonly misses: number;
  /**
   * The instant of the latest attempt to send the change of `raised` to a webhook, or of the change itself, in ms since
   * 1970 by the clock of the store. 0: it was sent. Default: the store does not know.
   */
  readonly noticeMs?: number;
}

/** A change of one alert, which the store accepts from one isolate only. */
export interface AlertChange extends Omit<AlertState, "sinceMs" | "noticeMs"> {
  /** The `sinceMs` of the state that was evaluated: the store rejects a change of another state. 0: there was none. */
  readonly previousSinceMs: number;
  /**
   * The progress of the webhook, in place of any other change: `sending` begins an attempt, and `sent` ends it. Default:
   * the other members are changed.
   */
  readonly notice?: "sending" | "sent";
  /** The `noticeMs` of the state: the store rejects `sending` after another isolate has begun an attempt. */
  readonly previousNoticeMs?: number;
}

/** A change that the store has accepted. */
export interface AppliedChange extends AlertChange {
  /** The `sinceMs` of the state after it. 0: the store does not say. */
  readonly sinceMs: number;
}

/** The samples and alerts that the store passes to the one isolate whose turn it is to evaluate the rules. */
export interface AlertEvaluation {
  /** The instant, in ms since 1970 by the clock of the store. */
  readonly nowMs: number;
  /** The samples of at least the last 20 minutes, oldest first. */
  readonly samples: readonly FleetSample[];
  /** The alerts that the store keeps. */
  readonly alerts: readonly AlertState[];
}
