/** Tests the option `onRejected`. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import type { Rejection } from "../support/http.ts";
import { ok, setUp } from "./fake_handler.ts";

Deno.test("withPooledSupabase({ onRejected }) responds to rejected credentials in the function's own shape", async () => {
  const seen: Rejection[] = [];
  const { send } = setUp(ok, {
    auth: "user",
    onRejected: (rejection) => {
      seen.push(rejection);
      return Response.json({ error: "Unauthorized" }, { status: 401 });
    },
  });
  const response = await send({ headers: { authorization: "Bearer not.a.token" } });
  assertEquals([response.status, await response.json()], [401, { error: "Unauthorized" }]);
  assert(response.headers.has("Access-Control-Allow-Origin"));
  assert(response.headers.has("X-Pool-Total-Connections"));
  assertFalse(response.headers.has("x-supabase-server-error"));
  assertEquals(seen.map(({ status, code }) => [status, code]), [[401, "INVALID_JWT"]]);
  assertFalse(JSON.stringify(seen).includes("not.a.token"));
});

Deno.test("withPooledSupabase({ onRejected }) is 500 if the option throws or returns no response", async () => {
  for (
    const onRejected of [() => {
      throw new Error("no");
    }, () => undefined as unknown as Response]
  ) {
    const { send, log } = setUp(ok, { auth: "user", onRejected });
    assertEquals((await send({ headers: { authorization: "Bearer not.a.token" } })).status, 500);
    assertEquals(log.length, 1);
  }
});
