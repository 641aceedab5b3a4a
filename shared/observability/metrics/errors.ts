/**
 * The error of a metric that cannot be created.
 *
 * @module
 */
import { type FailureKind, type HttpDescription, INTERNAL_ERROR } from "../../resilience/mod.ts";

/**
 * A metric cannot be created. It is thrown where the metric is defined, never where a value is recorded.
 *
 * @cause The name, a label or the buckets are invalid, or another metric has the name.
 * @fix Use lowercase names such as `orders_sent_total`, labels other than `le`, and ascending buckets.
 * @sample new MetricError("Cannot create the metric: Orders is not a valid name")
 */
export class MetricError extends Error {
  /** The code in logs. */
  static readonly code = "INVALID_METRIC";
  /** The retry class. */
  static readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static readonly http: HttpDescription = INTERNAL_ERROR;

  /** Stable across releases. */
  readonly code: string = MetricError.code;
  /** The retry class. */
  readonly retry: FailureKind = MetricError.retry;
  /** The HTTP response to the error. */
  readonly http: HttpDescription = MetricError.http;
  /** The name of the class. */
  override readonly name = "MetricError";
}
