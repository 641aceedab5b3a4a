/**
 * The options of a {@linkcode PostgresConnectionManager}: what each means, its
 * default beside it.
 *
 * @module
 */
import * as z from "zod";
import {
  DEFAULT_POOL_CONFIG,
  type LazySchema,
  lazySchema,
  parseConfig,
  type PoolConfig,
  poolConfigShape,
  whole,
} from "../../pool/mod.ts";
import { MAX_TIMER_MS } from "../../resilience/mod.ts";
import { isLocalHost } from "./local_host.ts";

/** How a server proves that it is the right one, and we that we are. */
export interface TlsOptions {
  /** Certificates of the authorities to trust, as PEM. Default: those of the system. */
  readonly ca?: string | undefined;
  /** Our certificate, as PEM. */
  readonly cert?: string | undefined;
  /** Its private key, as PEM. */
  readonly key?: string | undefined;
  /**
   * Whether a server that cannot prove its name is refused. Default: true.
   * Without it, anybody on the way can read and change everything.
   */
  readonly rejectUnauthorized?: boolean | undefined;
}

/**
 * What stands between us and Postgres. `transaction`: a pooler (Supavisor,
 * PgBouncer) that lends a server's connection for one transaction at a time, so
 * that nothing can be prepared or set for longer. `session`: nothing, or a pooler that lends it
 * for as long as ours lasts. `auto`: found out.
 */
export type PoolMode = "auto" | "session" | "transaction";

/** Options of direct Postgres. All times are in milliseconds. */
export interface PostgresConfig extends Omit<PoolConfig, "createTimeoutMs"> {
  /** How long an idle connection may take to show that it still works. Default: 1,000. */
  validateTimeoutMs: number;
  /** A name, an address, or the folder of a Unix socket. Default: `localhost`. */
  host: string;
  /** Default: 5432. */
  port: number;
  /** Default: `news_db`. */
  database: string;
  /** The role to log in as. Default: `postgres`. */
  user: string;
  /** Its password. Never shown. Default: none. */
  password: string;
  /**
   * Whether to use TLS, and how. `true` verifies the server with the authorities of the system.
   * Default: `true`; `false` where the host is of this machine or its own network, see {@linkcode isLocalHost}.
   */
  ssl: boolean | TlsOptions;
  /** Settings of the session, as libpq's `options`: `-c search_path=app -c jit=off`. Default: none. */
  options: string | undefined;
  /** What `pg_stat_activity` shows. Default: `supabase-connection-pool`. */
  applicationName: string;
  /** Whether the system looks after silent connections (TCP keep-alive). Default: true. */
  keepAlive: boolean;
  /** How long a connection is silent before it does. Default: 0, the system's. */
  keepAliveDelayMs: number;
  /** How long connecting may take, authentication included. Default: 2,000. */
  connectionTimeoutMs: number;
  /** How often `executeQueryWithRetry` and `executeTransactionWithRetry` try again. Default: 3. */
  maxRetries: number;
  /** The delay before the first of these retries; it doubles with each. Default: 1,000. */
  retryDelayMs: number;
  /**
   * The pause after a first failed attempt to connect. It doubles with each, up
   * to 20 times this: half a second by default, so that a server that is back is
   * found within one. Default: 25.
   */
  createRetryDelayMs: number;
  /** How long a statement may take before it is cancelled; `Infinity` for as long as it needs. Default: 30,000. */
  queryTimeoutMs: number;
  /** How long a cancelled statement, or a rollback, may go on before its connection is cut. Default: 1,000. */
  cancelTimeoutMs: number;
  /** How often the connection is checked by itself; 0 for never. Default: 60,000. */
  healthCheckIntervalMs: number;
  /** What stands between us and Postgres. Default: `auto`. */
  poolMode: PoolMode;
  /** How many prepared statements a connection keeps; 0 for none. Default: 100. */
  maxPreparedStatements: number;
  /**
   * How many quick reads of `query` may be under way on one connection at once, where all connections are in use;
   * 1 for one at a time, each with the connection for itself. Default: 16.
   */
  maxStatementsInFlight: number;
  /** A login role that may act for callers however strong it is; see `as`. Default: none. */
  trustedLogin: string | undefined;
}

const { createTimeoutMs: _core, ...coreDefaults } = DEFAULT_POOL_CONFIG;

