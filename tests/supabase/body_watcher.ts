/**
 * A watcher of bodies, for tests.
 *
 * @module
 */
import { abortable } from "@std/async";
import type { BodyWatcher } from "../../shared/supabase/calls/tracked_body.ts";

/** Returns a watcher that records its calls. */
export function watcher(): { events: string[]; controller: AbortController; watching: BodyWatcher } {
  const events: string[] = [];
  const controller = new AbortController();
  const watching: BodyWatcher = {
    signal: controller.signal,
    markReading: () => events.push("reading"),
    onPull: () => {},
    onChunk: () => {},
    settle: () => events.push("settled"),
    fail: (error) => events.push(`failed: ${error instanceof Error ? error.message : error}`),
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
  return { events, controller, watching };
}
