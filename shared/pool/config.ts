/**
 * The options of a pool: what each means, its default beside it, and the one
 * check that every configuration goes through.
 *
 * @module
 */
import * as z from "zod";
import { MAX_TIMER_MS } from "../resilience/mod.ts";
import { ConfigError, type ConfigIssue } from "./errors.ts";
import { limitIssues, type PoolLimits } from "./capacity.ts";

/** Options of a pool. All times are in milliseconds. */
export interface PoolConfig {
  /** No more resources than this exist at once, those being made or closed included. Default: 10. */
  maxConnections: number;
  /** So many are kept, however idle. Default: 2, or `maxConnections` where that is less. */
  minConnections: number;
  /**
   * So many of `maxConnections` are lent to the lane `admin` only, and that
   * lane has only these. Default: 0, all lanes share.
   */
  reservedConnections: number;
  /** How long a waiter waits for the advantage of one lane over the next to be made up for. Default: 2,000. */
  agingMs: number;
  /** A resource above `minConnections` that was unused this long is closed. Default: 30,000. */
  idleTimeoutMs: number;
  /** How long an acquire waits before it fails. Default: 5,000. */
  acquireTimeoutMs: number;
  /** So many acquires may wait for what others hold; one more is refused at once. Default: 1,000. */
  maxWaiters: number;
  /** A resource this old is not lent again. Default: 1,800,000 (half an hour). */
  maxLifetimeMs: number;
  /**
   * The lifetime of each resource is shortened by up to this part of it, drawn
   * once at birth, so that resources made together do not end together.
   * Default: 0.1.
   */
  lifetimeJitter: number;
  /** A resource lent so often is not lent again. Default: `Infinity`. */
  maxUses: number;
  /** A resource that was idle this long is validated before it is lent, if the factory can. Default: 500. */
  validateAfterIdleMs: number;
  /** A lease older than this is reported as leaked, once. Default: 60,000. */
  leakThresholdMs: number;
  /** Whether leases remember where they were acquired (about 50 µs each), for the leak report. Default: false. */
  captureLeaseStacks: boolean;
  /** How long a `create` may take. Default: 5,000. */
  createTimeoutMs: number;
  /** How long a `validate` may take: somebody waits for it. Default: 1,000. */
  validateTimeoutMs: number;
  /** How long a `reset` may take. Default: 5,000. */
  resetTimeoutMs: number;
  /** How long a `destroy` holds its slot. Default: 5,000. */
  destroyTimeoutMs: number;
  /** How long a shutdown waits for holders before it takes back what they hold. Default: 5,000. */
  shutdownTimeoutMs: number;
  /**
   * The pause after a first transient creation failure; it doubles with each, up to 20 times this, with jitter.
   * Default: 100.
   */
  createRetryDelayMs: number;
}

/** The value of each option that is not given. */
export const DEFAULT_POOL_CONFIG: Readonly<PoolConfig> = Object.freeze({
  maxConnections: 10,
  minConnections: 2,
  reservedConnections: 0,
  agingMs: 2_000,
  idleTimeoutMs: 30_000,
  acquireTimeoutMs: 5_000,
  maxWaiters: 1_000,
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
});

