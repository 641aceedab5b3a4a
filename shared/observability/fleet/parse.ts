/**
 * Reads what a store returns. It may be of another version, and its rows may come from isolates of another version: what
 * is missing or malformed gets a neutral value, and nothing throws.
 *
 * @module
 */
import type { AlertEvaluation, AlertRuleName, AlertState, FleetSample } from "../alerts/types.ts";
import { type CircuitSnapshot, countOf, fieldsOf } from "../../resilience/mod.ts";
import { FLEET_VERSION, type FleetInterval, type FleetIsolate, type FleetPoolStats, type FleetState } from "./types.ts";
import type { FleetDetail, SlowRequest } from "./types.ts";
import { type FleetTimes, sumTimes } from "./times.ts";

/** Maximum length of a name, in characters. */
const MAX_NAME = 64;
/** Maximum number of entries of a record: codes, targets. */
export const MAX_ENTRIES = 64;
/** Maximum number of isolates. A store keeps no more, nor more of the following. */
const MAX_ISOLATES = 500;
/** Maximum number of samples: 25 minutes in steps of 15 s, of 100 functions. The latest are read. */
const MAX_SAMPLES = 10_100;
/** Maximum number of alerts: five rules of 100 functions, and as many of functions of the day before. */
const MAX_ALERTS = 1_000;
/** Maximum number of slow requests of an isolate. */
export const MAX_SLOW_REQUESTS = 20;

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function text(value: unknown): string {
  return typeof value === "string" ? value.slice(0, MAX_NAME) : "";
}

/** Returns a name that is safe as a label: letters, digits and `._-/`, at most 64 of them. */
export function nameOf(value: unknown): string {
  return text(value).replace(/[^\w./-]/g, "_") || "unknown";
}

function counts(value: unknown): Readonly<Record<string, number>> {
  const entries = Object.entries(fieldsOf(value)).slice(0, MAX_ENTRIES);
  return Object.fromEntries(entries.map(([name, number]) => [nameOf(name), countOf(number)]));
}

function optional<K extends string>(
  fields: Readonly<Record<string, unknown>>,
  ...names: K[]
): { readonly [N in K]?: number } {
  const known = names.filter((name) => typeof fields[name] === "number");
  return Object.fromEntries(known.map((name) => [name, countOf(fields[name])])) as { readonly [N in K]?: number };
}

/** Reads the statistics of a pool. */
export function parseStats(value: unknown): FleetPoolStats {
  const fields = fieldsOf(value);
  return {
    totalConnections: countOf(fields.totalConnections),
    activeConnections: countOf(fields.activeConnections),
    idleConnections: countOf(fields.idleConnections),
    waitingForConnection: countOf(fields.waitingForConnection),
    totalAcquired: countOf(fields.totalAcquired),
    totalReleased: countOf(fields.totalReleased),
    totalCreated: countOf(fields.totalCreated),
    totalDestroyed: countOf(fields.totalDestroyed),
    ...optional(fields, "totalTimeouts", "maxConnections", "limit"),
  };
}

function parseInterval(value: unknown): FleetInterval {
  const fields = fieldsOf(value);
  return { calls: countOf(fields.calls), errors: countOf(fields.errors), maxWaitMs: countOf(fields.maxWaitMs) };
}

function parseCircuit(value: unknown): CircuitSnapshot {
  const { state, forced, retryAfterMs, probes } = fieldsOf(value);
  const flag = forced === true ? { forced } : {};
  if (state === "open") {
    return typeof retryAfterMs === "number"
      ? { state, retryAfterMs: countOf(retryAfterMs), ...flag }
      : { state, ...flag };
  }
  return state === "half-open" ? { state, probes: countOf(probes) } : { state: "closed", ...flag };
}

function parseCircuits(value: unknown): Readonly<Record<string, CircuitSnapshot>> {
  const entries = Object.entries(fieldsOf(value)).slice(0, MAX_ENTRIES);
  return Object.fromEntries(entries.map(([target, state]) => [text(target), parseCircuit(state)]));
}

/** Reads a slow request. */
export function parseSlowRequest(value: unknown): SlowRequest {
  const fields = fieldsOf(value);
  return {
    requestId: text(fields.requestId),
    endedAtMs: countOf(fields.endedAtMs),
    method: nameOf(fields.method),
    status: countOf(fields.status),
    ...(typeof fields.code === "string" ? { code: nameOf(fields.code) } : {}),
    durationMs: countOf(fields.durationMs),
    waitMs: countOf(fields.waitMs),
    ...optional(fields, "verifyMs", "upstreamMs"),
  };
}

