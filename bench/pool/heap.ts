/**
 * The heap, measured with the collector in our hands.
 *
 * @module
 */

/** Whether the collector can be called: V8 was started with `--expose-gc`. */
export function canCollect(): boolean {
  return typeof (globalThis as { gc?: unknown }).gc === "function";
}

/** Collects all garbage, so that none of an earlier measurement is paid for by the next. */
export function collect(): void {
  const { gc } = globalThis as { gc?: () => void };
  if (!gc) throw new Error("The collector cannot be called: run with --v8-flags=--expose-gc");
  gc();
}

/** Bytes of V8's heap in use, garbage included. */
export function heapUsed(): number {
  return Deno.memoryUsage().heapUsed;
}

/** Bytes of V8's heap that something still refers to. */
export function heapLive(): number {
  // What only a weak reference or a finalizer held goes with the second pass.
  collect();
  collect();
  return heapUsed();
}
