/**
 * Notices: changes of alerts that a webhook has not got yet.
 *
 * @module
 */
import type { AlertChange, AlertEvaluation, AlertState } from "./types.ts";

/** The time after which another isolate sends a notice, in ms: longer than all attempts of one take. */
const RESEND_AFTER_MS = 60_000;

/** The age of a change from which on its notice is no longer sent, in ms. */
const GIVE_UP_AFTER_MS = 3_600_000;

/**
 * Returns the changes that begin to send what was not sent within a minute: the isolate that raised or cleared an alert
 * was killed, or its webhook was down. Applied after the changes of the alerts themselves, they reach no state that turned.
 */
export function overdueNotices({ nowMs, alerts }: AlertEvaluation): AlertChange[] {
  // Both distances: the clock may have been set back since.
  const isOverdue = ({ noticeMs = 0, sinceMs }: AlertState) =>
    noticeMs > 0 && Math.abs(nowMs - noticeMs) > RESEND_AFTER_MS && Math.abs(nowMs - sinceMs) < GIVE_UP_AFTER_MS;
  return alerts.filter(isOverdue).map(({ rule, function: name, raised, value, misses, sinceMs, noticeMs = 0 }) => ({
    rule,
    function: name,
    raised,
    value,
    misses,
    previousSinceMs: sinceMs,
    notice: "sending",
    previousNoticeMs: noticeMs,
  }));
}

/** Returns the change that ends the sending of a notice. */
export function sentNotice(change: AlertChange, sinceMs: number): AlertChange {
  const { rule, function: name, raised, value, misses } = change;
  return { rule, function: name, raised, value, misses, previousSinceMs: sinceMs, notice: "sent" };
}
