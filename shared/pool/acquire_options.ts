/**
 * What an acquire may ask for, and how a bad request is refused.
 *
 * @module
 */
import { AcquireAbortedError, ConfigError, type ConfigIssue } from "./errors.ts";
import { type AcquireLane, isLane, LANES } from "./lane.ts";

/** Options of one acquire. */
export interface AcquireOptions {
  /** The priority class, or `probe` for a health check; see {@linkcode AcquireLane}. Default: `normal`. */
  lane?: AcquireLane | undefined;
  /** Ends the wait when it aborts. A lease that was granted is not touched by it. */
  signal?: AbortSignal | undefined;
  /**
   * How long this acquire may wait, in ms; 0 for not at all, `Infinity` for
   * ever. Default: the pool's `acquireTimeoutMs`.
   */
  timeoutMs?: number | undefined;
}

/** A lane that names none. */
export const BAD_LANE: ConfigIssue = { path: "lane", message: `must be one of ${[...LANES, "probe"].join(", ")}` };

/** Whether `value` is a number of ms; `Infinity` is one. */
export function isMs(value: unknown): boolean {
  return typeof value === "number" && value >= 0;
}

/** A value that {@linkcode isMs} refuses. */
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

/** Why an acquire is refused before the pool is looked at. */
export function refusalOf(options: AcquireOptions): Error | undefined {
  if (typeof options !== "object" || options === null) {
    return new ConfigError([{ path: "options", message: "must be an object" }], "acquire options");
  }
  const { timeoutMs, signal, lane = "normal" } = options;
  const issues = [];
  if (signal !== undefined && !isSignal(signal)) {
    issues.push({ path: "signal", message: `is ${typeof signal}, must be an AbortSignal` });
  }
  if (timeoutMs !== undefined && !isMs(timeoutMs)) issues.push(badMs("timeoutMs", timeoutMs));
  if (lane !== "probe" && !isLane(lane)) issues.push(BAD_LANE);
  if (issues.length > 0) return new ConfigError(issues, "acquire options");
  return signal?.aborted ? new AcquireAbortedError(signal.reason) : undefined;
}
