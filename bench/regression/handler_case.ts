/**
 * The handler in front of a Data API that responds at once, inside this process.
 *
 * @module
 */
import { callOnce } from "../handler/load.ts";
import { createProject } from "../handler/project.ts";
import { rowsResponse } from "../support/data_api.ts";
import type { Checkout } from "./checkout.ts";
import type { OpenCase } from "./work.ts";

const CALLERS = 20;

/** Opens the handlers. */
export async function open({ shared }: Checkout): Promise<OpenCase> {
  const { env, tokens } = await createProject("http://127.0.0.1:9", CALLERS);
  const pool = { fetch: () => Promise.resolve(rowsResponse()), maxConnections: CALLERS };
  const options = { auth: "user", env, pool, variables: {} } as const;
  const remembering = shared.withPooledSupabase(
    { ...options, rememberTokensMs: 60_000 },
    async (_request, { supabase }) => Response.json((await supabase.from("categories").select()).data),
  );
  const verifying = shared.withPooledSupabase(
    { ...options, rememberTokensMs: 0 },
    async (_request, { supabase }) => Response.json((await supabase.from("categories").select()).data),
  );
  const leasing = shared.withPooledSupabase(
    { ...options, rememberTokensMs: 60_000 },
    async (_request, context) => {
      await using lease = await context.pool.lease();
      return Response.json((await lease.client.from("categories").select()).data);
    },
  );
  const load = (handle: (request: Request) => Promise<Response>) => async (ops: number) => {
    let left = ops;
    await Promise.all(tokens.map(async (token) => {
      while (left-- > 0) await callOnce(handle, token);
    }));
  };
  return {
    work: [
      { id: "remembered", title: "GET, the token is remembered", unit: "ns", run: load(remembering) },
      { id: "lease", title: "GET through ctx.pool.lease()", unit: "ns", run: load(leasing) },
      { id: "verified", title: "GET, the token is verified each time", unit: "ns", run: load(verifying) },
    ],
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
