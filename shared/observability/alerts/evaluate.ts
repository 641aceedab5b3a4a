/**
 * Evaluates the alert rules on the samples of a store. Pure: the only time is that of the store.
 *
 * @module
 */
import { ALERT_RULES, type AlertRule } from "./rules.ts";
import type { AlertChange, AlertEvaluation, AlertState, FleetSample } from "./types.ts";

/**
 * The longest time between two samples of a condition that lasts, in ms; also the age from which on the latest sample
 * says nothing about the present. Samples are 15 s apart.
 */
const MAX_GAP_MS = 60_000;

/** Maximum number of samples of a function: twice the 25 minutes that a store keeps. The latest count. */
const MAX_SAMPLES = 200;

/** The time between two evaluations, in ms, at least. */
const STEP_MS = 15_000;

/** The evaluations in a row that must not find the condition before an alert is cleared, where the latest sample decides. */
const MISSES_TO_CLEAR = 4;

/**
 * Returns the evaluations in a row that clear an alert. After a jump of the clock, a value that looks back on some time is
 * known again once that time has passed.
 */
function missesToClear({ windowMs }: AlertRule): number {
  return MISSES_TO_CLEAR + Math.ceil(windowMs / STEP_MS);
}

/** The value of a rule at the latest sample of a function, and for how long it has exceeded the threshold. */
interface Finding {
  readonly value: number;
  /** The time between the first and the latest sample of the condition, in ms; `undefined` if it does not hold now. */
  readonly heldMs: number | undefined;
}

function byFunction(samples: readonly FleetSample[], nowMs: number): Map<string, FleetSample[]> {
  const functions = new Map<string, FleetSample[]>();
  // Oldest first. What is later than now is from before the clock was set back.
  for (const sample of [...samples].sort((a, b) => a.atMs - b.atMs)) {
    if (sample.atMs > nowMs) continue;
    const own = functions.get(sample.function);
    if (own) own.push(sample);
    else functions.set(sample.function, [sample]);
  }
  return functions;
}

/** Returns the value of `rule` at `samples[index]`. */
function valueAt(rule: AlertRule, samples: readonly FleetSample[], index: number): number {
  const atMs = samples[index]?.atMs ?? 0;
  let from = index;
  while (from > 0 && (samples[from - 1]?.atMs ?? 0) > atMs - rule.windowMs) from--;
  return rule.value(samples.slice(from, index + 1));
}

function find(rule: AlertRule, samples: readonly FleetSample[], nowMs: number): Finding {
  const last = samples.length - 1;
  const latestMs = samples[last]?.atMs;
  if (latestMs === undefined || nowMs - latestMs > MAX_GAP_MS) return { value: 0, heldMs: undefined };
  const value = valueAt(rule, samples, last);
  if (value <= rule.above) return { value, heldMs: undefined };
  let first = last;
  const isHeldAt = (index: number) =>
    (samples[index + 1]?.atMs ?? 0) - (samples[index]?.atMs ?? 0) <= MAX_GAP_MS &&
    valueAt(rule, samples, index) > rule.above;
  while (first > 0 && latestMs - (samples[first]?.atMs ?? 0) < rule.forMs && isHeldAt(first - 1)) first--;
  return { value, heldMs: latestMs - (samples[first]?.atMs ?? 0) };
}

function change(
  rule: AlertRule,
  name: string,
  { value, heldMs }: Finding,
  state: AlertState | undefined,
): AlertChange | undefined {
  const base = { rule: rule.name, function: name, value, previousSinceMs: state?.sinceMs ?? 0 };
  if (!state?.raised) {
    const isDue = heldMs !== undefined && heldMs >= rule.forMs;
    return isDue ? { ...base, raised: true, misses: 0 } : undefined;
  }
  if (heldMs !== undefined) return state.misses === 0 ? undefined : { ...base, raised: true, misses: 0 };
  const misses = state.misses + 1;
  const isCleared = misses >= missesToClear(rule);
  return { ...base, raised: !isCleared, misses: isCleared ? 0 : misses };
}

/**
 * Returns the changes of alerts that samples call for.
 *
 * - An alert is raised once every sample of the rule's time has exceeded its threshold, with no gap above 60 s. So a
 *   clock of the store that jumps raises nothing: the gap begins the time again.
 * - It is cleared after four evaluations in a row that did not find the condition, about a minute; a rule that looks back
 *   on some time, after that time more. So neither one sample nor a jump of the clock clears it.
 */
export function evaluateAlerts(
  { nowMs, samples, alerts }: AlertEvaluation,
  rules: readonly AlertRule[] = ALERT_RULES,
): AlertChange[] {
  const functions = byFunction(samples, nowMs);
  const names = new Set([...functions.keys(), ...alerts.map((alert) => alert.function)]);
  const states = new Map(alerts.map((alert) => [`${alert.rule} ${alert.function}`, alert]));
  const changes: AlertChange[] = [];
  for (const name of names) {
    const own = functions.get(name)?.slice(-MAX_SAMPLES) ?? [];
    for (const rule of rules) {
      const changed = change(rule, name, find(rule, own, nowMs), states.get(`${rule.name} ${name}`));
      if (changed) changes.push(changed);
    }
  }
  return changes;
}
