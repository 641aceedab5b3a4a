/**
 * Ways to answer a user's request with twenty rows of the Data API.
 *
 * @module
 */
import { withSupabase } from "@supabase/server";
import { verifyAuth } from "@supabase/server/core";
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { SupabaseConnectionPool, withPooledSupabase } from "../../shared/mod.ts";
import type { Project } from "./project.ts";

/** Answers a request. */
export type Handle = (request: Request) => Promise<Response>;

/** One of those that are compared. */
export interface Contender {
  /** Its key in the results. */
  readonly id: string;
  /** Its name in tables and plots. */
  readonly title: string;
  /** Whether it refuses a caller whose token is not signed by the project. */
  readonly verifies: boolean;
  /** Whether it is one that ours is held against; the others show what each step costs. */
  readonly withinBars: boolean;
  /** Makes it. */
  open(project: Project): Handle;
}

/** How many clients our pools hold. */
export const MAX_CONNECTIONS = 100;

/** The rows, as an answer. */
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

/** The pool that ours and the bare lease take their clients from. */
export function openPool({ env, publishableKey }: Project): SupabaseConnectionPool {
  return SupabaseConnectionPool.getInstance(env.url, publishableKey, { maxConnections: MAX_CONNECTIONS });
}

function verified(project: Project, answer: (token: string) => Promise<Response>): Handle {
  return async (request) => {
    const { data, error } = await verifyAuth(request, { auth: "user", env: project.env });
    if (error) return Response.json({ message: error.message }, { status: error.status });
    return await answer(data.token ?? "");
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

/** All contenders, the least to be done first. */
export const CONTENDERS: readonly Contender[] = [
  {
    id: "floor_fetch",
    title: "fetch alone, nothing verified",
    verifies: false,
    withinBars: false,
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
    withinBars: true,
    open: (project) => {
      const client = sharedClient(project);
      return () => rows(client);
    },
  },
  {
    id: "lease",
    title: "lease, nothing verified",
    verifies: false,
    withinBars: false,
    open: (project) => {
      const answer = leased(openPool(project));
      return (request) => answer(request.headers.get("authorization")?.slice("Bearer ".length) ?? "");
    },
  },
  {
    id: "shared_verified",
    title: "verifyAuth and a shared client",
    verifies: true,
    withinBars: true,
    open: (project) => {
      const client = sharedClient(project);
      return verified(project, () => rows(client));
    },
  },
  {
    id: "lease_verified",
    title: "verifyAuth and a lease",
    verifies: true,
    withinBars: false,
    open: (project) => verified(project, leased(openPool(project))),
  },
  {
    id: "with_supabase",
    title: "withSupabase",
    verifies: true,
    withinBars: true,
    open: ({ env }) => withSupabase({ auth: "user", env }, (_request, { supabase }) => rows(supabase)),
  },
  {
    id: "ours_no_memory",
    title: "withPooledSupabase, no memory",
    verifies: true,
    withinBars: false,
    open: pooled(0),
  },
  {
    id: "ours",
    title: "withPooledSupabase",
    verifies: true,
    withinBars: false,
    open: pooled(60_000),
  },
];
