/**
 * Calls of a provider, which is the program's: what it throws reaches neither a request nor a statement.
 *
 * @module
 */
import type { Context } from "@opentelemetry/api";
import { isPromiseLike } from "../../../resilience/mod.ts";
import type { OpenTelemetryApi } from "./api.ts";

/** Ignores what a promise rejects with. */
function ignore(): void {}

/**
 * Returns what `call` returns, or `undefined` if it throws. A promise that it returns may reject. It is called several times
 * for each span: it creates nothing.
 */
export function safely<T>(call: () => T): T | undefined {
  let result: T | undefined;
  try {
    result = call();
    if (isPromiseLike(result)) result.then(undefined, ignore);
  } catch {
    // It is the provider's.
  }
  return result;
}

/** Runs `work` in a context, once whatever the context manager does, and returns or throws what `work` does. */
export function runIn<T>({ context }: OpenTelemetryApi, active: Context, work: () => T): T {
  let outcome = undefined as { readonly value: T } | { readonly error: unknown } | undefined;
  const once = () => {
    if (outcome) return;
    try {
      outcome = { value: work() };
    } catch (error) {
      outcome = { error };
    }
  };
  safely(() => context.with(active, once));
  once();
  if (outcome && "value" in outcome) return outcome.value;
  throw outcome?.error;
}
