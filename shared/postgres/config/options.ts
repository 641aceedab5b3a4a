/**
 * The options of a {@linkcode PostgresConnectionManager}, with their defaults, aliases and presets.
 *
 * @module
 */
import {
  type CircuitBreakerConfig,
  ConfigError,
  type ConfigIssue,
  DEFAULT_POOL_CONFIG,
  type PoolConfig,
  type RetryBudgetConfig,
} from "../../pool/mod.ts";
import type { TargetSessionAttributes } from "../connection/session.ts";
import type { TypeOverrides } from "../types/registry.ts";
import type { ConnectFunction } from "../wire/server_stream.ts";

/** The default of `maxResultBytes`: half of the memory of a hosted function. */
export const MAX_RESULT_BYTES = 134_217_728;

/** Options of TLS. */
export interface TlsOptions {
  /** The certificates of the authorities to trust, as PEM. Default: those of the system. */
  readonly ca?: string | undefined;
  /** The client certificate, as PEM. Default: none. */
  readonly cert?: string | undefined;
  /** The private key of the client certificate, as PEM. Default: none. */
  readonly key?: string | undefined;
  /**
   * True to reject a server that cannot prove its name. Otherwise anyone on the network path can read and change
   * everything. Default: true.
   */
  readonly rejectUnauthorized?: boolean | undefined;
}

/**
 * The pooler between the library and Postgres. `transaction`: a pooler (Supavisor, PgBouncer) that assigns a server
 * connection for one transaction at a time, so that nothing can be prepared or set for longer. `session`: none, or a
 * pooler that assigns it for the lifetime of a connection. `auto`: detected at the first connection.
 */
export type PoolMode = "auto" | "session" | "transaction";