function parseTimes(value: unknown): FleetTimes | undefined {
  const fields = fieldsOf(value);
  if (!Array.isArray(fields.counts)) return undefined;
  return sumTimes([{ counts: fields.counts.map(countOf), maxMs: countOf(fields.maxMs) }]);
}

/** Reads the report of an isolate. */
export function parseIsolate(value: unknown): FleetIsolate {
  const fields = fieldsOf(value);
  const omitted = listOf(fields.omitted).map(nameOf);
  const wait = parseTimes(fields.wait);
  const use = parseTimes(fields.use);
  return {
    version: countOf(fields.version),
    isolate: nameOf(fields.isolate),
    function: nameOf(fields.function),
    region: nameOf(fields.region),
    startedAtMs: countOf(fields.startedAtMs),
    stats: parseStats(fields.stats),
    interval: parseInterval(fields.interval),
    ...(fields.metrics === undefined ? {} : { metrics: fields.metrics }),
    ...(wait ? { wait } : {}),
    ...(use ? { use } : {}),
    circuits: parseCircuits(fields.circuits),
    errors: counts(fields.errors),
    retries: countOf(fields.retries),
    slowRequests: listOf(fields.slowRequests).slice(0, MAX_SLOW_REQUESTS).map(parseSlowRequest),
    ...(omitted.length > 0 ? { omitted } : {}),
    ageMs: countOf(fields.ageMs),
  };
}

/** Reads one step of the history. */
export function parseSample(value: unknown): FleetSample {
  const fields = fieldsOf(value);
  return {
    atMs: countOf(fields.atMs),
    function: nameOf(fields.function),
    waiting: countOf(fields.waiting),
    active: countOf(fields.active),
    limit: countOf(fields.limit),
    acquisitionMs: countOf(fields.acquisitionMs),
    calls: countOf(fields.calls),
    errors: countOf(fields.errors),
  };
}

/** Reads the state of an alert. */
export function parseAlert(value: unknown): AlertState {
  const fields = fieldsOf(value);
  return {
    rule: nameOf(fields.rule) as AlertRuleName,
    function: nameOf(fields.function),
    raised: fields.raised === true,
    sinceMs: countOf(fields.sinceMs),
    value: countOf(fields.value),
    misses: countOf(fields.misses),
    noticeMs: countOf(fields.noticeMs),
  };
}

function parseSamples(values: readonly unknown[]): FleetSample[] {
  return values.slice(-MAX_SAMPLES).map(parseSample);
}

function parseAlerts(values: readonly unknown[]): AlertState[] {
  return values.slice(0, MAX_ALERTS).map(parseAlert);
}

/** Reads what a store passes to the isolate that evaluates the rules; `undefined` if it passed nothing. */
export function parseEvaluation(value: unknown): AlertEvaluation | undefined {
  const fields = fieldsOf(value);
  const nowMs = countOf(fields.nowMs);
  if (nowMs === 0 || !Array.isArray(fields.samples) || !Array.isArray(fields.alerts)) return undefined;
  return { nowMs, samples: parseSamples(fields.samples), alerts: parseAlerts(fields.alerts) };
}

/** Reads the state of the fleet, and notes the parts that are missing. */
export function parseState(value: unknown, detail: FleetDetail): FleetState {
  const fields = fieldsOf(value);
  const missing: string[] = [];
  const list = (name: string): readonly unknown[] => {
    if (!Array.isArray(fields[name])) missing.push(`${name}: the store does not have them; apply its newest migration`);
    return listOf(fields[name]);
  };
  const version = countOf(fields.version);
  if (version !== FLEET_VERSION) {
    missing.push(`the store has version ${version}, this isolate expects ${FLEET_VERSION}`);
  }
  const isolates = list("isolates").slice(0, MAX_ISOLATES).map(parseIsolate);
  if (isolates.length >= MAX_ISOLATES) {
    missing.push(`isolates, perhaps: the store is full with ${MAX_ISOLATES}, and refuses the reports of others`);
  }
  const omitting = isolates.filter(({ omitted }) => omitted !== undefined).length;
  if (omitting > 0) missing.push(`metrics or slow requests of ${omitting} isolate(s): the reports are too long`);
  const isFull = detail === "full";
  return {
    version,
    nowMs: countOf(fields.nowMs),
    isolates,
    samples: isFull ? parseSamples(list("samples")) : [],
    alerts: isFull ? parseAlerts(list("alerts")) : [],
    missing,
  };
}
