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
import type { CallerScope, ScopeOptions, SupabaseConnectionPool, SupabasePoolConfig } from "../../supabase/mod.ts";

/** The scope of a request, as a handler uses it. */
export type HandlerScope<Database> = Omit<CallerScope<Database>, "adopt" | typeof Symbol.asyncDispose>;

/** A pool, as requests use it. */
export interface RequestPool<Database>
  extends Pick<SupabaseConnectionPool<Database>, "getStats" | "healthCheck" | "config"> {
  /** Calls a listener at each event of the pool. Default: the pool emits none. */
  readonly on?: SupabaseConnectionPool["on"];
  /** Opens the scope of a request; see `SupabaseConnectionPool.scope`. */
  scope(options: ScopeOptions): HandlerScope<Database>;
  /** The component that its health check queries, by its name in health responses. Default: `dataApi`. */
  readonly component?: string;
  /** The parts that are switched off, as variables; operators see them. Default: those of `config`. */
  readonly switchedOff?: readonly string[];
  /**
   * Returns the time a request has waited so far for what is not leased in its scope, in ms; the request is identified
   * by the scope's signal. Default: nothing of the kind exists.
   */
  readonly waitedMs?: (signal: AbortSignal) => number;
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
}

/** A checked environment, and the pools created from it. */
export interface Runtime<Database> {
  readonly environment: Environment;
  readonly service: PoolSource<Database>;
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
  if (typeof service === "object") return { environment, service };
  const pools: PoolSource<Database> = service ? service(environment) : new SupabaseService<Database>(environment);
  const life = isolateLifecycle();
  const { shutdownTimeoutMs } = pools.getConnectionPool().config;
  life.registerPools({
    shutdown: (deadlineMs) => pools.shutdown(deadlineMs),
    drainMs: shutdownTimeoutMs,
    setMemoryLow: (isLow) => pools.setMemoryLow?.(isLow),
  });
  return { environment, service: pools, life };
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
  const own = [options.env, options.supabaseOptions, options.pool, options.variables, options.service]
    .some((option) => option !== undefined);
  // Only the handler knows the type of the rows; no pool depends on it.
  return own ? once(() => create(options)) : ofIsolate as () => Runtime<Database>;
}