/** Sizes and timeouts for common situations, from the specification. */
export const PRESETS: Readonly<Record<PresetName, Readonly<Partial<PoolConfig>>>> = Object.freeze({
  /** Few clients, quickly given up: for a machine somebody works on. */
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
 * A schema that is made when it is first asked for. A schema costs more to make
 * than to use, most isolates set few options, and each would pay for all at its
 * start.
 */
export type LazySchema<S extends z.ZodType = z.ZodType> = () => S;

/** What `make` makes, made once. */
export function lazySchema<S extends z.ZodType>(make: () => S): LazySchema<S> {
  let made: S | undefined;
  return () => made ??= make();
}

/** A whole number from `min` to `max`, said so in the error. */
export function whole(min: number, max: number): LazySchema<z.ZodNumber> {
  return lazySchema(() => {
    const error = `must be a whole number from ${min} to ${max}`;
    return z.int({ error }).min(min, { error }).max(max, { error });
  });
}

const ms = (min: number) => whole(min, MAX_TIMER_MS);
const yesOrNo = lazySchema(() => z.boolean({ error: "must be true or false" }));

const limitsShape = {
  maxConnections: whole(1, 10_000),
  minConnections: whole(0, 10_000),
  reservedConnections: whole(0, 10_000),
} satisfies Record<keyof PoolLimits, LazySchema>;

/** One schema to an option; a message says the allowed range. */
export const poolConfigShape = {
  ...limitsShape,
  agingMs: ms(1),
  idleTimeoutMs: ms(1),
  acquireTimeoutMs: ms(1),
  maxWaiters: whole(0, 10_000_000),
  maxLifetimeMs: ms(1),
  lifetimeJitter: lazySchema(() => {
    const error = "must be a number from 0 to 0.5";
    return z.number({ error }).min(0, { error }).max(0.5, { error });
  }),
  maxUses: lazySchema(() =>
    z.union([z.literal(Infinity), whole(1, Number.MAX_SAFE_INTEGER)()], {
      error: `must be Infinity or a whole number from 1 to ${Number.MAX_SAFE_INTEGER}`,
    })
  ),
  validateAfterIdleMs: ms(0),
  leakThresholdMs: ms(1),
  captureLeaseStacks: yesOrNo,
  createTimeoutMs: ms(1),
  validateTimeoutMs: ms(1),
  resetTimeoutMs: ms(1),
  destroyTimeoutMs: ms(1),
  shutdownTimeoutMs: ms(0),
  createRetryDelayMs: ms(1),
} satisfies Record<keyof PoolConfig, LazySchema>;

/** What a bad value was, short enough for a message; text may be a secret and is not shown. */
function shown(value: unknown): string {
  if (typeof value === "string") return "a string";
  if (typeof value === "function" || typeof value === "symbol") return `a ${typeof value}`;
  if (value !== null && typeof value === "object") return Array.isArray(value) ? "an array" : "an object";
  return String(value);
}

/**
 * Checks `input` against `shape` and fills what is missing from `defaults`.
 * An option that is present but `undefined` counts as missing.
 *
 * @throws {ConfigError} listing every unknown option and every bad value.
 */
export function parseConfig<C extends PoolLimits>(
  input: Partial<C>,
  shape: Readonly<Record<keyof C & string, LazySchema>>,
  defaults: Readonly<C>,
): Readonly<C> {
  const issues: ConfigIssue[] = [];
  const given: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(input)) {
    if (value === undefined) continue;
    const schema = Object.hasOwn(shape, path) ? shape[path as keyof C & string] : undefined;
    if (!schema) {
      issues.push({ path, message: `unknown option; valid options: ${Object.keys(shape).join(", ")}` });
      continue;
    }
    // A default is right without a look; a configuration that comes back whole, checked before, is mostly those.
    if (Object.is(value, defaults[path as keyof C & string])) {
      given[path] = value;
      continue;
    }
    const result = schema().safeParse(value);
    if (result.success) given[path] = result.data;
    else issues.push({ path, message: `is ${shown(value)}, ${result.error.issues[0]?.message ?? "not allowed"}` });
  }
  const config = { ...defaults, ...given } as C;
  const minConnections = Math.min(defaults.minConnections, config.maxConnections);
  if (!("minConnections" in given)) Object.assign(config, { minConnections });
  // What is no number was said already.
  if (!issues.some(({ path }) => Object.hasOwn(limitsShape, path))) issues.push(...limitIssues(config));
  if (issues.length > 0) throw new ConfigError(issues);
  return Object.freeze(config);
}

/**
 * The whole configuration that `input` stands for.
 *
 * @throws {ConfigError} listing every unknown option and every bad value.
 */
export function parsePoolConfig(input: Partial<PoolConfig> = {}): Readonly<PoolConfig> {
  return parseConfig(input, poolConfigShape, DEFAULT_POOL_CONFIG);
}

/**
 * `input` on top of the limits in force.
 *
 * @throws {ConfigError} listing every unknown limit and every bad value.
 */
export function parseLimits(input: Partial<PoolLimits>, before: PoolLimits): PoolLimits {
  return parseConfig<PoolLimits>(input, limitsShape, before);
}
