/**
 * The reports of one isolate to the store of its fleet.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import {
  anySignal,
  type CircuitSnapshot,
  type Clock,
  messageOf,
  observe,
  systemClock,
  timeoutSignal,
  type Timer,
} from "../../resilience/mod.ts";
import type { AlertEvaluation } from "../alerts/types.ts";
import type { LogData, LogLevel } from "../log/mod.ts";
import { FleetStoreError } from "./errors.ts";
import { MAX_ENTRIES, MAX_SLOW_REQUESTS, nameOf } from "./parse.ts";
import { type ObservedRequest, RequestTally } from "./request_tally.ts";
import { TimeWindow } from "./times.ts";
import { sumStats } from "./stats.ts";
import { FLEET_VERSION, type FleetReport, type FleetStore, type SlowRequest } from "./types.ts";

/** A pool whose statistics an isolate reports. Every pool of `shared/` is one. */
export interface FleetPool {
  /** Returns the statistics of the pool. */
  getStats(): object;
  /** Passes the wait and use times of its leases to `recorder`, in ms. Default: they are not known. */
  record?(recorder: { waitTime(ms: number): void; useTime(ms: number): void }): Disposable;
  /** The retry budget of the pool. Default: it has none. */
  readonly retryBudget?: { readonly totalRetries: number } | undefined;
  /** The circuit breakers of the pool. Default: none. */
  readonly circuits?: {
    snapshot(): Readonly<Record<string, CircuitSnapshot>>;
  } | undefined;
}

/** The isolate that reports. */
export interface FleetIdentity {
  /** The id of the isolate. */
  readonly isolate: string;
  /** The name of the function. */
  readonly function: string;
  /** The region. */
  readonly region: string;
  /** The instant the isolate started, in ms since 1970. */
  readonly startedAtMs: number;
}

/** Options for {@linkcode FleetReporter}. */
export interface FleetReporterOptions {
  readonly store: FleetStore;
  readonly identity: FleetIdentity;
  /** Returns the metrics of the isolate. Default: it has none. */
  readonly metrics?: (() => unknown) | undefined;
  /** Returns the slowest recent requests, slowest first. Default: none are reported. */
  readonly slowRequests?: (() => readonly SlowRequest[]) | undefined;
  /** The shortest time between two reports, in ms. Default: 5,000. */
  readonly intervalMs?: number | undefined;
  /** The time between reports of an isolate at rest, in ms. Default: 10,000. */
  readonly idleIntervalMs?: number | undefined;
  /** The longest time that a report may take, in ms. Default: 3,000. */
  readonly timeoutMs?: number | undefined;
  /** Keeps the isolate until a promise, which never rejects, has settled. Default: nothing does. */
  readonly keepAlive?: ((promise: Promise<void>) => void) | undefined;
  /** Called with what the alert rules are evaluated on, when it is this isolate's turn. Default: it is not evaluated. */
  readonly evaluate?: ((evaluation: AlertEvaluation) => Promise<void>) | undefined;
  /** Writes a line of the log. Default: none is written. */
  readonly log?: ((level: LogLevel, event: string, data: LogData) => void) | undefined;
  /** Default: the isolate's own time. */
  readonly clock?: Clock | undefined;
}

/** The longest time between attempts while the store fails, in ms. */
const MAX_BACKOFF_MS = 60_000;

/** The longest report, in bytes: parts are left out beyond it. The store takes 64 KiB. */
const MAX_REPORT_BYTES = 32_000;

/** The parts that a report loses while it is too long, in this order. */
const EXPENDABLE = ["slowRequests", "metrics"] as const;

const MISSING_HINT =
  "This isolate does not report to the fleet. Apply the migration 20260109090000_fleet.sql, or set POOL_FLEET=off";

/**
 * Reports one isolate: after a response at most every 5 s, and every 10 s at rest while the runtime lets it run.
 *
 * Nothing waits for it. A store that fails is asked more and more seldom, and one line of the log says so; without the
 * store's migration the isolate stops reporting.
 */
