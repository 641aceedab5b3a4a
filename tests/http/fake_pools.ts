/**
 * Pools that lend nothing and write down what was asked of them, for tests of
 * the HTTP layer alone.
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import type { PoolStats } from "../../shared/pool/mod.ts";
import type { PoolSource, RequestPool } from "../support/http.ts";
import {
  type ClientSession,
  DEFAULT_SUPABASE_POOL_CONFIG,
  type DeferredLease,
  type PoolHealth,
  type SessionOptions,
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

/** A deferred lease and how it was asked for. */
export class FakeLease implements DeferredLease<unknown> {
  readonly client = {} as SupabaseClient<unknown>;
  readonly options: SessionOptions;
  /** The signal of its session. */
  readonly signal: AbortSignal;
  readonly waitedMs = 4;
  ended = 0;

  constructor(options: SessionOptions, signal: AbortSignal) {
    this.options = options;
    this.signal = signal;
  }

  aborted = 0;

  end(): Promise<void> {
    this.finish();
    return Promise.resolve();
  }

  finish(): undefined {
    this.ended++;
  }

  abort(): void {
    this.aborted++;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }
}

/** Counts what is asked of it. */
export class FakePool implements RequestPool<unknown> {
  config = DEFAULT_SUPABASE_POOL_CONFIG;
  readonly leases: FakeLease[] = [];
  readonly bound: Pick<SessionOptions, "identity" | "apiKey">[] = [];
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
  };
  probes = 0;
  health: () => Promise<{ healthy: boolean; testQuery: PoolHealth["details"]["testQuery"] }> = () =>
    Promise.resolve({ healthy: true, testQuery: { success: true, durationMs: 3 } });

  session(options: SessionOptions = {}): ClientSession<unknown> {
    const { identity, apiKey } = options;
    this.bound.push({ identity, apiKey });
    const controller = new AbortController();
    const leases: FakeLease[] = [];
    return {
      config: this.config,
      signal: controller.signal,
      waitedMs: 4,
      defer: (more) => {
        const lease = new FakeLease({ ...options, ...more }, controller.signal);
        leases.push(lease);
        this.leases.push(lease);
        return lease;
      },
      lease: () => Promise.reject(new Error("A fake lends nothing")),
      abort: (reason) => {
        controller.abort(reason);
        leases.forEach((lease) => lease.abort());
      },
      getStats: () => this.getStats(),
      healthCheck: () => this.healthCheck(),
    };
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
