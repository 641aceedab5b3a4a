/**
 * A function with a pooled client, in a process of its own. Its arguments are
 * the environment of the project and the options of the pool, as JSON. Prints
 * its URL, and stops when its standard input ends.
 *
 * @module
 */
import { withPooledSupabase } from "../../shared/mod.ts";

const [env = "{}", pool = "{}"] = Deno.args;

const handle = withPooledSupabase(
  { auth: "user", env: JSON.parse(env), pool: JSON.parse(pool), variables: {} },
  async (_request, { supabase }) => {
    const { data, error } = await supabase.from("categories").select();
    if (error) throw error;
    return Response.json(data);
  },
);

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handle);
console.log(`http://127.0.0.1:${server.addr.port}/functions/v1/categories`);
for await (const _ of Deno.stdin.readable);
await server.shutdown();
