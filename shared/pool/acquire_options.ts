/**
 * The options of an acquire, and their check.
 *
 * @module
 */
import { AcquireAbortedError, ConfigError, type ConfigIssue } from "./errors.ts";
import type { Flow } from "./fair_queue.ts";
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
  /**
   * The flow whose share of the lane the lease takes, in a pool with `fairShare`; no other pool uses it. Default: one
   * flow for all acquires without.
   */
  flow?: Flow | undefined;
}

/** The issue of a flow that is neither a string nor an object with a key. */
export const BAD_FLOW: ConfigIssue = {
  path: "flow",
  message: "must be a string, or { key, weight } with a string as key and a weight from 0.001 to 1,000",
};

/** Returns `flow` with each of its members read once: one that is a getter may have another value next time. */
export function copyOfFlow(flow: unknown): unknown {
  if (typeof flow !== "object" || flow === null) return flow;
  const { key, weight }: { key?: unknown; weight?: unknown } = flow;
  return { key, weight };
}

/** Returns whether a value is a flow. */
export function isFlow(value: unknown): value is Flow {
  if (typeof value !== "object" || value === null) return typeof value === "string";
  const { key, weight = 1 }: { key?: unknown; weight?: unknown } = value;
  return typeof key === "string" && typeof weight === "number" && weight >= 0.001 && weight <= 1_000;
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
  flow: unknown,
): Error | undefined {
  const issues: ConfigIssue[] = [];
  if (notAnObject) issues.push({ path: "options", message: "must be an object" });
  if (signal !== undefined && !isSignal(signal)) {
    issues.push({ path: "signal", message: `is ${typeof signal}, must be an AbortSignal` });
  }
  if (timeoutMs !== undefined && !isMs(timeoutMs)) issues.push(badMs("timeoutMs", timeoutMs));
  if (lane !== "probe" && !isLane(lane)) issues.push(BAD_LANE);
  if (flow !== undefined && !isFlow(flow)) issues.push(BAD_FLOW);
  if (issues.length > 0) return new ConfigError(issues, "acquire options");
  return signal?.aborted ? new AcquireAbortedError(signal.reason) : undefined;
}
