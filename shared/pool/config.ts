/**
 * The options of a pool, their defaults, and the check that every configuration
 * passes through.
 *
 * @module
 */
import * as z from "zod";
import { MAX_TIMER_MS } from "../resilience/mod.ts";
import { ConfigError, type ConfigIssue } from "./errors.ts";
import { limitIssues, type PoolLimits } from "./capacity.ts";

/** Options of a pool. All times are in milliseconds. */
export interface PoolConfig {
  /** Maximum number of resources, those being created or closed included; `Infinity` for no limit. Default: 10. */
  maxConnections: number;
  /** Number of resources that are kept open even when idle. Default: 2, or `maxConnections` if that is less. */
  minConnections: number;
  /**
   * The part of `maxConnections` that only the lane `admin` may lease, and all
   * that it may lease. Default: 0, all lanes share.
   */
  reservedConnections: number;
  /**
   * True if lanes have their meaning. With false each acquire counts as one of the lane `normal`, except `probe`, and
   * no connections are reserved. Default: true.
   */
  priorities: boolean;
  /** Wait, in ms, that offsets one lane. Default: 2,000. */
  agingMs: number;
  /** Idle time, in ms, after which a resource above `minConnections` is destroyed. Default: 30,000. */
  idleTimeoutMs: number;
  /** Longest wait of an acquire, in ms. Default: 5,000. */
  acquireTimeoutMs: number;
  /** Maximum number of acquires that wait for leased resources; one more is rejected at once. Default: 1,000. */
  maxWaiters: number;
  /**
   * True if the flows of a lane, such as users, share its leases and the wait queue: one that floods the pool keeps the
   * others waiting for about one lease, and not for all of its own. See `AcquireOptions.flow`. Default: false,
   * first come, first served.
   */
  fairShare: boolean;
  /** Age, in ms, from which a resource is not leased again. Default: 1,800,000 (half an hour). */
  maxLifetimeMs: number;
  /**
   * The fraction by which the lifetime of a resource is shortened at most. It is
   * drawn once, at creation, so that resources created together do not expire
   * together. Default: 0.1.
   */
  lifetimeJitter: number;
  /** Number of leases after which a resource is not leased again. Default: `Infinity`. */
  maxUses: number;
  /** Idle time, in ms, after which a resource is validated before a lease, if the factory can. Default: 500. */
  validateAfterIdleMs: number;
  /** Age, in ms, at which a lease is reported as leaked, once. Default: 60,000. */
  leakThresholdMs: number;
  /** Captures the stack of each acquire for the leak report, at about 50 µs each. Default: false. */
  captureLeaseStacks: boolean;
  /** Timeout of `create`, in ms. Default: 5,000. */
  createTimeoutMs: number;
  /** Timeout of `validate`, in ms; a waiter waits for it. Default: 1,000. */
  validateTimeoutMs: number;
  /** Timeout of `reset`, in ms. Default: 5,000. */
  resetTimeoutMs: number;
  /** Timeout of `destroy`, in ms: the longest that a closing resource holds its slot. Default: 5,000. */
  destroyTimeoutMs: number;
  /** Time, in ms, that a shutdown leaves holders before it revokes their leases. Default: 5,000. */
  shutdownTimeoutMs: number;
  /**
   * Pause, in ms, after a first transient creation failure. It doubles with each
   * failure, up to 20 times this, with jitter, and is never shorter than what
   * the failure asks for (`Retry-After`), up to a minute. Default: 100.
   */
  createRetryDelayMs: number;
  /**
   * Time, in ms, for which creating may fail in a row, from the start of the first attempt, before a waiter that only
   * a new resource can serve is rejected with the failure. Default: `Infinity`, it waits until its own deadline.
   */
  createRetryMs: number;
}

