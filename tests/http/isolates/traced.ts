/**
 * A function on Postgres and the Data API, for the test of its traces. Prints its port, and ends with its stdin.
 *
 * @module
 */
import * as api from "@opentelemetry/api";
import { withPooledPostgres } from "../../../shared/http/postgres.ts";
import { installOpenTelemetry } from "../../../shared/observability/mod.ts";

installOpenTelemetry(api);

const handler = withPooledPostgres({ auth: "none" }, async (request, ctx) => {
  if (new URL(request.url).pathname === "/f/fails") {
    await ctx.postgres.query("SELECT 'a secret value'::int").catch(() => {
      throw new Error("the statement failed");
    });
  }
  await ctx.postgres.query("SELECT $1::text AS shown, 'a literal' AS other", ["a secret value"]);
  await ctx.postgres.transaction(async (tx) => {
    await tx.query("SELECT 2");
  });
  const { error } = await ctx.supabase.from("things").select().eq("id", 5);
  if (error) throw error;
  return Response.json({ id: ctx.correlationId });
});

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(port),
}, handler);
for await (const _chunk of Deno.stdin.readable) { /* until it ends */ }
await server.shutdown();
Deno.exit(0);
