/**
 * Before and after: the ways to get a client for a request.
 *
 * @module
 */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { SupabaseConnectionPool } from "../../shared/mod.ts";

/** Where the stack is, and who calls it. */
export interface Target {
  readonly url: string;
  readonly publishableKey: string;
  /** Access tokens of users. */
  readonly tokens: readonly string[];
}

/** Asks for the caller's rows and says how many there were. */
export type Ask = (token: string) => Promise<number>;

/** One of those that are compared. */
export interface Way {
  /** Its key in the results. */
  readonly id: string;
  /** Its name in tables and plots. */
  readonly title: string;
  /** Makes it. */
  open(target: Target): Ask;
}

async function countRows(client: Pick<SupabaseClient, "from">): Promise<number> {
  const { data, error } = await client.from("budgets").select();
  if (error) throw error;
  return data.length;
}

function pooled(maxConnections: number): Way["open"] {
  return ({ url, publishableKey }) => {
    const pool = SupabaseConnectionPool.getInstance(url, publishableKey, { maxConnections, acquireTimeoutMs: 10_000 });
    return async (token) => {
      await using lease = await pool.lease({ identity: { token } });
      return await countRows(lease.client as SupabaseClient);
    };
  };
}

/** All of them. */
export const WAYS: readonly Way[] = [
  {
    id: "per_request",
    title: "a client per request",
    open: ({ url, publishableKey }) => (token) =>
      countRows(createClient(url, publishableKey, {
        auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
        global: { headers: { Authorization: `Bearer ${token}` } },
      })),
  },
  { id: "ours", title: "pooled, at most 20", open: pooled(20) },
  { id: "ours_100", title: "pooled, at most 100", open: pooled(100) },
];
