/**
 * The candidates of the comparison: where a request gets its client.
 *
 * @module
 */
import { createClient, type SupabaseClient } from "@supabase/supabase-js";
import { SupabaseConnectionPool } from "../../shared/mod.ts";

/** The address of the stack, and its callers. */
export interface Endpoint {
  readonly url: string;
  readonly publishableKey: string;
  /** Access tokens of users. */
  readonly tokens: readonly string[];
}

/** Queries the caller's rows and returns their number. */
export type QueryRows = (token: string) => Promise<number>;

/** A candidate. */
export interface CompareCandidate {
  /** The key in the results. */
  readonly id: string;
  /** The name in tables and plots. */
  readonly title: string;
  /** Opens the candidate. */
  open(endpoint: Endpoint): QueryRows;
}

async function countRows(client: Pick<SupabaseClient, "from">): Promise<number> {
  const { data, error } = await client.from("budgets").select();
  if (error) throw error;
  return data.length;
}

function pooled(maxConnections: number): CompareCandidate["open"] {
  return ({ url, publishableKey }) => {
    const pool = SupabaseConnectionPool.getInstance(url, publishableKey, { maxConnections, acquireTimeoutMs: 10_000 });
    return async (token) => {
      await using lease = await pool.lease({ identity: { token } });
      return await countRows(lease.client as SupabaseClient);
    };
  };
}

/** All candidates. */
export const CANDIDATES: readonly CompareCandidate[] = [
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
