/**
 * The metrics of requests.
 *
 * @module
 */
import type { HistogramSeries } from "./instruments.ts";
import { errorTypeOf } from "./error_type.ts";
import type { MetricsRegistry } from "./registry.ts";

/** A request that has a response. */
export interface MeasuredRequest {
  /** The status of the response. */
  readonly status: number;
  /** The error that the response stands for; `undefined` if it is none. */
  readonly error: unknown;
  /** The time until the response, in ms. */
  readonly durationMs: number;
  /** The part of it that went into checking credentials, in ms. */
  readonly verifyMs: number;
  /** The part that it waited for slots, in ms. */
  readonly waitedMs: number;
  /** The part that it waited for the project, in ms. */
  readonly upstreamMs: number;
}

/** Counts requests by status and error, and takes their times. Keeps the series of requests without an error at hand. */
export class RequestMetrics {
  readonly #registry: MetricsRegistry;
  readonly #parts: readonly [verify: HistogramSeries, wait: HistogramSeries, upstream: HistogramSeries];
  readonly #succeeded: Record<number, HistogramSeries | undefined> = Object.create(null);

  /** @param registry Shows the metrics. */
  constructor(registry: MetricsRegistry) {
    this.#registry = registry;
    const parts = registry.histogram("http_server_request_part_seconds", {
      help: "The parts of a request: verify, wait and upstream.",
      labels: ["part"],
    });
    this.#parts = [parts.with({ part: "verify" }), parts.with({ part: "wait" }), parts.with({ part: "upstream" })];
  }

  /** Takes a request that has a response. */
  add({ status, error, durationMs, verifyMs, waitedMs, upstreamMs }: MeasuredRequest): void {
    const known = error === undefined ? this.#succeeded[status] : undefined;
    (known ?? this.#seriesOf(status, error)).observe(durationMs / 1_000);
    const [verify, wait, upstream] = this.#parts;
    verify.observe(verifyMs / 1_000);
    wait.observe(waitedMs / 1_000);
    upstream.observe(upstreamMs / 1_000);
  }

  #seriesOf(status: number, error: unknown): HistogramSeries {
    const series = this.#registry.histogram("http_server_request_duration_seconds", {
      help: "The time until the response, by its status and the code of its error.",
      labels: ["http_response_status_code", "error_type"],
    }).with({ http_response_status_code: status, error_type: error === undefined ? undefined : errorTypeOf(error) });
    if (error === undefined) this.#succeeded[status] = series;
    return series;
  }
}
