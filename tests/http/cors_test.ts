/** Tests the headers of CORS. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { CorsFunction } from "../support/http.ts";
import { createdResponse } from "../../shared/http/responses/json.ts";
import { ok, setUp } from "./fake_handler.ts";

const list = (value: string | null) => (value ?? "").split(",").map((item) => item.trim().toLowerCase());

/** Sends a preflight for a request with `headers`. */
const preflight = (headers: string, origin = "https://app.test"): RequestInit => ({
  method: "OPTIONS",
  headers: { "Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers },
});

Deno.test("withPooledSupabase() allows every header that a preflight asks for, and lets browsers keep it", async () => {
  const { send } = setUp(ok, { auth: "user" });
  const names = ["idempotency-key", "x-region", "prefer", "if-none-match", "traceparent", "x-request-id", "x-my-own"];
  const response = await send(preflight(names.join(",")));
  assertEquals(response.status, 204);
  const allowed = list(response.headers.get("Access-Control-Allow-Headers"));
  for (const name of [...names, "authorization", "apikey", "content-type", "x-client-info"]) {
    assertEquals(allowed.filter((each) => each === name).length, 1, name);
  }
  assertEquals(response.headers.get("Access-Control-Max-Age"), "7200");
  assertEquals(response.headers.get("Access-Control-Allow-Origin"), "*");
  assertStringIncludes(response.headers.get("Vary") ?? "", "Access-Control-Request-Headers");
});

Deno.test("withPooledSupabase() ignores what a preflight asks for in vain: no header name, more than 64, spaces", async () => {
  const { send } = setUp(ok);
  const many = Array.from({ length: 500 }, (_, n) => `x-${n}`);
  const response = await send(
    preflight(["x-good", "a b", "x\u00e9", "(bad)", "", "x".repeat(300), ...many].join(" , ")),
  );
  const allowed = list(response.headers.get("Access-Control-Allow-Headers"));
  assert(allowed.includes("x-good"));
  assert(allowed.length < 100);
  for (const name of allowed) assert(/^[a-z0-9-]{1,256}$/.test(name), name);
});

Deno.test("withPooledSupabase() does not overwrite the CORS headers that a handler sets", async () => {
  const { send } = setUp((request) =>
    new Response("x", {
      headers: {
        "Access-Control-Allow-Origin": request.headers.get("Origin") ?? "",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": "X-Mine",
        "Vary": "Origin",
      },
    })
  );
  const { headers } = await send({ headers: { Origin: "https://app.test" } });
  assertEquals(headers.get("Access-Control-Allow-Origin"), "https://app.test");
  assertEquals(headers.get("Access-Control-Allow-Credentials"), "true");
  assertEquals(headers.get("Vary"), "Origin");
  const exposed = list(headers.get("Access-Control-Expose-Headers"));
  assert(exposed.includes("x-mine") && exposed.includes("x-pool-idle-connections"));
});

Deno.test("withPooledSupabase() takes a function of the request as cors, for responses, errors and preflights", async (t) => {
  const cors = (request: Request) => {
    const origin = request.headers.get("Origin");
    if (origin !== "https://app.test") return undefined;
    return {
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Expose-Headers": "X-Theirs",
    };
  };
  const headers = { Origin: "https://app.test" };
  const { send } = setUp((request) => {
    if (request.method === "DELETE") throw new Error("boom");
    return new Response("x", { headers: { "Vary": "Accept", "X-Theirs": "1" } });
  }, { cors });
  await t.step("a response", async () => {
    const response = await send({ headers });
    assertEquals(response.headers.get("Access-Control-Allow-Origin"), "https://app.test");
    assertEquals(response.headers.get("Access-Control-Allow-Credentials"), "true");
    assertEquals(list(response.headers.get("Vary")), ["accept", "origin"]);
    assert(list(response.headers.get("Access-Control-Expose-Headers")).includes("x-theirs"));
  });
  await t.step("an error", async () => {
    const response = await send({ headers, method: "DELETE" });
    assertEquals([response.status, response.headers.get("Access-Control-Allow-Origin")], [500, "https://app.test"]);
  });
  await t.step("a preflight", async () => {
    const response = await send(preflight("x-any, authorization"));
    assertEquals([response.status, response.headers.get("Access-Control-Allow-Origin")], [204, "https://app.test"]);
    assertEquals(response.headers.get("Access-Control-Allow-Credentials"), "true");
    assert(list(response.headers.get("Access-Control-Allow-Headers")).includes("x-any"));
    assertStringIncludes(response.headers.get("Access-Control-Allow-Methods") ?? "", "DELETE");
    const vary = list(response.headers.get("Vary"));
    assert(vary.includes("origin") && vary.includes("access-control-request-headers"));
  });
  await t.step("an origin that is not allowed", async () => {
    const { send: sendNull } = setUp(ok, { cors: (() => null) as unknown as CorsFunction });
    assertEquals((await sendNull({})).status, 200);
    for (const init of [{ headers: { Origin: "https://evil.test" } }, preflight("x-any", "https://evil.test")]) {
      const response = await send(init);
      assertEquals([...response.headers.keys()].filter((name) => name.startsWith("access-control-allow")), []);
      assert(list(response.headers.get("Vary")).includes("origin"));
    }
  });
});

Deno.test("withPooledSupabase() gives each caller its own CORS headers, of a response that a program returns to all", async (t) => {
  const empty = new Response(null, { status: 204, headers: { "X-Kept": "yes" } });
  const redirect = Response.redirect("https://y.test/");
  for (const [name, handler] of Object.entries({ empty: () => empty, redirect: () => redirect })) {
    await t.step(name, async () => {
      const { send } = setUp(handler, {
        cors: (request) => {
          const origin = request.headers.get("Origin") ?? "";
          return origin.endsWith(".evil.test") ? undefined : { "Access-Control-Allow-Origin": origin };
        },
      });
      for (const origin of ["https://a.test", "https://b.test", "https://c.evil.test"]) {
        const { status, headers } = await send({ headers: { Origin: origin } });
        assertEquals(status, handler().status);
        assertEquals(headers.get("Access-Control-Allow-Origin"), origin.endsWith(".evil.test") ? null : origin);
        assertEquals(headers.get("X-Kept"), handler().headers.get("X-Kept"));
      }
    });
  }
});

Deno.test("withPooledSupabase() responds 500 when its cors function throws or returns what cannot be sent", async (t) => {
  const functions = {
    "throws": () => {
      throw new Error("no list of origins");
    },
    "returns two lines": () => ({ "Access-Control-Allow-Origin": "https://app.test\r\nX-Evil: 1" }),
    "returns a name with a space": () => ({ "Access Control": "x" }),
    "returns Headers": () => new Headers({ "Access-Control-Allow-Origin": "*" }),
    "returns a promise": () => Promise.resolve({ "Access-Control-Allow-Origin": "*" }),
  };
  for (const [name, cors] of Object.entries(functions as unknown as Record<string, CorsFunction>)) {
    await t.step(name, async () => {
      const { send, log } = setUp(ok, { cors });
      for (const init of [{}, preflight("x-a")]) assertEquals((await send(init)).status, 500);
      assert(log.length > 0);
    });
  }
});

Deno.test("withPooledSupabase() keeps the list of headers of a cors option, and its Max-Age", async () => {
  const headers = {
    "Access-Control-Allow-Origin": "https://app.test",
    "access-control-allow-headers": "authorization, x-one",
    "Access-Control-Max-Age": "5",
  };
  const response = await setUp(ok, { cors: { headers } }).send(preflight("x-two"));
  assertEquals(response.headers.get("Access-Control-Allow-Headers"), "authorization, x-one");
  assertEquals(response.headers.get("Access-Control-Max-Age"), "5");
});

Deno.test("withPooledSupabase() leaves preflights to the handler when cors is disabled", async () => {
  const response = await setUp(() => new Response("mine"), { cors: "disabled" }).send(preflight("x-two"));
  assertEquals(await response.text(), "mine");
  assertEquals(response.headers.has("Access-Control-Allow-Headers"), false);
});

Deno.test("withPooledSupabase() exposes Retry-After, Allow and Location to browsers", async () => {
  const refused = await setUp(() => new Response("", { status: 503, headers: { "Retry-After": "7" } })).send();
  assert(list(refused.headers.get("Access-Control-Expose-Headers")).includes("retry-after"));
  const method = await setUp(() => new Response("", { status: 405, headers: { Allow: "GET" } })).send();
  assert(list(method.headers.get("Access-Control-Expose-Headers")).includes("allow"));
  const created = await setUp((request) => createdResponse(request, { id: "1" })).send();
  assert(list(created.headers.get("Access-Control-Expose-Headers")).includes("location"));
});

Deno.test("withPooledSupabase() allows the headers of the clients without being asked, so that a browser asks once", async () => {
  const { send } = setUp(ok, { auth: "user" });
  const response = await send(preflight("authorization"));
  const allowed = list(response.headers.get("Access-Control-Allow-Headers"));
  const ofClients = ["accept-profile", "content-profile", "cache-control", "x-metadata", "x-region", "x-upsert"];
  const ofHttp = ["if-match", "if-modified-since", "if-none-match", "prefer", "range"];
  for (const name of [...ofClients, "x-supabase-api-version", ...ofHttp, "idempotency-key", "x-request-id"]) {
    assert(allowed.includes(name), name);
  }
});