/** The value of each option that is not given. */
export const DEFAULT_POSTGRES_CONFIG: Readonly<PostgresConfig> = Object.freeze({
  ...coreDefaults,
  host: "localhost",
  port: 5432,
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
  acquireTimeoutMs: 30_000,
  validateTimeoutMs: 1_000,
  maxRetries: 3,
  retryDelayMs: 1_000,
  createRetryDelayMs: 25,
  queryTimeoutMs: 30_000,
  cancelTimeoutMs: 1_000,
  healthCheckIntervalMs: 60_000,
  poolMode: "auto",
  maxPreparedStatements: 100,
  maxStatementsInFlight: 16,
  trustedLogin: undefined,
});

/** Sizes and timeouts for common situations. */
export const POSTGRES_PRESETS: Readonly<Record<PostgresPresetName, Readonly<Partial<PostgresConfig>>>> = Object.freeze({
  /** For a machine somebody works on. */
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
  /** For an edge function: each of many isolates holds a pool, and most live for seconds. */
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

const ms = (min: number) => whole(min, MAX_TIMER_MS);
const text = (error: string) =>
  lazySchema(() => z.string({ error }).min(1, { error }).refine((value) => !value.includes("\0"), { error }));
const yesOrNo = lazySchema(() => z.boolean({ error: "must be true or false" }));

const ssl = lazySchema(() => {
  const pem = z.string().includes("-----BEGIN ").optional();
  const own = z.strictObject({ ca: pem, cert: pem, key: pem, rejectUnauthorized: yesOrNo().optional() });
  return z.union([z.boolean(), own], {
    error: "must be true, false or { ca, cert, key, rejectUnauthorized } with certificates and key as PEM",
  });
});

const queryTimeoutError = `must be Infinity or a whole number from 1 to ${MAX_TIMER_MS}`;
const { createTimeoutMs: _shape, ...coreShape } = poolConfigShape;

/** One schema to an option; a message says the allowed range. */
export const postgresConfigShape = {
  ...coreShape,
  host: lazySchema(() => {
    const error = "must be one host name, address or folder of a Unix socket, without a port";
    // A list, as libpq takes one, would be looked up as a name, and so would a name with a port.
    return z.string({ error }).regex(/^(\/[^\0]*|[^\s\0,/:]+|[\da-f:.]*:[\da-f:.]+(%[^\s\0,/]+)?)$/i, { error });
  }),
  port: whole(1, 65_535),
  database: text("must be the name of a database"),
  user: text("must be the name of a role"),
  password: lazySchema(() =>
    z.string({ error: "must be a string" }).refine((value) => !value.includes("\0"), { error: "must hold no NUL" })
  ),
  ssl,
  options: lazySchema(() => {
    const error = "must be settings such as -c search_path=app, without NUL";
    return z.string({ error }).refine((value) => !value.includes("\0"), { error });
  }),
  applicationName: lazySchema(() => {
    const error = "must be a string of at most 63 characters";
    return z.string({ error }).max(63, { error })
      .refine((value) => !value.includes("\0"), { error: "must hold no NUL" });
  }),
  keepAlive: yesOrNo,
  keepAliveDelayMs: ms(0),
  connectionTimeoutMs: ms(1),
  maxRetries: whole(0, 100),
  retryDelayMs: ms(1),
  queryTimeoutMs: lazySchema(() => z.union([z.literal(Infinity), ms(1)()], { error: queryTimeoutError })),
  cancelTimeoutMs: ms(1),
  healthCheckIntervalMs: ms(0),
  poolMode: lazySchema(() =>
    z.enum(["auto", "session", "transaction"], { error: "must be auto, session or transaction" })
  ),
  maxPreparedStatements: whole(0, 10_000),
  maxStatementsInFlight: whole(1, 1_000),
  trustedLogin: text("must be the name of a role"),
} satisfies Record<keyof PostgresConfig, LazySchema>;

/**
 * The whole configuration that `input` stands for.
 *
 * @throws {ConfigError} listing every unknown option and every bad value; no text that was given is shown.
 */
export function parsePostgresConfig(input: Partial<PostgresConfig> = {}): Readonly<PostgresConfig> {
  const ssl = !isLocalHost(String(input.host ?? DEFAULT_POSTGRES_CONFIG.host));
  return parseConfig<PostgresConfig>(input, postgresConfigShape, { ...DEFAULT_POSTGRES_CONFIG, ssl });
}

/** The options of the pool below: what concerns connections and statements is left out. */
export function poolOptions(config: Readonly<PostgresConfig>): Partial<PoolConfig> {
  const options = Object.entries(config).filter(([name]) => name in coreShape);
  return { ...Object.fromEntries(options), createTimeoutMs: config.connectionTimeoutMs };
}
