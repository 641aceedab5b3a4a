/**
 * The handler on real pools, for tests.
 *
 * @module
 */
import { type PooledHandler, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../support/http.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { createRequestHandler } from "../../shared/http/handler/request_handler.ts";
import type { Clock } from "../../shared/resilience/mod.ts";
import { type FakeProject, startFakeProject } from "../support/fake_project.ts";
import { JWT_SECRET } from "./fake_pools.ts";

/** A function on pools of its own; a stand-in for its project. Both end with the scope. */
export interface Rig extends AsyncDisposable {
  readonly project: FakeProject;
  readonly service: SupabaseService;
  readonly log: string[];
  /** Handles a request that a server received. */
  handle(request: Request): Promise<Response>;
  fetch(path: string, init?: RequestInit & { as?: string }): Promise<Response>;
}

/** The variables of a function whose project is at `url`. */
export function environment(url: string, more: Variables = {}): Variables {
  return {
    SUPABASE_URL: url,
    SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
    SUPABASE_SECRET_KEY: "sb_secret_test",
    SUPABASE_JWKS: '{"keys":[]}',
    JWT_SECRET,
    // A loaded machine is no busy pool.
    POOL_ACQUIRE_TIMEOUT_MS: "60000",
    ...more,
  };
}

/**
 * A function that calls a project, both ended with the scope.
 *
 * @param clock The clock of requests. Default: that of the system.
 */
export function setUp(
  handler: PooledHandler<unknown>,
  more: Variables = {},
  options: PooledSupabaseOptions<unknown> = {},
  clock?: Clock,
): Rig {
  const project = startFakeProject();
  const variables = environment(project.url, more);
  const service = new SupabaseService<unknown>(readEnvironment(variables));
  const log: string[] = [];
  const all: PooledSupabaseOptions<unknown> = {
    ...{ auth: ["user", "none"], variables, service, log: (line: string) => log.push(line) },
    ...options,
  };
  const onClock = clock && createRequestHandler<unknown>(all, clock);
  const handle = onClock ? (request: Request) => onClock(request, handler) : withPooledSupabase<unknown>(all, handler);
  return {
    project,
    service,
    log,
    handle,
    fetch: (path, { as, ...init } = {}) => {
      const headers = new Headers(init.headers);
      if (as !== undefined) headers.set("Authorization", `Bearer ${as}`);
      return handle(new Request(`https://x.test${path}`, { ...init, headers }));
    },
    async [Symbol.asyncDispose]() {
      await service.shutdown(0);
      await project[Symbol.asyncDispose]();
    },
  };
}
