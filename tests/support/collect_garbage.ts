/**
 * Garbage collection, for tests of what is kept.
 *
 * @module
 */
import v8 from "node:v8";
import vm from "node:vm";

/**
 * Returns a function that collects garbage.
 *
 * @throws {Error} on a Deno before 2.2 without `--v8-flags=--expose-gc`, which `deno task test:2.1` passes.
 */
export function garbageCollector(): () => void {
  let gc: unknown = Reflect.get(globalThis, "gc");
  if (typeof gc !== "function") {
    v8.setFlagsFromString("--expose-gc");
    gc = vm.runInNewContext("gc");
  }
  if (typeof gc !== "function") throw new Error("Cannot collect garbage: pass --v8-flags=--expose-gc");
  const collect = gc;
  return () => void collect();
}
