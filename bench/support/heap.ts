/**
 * The heap, measured with the collector in our hands.
 *
 * @module
 */

/** Whether the collector can be called: V8 was started with `--expose-gc`. */
export function canCollect(): boolean {
  return typeof (globalThis as { gc?: unknown }).gc === "function";
}

type Collector = (options?: { type: "minor" | "major" }) => void;

function run(type: "minor" | "major"): void {
  const { gc } = globalThis as { gc?: Collector };
  if (!gc) throw new Error("The collector cannot be called: run with --v8-flags=--expose-gc");
  gc({ type });
}

/** Collects all garbage. Code that was optimised for objects that are gone goes with them, and has to warm up anew. */
export function collect(): void {
  run("major");
}

/** Collects young garbage, so that one measurement does not pay for another's; optimised code stays. */
export function tidy(): void {
  run("minor");
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
