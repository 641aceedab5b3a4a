/** A function, as an isolate of its own: its environment says which project, its first line on which port. */
import { withPooledSupabase } from "../../../shared/http/mod.ts";

const server = Deno.serve(
  { hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) },
  withPooledSupabase({ auth: "none", log: () => {} }, async (request, { supabase }) => {
    const { data, error } = await supabase.from(new URL(request.url).pathname.slice(1)).select();
    if (error) throw error;
    return Response.json(data);
  }),
);

// As the runtime tells it: a retired isolate gets no more requests, and then `drain`.
Deno.addSignalListener("SIGUSR1", async () => {
  await server.shutdown();
  dispatchEvent(new Event("drain"));
  console.log("drained");
  Deno.exit();
});
