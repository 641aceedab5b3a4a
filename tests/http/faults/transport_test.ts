/** Tests that a pooled handler is never worse than a plain one when the network or the project breaks. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { type Fault, type FaultProject, response } from "./fault_project.ts";
import { type Ask, startPair } from "./rig.ts";
import { Service } from "./service.ts";

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
const JSON_TYPE = { "content-type": "application/json" };

/** The fate of a call, and the status of our response to it: 200 where plain succeeds. */
const FAULTS: Record<string, readonly [Fault | FaultProject["respond"], status: number]> = {
  "a connection that closes before the response": [{}, 502],
  "a connection that closes in the headers": [{ bytes: "HTTP/1.1 200 OK\r\nconte" }, 502],
  "a connection that closes in the status line": [{ bytes: "HTT" }, 502],
  "a connection that closes in the body": [{ bytes: `${HEAD}content-length: 100\r\n\r\n[1` }, 502],
  "a connection that closes between chunks": [{ bytes: `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\n[1\r\n` }, 502],
  "chunks that are none": [{ bytes: `${HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n[1]` }, 502],
  "a body longer than its length": [{ bytes: `${HEAD}content-length: 2\r\nconnection: close\r\n\r\n[1234]` }, 502],
  "a length that is no number": [{ bytes: `${HEAD}content-length: x\r\n\r\n[]` }, 502],
  "two lengths": [{ bytes: `${HEAD}content-length: 2\r\ncontent-length: 3\r\n\r\n[]` }, 502],
  "a body without a length": [{ bytes: `${HEAD}connection: close\r\n\r\n[8]` }, 200],
  "no HTTP": [{ bytes: "SSH-2.0-OpenSSH_9.6\r\n" }, 502],
  "HTTP of the future": [{ bytes: "HTTP/3.7 200 OK\r\n\r\n" }, 502],
  "a header without an end": [{ bytes: `HTTP/1.1 200 OK\r\nx: ${"y".repeat(600_000)}\r\n\r\n` }, 502],
  "gzip that is none": [response(200, "no gzip", { ...JSON_TYPE, "content-encoding": "gzip" }), 502],
  "gzip that breaks off": [
    response(200, new Uint8Array([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]), { ...JSON_TYPE, "content-encoding": "gzip" }),
    502,
  ],
  "an encoding that is unknown": [response(200, "[8]", { ...JSON_TYPE, "content-encoding": "what" }), 200],
  "truncated JSON": [response(200, '[{"id":1', JSON_TYPE), 502],
  "a page in place of JSON": [response(200, "<html>Welcome</html>", { "content-type": "text/html" }), 502],
  "a slow response": [{ ...response(200, "[8]", JSON_TYPE), delayMs: 100 }, 200],
  "a response that never comes": [{ hangs: true }, 504],
  "a body that never ends": [{ bytes: `${HEAD}content-length: 100\r\n\r\n[1`, hangs: true }, 504],
  "a redirect within the project": [
    ({ path }) => path.endsWith("/b") ? response(200, "[8]", JSON_TYPE) : response(307, "", { location: "/rest/v1/b" }),
    200,
  ],
  "a redirect that becomes a GET": [
    ({ path, method }) =>
      path.endsWith("/b") ? response(200, `["${method}"]`, JSON_TYPE) : response(303, "", { location: "/rest/v1/b" }),
    200,
  ],
  "a redirect to another origin": [response(307, "", { location: "https://attacker.test/" }), 500],
  "a redirect without an address": [response(302, "[]", JSON_TYPE), 502],
  "redirects without end": [({ path }) => response(307, "", { location: path }), 500],
  "a status above 599": [response(600, '{"message":"x"}', JSON_TYPE), 500],
  "304": [response(304, "", {}), 502],
  "204": [{ bytes: "HTTP/1.1 204 No Content\r\n\r\n" }, 200],
};

/** Faults that plain waits for without end, and ours until `requestTimeoutMs`. */
const ENDLESS = ["a response that never comes", "a body that never ends"];

