/** A function with a bare client and a schema for its query. */
import { createClient } from "@supabase/supabase-js";
import * as z from "zod";

const Query = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50) });

const client = createClient(Deno.env.get("SUPABASE_URL") ?? "", Deno.env.get("SUPABASE_PUBLISHABLE_KEY") ?? "", {
  auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
});

/** Responds to a request. */
export async function handle(request: Request): Promise<Response> {
  const { limit } = Query.parse(Object.fromEntries(new URL(request.url).searchParams));
  const { data, error } = await client.from("categories").select().limit(limit);
  if (error) throw error;
  return Response.json(data);
}
