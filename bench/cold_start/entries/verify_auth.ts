/** A function with a bare client that verifies the token of a user with `@supabase/server`. */
import { verifyAuth } from "@supabase/server/core";
import { createClient } from "@supabase/supabase-js";
import * as z from "zod";

const Query = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50) });

/** Responds to a request. */
export async function handle(request: Request): Promise<Response> {
  const { data: auth, error: refused } = await verifyAuth(request, { auth: "user" });
  if (refused) throw refused;
  const client = createClient(Deno.env.get("SUPABASE_URL") ?? "", Deno.env.get("SUPABASE_PUBLISHABLE_KEY") ?? "", {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
    global: { headers: { Authorization: `Bearer ${auth.token}` } },
  });
  const { limit } = Query.parse(Object.fromEntries(new URL(request.url).searchParams));
  const { data, error } = await client.from("categories").select().limit(limit);
  if (error) throw error;
  return Response.json(data);
}
