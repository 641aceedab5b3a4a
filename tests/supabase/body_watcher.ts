/**
 * A watcher of bodies, for tests.
 *
 * @module
 */
import { abortable } from "@std/async";
import type { BodyWatcher } from "../../shared/supabase/calls/tracked_body.ts";

/** A watcher that writes down what it is told. */
export function watcher(): { told: string[]; controller: AbortController; watching: BodyWatcher } {
  const told: string[] = [];
  const controller = new AbortController();
  const watching: BodyWatcher = {
    signal: controller.signal,
    markReading: () => told.push("reading"),
    settle: () => told.push("settled"),
    fail: (error) => told.push(`failed: ${error instanceof Error ? error.message : error}`),
    read: (read) => {
      const { signal } = controller;
      if (signal.aborted) return Promise.reject(signal.reason);
      watching.markReading();
      const reading = read().then((body) => {
        watching.settle();
        return body;
      }, (error) => {
        watching.fail(error);
        throw error;
      });
      return abortable(reading, signal);
    },
  };
  return { told, controller, watching };
}
