/**
 * The size of the heap, and calls of the garbage collector.
 *
 * @module
 */

/** Returns true if the garbage collector can be called: V8 was started with `--expose-gc`. */
export function canCollect(): boolean {
  return typeof (globalThis as { gc?: unknown }).gc === "function";
}

type Collector = (options?: { type: "minor" | "major" }) => void;

function run(type: "minor" | "major"): void {
  const { gc } = globalThis as { gc?: Collector };
  if (!gc) throw new Error("Cannot call the garbage collector: run with --v8-flags=--expose-gc");
  gc({ type });
}

/** Collects all garbage. V8 may discard optimized code with it, which must warm up again. */
export function collect(): void {
  run("major");
}

/** Collects young garbage, so that no measurement pays for that of another. Optimized code stays. */
export function tidy(): void {
  run("minor");
}

/** Returns the used bytes of V8's heap, garbage included. */
export function heapUsed(): number {
  return Deno.memoryUsage().heapUsed;
}

/** Collects all garbage and returns the used bytes of V8's heap. */
export function heapLive(): number {
  // The second pass collects what only a weak reference or a finalizer held.
  collect();
  collect();
  return heapUsed();
}
