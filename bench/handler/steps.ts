/**
 * The steps of a request, each alone, with a Data API that responds at once
 * inside this process.
 *
 * @module
 */
import { verifyAuth } from "@supabase/server/core";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { createAuthenticate } from "../../shared/http/auth/authenticate.ts";
import { SupabaseConnectionPool, withPooledSupabase } from "../../shared/mod.ts";
import { stampHeaders } from "../../shared/http/responses/response_headers.ts";
import { MetricsRegistry, observePool } from "../../shared/observability/mod.ts";
import { Deadlines, systemClock } from "../../shared/resilience/mod.ts";
import { LeaseFetch } from "../../shared/supabase/calls/lease_fetch.ts";
import { createTemplate } from "../../shared/supabase/client_template.ts";
import { createView } from "../../shared/supabase/view/view.ts";
import { rowsResponse } from "../support/data_api.ts";
import { rows } from "./candidates.ts";
import { callOnce } from "./load.ts";
import type { Project } from "./project.ts";

/** A step of a request. */
export interface Step {
  /** The key in the results. */
  readonly id: string;
  /** The name in tables. */
  readonly title: string;
  /** Runs the step once. */
  readonly work: () => unknown;
}

const CLIENT = { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false };

const instantly: typeof fetch = () => Promise.resolve(rowsResponse());

/** Returns a function that creates a view, as a lease does, and begins a query on it. */
export function viewFactory({ env, publishableKey }: Project, config: SupabaseConnectionPool["config"]): () => unknown {
  const template = createTemplate(env.url, config);
  const settings = {
    baseUrl: env.url,
    deadlines: new Deadlines(systemClock),
    requestTimeoutMs: 30_000,
    fetch: instantly,
    clock: systemClock,
  };
  const credentials = { apikey: publishableKey, authorization: "Bearer x", token: "x", mayOverride: false };
  const slot = { callsAtOnce: 6, limiter: undefined, take: () => undefined, leave: () => true };
  return () => createView(template, new LeaseFetch(settings, credentials, slot)).from("categories");
}

/** Returns a function that begins a query on an existing client: {@linkcode viewFactory} without the view. */
export function queryFactory({ env, publishableKey }: Project): () => unknown {
  const client = createClient(env.url, publishableKey, { auth: CLIENT });
  return () => client.from("categories");
}

/** Returns all steps, smaller ones first. */
export function openSteps(project: Project): Step[] {
  const { env, publishableKey, tokens: [token = ""] } = project;
  // Another schema makes it another pool than that of the candidates.
  const openPool = (schema: string) =>
    SupabaseConnectionPool.getInstance(env.url, publishableKey, { fetch: instantly, schema });
  const [pool, observedPool] = [openPool("steps"), openPool("observed")];
  observePool(new MetricsRegistry(), observedPool, "observed");
  const identity = { token };
  const client = createClient(env.url, publishableKey, { auth: CLIENT, global: { fetch: instantly } });
  const request = () =>
    new Request("http://127.0.0.1/functions/v1/categories", { headers: { authorization: `Bearer ${token}` } });
  const remembered = createAuthenticate({ auth: "user", env, rememberTokensMs: 60_000 });
  const handle = (rememberTokensMs: number, use: boolean) =>
    withPooledSupabase(
      { auth: "user", env, pool: { fetch: instantly, schema: "handler" }, rememberTokensMs, variables: {} },
      (_request, { supabase }) => use ? rows(supabase) : new Response("{}"),
    );
  const [idle, whole] = [handle(60_000, false), handle(60_000, true)];
  const stats = pool.getStats();
  const leaseOf = (pool: SupabaseConnectionPool) => async () => {
    const lease = await pool.lease({ identity });
    lease.client.from("categories");
    lease.release();
  };
  return [
    { id: "request", title: "a Request with a token", work: request },
    { id: "client", title: "createClient", work: () => createClient(env.url, publishableKey, { auth: CLIENT }) },
    { id: "from", title: "from() of a shared client", work: queryFactory(project) },
    { id: "view", title: "a view and its from()", work: viewFactory(project, pool.config) },
    { id: "lease", title: "a lease, its view and its from()", work: leaseOf(pool) },
    { id: "lease_observed", title: "the same with metrics", work: leaseOf(observedPool) },
    {
      id: "stamp",
      title: "Response.json, stamped",
      work: () => stampHeaders(Response.json([]), undefined, stats, { verifyMs: 0, waitedMs: 0, upstreamMs: 0 }),
    },
    { id: "recall", title: "a remembered token", work: () => remembered(request()) },
    { id: "verify", title: "verifyAuth", work: () => verifyAuth(request(), { auth: "user", env }) },
    { id: "query", title: "a query of a shared client", work: async () => (await rows(client)).text() },
    {
      id: "lease_query",
      title: "a query in a lease",
      work: async () => {
        await using lease = await pool.lease({ identity });
        await (await rows(lease.client as SupabaseClient)).text();
      },
    },
    { id: "handler", title: "the handler, no query", work: () => callOnce(idle, token) },
    { id: "handler_query", title: "the handler and a query", work: () => callOnce(whole, token) },
  ];
}
