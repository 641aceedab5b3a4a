/**
 * The environment and the pools of this isolate, created at the first request
 * and not at import: a function that fails to start gives no reason, and one that
 * responds with 500 logs it.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import { processVariables, type Variables } from "../../environment/mod.ts";
import { SupabaseService } from "../../services/mod.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { asPoolConfig, type ClientOptions } from "./client_options.ts";
import { type IsolateLifecycle, isolateLifecycle } from "./isolate_lifecycle.ts";
import { type FleetLink, fleetLinkOf } from "../fleet/fleet_link.ts";
import type { FleetOptions } from "../fleet/fleet_options.ts";
import type { TracedPostgres } from "../../observability/tracing/otel/mod.ts";
import { type TracingLink, tracingLink } from "../tracing/tracing_link.ts";
import { type MetricsLink, metricsLinkOf, type MetricsOptions } from "../metrics/metrics_link.ts";
import { RequestReports } from "../request/request_reports.ts";
import type {
  CallerScope,
  ScopeEnd,
  ScopeOptions,
  SupabaseConnectionPool,
  SupabasePoolConfig,
} from "../../supabase/mod.ts";

/** The scope of a request, as a handler uses it. */
export type HandlerScope<Database> = Omit<CallerScope<Database>, "adopt" | typeof Symbol.asyncDispose>;

/** A pool, as requests use it. */
export interface RequestPool<Database>
  extends Pick<SupabaseConnectionPool<Database>, "getStats" | "healthCheck" | "config"> {
  /** Calls a listener at each event of the pool. Default: the pool emits none. */
  readonly on?: SupabaseConnectionPool["on"];
  /** Opens the scope of a request; see `SupabaseConnectionPool.scope`. */
  scope(options: ScopeOptions): HandlerScope<Database>;
  /** The limits of the pool. Default: they cannot be changed. */
  readonly limits?: SupabaseConnectionPool["limits"];
  /** Changes the limits of the pool. Default: they cannot be changed. */
  resize?(limits: SupabaseConnectionPool["limits"]): void;
  /** Passes the wait and use times of leases to a recorder. Default: they are not known. */
  readonly record?: SupabaseConnectionPool["record"];
  /** The retry budget of the pool. Default: it has none. */
  readonly retryBudget?: SupabaseConnectionPool["retryBudget"];
  /** The key of the pool. Default: not known. */
  readonly kind?: SupabaseConnectionPool["kind"];
  /**
   * Calls `listener` with the number of each lease that a request takes beside its scope. Default: nothing of the kind
   * exists.
   */
  readonly onLeased?: (listener: (leaseId: number, request: Request) => void) => void;
  /** The Postgres connections whose statements can be traced. Default: none. */
  readonly statements?: TracedPostgres;
  /** The circuit breakers of the pool. Default: it has none. */
  readonly circuits?: Pick<SupabaseConnectionPool["circuits"], "snapshot" | "seed">;
  /** The component that its health check queries, by its name in health responses. Default: `dataApi`. */
  readonly component?: string;
  /** The parts that are switched off, as variables; operators see them. Default: those of `config`. */
  readonly switchedOff?: readonly string[];
  /**
   * Returns the time a request has waited so far for what is not leased in its scope, in ms; the request is identified
   * by the scope's signal. Default: nothing of the kind exists.
   */
  readonly waitedMs?: (signal: AbortSignal) => number;
  /** The same for the time in which its statements ran, in ms. Default: nothing of the kind exists. */
  readonly upstreamMs?: (signal: AbortSignal) => number;
  /**
   * Ends what a request uses beside its scope: refuses further work, and ends leases that were not released. Default:
   * nothing of the kind exists.
   */
  readonly end?: (scope: object) => ScopeEnd;
}

