/** The parts of the time of a request. */
import { assertEquals, assertGreaterOrEqual, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { RequestReports } from "../../shared/http/request/request_reports.ts";
import { stampHeaders } from "../../shared/http/responses/response_headers.ts";
import type { PooledHandler } from "../support/http.ts";
import { setUp } from "./real_rig.ts";
import { sharedSecretToken } from "./tokens.ts";

/** Returns the metrics of `Server-Timing`, in ms by name. */
function parts(response: Response): Record<string, number> {
  const header = response.headers.get("Server-Timing") ?? "";
  const entries = header.split(", ").map((metric) => /^([\w-]+);dur=([\d.]+)$/.exec(metric) ?? []);
  return Object.fromEntries(entries.map(([, name, ms]) => [name, Number(ms)]));
}

const list: PooledHandler<unknown> = async (_request, ctx) => {
  const { error } = await ctx.supabase.from("things").select();
  if (error) throw error;
  return Response.json([]);
};

Deno.test("withPooledSupabase() reports pool, verify, wait and upstream in Server-Timing, in this order", async () => {
  await using rig = setUp(list, { POOL_MAX_CONNECTIONS: "1" });
  rig.project.answer = async () => {
    await delay(40);
    return Response.json([]);
  };
  const [first, second] = await Promise.all([rig.fetch("/"), rig.fetch("/")]);
  for (const response of [first, second]) {
    assertEquals(Object.keys(parts(response)), ["pool", "verify", "wait", "upstream"]);
    assertEquals(parts(response).pool, parts(response).wait);
    assertGreaterOrEqual(parts(response).upstream ?? 0, 39);
  }
  const waits = [parts(first).wait ?? 0, parts(second).wait ?? 0].sort((one, other) => one - other);
  assertGreaterOrEqual(waits[1] ?? 0, 39);
  assertEquals(waits[0], 0);
});

Deno.test("withPooledSupabase() counts the time in which several calls are under way once, and retries without their pauses", async () => {
  let failures = 1;
  await using rig = setUp(async (_request, ctx) => {
    await Promise.all([ctx.supabase.from("a").select(), ctx.supabase.from("b").select(), delay(1)]);
    return Response.json([]);
  });
  rig.project.answer = async () => {
    await delay(30);
    return failures-- > 0 ? new Response(null, { status: 503 }) : Response.json([]);
  };
  const began = performance.now();
  const { upstream = 0 } = parts(await rig.fetch("/"));
  const tookMs = performance.now() - began;
  assertGreaterOrEqual(upstream, 29);
  // The pause before the retry, a second or more, is not part of it.
  assertGreaterOrEqual(tookMs - upstream, 500);
});

Deno.test("withPooledSupabase() reports the time of checking a token, and none for one that is remembered", async () => {
  await using slow = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async () => {
    await delay(50);
    return Response.json({ keys: [] });
  });
  const variables = { SUPABASE_JWKS: "", SUPABASE_JWKS_URL: `http://127.0.0.1:${slow.addr.port}/jwks` };
  await using rig = setUp(list, variables, { auth: "user" });
  const token = await sharedSecretToken();
  // Signed by a key that has to be fetched, and does not exist.
  const header = btoa('{"alg":"ES256","typ":"JWT","kid":"k"}').replaceAll("=", "");
  const rejected = await rig.fetch("/", { as: [header, ...token.split(".").slice(1)].join(".") });
  assertEquals(rejected.status, 401);
  assertGreaterOrEqual(parts(rejected).verify ?? 0, 49);
  assertEquals(await Promise.all([rig.fetch("/", { as: token })].map(async (each) => (await each).status)), [200]);
  assertEquals(parts(await rig.fetch("/", { as: token })).verify, 0);
});

Deno.test("stampHeaders() replaces the metrics of an earlier stamp, and keeps those of the handler with the same names", () => {
  const stats = { totalConnections: 0, activeConnections: 0, idleConnections: 0, waitingForConnection: 0, limit: 1 };
  const own = 'verify;dur=7, upstream;desc="mine"';
  const response = new Response(null, { headers: { "Server-Timing": own } });
  stampHeaders(response, undefined, stats, { verifyMs: 1, waitedMs: 2, upstreamMs: 3 });
  stampHeaders(response, undefined, stats, { verifyMs: 0, waitedMs: 0, upstreamMs: 0 });
  assertEquals(
    response.headers.get("Server-Timing"),
    `${own}, pool;dur=0.0, verify;dur=0.0, wait;dur=0.0, upstream;dur=0.0`,
  );
  stampHeaders(response, undefined, stats, { verifyMs: 0.04, waitedMs: 1_234.56, upstreamMs: 0 });
  assertStringIncludes(
    response.headers.get("Server-Timing") ?? "",
    ", pool;dur=1234.6, verify;dur=0.0, wait;dur=1234.6",
  );
});

Deno.test("stampHeaders() keeps quoted descriptions of the handler's metrics as they are", () => {
  const stats = { totalConnections: 0, activeConnections: 0, idleConnections: 0, waitingForConnection: 0, limit: 1 };
  const none = { verifyMs: 0, waitedMs: 0, upstreamMs: 0 };
  const ours = "pool;dur=0.0, verify;dur=0.0, wait;dur=0.0, upstream;dur=0.0";
  const rows = [
    ['cache;desc="hit,pool;x, and more";dur=2', 'cache;desc="hit,pool;x, and more";dur=2'],
    [String.raw`a;desc="\", pool", pool;dur=9,b`, String.raw`a;desc="\", pool", b`],
    ['a;desc="unclosed, pool;dur=1', 'a;desc="unclosed, pool;dur=1'],
    [" , a ,, ", "a"],
  ];
  for (const [own, kept] of rows) {
    const response = new Response(null, { headers: { "Server-Timing": own ?? "" } });
    stampHeaders(response, undefined, stats, none);
    assertEquals(response.headers.get("Server-Timing"), `${kept}, ${ours}`);
    stampHeaders(response, undefined, stats, none);
    assertEquals(response.headers.get("Server-Timing"), `${kept}, ${ours}`);
  }
  const hostile = new Response(null, { headers: { "Server-Timing": '"\\'.repeat(20_000) } });
  stampHeaders(hostile, undefined, stats, none);
  assertStringIncludes(hostile.headers.get("Server-Timing") ?? "", ours);
});

Deno.test("RequestReports passes reports on until the subscription ends, whatever a listener throws", () => {
  const reports = new RequestReports();
  const request = new Request("https://x.test/");
  const report = { request, status: 200, error: undefined, durationMs: 1, verifyMs: 0, waitedMs: 0, upstreamMs: 0 };
  const seen: unknown[] = [];
  assertEquals(reports.isObserved, false);
  const broken = reports.add(() => {
    throw new Error("broken");
  });
  const working = reports.add((each) => seen.push(each));
  reports.emit(report);
  assertEquals([reports.isObserved, seen], [true, [report]]);
  working[Symbol.dispose]();
  broken[Symbol.dispose]();
  reports.emit(report);
  assertEquals([reports.isObserved, seen.length], [false, 1]);
});
