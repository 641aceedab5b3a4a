/**
 * The link of an isolate to OpenTelemetry. It is loaded by the first request, and only where it is switched on.
 *
 * @module
 */
import type { VariableReader } from "../../environment/mod.ts";
import type { OpenTelemetry } from "../../observability/tracing/otel/mod.ts";
import { messageOf, observe } from "../../resilience/mod.ts";
import type { RequestPool } from "../handler/runtime.ts";

/** A pool, as it is traced. */
export type TracedPool = Pick<
  RequestPool<never>,
  "component" | "config" | "getStats" | "kind" | "limits" | "on" | "record" | "statements"
>;

/**
 * Reads `POOL_TRACING`. Default: whether `OTEL_DENO` is `true`, with which Deno exports what is traced. Issues go to
 * `reader`.
 */
export function readTracing(reader: VariableReader): boolean {
  return reader.switch("POOL_TRACING") ?? reader.text("OTEL_DENO") === "true";
}

/** Loads OpenTelemetry, and reports pools to it. */
export class TracingLink {
  /** OpenTelemetry, once it is loaded. */
  telemetry: OpenTelemetry | undefined = undefined;
  readonly #load: () => Promise<OpenTelemetry>;
  #loading: Promise<void> | undefined = undefined;
  #onFailed: ((reason: string) => void) | undefined = undefined;
  readonly #watched = new WeakSet<object>();
  readonly #early = new Set<TracedPool>();

  /** @param load Loads it. Default: with the API that is installed. */
  constructor(load: () => Promise<OpenTelemetry> = loadOpenTelemetry) {
    this.#load = load;
  }

  /**
   * Loads OpenTelemetry; once. Never rejects: without it, nothing is traced.
   *
   * @param onFailed Called with the reason when it cannot be loaded, and when a pool cannot be reported.
   */
  load(onFailed: (reason: string) => void): Promise<void> {
    return this.#loading ??= this.#start(onFailed);
  }

  async #start(onFailed: (reason: string) => void): Promise<void> {
    this.#onFailed = onFailed;
    try {
      const telemetry = this.telemetry = await this.#load();
      for (const pool of this.#early) this.#observe(telemetry, pool);
    } catch (error) {
      onFailed(messageOf(error));
    }
    this.#early.clear();
  }

  /** Reports a pool, and its statements if it has any, until it is closed; once. */
  watch(pool: TracedPool): void {
    if (this.#watched.has(pool)) return;
    this.#watched.add(pool);
    if (this.telemetry) this.#observe(this.telemetry, pool);
    else this.#early.add(pool);
  }

  #observe(telemetry: OpenTelemetry, pool: TracedPool): void {
    observe(() => {
      const reports = [telemetry.observePool(pool.component ?? pool.kind ?? "pool", pool)];
      if (pool.statements) reports.push(telemetry.observeStatements(pool.statements));
      pool.on?.("closed", () => {
        for (const report of reports) report[Symbol.dispose]();
      });
    }, (error) => this.#onFailed?.(messageOf(error)));
  }
}

async function loadOpenTelemetry(): Promise<OpenTelemetry> {
  const { OpenTelemetry } = await import("../../observability/tracing/otel/mod.ts");
  return OpenTelemetry.ofIsolate();
}

let ofIsolate: TracingLink | undefined;

/** Returns the link of this isolate. */
export function tracingLink(): TracingLink {
  return ofIsolate ??= new TracingLink();
}
