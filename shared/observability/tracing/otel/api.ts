/**
 * The API of OpenTelemetry, which a function that is traced imports and installs.
 *
 * @module
 */
import { memberOf } from "../../../resilience/mod.ts";

/** The package `@opentelemetry/api`, as it is imported. */
export type OpenTelemetryApi = typeof import("@opentelemetry/api");

let installed: OpenTelemetryApi | undefined = undefined;

/**
 * Installs the API that an isolate is traced with; the latest one counts. This library does not import it: without a lock
 * file, Deno resolves `@supabase/supabase-js` wrongly in every program whose imports have `@opentelemetry/api`, too.
 *
 * @param api The package `@opentelemetry/api`.
 * @example
 * ```ts
 * installOpenTelemetry(await import("@opentelemetry/api"));
 * ```
 */
export function installOpenTelemetry(api: OpenTelemetryApi): void {
  installed = api;
}

/**
 * Returns the API that was installed.
 *
 * @throws {Error} when none was.
 */
export function installedApi(): OpenTelemetryApi {
  if (installed) return installed;
  throw new Error(
    "Cannot trace: no API is installed. Import @opentelemetry/api, and pass it to installOpenTelemetry()",
  );
}

/** The name of this library as a scope of spans and metrics. */
export const SCOPE = "supabase-pool";

/** Returns a time in seconds, the unit of OpenTelemetry. */
export function seconds(ms: number): number {
  return ms / 1_000;
}

/**
 * Returns whether the provider is that of the runtime, which adds `traceparent` to each `fetch` itself: Deno with
 * `OTEL_DENO=true`. A second one beside it would make the header invalid.
 */
export function propagatesItself({ trace }: OpenTelemetryApi): boolean {
  const ofRuntime = memberOf(memberOf(memberOf(globalThis, "Deno"), "telemetry"), "tracerProvider");
  const provider: unknown = trace.getTracerProvider();
  const getDelegate = memberOf(provider, "getDelegate");
  const delegate: unknown = typeof getDelegate === "function" ? getDelegate.call(provider) : provider;
  return ofRuntime !== undefined && (provider === ofRuntime || delegate === ofRuntime);
}
