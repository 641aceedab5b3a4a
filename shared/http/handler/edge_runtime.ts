/**
 * The runtime that Supabase's functions are hosted on.
 *
 * @module
 */

interface EdgeRuntime {
  /** Keeps the isolate until `promise` has settled. */
  waitUntil(promise: Promise<unknown>): void;
}

/** The global `EdgeRuntime`; `undefined` in plain Deno. */
export function edgeRuntime(): EdgeRuntime | undefined {
  const runtime: unknown = Reflect.get(globalThis, "EdgeRuntime");
  const known = typeof runtime === "object" && runtime !== null && "waitUntil" in runtime &&
    typeof runtime.waitUntil === "function";
  return known ? runtime as EdgeRuntime : undefined;
}
