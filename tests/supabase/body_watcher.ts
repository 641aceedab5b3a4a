/**
 * A watcher of bodies, for tests.
 *
 * @module
 */
import type { BodyWatcher } from "../../shared/supabase/tracked_body.ts";

/** A watcher that writes down what it is told. */
export function watcher(): { told: string[]; controller: AbortController; watching: BodyWatcher } {
  const told: string[] = [];
  const controller = new AbortController();
  const watching: BodyWatcher = {
    signal: controller.signal,
    begun: () => told.push("begun"),
    over: () => told.push("over"),
    failed: (error) => told.push(`failed: ${error instanceof Error ? error.message : error}`),
  };
  return { told, controller, watching };
}
