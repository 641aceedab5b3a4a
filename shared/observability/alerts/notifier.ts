/**
 * Raises and clears alerts: in the store, so that it happens once in the fleet, and then in the log, as an event and to a
 * webhook.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type Clock, memberOf, messageOf, observe, systemClock, timeoutSignal } from "../../resilience/mod.ts";
import type { LogData, LogLevel } from "../log/mod.ts";
import { evaluateAlerts } from "./evaluate.ts";
import { overdueNotices, sentNotice } from "./notices.ts";
import { ALERT_RULES } from "./rules.ts";
import type { AlertChange, AlertEvaluation, AlertRuleName, AppliedChange } from "./types.ts";

/** An alert that was raised or cleared. */
export interface AlertEvent {
  /** `raised` or `cleared`. */
  readonly kind: "raised" | "cleared";
  /** The name of the rule. */
  readonly rule: AlertRuleName;
  /** The function that it is about. */
  readonly function: string;
  /** The description of the value, for people. */
  readonly summary: string;
  /** The value at the latest sample. */
  readonly value: number;
  /** The threshold. */
  readonly above: number;
  /** The time for which the value must exceed it, in ms. */
  readonly forMs: number;
  /** The instant of the change, in ms since 1970 by the clock of the store. */
  readonly atMs: number;
}

/** The part of a store that alerts need. */
export interface AlertStore {
  /** Changes alerts, each if its state is still the one that was evaluated. Returns the changes that were applied. */
  changeAlerts(changes: readonly AlertChange[], signal?: AbortSignal): Promise<readonly AppliedChange[]>;
}

/** Options for {@linkcode AlertNotifier}. */
export interface AlertNotifierOptions {
  readonly store: AlertStore;
  /** Called with each alert. What it throws is logged. Default: nothing is called. */
  readonly onAlert?: ((alert: AlertEvent) => unknown) | undefined;
  /** Sends an alert to a webhook; see {@linkcode AlertWebhook}. Default: none is sent. */
  readonly webhook?: { send(alert: AlertEvent): Promise<void> } | undefined;
  /** Writes a line of the log. Default: none is written. */
  readonly log?: ((level: LogLevel, event: string, data: LogData) => void) | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** The longest time that a change may take, in ms. */
const TIMEOUT_MS = 3_000;

/** Maximum number of changes in one message: a store refuses long ones, and 100 functions may turn at once. */
const MAX_CHANGES = 100;

/** Evaluates the rules for the fleet when it is the isolate's turn. */
export class AlertNotifier {
  readonly #options: AlertNotifierOptions;

  constructor(options: AlertNotifierOptions) {
    this.#options = options;
  }

  /**
   * Evaluates the rules, and notifies of what this isolate changed. With a webhook, it also sends the notices of other
   * isolates that were not sent within a minute.
   *
   * @throws what the store throws, and an error if it does not reply within 3 s.
   */
  async evaluate(evaluation: AlertEvaluation): Promise<void> {
    const overdue = this.#options.webhook ? overdueNotices(evaluation) : [];
    const changes = [...evaluateAlerts(evaluation), ...overdue];
    const before = new Map(evaluation.alerts.map((alert) => [`${alert.rule} ${alert.function}`, alert.raised]));
    const sending: Promise<void>[] = [];
    try {
      for (let at = 0; at < changes.length; at += MAX_CHANGES) {
        for (const change of await this.#change(changes.slice(at, at + MAX_CHANGES))) {
          const { rule, function: name, raised, notice, sinceMs } = change;
          if (notice === undefined && raised === (before.get(`${rule} ${name}`) ?? false)) continue;
          const alert = eventOf(change, sinceMs || evaluation.nowMs);
          if (!alert) continue;
          if (notice === undefined) this.#notify(alert);
          // Not waited for here: a webhook may take longer than all changes.
          sending.push(this.#send(alert, change));
        }
      }
    } finally {
      await Promise.all(sending);
    }
  }

  async #change(changes: readonly AlertChange[]): Promise<readonly AppliedChange[]> {
    const { store, clock = systemClock } = this.#options;
    using timeout = timeoutSignal(TIMEOUT_MS, clock, () => new Error(`it did not reply within ${TIMEOUT_MS} ms`));
    // A store may ignore its signal.
    return await abortable(store.changeAlerts(changes, timeout.signal), timeout.signal);
  }

  #notify(alert: AlertEvent): void {
    const { onAlert } = this.#options;
    const { kind, ...data } = alert;
    this.#log(kind === "raised" ? "warn" : "info", `alert_${kind}`, data);
    observe(
      () => onAlert?.(alert),
      (error) => this.#log("error", "alert_listener_failed", { reason: messageOf(error) }),
    );
  }

  /** Writes a line of the log. One that throws stops no alert. */
  #log(level: LogLevel, event: string, data: LogData): void {
    observe(() => this.#options.log?.(level, event, data), () => {});
  }

  /** Sends an alert to the webhook. One that it got, or rejects, is not sent again. */
  async #send(alert: AlertEvent, change: AppliedChange): Promise<void> {
    const { webhook } = this.#options;
    if (!webhook) return;
    try {
      await webhook.send(alert);
    } catch (error) {
      this.#log("error", "alert_webhook_failed", {
        rule: alert.rule,
        function: alert.function,
        reason: messageOf(error),
      });
      if (memberOf(error, "retry") !== "permanent") return;
    }
    // A store of an older version keeps no notices. If this fails, the alert is sent twice, with one idempotency key.
    if (change.sinceMs > 0) await this.#change([sentNotice(change, change.sinceMs)]).catch(() => {});
  }
}

/** Returns the event of a change. `undefined`: its rule is one of another version. */
function eventOf({ rule: name, function: of, raised, value }: AlertChange, atMs: number): AlertEvent | undefined {
  const rule = ALERT_RULES.find((rule) => rule.name === name);
  if (!rule) return undefined;
  const { summary, above, forMs } = rule;
  const kind = raised ? "raised" : "cleared";
  return Object.freeze({ kind, rule: name, function: of, summary, value, above, forMs, atMs });
}
