/**
 * The times and events of requests, and the reports of those that have a response.
 *
 * @module
 */
import type { RequestSpan } from "../../observability/tracing/otel/mod.ts";
import type { RequestPool } from "../handler/runtime.ts";
import type { RequestParts } from "../responses/response_headers.ts";
import type { RequestToken } from "./current_request.ts";

/** The times of one request. */
export class RequestTimes implements RequestParts {
  verifyMs = 0;
  waitedMs = 0;
  upstreamMs = 0;
  /** The instant at which it began, in ms of the clock; `undefined` if it ended before its time was taken. */
  startedMs: number | undefined = undefined;
  /** The error that its response stands for; `undefined` if it is none. */
  error: unknown = undefined;
  /** Its span; `undefined` if it is not traced. */
  span: RequestSpan | undefined = undefined;
  /** True from the moment at which it is known to be one that is reported. */
  isReported = false;
}

/** Events of a request. */
export interface RequestEvents {
  /** Work that `request` gave to `waitUntil` was rejected with `reason`. */
  readonly rejected: (reason: unknown, request: Request) => void;
  /** The handler of `request` left `count` leases unreleased; they have been ended. */
  readonly forgotten: (count: number, request: Request) => void;
  /** A call or lease of `request` was refused with `reason`: the request has ended. */
  readonly refused: (reason: unknown, request: Request) => void;
  /** The streamed body of the response to `request` failed with `error`. */
  readonly bodyFailed: (error: unknown, request: Request) => void;
  /** A request uses `pool`. */
  readonly poolUsed: (pool: RequestPool<never>) => void;
  /** Code of a request left a rejection unhandled. `undefined`: the runtime decides. */
  readonly unhandled: RequestToken["onUnhandled"];
}

/** A request that has a response. Preflights, and requests for health, are not reported. */
export interface RequestReport extends RequestParts {
  readonly request: Request;
  /** The status of the response. */
  readonly status: number;
  /** The error that the response stands for; `undefined` if it is none. */
  readonly error: unknown;
  /** The time until the response, in ms. A body that is streamed is not part of it. */
  readonly durationMs: number;
}

/** Takes the report of a request. It should note what it needs and return: the response waits for it. */
export type RequestListener = (report: RequestReport) => void;

/** Passes reports of requests to listeners. Without a listener, no time is taken and no report is created. */
export class RequestReports {
  /** Replaced, never changed, so that it can be iterated while listeners come and go. */
  #listeners: readonly RequestListener[] = [];

  /** True if a listener exists. */
  get isObserved(): boolean {
    return this.#listeners.length > 0;
  }

  /** Calls `listener` with each report, until the subscription is disposed of. What it throws is ignored. */
  add(listener: RequestListener): Disposable {
    const entry: RequestListener = (report) => listener(report);
    this.#listeners = [...this.#listeners, entry];
    return { [Symbol.dispose]: () => void (this.#listeners = this.#listeners.filter((other) => other !== entry)) };
  }

  /** Passes a report on. */
  emit(report: RequestReport): void {
    for (const listener of this.#listeners) {
      try {
        listener(report);
      } catch {
        // A failing observer must not fail the request.
      }
    }
  }
}