const WRITES: Record<string, Ask> = {
  "throw error": async ({ supabase }) => {
    const { data, error } = await supabase.from("a").insert({ email: "jane@example.com" });
    if (error) throw error;
    return data;
  },
  "throwOnError()": async ({ supabase }) => (await supabase.from("a").insert({}).throwOnError()).data,
  "a function": async ({ supabase }) => {
    const { data, error } = await supabase.functions.invoke("a", { body: {} });
    if (error?.context instanceof Response) await error.context.body?.cancel(); // plain leaves it unread
    if (error) throw error;
    return data;
  },
  "storage": async ({ supabase }) => {
    const { data, error } = await supabase.storage.from("files").createSignedUploadUrl("a");
    if (error) throw error;
    return data && null;
  },
};

for (const [way, ask] of Object.entries(WRITES)) {
  Deno.test(`withPooledSupabase() responds to each fault of the network as documented, and never worse than plain: ${way}`, async () => {
    await using patient = startPair();
    await using impatient = startPair({ POOL_REQUEST_TIMEOUT_MS: "250" });
    for (const [what, [fault, expected]] of Object.entries(FAULTS)) {
      // On a busy machine 21 redirects take longer than what is a pause here.
      const pair = ENDLESS.includes(what) ? impatient : patient;
      const ours = await pair.ours(ask, fault);
      assertFalse(/jane|attacker|127\.0\.0\.1/.test(ours.text), ours.text);
      if (way === "throw error" || way === "throwOnError()") assertEquals([what, ours.status], [what, expected]);
      else assert(ours.status < 400 || ours.status >= 500, `${what}: ${ours.status}`);
      if (ENDLESS.includes(what) || what === "a redirect to another origin") continue;
      const plain = await pair.plain(ask, fault);
      if (plain.status === 200) assertEquals([what, ours.status, ours.body], [what, 200, plain.body]);
    }
  });
}

/** A fault that happens `times` times. */
function first(times: number, fault: Fault): FaultProject["respond"] {
  return (_request, nth) => nth <= times ? fault : response(200, "[8]", JSON_TYPE);
}

const read: Ask = async ({ supabase }) => {
  const { data, error } = await supabase.from("a").select();
  if (error) throw error;
  return data;
};

Deno.test("withPooledSupabase() succeeds with a read wherever withSupabase() does", async (t) => {
  const again = { ...JSON_TYPE, "retry-after": "0" };
  const noCache = JSON.stringify({ code: "PGRST002", message: "no schema cache", details: null, hint: null });
  const rows: Record<string, FaultProject["respond"]> = {
    "503 PGRST002 once": first(1, response(503, noCache, JSON_TYPE)),
    "503 PGRST002 three times": first(3, response(503, noCache, again)),
    "503 PGRST002 for good": first(99, response(503, noCache, again)),
    "503 of a gateway": first(2, response(503, "<html>", { "retry-after": "0" })),
    "520 once": first(1, response(520, "")),
    "520 three times": first(3, response(520, "", { "retry-after": "0" })),
    "500": first(1, response(500, "", again)),
    "502": first(1, response(502, "", again)),
    "a lost connection": first(1, {}),
    "a connection that closes in the headers": first(1, { bytes: "HTTP/1.1 200 OK\r\nconte" }),
    "a connection that closes in the body": first(1, { bytes: `${HEAD}content-length: 100\r\n\r\n[1` }),
    "no HTTP": first(1, { bytes: "SSH-2.0-OpenSSH_9.6\r\n" }),
  };
  const results = Object.entries(rows).map(async ([what, respond]) => {
    await using pair = startPair();
    const ours = await pair.ours(read, respond);
    const counts = pair.project.requests.map(({ headers }) => headers.get("x-retry-count"));
    const plain = await pair.plain(read, respond);
    return {
      what,
      ours,
      plain,
      counts,
      plainCounts: pair.project.requests.map(({ headers }) => headers.get("x-retry-count")),
    };
  });
  for (const { what, ours, plain, counts, plainCounts } of await Promise.all(results)) {
    await t.step(what, () => {
      if (plain.status === 200) assertEquals([ours.status, ours.body], [200, plain.body]);
      assertEquals(counts, plainCounts);
    });
  }
});

