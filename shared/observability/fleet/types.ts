/**
 * The fleet as plain data: what an isolate reports, what a store knows, and the interface of a store. It has types only.
 *
 * @module
 */
import type { CircuitSnapshot } from "../../resilience/mod.ts";
import type { AlertChange, AlertEvaluation, AlertState, AppliedChange, FleetSample } from "../alerts/types.ts";
import type { FleetTimes } from "./times.ts";

/** The version of {@linkcode FleetReport}. */
export const FLEET_VERSION = 1;

/**
 * The time after which an isolate that does not report counts no more, in ms: what it has sent may arrive after it was
 * killed, and a state is reused for a second, but all of that ends within 30 s.
 */
export const DROP_MS = 28_000;

/** The statistics of a pool that the fleet counts. Other numbers of its statistics are kept as well. */
export interface FleetPoolStats {
  readonly totalConnections: number;
  readonly activeConnections: number;
  readonly idleConnections: number;
  readonly waitingForConnection: number;
  readonly totalAcquired: number;
  readonly totalReleased: number;
  readonly totalCreated: number;
  readonly totalDestroyed: number;
  /** Acquires that timed out. */
  readonly totalTimeouts?: number;
  /** The maximum number of resources. */
  readonly maxConnections?: number;
  /** The number of leases that may be out now. */
  readonly limit?: number;
}

/** A slow request, and where its time went. */
export interface SlowRequest {
  /** Its `X-Request-Id`. */
  readonly requestId: string;
  /** The instant it ended, in ms since 1970 by the clock of its isolate: for display only. */
  readonly endedAtMs: number;
  /** The HTTP method. */
  readonly method: string;
  /** The status of its response. */
  readonly status: number;
  /** The code of the error, if its response was one. */
  readonly code?: string;
  /** The time until its response, in ms. */
  readonly durationMs: number;
  /** The part of that time that it waited for slots, in ms. */
  readonly waitMs: number;
  /** The part that went into checking credentials, in ms. Default: not known. */
  readonly verifyMs?: number;
  /** The part that it waited for the project, in ms. Default: not known. */
  readonly upstreamMs?: number;
}

/** The requests of an isolate since the latest report that the store accepted. */
export interface FleetInterval {
  /** The requests that were answered. */
  readonly calls: number;
  /** The requests whose response had a status of 500 or more. */
  readonly errors: number;
  /** The longest wait for a slot, in ms. */
  readonly maxWaitMs: number;
}

/** The report of one isolate. It names no caller and holds no secret. */
export interface FleetReport {
  readonly version: number;
  /** The id of the isolate. */
  readonly isolate: string;
  /** The name of the function, such as `budgets`. */
  readonly function: string;
  /** The region, such as `eu-central-1`; `local` in the local stack. */
  readonly region: string;
  /** The instant the isolate started, in ms since 1970 by its own clock: for display only. */
  readonly startedAtMs: number;
  /** The pool that the responses of the function show. */
  readonly stats: FleetPoolStats;
  /** The requests since the report before. */
  readonly interval: FleetInterval;
  /** The metrics of the isolate, as `MetricsRegistry.snapshot()` returns them. Default: metrics are off. */
  readonly metrics?: unknown;
  /** The waits for slots in the last minutes. Default: not known. */
  readonly wait?: FleetTimes;
  /** The times for which slots were leased in the last minutes. Default: not known. */
  readonly use?: FleetTimes;
  /** The state of each circuit breaker, by target. */
  readonly circuits: Readonly<Record<string, CircuitSnapshot>>;
  /** The responses with an error since the isolate started, by the code of the error. */
  readonly errors: Readonly<Record<string, number>>;
  /** The retries since the isolate started. */
  readonly retries: number;
  /** The slowest of the recent requests, slowest first. */
  readonly slowRequests: readonly SlowRequest[];
  /** The parts that were left out, because the report would have been too long. Default: none. */
  readonly omitted?: readonly string[];
}

/** An isolate that the store knows. */
export interface FleetIsolate extends FleetReport {
  /** The time since its latest report, in ms by the clock of the store. */
  readonly ageMs: number;
}

/** The reply of a store to a report. */
export interface FleetReply {
  /** The version of the store. */
  readonly version: number;
  /** Set if it is this isolate's turn to evaluate the alert rules. */
  readonly evaluation?: AlertEvaluation;
}

/** The amount to read of the fleet. `totals`: statistics only. `full`: metrics, slow requests, samples and alerts as well. */
export type FleetDetail = "totals" | "full";

/** The state of the fleet, as a store knows it. */
export interface FleetState {
  /** The version of the store. */
  readonly version: number;
  /** The instant, in ms since 1970 by the clock of the store. */
  readonly nowMs: number;
  /** The isolates that reported within the last 28 s, or `dropMs` of the store. */
  readonly isolates: readonly FleetIsolate[];
  /** The samples of at least the last 20 minutes, oldest first. Empty unless read in full. */
  readonly samples: readonly FleetSample[];
  /** The alerts that are raised, or were within the last day. Empty unless read in full. */
  readonly alerts: readonly AlertState[];
  /** The parts that the store could not supply, in words. Default: nothing is missing. */
  readonly missing: readonly string[];
}

/** Keeps the reports of all isolates of a project. Its promises may reject; callers bound their time. */
export interface FleetStore {
  /** The kind of the store, for operators. */
  readonly kind: "postgres" | "redis";
  /**
   * Stores the report of an isolate in place of its former one.
   *
   * @throws {FleetStoreError} if it was not stored.
   */
  report(report: FleetReport, signal?: AbortSignal): Promise<FleetReply>;
  /** Removes an isolate that ends. */
  remove(isolate: string, signal?: AbortSignal): Promise<void>;
  /** Reads the fleet. */
  read(detail: FleetDetail, signal?: AbortSignal): Promise<FleetState>;
  /** Changes alerts, each if its state is still the one that was evaluated. Returns the changes that were applied. */
  changeAlerts(changes: readonly AlertChange[], signal?: AbortSignal): Promise<readonly AppliedChange[]>;
}
