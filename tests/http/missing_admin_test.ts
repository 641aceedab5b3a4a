import { assertEquals, assertThrows } from "@std/assert";
import { EnvError, Errors, MissingDefaultSecretKeyError } from "@supabase/server";
import { createMissingAdminProxy, loadMissingSecretKey } from "../../shared/http/request/request_pools.ts";
import { URL_OF_PROJECT } from "./fake_pools.ts";

Deno.test("createMissingAdminProxy() creates a client that throws the error of withSupabase() when it is used", async () => {
  const keys = { publishableKeys: { default: "sb_publishable_a" }, secretKeys: {}, jwks: null };
  const admin = createMissingAdminProxy<{ from?: unknown }>({ url: URL_OF_PROJECT, ...keys });
  assertThrows(() => admin.from, TypeError, "await loadMissingSecretKey() first");
  await loadMissingSecretKey();
  const theirs = Errors[MissingDefaultSecretKeyError]([]);
  for (const use of [() => admin.from, () => admin.from = 1, () => "from" in admin]) {
    const error = assertThrows(use, EnvError);
    assertEquals([error.code, error.message], [theirs.code, theirs.message]);
  }
});