Deno.test("withPooledSupabase() fails at once, with Retry-After, when the project asks for more time than is left", async () => {
  await using pair = startPair();
  const startedMs = performance.now();
  for (
    const ask of [
      read,
      (({ pooled }) => pooled && new Service(pooled.pool).list()) satisfies Ask,
      (({ pooled }) => pooled && new Service(pooled.pool).retried()) satisfies Ask,
    ]
  ) {
    const { status, retryAfter } = await pair.ours(ask, response(503, "", { "retry-after": "200" }));
    assertEquals([status, retryAfter], [503, "200"]);
    assertEquals(pair.project.requests.length, 1);
  }
  assert(performance.now() - startedMs < 20_000);
});

Deno.test("PooledBaseService.withRetry() waits as long as the project asks for", async () => {
  await using pair = startPair();
  const ask: Ask = ({ pooled }) => pooled && new Service(pooled.pool).retried();
  for (const status of [429, 503]) {
    const startedMs = performance.now();
    const outcome = await pair.ours(ask, first(1, response(status, "", { "retry-after": "1" })));
    assertEquals([outcome.status, outcome.body], [200, [8]]);
    assert(performance.now() - startedMs >= 990, `${performance.now() - startedMs} ms`);
  }
});

Deno.test("withPooledSupabase() retries a read of a service's leased client", async () => {
  await using pair = startPair();
  const ask: Ask = ({ pooled }) => pooled && new Service(pooled.pool).list();
  const outcome = await pair.ours(ask, first(3, response(503, "", { "retry-after": "0" })));
  assertEquals([outcome.status, outcome.body], [200, [8]]);
});

Deno.test("withPooledSupabase() holds no slot while its reads wait for a retry", async () => {
  await using pair = startPair({ POOL_MAX_CONNECTIONS: "1", POOL_ACQUIRE_TIMEOUT_MS: "200" });
  const waiting = Promise.withResolvers<void>();
  const ask: Ask = async ({ supabase, pooled }) => {
    const [first, second] = await Promise.all([
      supabase.from("slow").select(),
      (async () => {
        await waiting.promise;
        return pooled?.pool.getStats().activeConnections;
      })(),
    ]);
    return [first.data, second];
  };
  const outcome = pair.ours(ask, (_request, nth) => {
    if (nth > 1) return response(200, "[8]", JSON_TYPE);
    setTimeout(() => waiting.resolve(), 100);
    return response(503, "", { "retry-after": "1" });
  });
  assertEquals((await outcome).body, [[8], 0]);
});

Deno.test("withPooledSupabase() rejects a query that does not fit into a URL with 414 and a way out, without its values in the log", async () => {
  await using pair = startPair();
  const ids = Array.from({ length: 2_000 }, (_, n) => `${String(n).padStart(8, "0")}-0000-4000-8000-000000000000`);
  const long = (count: number): Ask[] => [
    async ({ supabase }) => {
      const { data, error } = await supabase.from("a").select().in("id", ids.slice(0, count));
      if (error) throw error;
      return data;
    },
    async ({ supabase }) => (await supabase.from("a").delete().in("id", ids.slice(0, count)).throwOnError()).data,
    ({ pooled }) => pooled && new Service(pooled.pool).list(ids.slice(0, count)),
    ({ pooled }) => pooled && new Service(pooled.pool).retried(ids.slice(0, count)),
  ];
  for (const [count, sent] of [[2_000, 0], [500, 1]] as const) {
    for (const ask of long(count)) {
      const fault = response(414, "<html><h1>414 Request-URI Too Large</h1></html>", { "content-type": "text/html" });
      const { status, body } = await pair.ours(ask, fault);
      assertEquals([status, pair.project.requests.length], [414, sent]);
      assert(/rpc\(\).*chunks/.test(body.hint), body.hint);
    }
  }
  assertEquals((await pair.ours(long(100)[0] as Ask, response(200, "[8]", JSON_TYPE))).body, [8]);
  for (const line of pair.log) assertFalse(line.includes("0000-4000-8000") || line.length > 8_000, line.slice(0, 300));
});