/** The value of each option that is not given. */
export const DEFAULT_POOL_CONFIG: Readonly<PoolConfig> = Object.freeze({
  maxConnections: 10,
  minConnections: 2,
  reservedConnections: 0,
  priorities: true,
  agingMs: 2_000,
  idleTimeoutMs: 30_000,
  acquireTimeoutMs: 5_000,
  maxWaiters: 1_000,
  fairShare: false,
  maxLifetimeMs: 1_800_000,
  lifetimeJitter: 0.1,
  maxUses: Infinity,
  validateAfterIdleMs: 500,
  leakThresholdMs: 60_000,
  captureLeaseStacks: false,
  createTimeoutMs: 5_000,
  validateTimeoutMs: 1_000,
  resetTimeoutMs: 5_000,
  destroyTimeoutMs: 5_000,
  shutdownTimeoutMs: 5_000,
  createRetryDelayMs: 100,
  createRetryMs: Infinity,
});

/** Sizes and timeouts for common situations, from the specification. */
export const PRESETS: Readonly<Record<PresetName, Readonly<Partial<PoolConfig>>>> = Object.freeze({
  /** For a development machine: few connections, closed early. */
  development: Object.freeze({ maxConnections: 5, minConnections: 1, idleTimeoutMs: 15_000 }),
  /** For a deployed function. */
  production: Object.freeze({
    maxConnections: 20,
    minConnections: 5,
    idleTimeoutMs: 60_000,
    acquireTimeoutMs: 10_000,
  }),
  /** For a deployed function under heavy load. */
  "high-load": Object.freeze({
    maxConnections: 50,
    minConnections: 10,
    idleTimeoutMs: 120_000,
    acquireTimeoutMs: 15_000,
  }),
});

/** The name of one of the {@linkcode PRESETS}. */
export type PresetName = "development" | "production" | "high-load";

/**
 * A schema that is created at its first use. A schema costs more to create than
 * to use, and most isolates set few options.
 */
export type LazySchema<S extends z.ZodType = z.ZodType> = () => S;

/** Returns a schema that `create` creates at its first use. */
export function lazySchema<S extends z.ZodType>(create: () => S): LazySchema<S> {
  let schema: S | undefined;
  return () => schema ??= create();
}

/** Returns the schema of a whole number from `min` to `max`; its error names the range. */
export function whole(min: number, max: number): LazySchema<z.ZodNumber> {
  return lazySchema(() => {
    const error = `must be a whole number from ${min} to ${max}`;
    return z.int({ error }).min(min, { error }).max(max, { error });
  });
}

function ms(min: number): LazySchema<z.ZodNumber> {
  return whole(min, MAX_TIMER_MS);
}

/** The schema of an option that is true or false. */
export const yesOrNo: LazySchema<z.ZodBoolean> = lazySchema(() => z.boolean({ error: "must be true or false" }));

/** The schema of a limit that is a number. */
export const limitedConnections = whole(1, 10_000);

/** Returns the schema of `Infinity` or a whole number; a union would lose `Infinity` in the error for a number. */
function wholeOrInfinity(min: number, max: number): LazySchema {
  const finite = whole(min, max);
  return lazySchema(() => {
    const isValid = (value: unknown) => value === Infinity || finite().safeParse(value).success;
    return z.custom<number>(isValid, { error: `must be Infinity or a whole number from ${min} to ${max}` });
  });
}

const limitsShape = {
  maxConnections: wholeOrInfinity(1, 10_000),
  minConnections: whole(0, 10_000),
  reservedConnections: whole(0, 10_000),
} satisfies Record<keyof PoolLimits, LazySchema>;

