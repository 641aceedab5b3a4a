/**
 * An isolate that prints which modules were loaded of those that note it in `loadedModules`: with the function, with its
 * first response, and some time after that.
 */
import { delay } from "@std/async";

const loaded: string[] = [];
Object.assign(globalThis, { loadedModules: loaded });

const { withPooledSupabase } = await import("../../../shared/http/mod.ts");
const handle = withPooledSupabase({ auth: "none" }, async (_request, { supabase }) => {
  const { error } = await supabase.from("rows").select();
  return new Response(error ? "failed" : "ok");
});
const withFunction = [...loaded];
const response = await handle(new Request("http://127.0.0.1/rows"));
const body = await response.text();
const withResponse = [...loaded];
// With metrics, they are loaded soon; without, never.
const waits = Deno.args[0] === "waits";
for (let wait = 0; waits ? wait < 1_000 && !loaded.includes("mod.ts") : wait < 10; wait++) await delay(20);
console.log(JSON.stringify({ body, withFunction, withResponse, later: [...loaded].sort() }));
Deno.exit(0);