/** Options of direct Postgres. All times are in milliseconds. */
export interface PostgresConfig extends Omit<PoolConfig, "createTimeoutMs" | "createRetryMs"> {
  /**
   * True for pooling. With false each statement, transaction or lease gets a connection of its own, which is closed after
   * it: none is idle, shared or prepared on. At most `maxConnections` are open at once. Default: true.
   */
  enabled: boolean;
  /**
   * True if transactions, operations and failed connects are retried. With false nothing is, whatever the other options
   * say. Default: true.
   */
  retries: boolean;
  /**
   * True for health checks, on request and at an interval. With false `healthCheck` reports the statistics and asks
   * nothing. Default: true.
   */
  healthChecks: boolean;
  /** The time limit of validating an idle connection. Default: 1,000. */
  validateTimeoutMs: number;
  /** The name or address of the server, or the folder of a Unix socket. Default: `localhost`. */
  host: string;
  /** The port of the server. Default: 5432. */
  port: number;
  /**
   * Opens the stream to the server, for example through an SSH tunnel; see docs/tunnel.md. `host` and `port` are then those
   * that it opens the stream to. Default: a socket to `host` and `port`.
   */
  connect: ConnectFunction | undefined;
  /** The name of the database. Default: `news_db`. */
  database: string;
  /** The role to log in as. Default: `postgres`. */
  user: string;
  /** The password of the role. Never shown. Default: none. */
  password: string;
  /**
   * The use of TLS. `true` verifies the server with the authorities of the system.
   * Default: `true`; `false` if the host is on this machine or its own network, see {@linkcode isLocalHost}.
   */
  ssl: boolean | TlsOptions;
  /** Settings of each session, as `options` of libpq: `-c search_path=app -c jit=off`. Default: none. */
  options: string | undefined;
  /** The name in `pg_stat_activity`. Default: `supabase-connection-pool`. */
  applicationName: string;
  /** True to enable TCP keep-alive. Default: true. */
  keepAlive: boolean;
  /** The idle time before the first keep-alive packet. Default: 0, the system's. */
  keepAliveDelayMs: number;
  /**
   * The time limit of reaching the server, TLS included. A server that was reached has three times as long to accept or
   * refuse, within `acquireTimeoutMs`: its reason says more than a timeout. Default: 2,000.
   */
  connectionTimeoutMs: number;
  /**
   * The time for which connecting may fail in a row before a waiter that only a new connection can serve is rejected
   * with the failure. At least `connectionTimeoutMs`; raise it, up to `acquireTimeoutMs`, to wait out a restart of the
   * server. Default: 0, for `connectionTimeoutMs`.
   */
  connectRetryMs: number;
  /** The maximum number of retries of `executeQueryWithRetry` and `executeTransactionWithRetry`. Default: 3. */
  maxRetries: number;
  /** The delay before the first of these retries; it doubles with each one. Default: 1,000. */
  retryDelayMs: number;
  /**
   * The delay before connecting again after a first failure. It doubles with each one, up to 20 times this value: half a
   * second by default, so that a server that comes back is found within a second. Default: 25.
   */
  createRetryDelayMs: number;
  /**
   * True, or its rules, if acquires are rejected at once with a `CircuitOpenError` while the server is away and
   * no open connection can serve them; see docs/postgres.md. Default: true, and `consecutiveFailures` 5.
   */
  circuitBreaker: boolean | Readonly<CircuitBreakerConfig>;
  /**
   * True, or its size, if the retries of `executeQueryWithRetry` and `executeTransactionWithRetry` together are bounded
   * by a share of their calls. Default: true, 20 % and 10 more in ten seconds.
   */
  retryBudget: boolean | Readonly<RetryBudgetConfig>;
  /**
   * The use of a limit below `maxConnections` while the server has no more connections for the pool (`53300`,
   * `EMAXCONN...`): `on`; `dry-run`, for statistics alone; or `off`. Default: `on`.
   */
  adaptiveLimit: "on" | "dry-run" | "off";
  /** The time limit of a statement, after which it is canceled; `Infinity` for none. Default: 30,000. */
  queryTimeoutMs: number;
  /** The time limit of a cancellation or rollback, after which the connection is closed. Default: 1,000. */
  cancelTimeoutMs: number;
  /** The interval of health checks; 0 for none. Default: 60,000. */
  healthCheckIntervalMs: number;
  /** The pooler between the library and Postgres. Default: `auto`. */
  poolMode: PoolMode;
  /**
   * False to prepare no statements, as with `maxPreparedStatements` 0: the server plans each for its values alone.
   * Default: true.
   */
  prepare: boolean;
  /**
   * Overrides of the ways in which types are sent and read, by name or oid, e.g. `{ int8: { decode: BigInt } }`.
   * Default: none.
   */
  types: TypeOverrides | undefined;
  /** The number of prepared statements that a connection keeps; 0 for none. Default: 100. */
  maxPreparedStatements: number;
  /**
   * The number of quick reads of `query` that may be in flight on one connection while all connections are leased;
   * 1 for one at a time. Default: 16.
   */
  maxStatementsInFlight: number;
  /**
   * The size of the largest result, in bytes: those of its rows, and 64 per row. Beyond it, a request is rejected with
   * `RESULT_TOO_LARGE` and its connection closed. Default: 134,217,728 (128 MiB), half of the memory of a hosted function.
   */
  maxResultBytes: number;
  /**
   * The servers that connections may be on. A connection to another one is closed at once, and one whose server becomes
   * another, such as a primary that is demoted, as soon as it is idle. Default: `any`.
   */
  targetSessionAttrs: TargetSessionAttributes;
  /** A login role that may run as callers however strong it is; see `as`. Default: none. */
  trustedLogin: string | undefined;
}

/** The option names of `pg` and of the specification. All times are in milliseconds. */
export interface PostgresOptionAliases {
  /** Alias of `maxConnections`. */
  readonly max?: number | undefined;
  /** Alias of `minConnections`. */
  readonly min?: number | undefined;
  /** Alias of `idleTimeoutMs`. */
  readonly idleTimeoutMillis?: number | undefined;
  /** Alias of `connectionTimeoutMs`. */
  readonly connectionTimeoutMillis?: number | undefined;
  /** Alias of `acquireTimeoutMs`. */
  readonly acquireTimeoutMillis?: number | undefined;
  /** Alias of `maxRetries`. */
  readonly retryAttempts?: number | undefined;
  /** Alias of `retryDelayMs`. */
  readonly retryDelay?: number | undefined;
  /** Alias of `keepAliveDelayMs`. */
  readonly keepAliveInitialDelayMillis?: number | undefined;
}

