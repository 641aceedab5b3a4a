/**
 * A watcher of bodies, for tests.
 *
 * @module
 */
import type { TextWatcher } from "../../shared/supabase/calls/text_response.ts";

/** A watcher that writes down what it is told. */
export function watcher(): { told: string[]; controller: AbortController; watching: TextWatcher } {
  const told: string[] = [];
  const controller = new AbortController();
  const watching: TextWatcher = {
    signal: controller.signal,
    markReading: () => told.push("reading"),
    settle: () => told.push("settled"),
    fail: (error) => told.push(`failed: ${error instanceof Error ? error.message : error}`),
    race: (promise) =>
      new Promise((resolve, reject) => {
        const { signal } = controller;
        if (signal.aborted) reject(signal.reason);
        signal.addEventListener("abort", () => reject(signal.reason));
        promise.then(resolve, reject);
      }),
  };
  return { told, controller, watching };
}
