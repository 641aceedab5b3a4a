/**
 * Scripted operations for tests of `retry()`.
 *
 * @module
 */
import type { Attempt } from "../../shared/resilience/mod.ts";

/** A failure that may always be retried. */
export const TRANSIENT = { code: "40001", message: "serialization failure" };
/** A failure that may have taken effect. */
export const AMBIGUOUS = Object.assign(new Error("reset"), { code: "ECONNRESET" });
/** A failure that is never retried. */
export const PERMANENT = { code: "23505", message: "duplicate" };

/** An operation that follows a script, and its attempts so far. */
export interface Script<T> {
  readonly run: (attempt: Attempt) => T | Promise<T>;
  readonly attempts: Attempt[];
}

/** Runs one step after the other, and records the attempts. */
export function script<T>(...steps: (() => T | Promise<T>)[]): Script<T> {
  const attempts: Attempt[] = [];
  const run = (attempt: Attempt): T | Promise<T> => {
    attempts.push(attempt);
    const step = steps[Math.min(attempts.length, steps.length) - 1];
    if (!step) throw new Error("an empty script");
    return step();
  };
  return { run, attempts };
}

/** Returns a function that throws `error`. */
export function throwing(error: unknown): () => never {
  return () => {
    throw error;
  };
}
