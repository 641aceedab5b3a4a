/**
 * The same handler under `withSupabase` and under `withPooledSupabase`, each on a project that fails.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { withSupabase } from "@supabase/server";
import type { SupabaseClient } from "@supabase/supabase-js";
import { SupabaseService } from "../../../shared/services/mod.ts";
import { type PooledContext, readEnvironment, withPooledSupabase } from "../../support/http.ts";
import { environment } from "../real_rig.ts";
import { createProjectKey } from "../tokens.ts";
import { type Fault, type FaultProject, startFaultProject } from "./fault_project.ts";

const key = await createProjectKey();
const token = await key.sign();

/** A client of either handler. */
// deno-lint-ignore no-explicit-any -- the project has no schema
export type Client = SupabaseClient<any, any, any>;

/** The work of a handler; its result is the response. */
export type Ask = (clients: { supabase: Client; supabaseAdmin: Client; pooled?: PooledContext<unknown> }) => unknown;

/** The outcome of a request. */
export interface Outcome {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly text: string;
  // deno-lint-ignore no-explicit-any -- whatever the handler returned
  readonly body: any;
}

/** Both handlers. Disposal checks that the pools are at rest. */
export interface Pair extends AsyncDisposable {
  readonly project: FaultProject;
  readonly log: string[];
  /** Asks through `withPooledSupabase`, on a project that responds with `fault`, as a user if `asUser`. */
  ours(ask: Ask, fault: Fault | FaultProject["respond"], asUser?: boolean): Promise<Outcome>;
  /** Asks through `withSupabase`. What it throws is 500, as of the runtime. */
  plain(ask: Ask, fault: Fault | FaultProject["respond"], asUser?: boolean): Promise<Outcome>;
}

/** Starts both. */
export function startPair(variables: Record<string, string> = {}): Pair {
  const project = startFaultProject();
  // Each fault is looked at alone: no breaker remembers those before.
  const jwks = JSON.stringify(key.jwks);
  const settings = environment(project.url, { SUPABASE_JWKS: jwks, POOL_CIRCUIT_BREAKER: "off", ...variables });
  const service = new SupabaseService<unknown>(readEnvironment(settings));
  const log: string[] = [];
  const env = {
    url: project.url,
    publishableKeys: { default: "sb_publishable_test" },
    secretKeys: { default: "sb_secret_test" },
    jwks: key.jwks,
  };

  async function run(
    handle: (request: Request) => Promise<Response>,
    fault: Fault | FaultProject["respond"],
    asUser: boolean,
  ): Promise<Outcome> {
    project.requests.length = 0;
    project.respond = typeof fault === "function" ? fault : () => fault;
    const headers: HeadersInit = asUser ? { Authorization: `Bearer ${token}` } : {};
    const response = await handle(new Request("https://x.test/f", { headers })).catch(() => {
      return new Response("Internal Server Error", { status: 500 });
    });
    const text = await response.text();
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    return { status: response.status, retryAfter: response.headers.get("Retry-After"), text, body };
  }

  const respondWith = (result: unknown) => Response.json(result ?? null);
  return {
    project,
    log,
    async ours(ask, fault, asUser = false) {
      const outcome = await run(
        withPooledSupabase<unknown>(
          { auth: asUser ? "user" : "none", variables: settings, service, log: (line) => log.push(line) },
          async (_request, pooled) =>
            respondWith(
              await ask({
                supabase: pooled.supabase as Client,
                supabaseAdmin: pooled.supabaseAdmin as Client,
                pooled,
              }),
            ),
        ),
        fault,
        asUser,
      );
      for (const pool of [service.getConnectionPool(), service.getAdminPool()]) {
        const { activeConnections, waitingForConnection } = pool.getStats();
        assertEquals([activeConnections, waitingForConnection], [0, 0], "a slot is still held");
      }
      return outcome;
    },
    plain(ask, fault, asUser = false) {
      const handle = withSupabase(
        { env, auth: asUser ? "user" : "none" },
        async (_request, { supabase, supabaseAdmin }) =>
          respondWith(await ask({ supabase: supabase as Client, supabaseAdmin: supabaseAdmin as Client })),
      );
      return run(handle, fault, asUser);
    },
    async [Symbol.asyncDispose]() {
      await service.shutdown(0);
      await project[Symbol.asyncDispose]();
    },
  };
}