/** The schema of each option; its message names the allowed range. */
export const poolConfigShape = {
  ...limitsShape,
  priorities: yesOrNo,
  agingMs: ms(1),
  idleTimeoutMs: ms(1),
  acquireTimeoutMs: ms(1),
  maxWaiters: whole(0, 10_000_000),
  fairShare: yesOrNo,
  maxLifetimeMs: ms(1),
  lifetimeJitter: lazySchema(() => {
    const error = "must be a number from 0 to 0.5";
    return z.number({ error }).min(0, { error }).max(0.5, { error });
  }),
  maxUses: wholeOrInfinity(1, Number.MAX_SAFE_INTEGER),
  validateAfterIdleMs: ms(0),
  leakThresholdMs: ms(1),
  captureLeaseStacks: yesOrNo,
  createTimeoutMs: ms(1),
  validateTimeoutMs: ms(1),
  resetTimeoutMs: ms(1),
  destroyTimeoutMs: ms(1),
  shutdownTimeoutMs: ms(0),
  createRetryDelayMs: ms(1),
  createRetryMs: wholeOrInfinity(0, MAX_TIMER_MS),
} satisfies Record<keyof PoolConfig, LazySchema>;

/** Describes an invalid value for a message. A string may be a secret and is not shown. */
function shown(value: unknown): string {
  if (typeof value === "string") return "a string";
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  if (value !== null && typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

/** The valid options of a configuration, and an issue for each other one. */
export interface CheckedOptions {
  /** The valid options, by name. */
  readonly given: Record<string, unknown>;
  /** Every unknown option and every invalid value. */
  readonly issues: ConfigIssue[];
}

/**
 * Checks each option of `input` against `shape`. One that is present but `undefined` counts as missing.
 *
 * @param defaults Values that are valid without a check: a configuration that was parsed before consists mostly of them.
 */
export function checkEachOption(
  input: object,
  shape: Readonly<Record<string, LazySchema>>,
  defaults: object,
): CheckedOptions {
  const issues: ConfigIssue[] = [];
  const given: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const schema = Object.hasOwn(shape, path) ? shape[path] : undefined;
    if (!schema) {
      issues.push({ path, message: `unknown option; valid options: ${Object.keys(shape).join(", ")}` });
      continue;
    }
    if (Object.is(value, Reflect.get(defaults, path))) {
      given[path] = value;
      continue;
    }
    const result = schema().safeParse(value);
    if (result.success) given[path] = result.data;
    else issues.push({ path, message: `is ${shown(value)}, ${result.error.issues[0]?.message ?? "not allowed"}` });
  }
  return { given, issues };
}

/**
 * Checks `input` against `shape` and fills what is missing from `defaults`.
 * An option that is present but `undefined` counts as missing.
 *
 * @param what The thing that is configured, for the error. Default: `pool configuration`.
 * @throws {ConfigError} listing every unknown option and every invalid value.
 */
export function parseConfig<C extends PoolLimits>(
  input: Partial<C>,
  shape: Readonly<Record<keyof C & string, LazySchema>>,
  defaults: Readonly<C>,
  what?: string,
): Readonly<C> {
  const { given, issues } = checkEachOption(input, shape, defaults);
  const config = { ...defaults, ...given } as C;
  const minConnections = Math.min(defaults.minConnections, config.maxConnections);
  if (!("minConnections" in given)) Object.assign(config, { minConnections });
  // The limits are compared only where each is valid alone.
  if (!issues.some(({ path }) => Object.hasOwn(limitsShape, path))) issues.push(...limitIssues(config));
  if (issues.length > 0) throw new ConfigError(issues, what);
  return Object.freeze(config);
}

/**
 * Returns the whole configuration for the options in `input`.
 *
 * @throws {ConfigError} listing every unknown option and every invalid value.
 */
export function parsePoolConfig(input: Partial<PoolConfig> = {}): Readonly<PoolConfig> {
  return parseConfig(input, poolConfigShape, DEFAULT_POOL_CONFIG);
}

/**
 * Returns the limits in force with those in `input` replaced.
 *
 * @throws {ConfigError} listing every unknown limit and every invalid value.
 */
export function parseLimits(input: Partial<PoolLimits>, before: PoolLimits): PoolLimits {
  const isUnlimited = before.maxConnections === Infinity;
  const shape = isUnlimited ? limitsShape : { ...limitsShape, maxConnections: limitedConnections };
  return parseConfig<PoolLimits>(input, shape, before);
}
