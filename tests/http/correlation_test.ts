/** Tests the correlation of requests, their log lines and their responses. */
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { delay } from "@std/async";
import { type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const TRACEPARENT = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` };

function setUp(handler: PooledHandler<unknown>) {
  const lines: string[] = [];
  const handle = withPooledSupabase<unknown>(
    { auth: "none", variables: VARIABLES, service: new FakePools(), log: (line) => lines.push(line) },
    handler,
  );
  const respond = async (headers: Record<string, string> = {}) => {
    const response = await handle(new Request("https://x.test/f", { headers }));
    return { headers: response.headers, text: await response.text() };
  };
  return { respond, logged: () => lines.map((line) => JSON.parse(line)) };
}

Deno.test("withPooledSupabase() logs a failure under the id of its request, and responds with it", async () => {
  const { respond, logged } = setUp(() => Promise.reject(new Error("a bug")));
  const ids: (string | null)[] = [];
  for (const headers of [TRACEPARENT, { "x-request-id": "42" }, {}] as Record<string, string>[]) {
    const response = await respond(headers);
    ids.push(response.headers.get("X-Correlation-Id"));
    assertStringIncludes(response.headers.get("Access-Control-Expose-Headers") ?? "", "X-Correlation-Id");
  }
  assertEquals(ids.slice(0, 2), [TRACE, "42"]);
  assertMatch(ids[2] ?? "", /^[\da-f-]{36}$/);
  assertEquals(logged().map(({ correlationId }) => correlationId), ids);
});

Deno.test("ctx.correlationId is the id of the request, and of the lines about its background work", async () => {
  const { respond, logged } = setUp((_request, { correlationId, waitUntil }) => {
    waitUntil(Promise.reject(new Error("later")));
    return new Response(correlationId);
  });
  const { text, headers } = await respond({ "x-request-id": "42" });
  await delay(0);
  assertEquals([text, headers.get("X-Correlation-Id")], ["42", null]);
  assertEquals(logged().map(({ event, correlationId }) => [event, correlationId]), [["background_work_failed", "42"]]);
});

Deno.test("withPooledSupabase() computes no correlation id for a request that logs nothing", async () => {
  const { respond } = setUp((request) => {
    if (request.headers.has("x-invalid")) {
      throw Object.assign(new Error(), { code: "A", http: { status: 400, title: "t" } });
    }
    return new Response("fine");
  });
  const create = crypto.randomUUID;
  let created = 0;
  crypto.randomUUID = () => (created++, create.call(crypto));
  try {
    for (const headers of [{}, { "x-invalid": "1" }, TRACEPARENT] as Record<string, string>[]) {
      assertEquals((await respond(headers)).headers.get("X-Correlation-Id"), null);
    }
  } finally {
    crypto.randomUUID = create;
  }
  assertEquals(created, 0);
});
