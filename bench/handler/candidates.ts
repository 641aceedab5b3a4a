/**
 * Handlers that respond to a user's request with twenty rows of the Data API.
 *
 * @module
 */
import { withSupabase } from "@supabase/server";
import { verifyAuth } from "@supabase/server/core";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { SupabaseConnectionPool, withPooledSupabase } from "../../shared/mod.ts";
import { observed } from "./observed.ts";
import type { Project } from "./project.ts";

/** Responds to a request. */
export type Handle = (request: Request) => Promise<Response>;

/** A candidate. */
export interface HandlerCandidate {
  /** The key in the results. */
  readonly id: string;
  /** The name in tables and plots. */
  readonly title: string;
  /** True if it rejects a token that is not signed by the project. */
  readonly verifies: boolean;
  /** True if the targets compare ours with it. The others show the cost of each step. */
  readonly inTargets: boolean;
  /** Creates the handler. */
  open(project: Project): Handle;
}

/** The size of our pools. */
export const MAX_CONNECTIONS = 100;

/** Queries the rows and returns them as a response. */
export async function rows(client: Pick<SupabaseClient, "from">): Promise<Response> {
  const { data, error } = await client.from("categories").select();
  if (error) throw error;
  return Response.json(data);
}

function sharedClient({ env, publishableKey }: Project): SupabaseClient {
  return createClient(env.url, publishableKey, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
}

/** Returns the pool that the candidates with a lease use. */
export function openPool({ env, publishableKey }: Project): SupabaseConnectionPool {
  return SupabaseConnectionPool.getInstance(env.url, publishableKey, { maxConnections: MAX_CONNECTIONS });
}

function verified(project: Project, respond: (token: string) => Promise<Response>): Handle {
  return async (request) => {
    const { data, error } = await verifyAuth(request, { auth: "user", env: project.env });
    if (error) return Response.json({ message: error.message }, { status: error.status });
    return await respond(data.token ?? "");
  };
}

function leased(pool: SupabaseConnectionPool): (token: string) => Promise<Response> {
  return async (token) => {
    await using lease = await pool.lease({ identity: { token } });
    return await rows(lease.client as SupabaseClient);
  };
}

function pooled(rememberTokensMs: number): (project: Project) => Handle {
  return ({ env }) =>
    withPooledSupabase(
      { auth: "user", env, pool: { maxConnections: MAX_CONNECTIONS }, rememberTokensMs, variables: {} },
      (_request, { supabase }) => rows(supabase),
    );
}

/** All candidates, the one with the least to do first. */
export const CANDIDATES: readonly HandlerCandidate[] = [
  {
    id: "floor_fetch",
    title: "fetch alone, nothing verified",
    verifies: false,
    inTargets: false,
    open: ({ env, publishableKey }) => {
      const url = `${env.url}/rest/v1/categories?select=*`;
      const headers = { apikey: publishableKey };
      return async () => Response.json(await (await fetch(url, { headers })).json());
    },
  },
  {
    id: "shared",
    title: "shared client, nothing verified",
    verifies: false,
    inTargets: true,
    open: (project) => {
      const client = sharedClient(project);
      return () => rows(client);
    },
  },
  {
    id: "lease",
    title: "lease, nothing verified",
    verifies: false,
    inTargets: false,
    open: (project) => {
      const respond = leased(openPool(project));
      return (request) => respond(request.headers.get("authorization")?.slice("Bearer ".length) ?? "");
    },
  },
  {
    id: "shared_verified",
    title: "verifyAuth and a shared client",
    verifies: true,
    inTargets: true,
    open: (project) => {
      const client = sharedClient(project);
      return verified(project, () => rows(client));
    },
  },
  {
    id: "lease_verified",
    title: "verifyAuth and a lease",
    verifies: true,
    inTargets: false,
    open: (project) => verified(project, leased(openPool(project))),
  },
  {
    id: "with_supabase",
    title: "withSupabase",
    verifies: true,
    inTargets: true,
    open: ({ env }) => withSupabase({ auth: "user", env }, (_request, { supabase }) => rows(supabase)),
  },
  {
    id: "ours_no_memory",
    title: "withPooledSupabase, no memory",
    verifies: true,
    inTargets: false,
    open: pooled(0),
  },
  {
    id: "ours",
    title: "withPooledSupabase",
    verifies: true,
    inTargets: false,
    open: pooled(60_000),
  },
  {
    id: "ours_observed",
    title: "withPooledSupabase, metrics, fleet and log",
    verifies: true,
    inTargets: false,
    open: observed(false),
  },
  {
    id: "ours_traced",
    title: "the same, traced",
    verifies: true,
    inTargets: false,
    open: observed(true),
  },
];
