/**
 * The options of circuit breakers, retry budgets and limits that adapt, as every kind of pool has them.
 *
 * @module
 */
import * as z from "zod";
import { type CircuitBreakerOptions, MAX_TIMER_MS, type RetryBudgetOptions } from "../resilience/mod.ts";
import { type LazySchema, lazySchema } from "./config.ts";

/** The rules of the circuit breakers of a pool. Default of each: that of `CircuitBreakerOptions`. */
export type CircuitBreakerConfig = Omit<CircuitBreakerOptions, "target" | "seed" | "clock" | "random">;

/** The size of the retry budget of a pool. Default of each: that of `RetryBudgetOptions`. */
export type RetryBudgetConfig = Omit<RetryBudgetOptions, "clock">;

const breakerError = "must be true, false, or an object with any of: consecutiveFailures, minimumCalls, maxProbes, " +
  "successesToClose (whole numbers from 1), failureRatio (above 0, at most 1), windowMs, openMs, probeTimeoutMs " +
  `(numbers from 1 to ${MAX_TIMER_MS})`;

const budgetError =
  "must be true, false, or an object with any of: ratio (a number from 0 to 1), reserve (a whole number from 0)";

/** The schemas of `circuitBreaker`, `adaptiveLimit` and `retryBudget`. */
export const resilienceShape = {
  circuitBreaker: lazySchema(() => {
    const count = z.int().min(1).optional();
    const ms = z.number().min(1).max(MAX_TIMER_MS).optional();
    const rules = z.strictObject(
      {
        consecutiveFailures: count,
        failureRatio: z.number().gt(0).max(1).optional(),
        minimumCalls: count,
        windowMs: ms,
        openMs: ms,
        maxProbes: count,
        successesToClose: count,
        probeTimeoutMs: ms,
      } satisfies Record<keyof CircuitBreakerConfig, z.ZodType>,
    );
    return z.union([z.boolean(), rules.readonly()], { error: breakerError });
  }),
  adaptiveLimit: lazySchema(() =>
    // The words of switches are those of variables.
    z.preprocess(
      (value) => value === "true" || value === "1" ? "on" : value === "false" || value === "0" ? "off" : value,
      z.enum(["on", "dry-run", "off"], { error: "must be on, dry-run or off" }),
    )
  ),
  retryBudget: lazySchema(() => {
    const ratio = z.number().min(0).max(1).optional();
    const reserve = z.int().min(0).optional();
    const size = z.strictObject({ ratio, reserve } satisfies Record<keyof RetryBudgetConfig, z.ZodType>);
    return z.union([z.boolean(), size.readonly()], { error: budgetError });
  }),
} satisfies Record<string, LazySchema>;

/** Returns the options behind the value of such an option; `undefined` if it is off. */
export function optionsOf<T extends object>(value: boolean | Readonly<T>): Readonly<Partial<T>> | undefined {
  if (typeof value === "object") return value;
  const defaults: Partial<T> = {};
  return value ? defaults : undefined;
}
