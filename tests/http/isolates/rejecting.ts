/** A function whose requests leave rejections unhandled. Its first line of output is its port; the others are its log. */
import { withPooledSupabase } from "../../../shared/http/mod.ts";

const VARIABLES = {
  SUPABASE_URL: "https://project.test",
  SUPABASE_PUBLISHABLE_KEY: "sb_publishable_test",
  SUPABASE_JWKS: "[]",
};

/** The number of requests that wait for a release. */
let slow = 0;
const released = Promise.withResolvers<void>();

const handle = withPooledSupabase({
  auth: "none",
  variables: VARIABLES,
  containRejections: Deno.env.get("CONTAIN") !== "false",
  log: (line) => console.log(JSON.parse(line).event),
}, async (request, { pool }) => {
  switch (new URL(request.url).pathname) {
    case "/reject":
      Promise.reject(new Error("nothing handles this"));
      break;
    case "/later":
      setTimeout(async () => await pool.lease(), 50);
      break;
    case "/slow":
      slow++;
      await released.promise;
      break;
    case "/slow/count":
      return new Response(String(slow));
    case "/slow/release":
      released.resolve();
  }
  return new Response("answered");
});

// Ends by itself, so that its coverage is written.
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));

Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => console.log(port) }, (request) => {
  if (!request.url.endsWith("/outside")) return handle(request);
  Promise.reject(new Error("of no request"));
  return new Response("outside");
});
