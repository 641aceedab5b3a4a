/**
 * Pools by priority: background work and administration take no connections from user requests.
 *
 * @module
 */
import type { Variables } from "../environment/mod.ts";
import { ConfigError, type ConfigIssue, type PoolRuntime } from "../pool/mod.ts";
import { parsePostgresConfig } from "./config/config.ts";
import { type PostgresConfig, type PostgresOptions, withoutAliases } from "./config/options.ts";
import { type PriorityOverrides, readPostgresEnvironment } from "./config/environment.ts";
import { PostgresConnectionManager } from "./manager.ts";
import type { PostgresStats } from "./postgres_pool.ts";

/** The priority of an operation: user requests, background work, or administration. */
export type OperationType = "highPriority" | "lowPriority" | "admin";

/** The operation types. */
export const OPERATION_TYPES: readonly OperationType[] = Object.freeze(["highPriority", "lowPriority", "admin"]);

/** The default options of each priority, from the specification. */
const PRIORITY_DEFAULTS: Readonly<Record<OperationType, Readonly<Partial<PostgresConfig>>>> = Object.freeze({
  highPriority: Object.freeze({ maxConnections: 30, minConnections: 10 }),
  lowPriority: Object.freeze({
    maxConnections: 10,
    minConnections: 2,
    idleTimeoutMs: 60_000,
    connectionTimeoutMs: 5_000,
  }),
  admin: Object.freeze({ maxConnections: 5, minConnections: 1 }),
});

/** The options that remain per operation type without priorities: work under another role would fail. */
const LOGIN: readonly string[] = ["user", "password"] satisfies (keyof PostgresConfig)[];

/** Options by priority, which win over the common ones. The names that `pg` gives them are accepted, too. */
export type PoolOverrides = Readonly<Partial<Record<OperationType, Readonly<PostgresOptions>>>>;

/** Returns options by priority under their own names, and adds what is wrong with them to `issues`. */
function resolveOverrides(type: OperationType, options: PostgresOptions, issues: ConfigIssue[]): PriorityOverrides {
  try {
    return withoutAliases(options);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    issues.push(...error.issues.map(({ path, message }) => ({ path: `${type}.${path}`, message })));
    return {};
  }
}

/**
 * One manager per operation type, created when it is first used. With `priorities: false` there is one for all types, with
 * the common options, and another one only for a type with a login of its own.
 *
 * @example Background work with its own connections
 * ```ts
 * const pools = PostgresPools.fromEnv();
 * await pools.getPool("lowPriority").query("REFRESH MATERIALIZED VIEW report");
 * ```
 */
export class PostgresPools implements AsyncDisposable {
  readonly #configs: Readonly<Record<OperationType, Readonly<Partial<PostgresConfig>>>>;
  readonly #runtime: PoolRuntime;
  readonly #managers = new Map<OperationType, PostgresConnectionManager>();
  #closed = false;

  /**
   * Checks the options. Each pool is created on first use.
   *
   * @param config Options for all pools. Operation types have sizes of their own, and some have idle and connection
   * timeouts of their own; these win over `config`.
   * @param overrides Options per operation type, which win over everything.
   * @param runtime Clock and random numbers; for tests.
   * @throws {ConfigError} listing every bad option of every pool.
   */
  constructor(config: PostgresOptions = {}, overrides: PoolOverrides = {}, runtime: PoolRuntime = {}) {
    const issues: ConfigIssue[] = [];
    const common = withoutAliases(config);
    const hasPriorities = common.priorities ?? true;
    const configOf = (type: OperationType) => {
      const wanted = resolveOverrides(type, overrides[type] ?? {}, issues);
      const given = Object.entries(wanted)
        .filter(([option, value]) => value !== undefined && (hasPriorities || LOGIN.includes(option)));
      const sizes = hasPriorities ? PRIORITY_DEFAULTS[type] : {};
      const own: Partial<PostgresConfig> = { ...common, ...sizes, ...Object.fromEntries(given) };
      // A lower maximum alone lowers the minimum too.
      if (hasPriorities && wanted.minConnections === undefined) {
        own.minConnections = Math.min(own.minConnections ?? 0, own.maxConnections ?? 0);
      }
      try {
        return parsePostgresConfig(own);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        issues.push(...error.issues.map(({ path, message }) => ({ path: `${type}.${path}`, message })));
        return own;
      }
    };
    this.#configs = {
      highPriority: configOf("highPriority"),
      lowPriority: configOf("lowPriority"),
      admin: configOf("admin"),
    };
    if (issues.length > 0) throw new ConfigError(issues, "pools by priority");
    this.#runtime = runtime;
  }

  /**
   * Creates the pools from the environment; see `readPostgresEnvironment`.
   *
   * @param variables Environment variables by name. Default: those of this process.
   * @throws {ConfigError} listing every bad variable.
   */
  static fromEnv(variables?: Variables, runtime?: PoolRuntime): PostgresPools {
    const { config, highPriority, lowPriority, admin } = readPostgresEnvironment(variables);
    return new PostgresPools(config, { highPriority, lowPriority, admin }, runtime);
  }

  /** Returns the manager of an operation type; for an unknown or missing type, that of `highPriority`. */
  getPool(operationType?: OperationType): PostgresConnectionManager {
    const type = this.#typeOf(OPERATION_TYPES.find((one) => one === operationType) ?? "highPriority");
    let manager = this.#managers.get(type);
    if (!manager) {
      manager = new PostgresConnectionManager(this.#configs[type], this.#runtime);
      this.#managers.set(type, manager);
      if (this.#closed) void manager.shutdown(0);
    }
    return manager;
  }

  /** The manager of user requests; see {@linkcode getPool}. */
  get highPriority(): PostgresConnectionManager {
    return this.getPool("highPriority");
  }

  /** The manager of background work; see {@linkcode getPool}. */
  get lowPriority(): PostgresConnectionManager {
    return this.getPool("lowPriority");
  }

  /** The manager of administration; see {@linkcode getPool}. */
  get admin(): PostgresConnectionManager {
    return this.getPool("admin");
  }

  /** Returns the type whose manager serves `type`: without priorities, the first with the same login. */
  #typeOf(type: OperationType): OperationType {
    const { priorities, user, password } = this.#configs[type];
    if (priorities !== false) return type;
    const isSame = (other: OperationType) =>
      this.#configs[other].user === user && this.#configs[other].password === password;
    return OPERATION_TYPES.find(isSame) ?? type;
  }

  /** Returns the statistics of each manager that was used. */
  getStats(): Readonly<Partial<Record<OperationType, PostgresStats>>> {
    return Object.freeze(
      Object.fromEntries(this.#managers.entries().map(([type, manager]) => [type, manager.getStats()])),
    );
  }

  /** Shuts all managers down at the same time; see `PostgresConnectionManager.shutdown`. */
  async shutdown(deadlineMs?: number): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#managers.values().map((manager) => manager.shutdown(deadlineMs)));
  }

  /** Shuts down; see {@linkcode shutdown}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }
}