/** The pools behind a handler; a `SupabaseService` is one. */
export interface PoolSource<Database> {
  /** Returns the pool for callers, which has the publishable key. */
  getConnectionPool(): RequestPool<Database>;
  /** Returns the pool for admin work, which has the secret key; throws if none is set. */
  getAdminPool(): RequestPool<Database>;
  /** Rejects new work at once, lets running work finish until the deadline (default: the pools' own), then aborts it. */
  shutdown(deadlineMs?: number): Promise<void>;
  /** Called when memory becomes low, again while it is, and when it is no longer. Default: nothing happens. */
  setMemoryLow?(isLow: boolean): void;
}

/** The sources of a handler's environment and pools. */
export interface RuntimeOptions<Database> {
  /** Values that win over the environment, as `withSupabase` takes them. Default: none. */
  readonly env?: Partial<SupabaseEnv> | undefined;
  /**
   * Options of the clients, as `withSupabase` takes them: `db.schema`, `db.timeout`, `global.headers` and `global.fetch`
   * win over the environment; see {@linkcode asPoolConfig} for the others. Default: none.
   */
  readonly supabaseOptions?: ClientOptions | undefined;
  /** Options of the pools that win over `supabaseOptions` and the environment. Default: none. */
  readonly pool?: Partial<SupabasePoolConfig> | undefined;
  /** Replaces the environment variables, in tests for example. Default: those of this process. */
  readonly variables?: Variables | undefined;
  /**
   * Replaces the pools. A function creates them at the first request, and they end with the isolate.
   * Default: those of this isolate, shared by every handler in it.
   */
  readonly service?: PoolSource<Database> | ((environment: Environment) => PoolSource<Database>) | undefined;
  /**
   * True if the isolate reports to the fleet, or options of it. Default: the variable `POOL_FLEET`, or true in an edge
   * function whose project has a secret key.
   */
  readonly fleet?: boolean | FleetOptions | undefined;
  /**
   * True if metrics are taken, or options of them. Default: the variable `POOL_METRICS`, or true in an edge function whose
   * project has a secret key.
   */
  readonly metrics?: boolean | MetricsOptions | undefined;
  /**
   * True if requests and statements are reported to the provider of OpenTelemetry that is registered. Default: the variable
   * `POOL_TRACING`, or whether `OTEL_DENO` is `true`.
   */
  readonly tracing?: boolean | undefined;
}

/** A checked environment, and the pools created from it. */
export interface Runtime<Database> {
  readonly environment: Environment;
  readonly service: PoolSource<Database>;
  /** Passes on the report of each request that has a response: to metrics and to the fleet, for example. */
  readonly reports: RequestReports;
  /** The link to OpenTelemetry, if it is switched on. */
  readonly tracing?: TracingLink | undefined;
  /** The link to the metrics, if they are taken. */
  readonly metrics?: MetricsLink | undefined;
  /** The link to the fleet, if the isolate reports to it. */
  readonly fleet?: FleetLink | undefined;
  /** The lifecycle of the isolate, if the pools end with it. */
  readonly life?: IsolateLifecycle;
}

/** Returns variables with keys of one kind; they hide those of the environment. */
function keyVariables(kind: "PUBLISHABLE" | "SECRET", legacy: string, keys: SupabaseEnv["secretKeys"]): Variables {
  return { [`SUPABASE_${kind}_KEYS`]: JSON.stringify(keys), [`SUPABASE_${kind}_KEY`]: "", [legacy]: "" };
}

/** Returns the option `env` of a handler as variables. */
function asVariables({ url, publishableKeys, secretKeys, jwks }: Partial<SupabaseEnv>): Variables {
  return {
    ...(url === undefined ? {} : { SUPABASE_URL: url }),
    ...(publishableKeys ? keyVariables("PUBLISHABLE", "SUPABASE_ANON_KEY", publishableKeys) : {}),
    ...(secretKeys ? keyVariables("SECRET", "SUPABASE_SERVICE_ROLE_KEY", secretKeys) : {}),
    ...(jwks ? { SUPABASE_JWKS: jwks instanceof URL ? "" : JSON.stringify(jwks), SUPABASE_JWKS_URL: "" } : {}),
  };
}