export class FleetReporter {
  readonly #options: FleetReporterOptions;
  readonly #clock: Clock;
  readonly #tally = new RequestTally();
  readonly #pools = new Set<FleetPool>();
  readonly #wait: TimeWindow;
  readonly #use: TimeWindow;
  readonly #recordings: Disposable[] = [];
  #state: "running" | "stopped" | "closed" = "running";
  /** True if there is something to report that the latest report does not have. */
  #hasNews = false;
  #timer: Timer | undefined = undefined;
  #sending: AbortController | undefined = undefined;
  /** Resolves when the next report has been sent; the isolate is kept until then. */
  #sent: PromiseWithResolvers<void> | undefined = undefined;
  #dueAt = -Infinity;
  #failures = 0;

  constructor(options: FleetReporterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#wait = new TimeWindow(this.#clock);
    this.#use = new TimeWindow(this.#clock);
  }

  /** Reports the statistics of `pool` from now on, added to those of the other pools. */
  watch(pool: FleetPool): void {
    // Of an isolate that does not report, nothing is recorded.
    if (this.#state !== "running" || this.#pools.has(pool)) return;
    this.#pools.add(pool);
    const recording = pool.record?.({ waitTime: (ms) => this.#wait.add(ms), useTime: (ms) => this.#use.add(ms) });
    if (recording) this.#recordings.push(recording);
  }

  /** Counts a request, and reports it soon. Never throws. */
  requestEnded(request: ObservedRequest): void {
    if (this.#state !== "running") return;
    this.#tally.add(request);
    if (this.#hasNews) return;
    this.#hasNews = true;
    if (!this.#sending) this.#schedule();
  }

  /** Reports that the isolate ends. Idempotent, never rejects. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    const isKnown = this.#state === "running" && this.#dueAt > -Infinity;
    this.#stop("closed");
    this.#timer?.cancel();
    this.#sending?.abort(new Error("The isolate ends"));
    this.#sent?.resolve();
    if (!isKnown) return;
    const { store, identity } = this.#options;
    await this.#bounded((signal) => store.remove(identity.isolate, signal)).catch(() => {});
  }

  /**
   * Sends the next report when it is due, and keeps the isolate until then unless the store fails. Never at once: the
   * response to a request would wait until the report is written.
   */
  #schedule(): void {
    this.#timer?.cancel();
    this.#sent ??= Promise.withResolvers<void>();
    if (this.#failures === 0) this.#keep(this.#sent.promise);
    const delayMs = Math.max(this.#dueAt - this.#clock.now(), 0);
    this.#timer = this.#clock.setTimer(() => void this.#send(), delayMs);
  }

  async #send(): Promise<void> {
    const { store, evaluate, intervalMs = 5_000, idleIntervalMs = 10_000 } = this.#options;
    const sent = this.#sent;
    this.#sent = undefined;
    this.#hasNews = false;
    this.#dueAt = this.#clock.now() + intervalMs;
    const interval = this.#tally.take();
    try {
      const { evaluation } = await this.#bounded((signal) => store.report(this.#report(interval), signal));
      this.#succeeded();
      // Not waited for: a webhook may take longer than the time until the next report.
      if (evaluation && evaluate) {
        this.#keep(evaluate(evaluation).catch(() => {}));
      }
    } catch (error) {
      this.#tally.restore(interval);
      this.#failed(error);
    }
    sent?.resolve();
    if (this.#state !== "running") return;
    if (this.#hasNews) return this.#schedule();
    const pauseMs = Math.max(idleIntervalMs, this.#dueAt - this.#clock.now());
    this.#timer?.cancel();
    this.#timer = this.#clock.setTimer(() => void this.#send(), pauseMs);
  }

  #stop(state: "stopped" | "closed"): void {
    this.#state = state;
    for (const recording of this.#recordings.splice(0)) recording[Symbol.dispose]();
  }

  #succeeded(): void {
    if (this.#failures > 0) this.#log("info", "fleet_recovered", { failures: this.#failures });
    this.#failures = 0;
  }

  #failed(error: unknown): void {
    if (this.#state === "closed") return;
    const { intervalMs = 5_000, store } = this.#options;
    const isMissing = error instanceof FleetStoreError && error.failure === "missing";
    if (isMissing) {
      this.#stop("stopped");
      this.#log("info", "fleet_missing", { store: store.kind, reason: error.message, hint: MISSING_HINT });
      return;
    }
    if (this.#failures++ === 0) {
      this.#log("warn", "fleet_unavailable", { store: store.kind, reason: messageOf(error) });
    }
    const backoffMs = Math.min(intervalMs * 2 ** this.#failures, MAX_BACKOFF_MS);
    this.#dueAt = this.#clock.now() + backoffMs;
  }

  /** Keeps the isolate until `promise`, which never rejects, has settled. A runtime that throws stops no report. */
  #keep(promise: Promise<void>): void {
    observe(() => this.#options.keepAlive?.(promise), () => {});
  }

  /** Writes a line of the log. One that throws stops no report. */
  #log(level: LogLevel, event: string, data: LogData): void {
    observe(() => this.#options.log?.(level, event, data), () => {});
  }

  /** Runs a call of the store within the longest time of one. */
  async #bounded<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { timeoutMs = 3_000 } = this.#options;
    const controller = this.#sending = new AbortController();
    using timeout = timeoutSignal(timeoutMs, this.#clock, () => new Error(`it did not reply within ${timeoutMs} ms`));
    const signal = anySignal(controller.signal, timeout.signal) ?? timeout.signal;
    try {
      // A store may ignore its signal.
      return await abortable(call(signal), signal);
    } finally {
      if (this.#sending === controller) this.#sending = undefined;
    }
  }

  /** Creates a report. What a pool throws leaves that pool out. */
  #report(interval: FleetReport["interval"]): FleetReport {
    const { identity, metrics, slowRequests } = this.#options;
    let retries = 0;
    const stats: object[] = [];
    const circuits: Record<string, CircuitSnapshot> = {};
    for (const pool of this.#pools) {
      attempt(() => stats.push(pool.getStats()));
      attempt(() => Object.assign(circuits, pool.circuits?.snapshot()));
      retries += attempt(() => pool.retryBudget?.totalRetries) ?? 0;
    }
    const shown = attempt(() => metrics?.());
    return bounded({
      version: FLEET_VERSION,
      isolate: nameOf(identity.isolate),
      function: nameOf(identity.function),
      region: nameOf(identity.region),
      startedAtMs: identity.startedAtMs,
      stats: sumStats(stats),
      interval,
      ...(shown === undefined ? {} : { metrics: shown }),
      wait: this.#wait.read(),
      use: this.#use.read(),
      circuits: mostOpen(circuits),
      errors: this.#tally.errors,
      retries,
      slowRequests: attempt(() => slowRequests?.())?.slice(0, MAX_SLOW_REQUESTS) ?? [],
    });
  }
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Returns as many circuits as a report may have; those that are not closed come first. */
function mostOpen(circuits: Readonly<Record<string, CircuitSnapshot>>): Readonly<Record<string, CircuitSnapshot>> {
  const entries = Object.entries(circuits);
  if (entries.length <= MAX_ENTRIES) return circuits;
  const rank = (circuit: CircuitSnapshot) => circuit.state === "closed" ? 1 : 0;
  return Object.fromEntries(entries.sort(([, a], [, b]) => rank(a) - rank(b)).slice(0, MAX_ENTRIES));
}

/** Returns the length of a value as JSON, in bytes; `Infinity` for one that cannot be written. */
function bytesOf(value: unknown): number {
  return attempt(() => new TextEncoder().encode(JSON.stringify(value)).length) ?? Infinity;
}

/** Leaves out parts of a report that is too long, or cannot be written. */
function bounded(report: FleetReport): FleetReport {
  let shown = report;
  const omitted: string[] = [];
  for (const part of EXPENDABLE) {
    if (bytesOf(shown) <= MAX_REPORT_BYTES) break;
    omitted.push(part);
    const { [part]: _, ...rest } = shown;
    shown = { ...rest, slowRequests: part === "slowRequests" ? [] : shown.slowRequests, omitted };
  }
  return shown;
}
