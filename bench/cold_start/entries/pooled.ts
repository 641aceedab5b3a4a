/** The same function with `withPooledSupabase`. */
import * as z from "zod";
import { readQuery, withPooledSupabase } from "../../../shared/mod.ts";

const Query = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50) });

/** Responds to a request. */
export const handle: (request: Request) => Promise<Response> = withPooledSupabase(
  { auth: Deno.env.has("CALLER_TOKEN") ? "user" : "none" },
  async (request, { supabase }) => {
    const { limit } = readQuery(request, Query);
    const { data, error } = await supabase.from("categories").select().limit(limit);
    if (error) throw error;
    return Response.json(data);
  },
);
