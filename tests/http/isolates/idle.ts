/** An isolate with a bit of everything going on, and nothing that it has to wait for. */
import { withPooledSupabase } from "../../../shared/http/mod.ts";

const answers: Record<string, () => Promise<Response>> = {
  "/rest/v1/rows": () => Promise.resolve(Response.json([])),
  "/rest/v1/never": () => new Promise(() => {}),
};

const handle = withPooledSupabase({
  auth: "none",
  variables: {
    SUPABASE_URL: "https://project.test",
    SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
    SUPABASE_JWKS: "[]",
  },
  pool: {
    maxConnections: 2,
    acquireTimeoutMs: 60_000,
    fetch: (input) => answers[new URL(String(input)).pathname]?.() ?? Promise.reject(new Error("not found")),
  },
}, async (request, { supabase }) => {
  const table = new URL(request.url).pathname.slice(1);
  const { data, error } = await supabase.from(table).select();
  if (error) throw error;
  return Response.json(data);
});
const send = (table: string) => handle(new Request(`https://x.test/${table}`));

console.log((await send("rows")).status);
// Two calls hold a slot and wait for a response, until their call or request times out; one waits for a slot.
for (let i = 0; i < 3; i++) send("never");
await new Promise((resolve) => setTimeout(resolve, 20));
console.log("over");
