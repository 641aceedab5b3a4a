/**
 * The fleet as the page shows it, read from a response that may be of any version and hold anything.
 *
 * @module
 */
import {
  nameOf,
  parseAlert,
  parseSample,
  parseSlowRequest,
  parseStats,
  type SlowRequest,
} from "../../shared/observability/fleet/mod.ts";
import type { AlertState, FleetSample } from "../../shared/observability/mod.ts";
import { countOf, fieldsOf } from "../../shared/resilience/mod.ts";
import { printable } from "../printable.ts";

/** Maximum length of a text of the fleet, in characters. */
const MAX_TEXT = 120;
/** Maximum number of rows of a table. */
const MAX_ROWS = 500;
/** Maximum number of slow requests. */
const MAX_SLOW = 50;
/** Maximum number of entries of a record, such as codes of errors. */
const MAX_ENTRIES = 64;
/** Maximum number of samples of the history: 25 minutes of 100 functions. */
const MAX_SAMPLES = 12_000;

/** Counters of pools. */
export interface Counters {
  readonly total: number;
  readonly active: number;
  readonly idle: number;
  readonly waiting: number;
  /** The leases that may be out at once. */
  readonly limit: number;
  readonly acquired: number;
  readonly timeouts: number;
}

/** Percentiles of times, in ms; `count` is the number of times. */
export interface Percentiles {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** A number of errors with one code. */
export interface ErrorCount {
  readonly code: string;
  readonly count: number;
}

/** One function in one region. */
export interface FunctionRow {
  readonly function: string;
  readonly region: string;
  readonly isolates: number;
  readonly counters: Counters;
  readonly errors: readonly ErrorCount[];
  readonly retries: number;
  readonly wait: Percentiles;
  readonly use: Percentiles;
}

/** One isolate. */
export interface IsolateRow extends Omit<FunctionRow, "isolates"> {
  readonly isolate: string;
  /** The time since its latest report, in ms. */
  readonly ageMs: number;
  /** The circuits that are not closed, such as `rest: open`. */
  readonly circuits: readonly string[];
}

/** A slow request, and the parts of its time in ms. */
export interface SlowRow extends Required<SlowRequest> {
  readonly function: string;
}

/** An alert that is raised, or was within the last day. */
export interface AlertRow extends AlertState {
  /** The time since its latest change, in ms by the clock of the store. */
  readonly ageMs: number;
}

/** The fleet at one instant. */
export interface Snapshot {
  /** False if the store could not be read: the lists are empty then. */
  readonly isKnown: boolean;
  /** The kind of the store; empty if there is none. */
  readonly store: string;
  /** The parts that are missing, in words. */
  readonly missing: readonly string[];
  readonly functions: readonly FunctionRow[];
  readonly isolates: readonly IsolateRow[];
  readonly slowRequests: readonly SlowRow[];
  readonly alerts: readonly AlertRow[];
  readonly samples: readonly FleetSample[];
}

type Fields = Readonly<Record<string, unknown>>;

/** Returns a short text without control characters; empty for any other value. */
export function textOf(value: unknown, most = MAX_TEXT): string {
  if (typeof value !== "string") return "";
  const text = printable(value.slice(0, most));
  return value.length > most ? `${text}…` : text;
}

/** Reads the statistics of a pool. */
export function countersOf(value: unknown): Counters {
  const stats = parseStats(value);
  return {
    total: stats.totalConnections,
    active: stats.activeConnections,
    idle: stats.idleConnections,
    waiting: stats.waitingForConnection,
    limit: stats.limit || stats.maxConnections || 0,
    acquired: stats.totalAcquired,
    timeouts: stats.totalTimeouts ?? 0,
  };
}

function percentiles(value: unknown): Percentiles {
  const fields = fieldsOf(value);
  return {
    count: countOf(fields.count),
    p50: countOf(fields.p50Ms),
    p90: countOf(fields.p90Ms),
    p99: countOf(fields.p99Ms),
    max: countOf(fields.maxMs),
  };
}

function errors(value: unknown): ErrorCount[] {
  const counts = Object.entries(fieldsOf(value)).slice(0, MAX_ENTRIES);
  return counts.map(([code, number]) => ({ code: textOf(code), count: countOf(number) }))
    .filter((entry) => entry.count > 0)
    .sort((a, b) => b.count - a.count);
}

function openCircuits(value: unknown): string[] {
  return Object.entries(fieldsOf(value)).slice(0, MAX_ENTRIES).flatMap(([target, circuit]) => {
    const state = textOf(fieldsOf(circuit).state);
    return state === "" || state === "closed" ? [] : [`${textOf(target)}: ${state}`];
  });
}

function group(fields: Fields): Omit<FunctionRow, "isolates"> {
  return {
    function: nameOf(fields.function),
    region: textOf(fields.region),
    counters: countersOf(fields.stats),
    errors: errors(fields.errors),
    retries: countOf(fields.retries),
    wait: percentiles(fields.wait),
    use: percentiles(fields.use),
  };
}

function slowRequest(fields: Fields): SlowRow {
  const { requestId, code = "", verifyMs = 0, upstreamMs = 0, ...rest } = parseSlowRequest(fields);
  return { ...rest, requestId: textOf(requestId), function: nameOf(fields.function), code, verifyMs, upstreamMs };
}

/** The version of a response that this page reads. */
const VERSION = 1;

/** Returns what a response of another version lacks, and what to do. */
function versionFault(version: unknown): string {
  const isNewer = typeof version === "number" && version > VERSION;
  return `some figures, perhaps: the function responds with version ${textOf(String(version), 20)} of the fleet, ` +
    `this page reads ${VERSION}; ` +
    (isNewer ? "run a newer version of the dashboard" : "deploy the function with this version of the library");
}

/** Reads a response of `/health/fleet`. Never throws: `missing` says what the response lacks. */
export function snapshotOf(value: unknown): Snapshot {
  const fields = fieldsOf(value);
  const nowMs = Date.parse(String(fields.time));
  const missing = Array.isArray(fields.missing) ? fields.missing.slice(0, 20).map((line) => textOf(line, 300)) : [];
  if (fields.version !== VERSION) missing.push(versionFault(fields.version));
  const rows = <T>(name: string, read: (fields: Fields) => T, most = MAX_ROWS): T[] => {
    const found = fields[name];
    if (!Array.isArray(found)) {
      missing.push(`${name}: the response does not have them`);
      return [];
    }
    if (found.length > most) missing.push(`${name}: the page shows ${most} of ${found.length}`);
    return found.slice(0, most).map((row) => read(fieldsOf(row)));
  };
  return {
    isKnown: fields.time !== null && Array.isArray(fields.functions),
    store: textOf(fields.store),
    functions: rows("functions", (row) => ({ ...group(row), isolates: countOf(row.isolates) })),
    isolates: rows("isolates", (row) => ({
      ...group(row),
      isolate: nameOf(row.isolate),
      ageMs: countOf(row.ageMs),
      circuits: openCircuits(row.circuits),
    })),
    slowRequests: rows("slowRequests", slowRequest, MAX_SLOW),
    alerts: rows("alerts", (row) => {
      const alert = parseAlert(row);
      return { ...alert, ageMs: countOf(nowMs - alert.sinceMs) };
    }),
    samples: rows("samples", parseSample, MAX_SAMPLES),
    missing: missing.filter((line) => line !== ""),
  };
}