const ALIASES = {
  max: "maxConnections",
  min: "minConnections",
  idleTimeoutMillis: "idleTimeoutMs",
  connectionTimeoutMillis: "connectionTimeoutMs",
  acquireTimeoutMillis: "acquireTimeoutMs",
  retryAttempts: "maxRetries",
  retryDelay: "retryDelayMs",
  keepAliveInitialDelayMillis: "keepAliveDelayMs",
} as const satisfies Record<keyof PostgresOptionAliases, keyof PostgresConfig>;

/** Options as the manager accepts them: those of {@linkcode PostgresConfig}, also under the names that `pg` gives them. */
export type PostgresOptions = Partial<PostgresConfig> & PostgresOptionAliases;

/**
 * Returns options under their own names.
 *
 * @throws {ConfigError} when an option and its alias are both set.
 */
export function withoutAliases(options: PostgresOptions): Partial<PostgresConfig> {
  const issues: ConfigIssue[] = [];
  const resolved: Record<string, unknown> = {};
  for (const [path, value] of Object.entries(options)) {
    const option = Object.hasOwn(ALIASES, path) ? ALIASES[path as keyof typeof ALIASES] : undefined;
    if (option && value !== undefined && options[option] !== undefined) {
      issues.push({ path, message: `is an alias of ${option}, which is set too: set one of them` });
    }
    if (value !== undefined) resolved[option ?? path] = value;
  }
  if (issues.length > 0) throw new ConfigError(issues, "Postgres configuration");
  return resolved;
}

const { createTimeoutMs: _timeout, createRetryMs: _retry, ...coreDefaults } = DEFAULT_POOL_CONFIG;

/** The defaults. */
export const DEFAULT_POSTGRES_CONFIG: Readonly<PostgresConfig> = Object.freeze({
  ...coreDefaults,
  enabled: true,
  retries: true,
  healthChecks: true,
  host: "localhost",
  port: 5432,
  connect: undefined,
  database: "news_db",
  user: "postgres",
  password: "",
  ssl: false,
  options: undefined,
  applicationName: "supabase-connection-pool",
  keepAlive: true,
  keepAliveDelayMs: 0,
  maxConnections: 20,
  minConnections: 5,
  idleTimeoutMs: 30_000,
  connectionTimeoutMs: 2_000,
  connectRetryMs: 0,
  acquireTimeoutMs: 30_000,
  validateTimeoutMs: 1_000,
  maxRetries: 3,
  retryDelayMs: 1_000,
  createRetryDelayMs: 25,
  circuitBreaker: true,
  retryBudget: true,
  adaptiveLimit: "on",
  queryTimeoutMs: 30_000,
  cancelTimeoutMs: 1_000,
  healthCheckIntervalMs: 60_000,
  poolMode: "auto",
  prepare: true,
  types: undefined,
  maxPreparedStatements: 100,
  maxStatementsInFlight: 16,
  maxResultBytes: MAX_RESULT_BYTES,
  targetSessionAttrs: "any",
  trustedLogin: undefined,
});

/** Limits and timeouts for common situations, from the specification. */
export const POSTGRES_PRESETS: Readonly<Record<PostgresPresetName, Readonly<Partial<PostgresConfig>>>> = Object.freeze({
  /** For a developer's machine. */
  development: Object.freeze({
    maxConnections: 20,
    idleTimeoutMs: 30_000,
    connectionTimeoutMs: 2_000,
    healthCheckIntervalMs: 60_000,
  }),
  /** For a server with a database of its own. */
  production: Object.freeze({
    maxConnections: 100,
    idleTimeoutMs: 30_000,
    connectionTimeoutMs: 3_000,
    healthCheckIntervalMs: 30_000,
  }),
  /** For an edge function: each of many isolates has a pool, and most live for seconds. */
  edge: Object.freeze({
    maxConnections: 4,
    minConnections: 0,
    idleTimeoutMs: 10_000,
    connectionTimeoutMs: 3_000,
    acquireTimeoutMs: 5_000,
    healthCheckIntervalMs: 0,
  }),
});

/** The name of one of the {@linkcode POSTGRES_PRESETS}. */
export type PostgresPresetName = "development" | "production" | "edge";
