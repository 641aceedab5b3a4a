/**
 * The environment and the pools of this isolate, made at the first request
 * and not at import: a function that fails to start says nothing to anybody,
 * one that answers 500 says why.
 *
 * @module
 */
import type { SupabaseEnv } from "@supabase/server";
import type { Variables } from "../../environment/mod.ts";
import { SupabaseService } from "../../services/mod.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { asPoolConfig, type ClientOptions } from "./client_options.ts";
import { type IsolateLife, lifeOfIsolate } from "./isolate_life.ts";
import type { CallerScope, ScopeOptions, SupabaseConnectionPool, SupabasePoolConfig } from "../../supabase/mod.ts";

/** The scope of a request, as a handler uses it. */
export type HandlerScope<Database> = Pick<
  CallerScope<Database>,
  | "config"
  | "signal"
  | "waitedMs"
  | "getStats"
  | "healthCheck"
  | "client"
  | "lease"
  | "failureOf"
  | "close"
  | "abort"
>;

/** What a request uses of a pool. */
export interface RequestPool<Database>
  extends Pick<SupabaseConnectionPool<Database>, "getStats" | "healthCheck" | "config"> {
  /** Opens the scope of a request; see `SupabaseConnectionPool.scope`. */
  scope(options: ScopeOptions): HandlerScope<Database>;
  /** What its health check asks, as the health answer names it. Default: `dataApi`. */
  readonly component?: string;
  /**
   * How long the request whose scope has this signal has waited so far for what is not leased in that scope, in ms.
   * Default: there is nothing of the kind.
   */
  readonly waitedMs?: (signal: AbortSignal) => number;
}

/** The pools behind a handler; a `SupabaseService` is one. */
export interface PoolSource<Database> {
  /** The pool for callers, made with the publishable key. */
  getConnectionPool(): RequestPool<Database>;
  /** The pool for admin work, made with the secret key; throws where none is set. */
  getAdminPool(): RequestPool<Database>;
  /** Refuses new work at once, lets what runs finish until the deadline (default: the pools' own), then cuts it. */
  shutdown(deadlineMs?: number): Promise<void>;
}

/** Where a handler's environment and pools come from. */
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
  /** Stands in for the environment variables, in tests say. Default: those of this process. */
  readonly variables?: Variables | undefined;
  /**
   * Stands in for the pools. A function makes them at the first request, and they end with the isolate.
   * Default: those of this isolate, shared by every handler in it.
   */
  readonly service?: PoolSource<Database> | ((environment: Environment) => PoolSource<Database>) | undefined;
}

/** A checked environment and the pools made from it. */
export interface Runtime<Database> {
  readonly environment: Environment;
  readonly service: PoolSource<Database>;
  /** The isolate's end, where the pools are this handler's own. */
  readonly life?: IsolateLife;
}

/** Keys of one kind, and no others that the environment may have. */
function keyVariables(kind: "PUBLISHABLE" | "SECRET", legacy: string, keys: SupabaseEnv["secretKeys"]): Variables {
  return { [`SUPABASE_${kind}_KEYS`]: JSON.stringify(keys), [`SUPABASE_${kind}_KEY`]: "", [legacy]: "" };
}

/** The options `env` of a handler, as the variables they stand for. */
function asVariables({ url, publishableKeys, secretKeys, jwks }: Partial<SupabaseEnv>): Variables {
  return {
    ...(url === undefined ? {} : { SUPABASE_URL: url }),
    ...(publishableKeys ? keyVariables("PUBLISHABLE", "SUPABASE_ANON_KEY", publishableKeys) : {}),
    ...(secretKeys ? keyVariables("SECRET", "SUPABASE_SERVICE_ROLE_KEY", secretKeys) : {}),
    ...(jwks ? { SUPABASE_JWKS: jwks instanceof URL ? "" : JSON.stringify(jwks), SUPABASE_JWKS_URL: "" } : {}),
  };
}

/** The variables, and what `env` says in their place. Of an address of keys the program's own word is enough. */
function environmentOf({ env, variables }: Pick<RuntimeOptions<never>, "env" | "variables">): Environment {
  if (!env) return readEnvironment(variables);
  const read = readEnvironment({ ...(variables ?? Deno.env.toObject()), ...asVariables(env) });
  return env.jwks instanceof URL ? Object.freeze({ ...read, jwks: env.jwks }) : read;
}

function create<Database>(options: RuntimeOptions<Database>): Runtime<Database> {
  const { supabaseOptions, service } = options;
  const pool = supabaseOptions ? { ...asPoolConfig(supabaseOptions), ...options.pool } : options.pool;
  const read = environmentOf(options);
  const environment = pool ? Object.freeze({ ...read, pool: Object.freeze({ ...read.pool, ...pool }) }) : read;
  if (typeof service === "object") return { environment, service };
  const made: PoolSource<Database> = service ? service(environment) : new SupabaseService<Database>(environment);
  const life = lifeOfIsolate();
  const { shutdownTimeoutMs } = made.getConnectionPool().config;
  life.own({ shutdown: (deadlineMs) => made.shutdown(deadlineMs), drainMs: shutdownTimeoutMs });
  return { environment, service: made, life };
}

/** Remembers what `make` returned or threw: an isolate's environment does not change. */
function once<T>(make: () => T): () => T {
  let outcome: { readonly value: T } | { readonly error: unknown } | undefined;
  return () => {
    if (outcome === undefined) {
      try {
        outcome = { value: make() };
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
 * The runtime of a handler, made at the first call. Handlers without options
 * of their own share the isolate's.
 *
 * @throws {ConfigError} from every call, when the environment is bad.
 */
export function lazyRuntime<Database>(options: RuntimeOptions<Database>): () => Runtime<Database> {
  const own = [options.env, options.supabaseOptions, options.pool, options.variables, options.service]
    .some((option) => option !== undefined);
  // The type of the rows is the handler's word alone; no pool depends on it.
  return own ? once(() => create(options)) : ofIsolate as () => Runtime<Database>;
}
