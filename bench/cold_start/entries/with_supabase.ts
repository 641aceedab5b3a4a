/** The same function with `withSupabase` of `@supabase/server`. */
import { withSupabase } from "@supabase/server";
import * as z from "zod";

const Query = z.object({ limit: z.coerce.number().int().min(1).max(100).default(50) });

/** Responds to a request. */
export const handle: (request: Request) => Promise<Response> = withSupabase(
  { auth: Deno.env.has("CALLER_TOKEN") ? "user" : "none" },
  async (request, { supabase }) => {
    const { limit } = Query.parse(Object.fromEntries(new URL(request.url).searchParams));
    const { data, error } = await supabase.from("categories").select().limit(limit);
    if (error) throw error;
    return Response.json(data);
  },
);
