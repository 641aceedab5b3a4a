/** Tests the option `env`, which overrides environment variables as that of `withSupabase` does. */
import { assertEquals } from "@std/assert";
import type { SupabaseEnv } from "@supabase/server";
import { type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import { FakePools, URL_OF_PROJECT } from "./fake_pools.ts";
import { createProjectKey } from "./tokens.ts";

const project = await createProjectKey();

/** All variables that an environment may hold keys in. */
const VARIABLES: Variables = {
  SUPABASE_URL: URL_OF_PROJECT,
  SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_plural"}',
  SUPABASE_PUBLISHABLE_KEY: "sb_publishable_singular",
  SUPABASE_ANON_KEY: "sb_publishable_legacy",
  SUPABASE_SECRET_KEYS: '{"default":"sb_secret_plural"}',
  SUPABASE_SECRET_KEY: "sb_secret_singular",
  SUPABASE_JWKS: '{"keys":[]}',
};

type Auth = NonNullable<PooledSupabaseOptions<unknown>["auth"]>;

/** Sends a request with these headers. Returns its auth mode, its key name, and whether there is an admin. */
async function ask(env: Partial<SupabaseEnv>, auth: Auth, headers: HeadersInit, variables: Variables = VARIABLES) {
  const handle = withPooledSupabase<unknown>(
    { env, auth, variables, service: new FakePools(), log: () => {} },
    (_request, { authMode, authKeyName, adminPool }) => {
      try {
        adminPool.getStats();
        return Response.json([authMode, authKeyName ?? null, "admin"]);
      } catch (error) {
        return Response.json([authMode, authKeyName ?? null, (error as { code: string }).code]);
      }
    },
  );
  const response = await handle(new Request("https://x.test/f", { headers }));
  const body = await response.json();
  return response.ok ? body : [response.status, body.code];
}

Deno.test("withPooledSupabase() ignores the keys of the variables if env has keys of their kind, also an empty set", async () => {
  const keys = ["sb_secret_plural", "sb_secret_singular"];
  assertEquals(await ask({}, "secret", { apikey: "sb_secret_plural" }), ["secret", "default", "admin"]);
  for (const apikey of keys) {
    const others = { secretKeys: { default: "sb_secret_own" } };
    assertEquals(await ask(others, "secret", { apikey }), [401, "INVALID_API_KEY"]);
    assertEquals(await ask({ secretKeys: {} }, "secret", { apikey }), [500, "NO_KEYS_CONFIGURED"]);
  }
  assertEquals(await ask({ secretKeys: {} }, "none", {}), ["none", null, "MISSING_DEFAULT_SECRET_KEY"]);
  const web = { publishableKeys: { web: "sb_publishable_web" } };
  assertEquals(await ask(web, "publishable:*", { apikey: "sb_publishable_web" }), ["publishable", "web", "admin"]);
  for (const apikey of ["sb_publishable_plural", "sb_publishable_singular", "sb_publishable_legacy"]) {
    assertEquals(await ask(web, "publishable:*", { apikey }), [401, "INVALID_API_KEY"]);
  }
  assertEquals(await ask({ publishableKeys: {} }, "none", {}), [500, "CONFIG_INVALID"]);
});

Deno.test("withPooledSupabase() accepts any JWKS URL in env, whatever the variables contain", async () => {
  const bad = { ...VARIABLES, SUPABASE_JWKS: "no-json" };
  assertEquals(await ask({}, "none", {}, bad), [500, "CONFIG_INVALID"]);
  // Plain HTTP to no address of the loopback: a variable may not say that.
  const elsewhere = new URL("http://0.0.0.0:1/jwks.json");
  const variable = { ...VARIABLES, SUPABASE_JWKS: "", SUPABASE_JWKS_URL: elsewhere.href };
  assertEquals(await ask({}, "none", {}, variable), [500, "CONFIG_INVALID"]);
  assertEquals(await ask({ jwks: elsewhere }, "none", {}, bad), ["none", null, "admin"]);
  const headers = { Authorization: `Bearer ${await project.sign()}` };
  assertEquals(await ask({ jwks: elsewhere }, "user", headers), [500, "JWKS_FETCH_FAILED"]);
  assertEquals(await ask({ jwks: project.jwks }, "user", headers, bad), ["user", null, "admin"]);
});
