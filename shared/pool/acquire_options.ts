/**
 * The options of an acquire, and their check.
 *
 * @module
 */
import { AcquireAbortedError, ConfigError, type ConfigIssue } from "./errors.ts";
import { type AcquireLane, isLane, LANES } from "./lane.ts";

/** Options of one acquire. */
export interface AcquireOptions {
  /** The priority class, or `probe` for a health check; see {@linkcode AcquireLane}. Default: `normal`. */
  lane?: AcquireLane | undefined;
  /** Ends the wait when it aborts. It does not affect a lease that was granted. */
  signal?: AbortSignal | undefined;
  /**
   * The longest wait, in ms. With 0 it does not wait; `Infinity` sets no limit.
   * Default: the pool's `acquireTimeoutMs`.
   */
  timeoutMs?: number | undefined;
}

/** The issue of an unknown lane. */
export const BAD_LANE: ConfigIssue = { path: "lane", message: `must be one of ${[...LANES, "probe"].join(", ")}` };

/** Returns whether `value` is a number of ms; `Infinity` is one. */
export function isMs(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

/** Returns the issue of a value that is not a number of ms. */
export function badMs(path: string, value: unknown): ConfigIssue {
  return {
    path,
    message: `is ${typeof value === "number" ? value : typeof value}, must be a number of ms from 0 to Infinity`,
  };
}

function isSignal(value: unknown): boolean {
  return typeof value === "object" && value !== null && "aborted" in value && "addEventListener" in value &&
    typeof value.addEventListener === "function";
}

/**
 * Returns the error of an acquire whose options are invalid or whose signal has
 * aborted.
 *
 * @param notAnObject True when the options themselves are no object.
 */
export function invalidAcquire(
  notAnObject: boolean,
  lane: unknown,
  timeoutMs: unknown,
  signal: AbortSignal | undefined,
): Error | undefined {
  const issues: ConfigIssue[] = [];
  if (notAnObject) issues.push({ path: "options", message: "must be an object" });
  if (signal !== undefined && !isSignal(signal)) {
    issues.push({ path: "signal", message: `is ${typeof signal}, must be an AbortSignal` });
  }
  if (timeoutMs !== undefined && !isMs(timeoutMs)) issues.push(badMs("timeoutMs", timeoutMs));
  if (lane !== "probe" && !isLane(lane)) issues.push(BAD_LANE);
  if (issues.length > 0) return new ConfigError(issues, "acquire options");
  return signal?.aborted ? new AcquireAbortedError(signal.reason) : undefined;
}
