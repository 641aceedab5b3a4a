/** Tests that the response behind an error is known however the query was created, and however the error is passed on. */
import { assertEquals, assertStrictEquals } from "@std/assert";
import { retry } from "../../../shared/resilience/mod.ts";
import { toServiceError } from "../../../shared/services/mod.ts";
import { response } from "./fault_project.ts";
import { type Ask, type Client, startPair } from "./rig.ts";

const QUERIES: Record<string, (client: Client) => PromiseLike<{ error: unknown }>> = {
  "select": (client) => client.from("a").select("id").retry(false),
  "insert and select": (client) => client.from("a").insert({}).select().single(),
  "upsert": (client) => client.from("a").upsert({}),
  "update": (client) => client.from("a").update({}).eq("id", 1),
  "delete": (client) => client.from("a").delete().eq("id", 1).throwOnError().then((r) => r, (error) => ({ error })),
  "maybeSingle": (client) => client.from("a").select().maybeSingle().retry(false),
  "csv": (client) => client.from("a").select().csv().retry(false),
  "a count": (client) => client.from("a").select("*", { count: "exact", head: true }).retry(false),
  "rpc": (client) => client.rpc("f", { n: 1 }),
  "rpc as a read": (client) => client.rpc("f", {}, { get: true }).retry(false),
  "another schema": (client) => client.schema("b").from("a").insert({}),
  "rpc of another schema": (client) => client.schema("b").rpc("f"),
  "a schema of a schema": (client) => client.schema("b").schema("c").from("a").insert({}),
  // deno-lint-ignore no-explicit-any -- the types do not show it
  "rest": (client) => (client as any).rest.from("a").insert({}),
  // deno-lint-ignore no-explicit-any -- the types do not show it
  "rpc of rest": (client) => (client as any).rest.schema("b").rpc("f"),
};

Deno.test("withPooledSupabase() knows the response behind the error of every kind of query", async () => {
  await using pair = startPair();
  for (const [what, query] of Object.entries(QUERIES)) {
    const ask: Ask = async ({ supabase }) => {
      const { error } = await query(supabase);
      throw error;
    };
    for (const [given, body] of [[429, "<html>"], [503, '{"message":"wait"}']] as const) {
      const { status, retryAfter } = await pair.ours(ask, response(given, body, { "retry-after": "12" }));
      assertEquals([what, status, retryAfter], [what, given, "12"]);
    }
  }
});

Deno.test("withPooledSupabase() knows the status of two rows where maybeSingle() allows one", async () => {
  await using pair = startPair();
  const ask = (throws: boolean): Ask => async ({ supabase }) => {
    const query = supabase.from("a").select().maybeSingle();
    const { error } = await (throws ? query.throwOnError() : query);
    throw error;
  };
  for (const throws of [false, true]) {
    const { status, body } = await pair.ours(
      ask(throws),
      response(200, "[1,2]", { "content-type": "application/json" }),
    );
    assertEquals([status, body.code], [406, "PGRST116"]);
  }
});

Deno.test("withPooledSupabase() responds to a ServiceError that a handler created as to the error behind it", async () => {
  await using pair = startPair();
  const busy: Ask = async ({ supabase }) => {
    const { error } = await supabase.from("a").insert({});
    throw toServiceError(error);
  };
  const { status, retryAfter } = await pair.ours(busy, response(429, "", { "retry-after": "5" }));
  assertEquals([status, retryAfter], [429, "5"]);
  // supabase-js keeps the text of what aborted a call, and not its code.
  const refused = Object.assign(new Error("unknown words"), { code: "ECONNREFUSED" });
  const aborted: Ask = async ({ supabase }) => {
    const { error } = await supabase.from("a").insert({}).abortSignal(AbortSignal.abort(refused));
    throw toServiceError(error);
  };
  assertEquals((await pair.ours(aborted, response(200, "[]"))).status, 503);
});

Deno.test("retry() obeys the Retry-After of a result of ctx.supabase", async () => {
  await using pair = startPair();
  const ask: Ask = async ({ supabase }) => {
    const delays: number[] = [];
    const result = await retry(() => supabase.from("a").insert({}), {
      delayMs: 1,
      deadlineMs: 5_000,
      onRetry: ({ delayMs }) => delays.push(delayMs),
    });
    assertStrictEquals(result.error, null);
    return delays;
  };
  const { body } = await pair.ours(ask, (_request, nth) => {
    return nth === 1 ? response(503, "<html>", { "retry-after": "1" }) : response(201, "");
  });
  assertEquals(body, [1_000]);
});