/** Reads the variables, replaced by those of `env`. A URL of keys that the program passes is not checked. */
function environmentOf({ env, variables }: Pick<RuntimeOptions<never>, "env" | "variables">): Environment {
  if (!env) return readEnvironment(variables);
  const read = readEnvironment({ ...(variables ?? processVariables()), ...asVariables(env) });
  return env.jwks instanceof URL ? Object.freeze({ ...read, jwks: env.jwks }) : read;
}

function create<Database>(options: RuntimeOptions<Database>): Runtime<Database> {
  const { supabaseOptions, service } = options;
  const pool = supabaseOptions ? { ...asPoolConfig(supabaseOptions), ...options.pool } : options.pool;
  const read = environmentOf(options);
  const environment = pool ? Object.freeze({ ...read, pool: Object.freeze({ ...read.pool, ...pool }) }) : read;
  const reports = new RequestReports();
  const tracing = options.tracing ?? environment.tracing ? tracingLink() : undefined;
  if (typeof service === "object") {
    // Pools that replace the isolate's own are not the fleet's, unless the program says so.
    const fleet = options.fleet ? fleetLinkOf(environment, options.fleet) : undefined;
    fleet?.attach(reports, service);
    const metrics = options.metrics ? metricsLinkOf(environment, options.metrics) : undefined;
    watchMetrics(metrics, reports, service, fleet);
    return { environment, service, reports, tracing, metrics, fleet };
  }
  const pools: PoolSource<Database> = service ? service(environment) : new SupabaseService<Database>(environment);
  const life = isolateLifecycle();
  const fleet = fleetLinkOf(environment, options.fleet);
  if (fleet) {
    fleet.attach(reports, pools);
    // First: the isolate leaves the fleet while it still can send.
    life.registerPools({ shutdown: () => fleet.close(), drainMs: 0 });
  }
  const { shutdownTimeoutMs } = pools.getConnectionPool().config;
  life.registerPools({
    shutdown: (deadlineMs) => pools.shutdown(deadlineMs),
    drainMs: shutdownTimeoutMs,
    setMemoryLow: (isLow) => pools.setMemoryLow?.(isLow),
  });
  const metrics = metricsLinkOf(environment, options.metrics);
  watchMetrics(metrics, reports, pools, fleet);
  return { environment, service: pools, reports, tracing, metrics, fleet, life };
}

function watchMetrics<Database>(
  metrics: MetricsLink | undefined,
  reports: RequestReports,
  pools: PoolSource<Database>,
  fleet: FleetLink | undefined,
): void {
  if (!metrics) return;
  metrics.attach(reports);
  metrics.watch(pools.getConnectionPool() as RequestPool<never>);
  fleet?.useMetrics(() => metrics.snapshot());
}

/** Remembers what `create` returned or threw: an isolate's environment does not change. */
function once<T>(create: () => T): () => T {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  return () => {
    if (outcome === undefined) {
      try {
        outcome = { value: create() };
      } catch (error) {
        outcome = { error };
      }
    }
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  };
}

const ofIsolate = once(() => create<unknown>({}));

/**
 * Returns a function that creates the runtime of a handler at its first call.
 * Handlers without options of their own share the isolate's.
 *
 * @throws {ConfigError} from every call, when the environment is bad.
 */
export function lazyRuntime<Database>(options: RuntimeOptions<Database>): () => Runtime<Database> {
  const own = [
    options.env,
    options.supabaseOptions,
    options.pool,
    options.variables,
    options.service,
    options.fleet,
    options.tracing,
    options.metrics,
  ]
    .some((option) => option !== undefined);
  // Only the handler knows the type of the rows; no pool depends on it.
  return own ? once(() => create(options)) : ofIsolate as () => Runtime<Database>;
}
