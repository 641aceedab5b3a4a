/**
 * Alerts: rules with durations over the samples of a fleet, raised and cleared once.
 *
 * @module
 */

// Alerts as plain data.
export type { AlertChange, AlertEvaluation, AlertRuleName, AlertState, AppliedChange, FleetSample } from "./types.ts";

// Rules.
export { ALERT_RULES, type AlertRule } from "./rules.ts";
export { evaluateAlerts } from "./evaluate.ts";

// Notifications.
export { type AlertEvent, AlertNotifier, type AlertNotifierOptions, type AlertStore } from "./notifier.ts";
export { AlertWebhook, type AlertWebhookOptions } from "./webhook.ts";
