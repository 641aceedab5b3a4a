/**
 * Fake pools that lease no clients and record the calls of the HTTP layer.
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { PoolStats } from "../../shared/pool/mod.ts";
import type { PoolSource, RequestPool } from "../support/http.ts";
import type { HandlerScope } from "../../shared/http/handler/runtime.ts";
import {
  DEFAULT_SUPABASE_POOL_CONFIG,
  type PoolHealth,
  type ScopeEnd,
  type ScopeOptions,
} from "../../shared/supabase/mod.ts";
import type { Variables } from "../../shared/environment/mod.ts";

export const URL_OF_PROJECT = "https://project.supabase.co";
export const JWT_SECRET = "a-shared-secret-of-more-than-32-bytes";

export const VARIABLES: Variables = {
  SUPABASE_URL: URL_OF_PROJECT,
  SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_default","web":"sb_publishable_web"}',
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_default","jobs":"sb_secret_jobs"}',
  SUPABASE_JWKS: '{"keys":[]}',
};

/** A scope that records its options and its use. */
export class FakeScope implements HandlerScope<unknown> {
  readonly config = DEFAULT_SUPABASE_POOL_CONFIG;
  readonly waitedMs = 4;
  readonly upstreamMs = 9;
  readonly options: ScopeOptions;
  readonly #controller = new AbortController();
  readonly #pool: FakePool;
  /** The number of `client()` calls. */
  clients = 0;
  closed = 0;
  aborted = 0;
  releasesBetweenCalls = false;

  constructor(options: ScopeOptions, pool: FakePool) {
    this.options = options;
    this.#pool = pool;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  client(): SupabaseClient<unknown> {
    this.clients++;
    return {} as SupabaseClient<unknown>;
  }

  lease(): Promise<never> {
    return Promise.reject(new Error("A fake leases nothing"));
  }

  failureOf(): undefined {}

  releaseBetweenCalls(): void {
    this.releasesBetweenCalls = true;
  }

  close(): ScopeEnd {
    this.closed++;
    return { unreleased: 0, drained: undefined };
  }

  abort(reason: unknown): void {
    this.aborted++;
    this.#controller.abort(reason);
  }

  getStats(): PoolStats {
    return this.#pool.getStats();
  }

  healthCheck(): Promise<PoolHealth> {
    return this.#pool.healthCheck();
  }
}

/** Counts what is asked of it. */
export class FakePool implements RequestPool<unknown> {
  config = DEFAULT_SUPABASE_POOL_CONFIG;
  readonly scopes: FakeScope[] = [];
  stats = {
    totalConnections: 8,
    activeConnections: 3,
    idleConnections: 5,
    waitingForConnection: 0,
    totalAcquired: 40,
    totalReleased: 37,
    totalCreated: 9,
    totalDestroyed: 1,
    totalTimeouts: 2,
    maxConnections: 10,
    limit: 10,
  };
  probes = 0;
  health: () => Promise<{ healthy: boolean; testQuery: PoolHealth["details"]["testQuery"] }> = () =>
    Promise.resolve({ healthy: true, testQuery: { success: true, durationMs: 3 } });

  scope(options: ScopeOptions): FakeScope {
    const scope = new FakeScope(options, this);
    this.scopes.push(scope);
    return scope;
  }

  getStats(): PoolStats {
    return this.stats as unknown as PoolStats;
  }

  async healthCheck(): Promise<PoolHealth> {
    this.probes++;
    const { healthy, testQuery } = await this.health();
    return { healthy, details: { stats: this.getStats(), testQuery } };
  }
}

/** Two fake pools. */
export class FakePools implements PoolSource<unknown> {
  readonly user = new FakePool();
  readonly admin = new FakePool();
  adminAsked = 0;

  getConnectionPool(): FakePool {
    return this.user;
  }

  getAdminPool(): FakePool {
    this.adminAsked++;
    return this.admin;
  }

  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}
