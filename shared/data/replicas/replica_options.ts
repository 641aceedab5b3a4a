/**
 * The options of a group of targets.
 *
 * @module
 */
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { MAX_TIMER_MS, memberOf } from "../../resilience/mod.ts";
import { configOfUrl, type PostgresOptions, withoutAliases } from "../../postgres/mod.ts";

/** Options of a target: a URL, or options of its manager with a name for events. */
export type ReplicaTargetOptions = string | (PostgresOptions & { readonly name?: string | undefined });

/** Options of a group. All times are in milliseconds. */
export interface ReplicasConfig {
  /** True if a scope reads what it has written. Default: true. */
  readYourWrites: boolean;
  /**
   * The targets of reads. `balanced`: all, the primary included. `standbys`: the primary only where no standby can be read
   * from. Default: `balanced`.
   */
  reads: "balanced" | "standbys";
  /** The longest wait for a primary, and for a target to read from. Default: 5,000. */
  failoverTimeoutMs: number;
  /** The lag from which a standby is not read from; `Infinity` for any. Default: 10,000. */
  maxLagMs: number;
  /**
   * The longest wait of a read for its standby to replay what the scope has written, before it runs on the primary.
   * Default: 0.
   */
  replayWaitMs: number;
  /** The interval of checks of each target, while the group is used. Default: 1,000. */
  checkIntervalMs: number;
  /** The time limit of a check. Default: 1,000. */
  checkTimeoutMs: number;
}

/** Options of a group, with those of all its targets. */
export interface ReplicasOptions extends Partial<ReplicasConfig> {
  /** The targets. Which one is the primary is found out. */
  readonly targets: readonly ReplicaTargetOptions[];
  /** Options of the managers of all targets; those of a target win. */
  readonly common?: PostgresOptions | undefined;
}

/** The defaults. */
export const DEFAULT_REPLICAS_CONFIG: Readonly<ReplicasConfig> = Object.freeze({
  readYourWrites: true,
  reads: "balanced",
  failoverTimeoutMs: 5_000,
  maxLagMs: 10_000,
  replayWaitMs: 0,
  checkIntervalMs: 1_000,
  checkTimeoutMs: 1_000,
});

/** Returns what is wrong with a value; `undefined` if nothing is. */
type Judge = (value: unknown) => string | undefined;

function ms(least: number, isBounded = true): Judge {
  return (value) => {
    if (!isBounded && value === Infinity) return undefined;
    const isValid = Number.isInteger(value) && Number(value) >= least && Number(value) <= MAX_TIMER_MS;
    return isValid ? undefined : `must be a whole number of ms from ${least} to ${MAX_TIMER_MS}`;
  };
}

const JUDGES: Readonly<Record<keyof ReplicasConfig, Judge>> = {
  readYourWrites: (value) => typeof value === "boolean" ? undefined : "must be true or false",
  reads: (value) => value === "balanced" || value === "standbys" ? undefined : "must be balanced or standbys",
  failoverTimeoutMs: ms(0),
  maxLagMs: ms(0, false),
  replayWaitMs: ms(0),
  checkIntervalMs: ms(1),
  checkTimeoutMs: ms(1),
};

function isTarget(target: unknown): boolean {
  if (typeof target === "string") return true;
  if (typeof target !== "object" || target === null || Array.isArray(target)) return false;
  const name: unknown = memberOf(target, "name");
  return name === undefined || (typeof name === "string" && name !== "");
}

/**
 * Returns the options of a group with defaults for missing ones.
 *
 * @throws {ConfigError} listing every unknown option and every bad value.
 */
export function parseReplicasConfig({ targets, common: _common, ...given }: ReplicasOptions): Readonly<ReplicasConfig> {
  const issues: ConfigIssue[] = [];
  if (!Array.isArray(targets) || targets.length === 0) {
    issues.push({ path: "targets", message: "must be a list of URLs or options, with one at least" });
  } else {
    for (const [index, target] of targets.entries()) {
      if (!isTarget(target)) issues.push({ path: `targets.${index}`, message: "must be a URL, or options and a name" });
    }
  }
  const config: Record<string, unknown> = { ...DEFAULT_REPLICAS_CONFIG };
  for (const [path, value] of Object.entries(given)) {
    if (value === undefined) continue;
    const judge = Object.hasOwn(JUDGES, path) ? JUDGES[path as keyof ReplicasConfig] : undefined;
    const message = judge ? judge(value) : `unknown option; valid options: ${Object.keys(JUDGES).join(", ")}`;
    if (message !== undefined) issues.push({ path, message });
    config[path] = value;
  }
  if (issues.length > 0) throw new ConfigError(issues, "replicas configuration");
  return Object.freeze(config as unknown as ReplicasConfig);
}

/** A target with its name, and the options of its manager. */
export interface NamedTarget {
  readonly name: string;
  readonly config: PostgresOptions;
}

/**
 * Returns the targets of a group with their names: by default, the host and port.
 *
 * @throws {ConfigError} when two have the same name or lead to the same server, or a URL is bad.
 */
export function namedTargets({ targets, common = {} }: ReplicasOptions): NamedTarget[] {
  const named = targets.map((target) => {
    const { name, ...own } = typeof target === "string" ? { name: undefined, ...configOfUrl(target) } : target;
    // The group checks its targets itself.
    const config = { healthCheckIntervalMs: 0, ...withoutAliases(common), ...withoutAliases(own) };
    return { name: name ?? `${config.host ?? "localhost"}:${config.port ?? 5432}`, config };
  });
  const issues = named.flatMap(({ name, config }, index) => {
    const path = `targets.${index}`;
    const before = named.slice(0, index);
    if (before.some((other) => other.name === name)) {
      return [{ path, message: "has the name of another target: give each a name of its own" }];
    }
    const address = addressOf(config);
    if (address === undefined || before.every((other) => addressOf(other.config) !== address)) return [];
    return [{ path, message: "leads to the same server as another target: list each server once" }];
  });
  if (issues.length > 0) throw new ConfigError(issues, "replicas configuration");
  return named;
}

/** Returns what decides which server a target leads to, with what a pooler may go by; `undefined` where a function does. */
function addressOf(
  { host = "localhost", port = 5432, database, user, options, connect }: PostgresOptions,
): string | undefined {
  if (connect !== undefined) return undefined;
  return JSON.stringify([String(host).toLowerCase(), Number(port), database, user, options]);
}
