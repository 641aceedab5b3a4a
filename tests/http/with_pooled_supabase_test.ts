/** Tests the responses to failures of the handler, of the environment and of tokens. */
import { assertEquals, assertFalse, assertStringIncludes } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { type PooledHandler, withPooledSupabase } from "../support/http.ts";
import { AcquireTimeoutError, PoolClosedError, QueueFullError } from "../../shared/pool/mod.ts";
import { IdentityError } from "../../shared/supabase/mod.ts";
import { ok, setUp } from "./fake_handler.ts";
import { JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { sharedSecretToken } from "./tokens.ts";

Deno.test("withPooledSupabase() responds with a problem to an error of the handler, and logs it once", async (t) => {
  const rows: Record<string, readonly [error: unknown, status: number, code: string, logged: number]> = {
    "acquire timeout": [new AcquireTimeoutError("Connection acquire timeout after 5 ms"), 503, "ACQUIRE_TIMEOUT", 1],
    "queue full": [new QueueFullError("1000 wait"), 503, "QUEUE_FULL", 1],
    "pool closed": [new PoolClosedError(), 503, "POOL_CLOSED", 1],
    "an error": [new Error("password=hunter2 at /srv/secret.ts"), 500, "INTERNAL_ERROR", 1],
    "no error": [undefined, 500, "INTERNAL_ERROR", 1],
    "text": ["sb_secret_default", 500, "INTERNAL_ERROR", 1],
  };
  for (const [name, [error, status, code, logged]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send, log } = setUp(() => Promise.reject(error));
      const response = await send();
      const text = await response.text();
      assertEquals([response.status, JSON.parse(text).code], [status, code]);
      assertEquals(response.headers.get("Content-Type"), "application/problem+json");
      assertEquals(response.headers.has("Retry-After"), status === 503);
      assertFalse(/hunter2|secret/.test(text));
      assertEquals(log.length, logged);
      assertFalse(log.join().includes("hunter2") || log.join().includes("sb_secret_default"));
    });
  }
});

Deno.test("withPooledSupabase() responds 500 to a handler that throws at once or returns no usable response", async (t) => {
  const used = new Response("x");
  await used.text();
  const rows: Record<string, PooledHandler<unknown>> = {
    "throws": () => {
      throw new TypeError("at once");
    },
    "undefined": () => undefined as unknown as Response,
    "an object": () => ({ status: 200 }) as Response,
    "a body that was read": () => used,
  };
  for (const [name, handler] of Object.entries(rows)) {
    await t.step(name, async () => {
      const { send, log } = setUp(handler);
      assertEquals((await send()).status, 500);
      assertEquals(log.length, 1);
    });
  }
});

Deno.test("withPooledSupabase() responds 500 to an invalid environment, and logs its issues once", async () => {
  const log: string[] = [];
  const fetch = withPooledSupabase(
    {
      variables: { SUPABASE_URL: "x", JWT_SECRET: "hunter2", POOL_MAX_CONNECTIONS: "0" },
      log: (line) => log.push(line),
    },
    ok,
  );
  for (let i = 0; i < 3; i++) {
    const response = await fetch(new Request("https://x.test/f"));
    const body = await response.text();
    assertEquals([response.status, JSON.parse(body).code], [500, "CONFIG_INVALID"]);
    assertFalse(/SUPABASE_URL|hunter2/.test(body));
    assertEquals(response.headers.get("X-Pool-Total-Connections"), "0");
  }
  assertEquals((await fetch(new Request("https://x.test/f", { method: "OPTIONS" }))).status, 204);
  assertEquals(log.length, 1);
  for (const name of ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEYS", "JWT_SECRET", "POOL_MAX_CONNECTIONS"]) {
    assertStringIncludes(log[0] ?? "", name);
  }
  assertFalse((log[0] ?? "").includes("hunter2"));
});

Deno.test("withPooledSupabase() reads no environment and creates no pool before the first request", () => {
  withPooledSupabase({ variables: {}, log: () => {} }, ok);
});

Deno.test("withPooledSupabase() rejects a token that expires during its request as an expired one", async () => {
  const time = new FakeTime();
  try {
    const token = await sharedSecretToken();
    const { fetch, log } = setUp(() => {
      time.tick(601_000);
      throw new IdentityError("The token has expired", "expired");
    }, { auth: "user", variables: { ...VARIABLES, JWT_SECRET } });
    const response = await fetch(new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}` } }));
    assertEquals([response.status, (await response.json()).code, log.length], [401, "INVALID_JWT", 0]);
  } finally {
    time.restore();
  }
});
