/**
 * Spans and metrics for the provider of OpenTelemetry that a program, or the runtime, has registered.
 *
 * @module
 */
import type { Histogram } from "@opentelemetry/api";
import { installedApi, type OpenTelemetryApi, SCOPE } from "./api.ts";
import { type MeteredPool, PoolMeter, timesOf } from "./pool_meter.ts";
import { type RequestSpan, RequestTracer } from "./request_tracer.ts";
import { StatementTracer, type TracedPostgres } from "./statement_tracer.ts";

/**
 * Reports requests, statements and pools to OpenTelemetry, through its API alone. Without a provider nothing happens. Deno
 * registers one with `OTEL_DENO=true`.
 *
 * @example
 * ```ts
 * const telemetry = OpenTelemetry.ofIsolate();
 * const manager = PostgresConnectionManager.fromEnv();
 * telemetry.observePool("postgres", manager);
 * telemetry.observeStatements(manager);
 * ```
 */
export class OpenTelemetry {
  readonly #api: OpenTelemetryApi;
  readonly #requests: RequestTracer;
  readonly #pools: PoolMeter;
  readonly #duration: Histogram;

  /** @param api The package `@opentelemetry/api`. */
  constructor(api: OpenTelemetryApi) {
    this.#api = api;
    this.#requests = new RequestTracer(api, api.trace.getTracer(SCOPE));
    const meter = api.metrics.getMeter(SCOPE);
    this.#pools = new PoolMeter(meter);
    this.#duration = timesOf(meter, "db.client.operation.duration", "Duration of database client operations");
  }

  /**
   * Returns one for the API that was installed; see {@linkcode installOpenTelemetry}.
   *
   * @throws {Error} when none was.
   */
  static ofIsolate(): OpenTelemetry {
    return new OpenTelemetry(installedApi());
  }

  /** Starts the span of a request. Returns `undefined` if no provider is registered. */
  beginRequest(request: Request): RequestSpan | undefined {
    return this.#requests.begin(request);
  }

  /** Reports the metrics `db.client.connection.*` of a pool from now on, until the result is disposed of. */
  observePool(name: string, pool: MeteredPool): Disposable {
    return this.#pools.add(name, pool);
  }

  /**
   * Creates a span for each statement and transaction of a Postgres pool, and records `db.client.operation.duration`, until
   * the result is disposed of. Neither has a text or a value.
   */
  observeStatements(postgres: TracedPostgres): Disposable {
    const tracer = this.#api.trace.getTracer(SCOPE);
    const observer = new StatementTracer(this.#api, tracer, this.#duration, postgres.config);
    return postgres.observeStatements(observer);
  }
}
