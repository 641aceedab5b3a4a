import { assertEquals, assertNotStrictEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { ConfigError, PoolClosedError } from "../../shared/pool/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { startFakeProject } from "../support/fake_project.ts";

const KEYS = { publishableKey: "sb_publishable_a", secretKey: "sb_secret_a" };

Deno.test("SupabaseService has a user pool and an admin pool, which differ", async () => {
  await using project = startFakeProject();
  const service = new SupabaseService({ url: project.url, ...KEYS, pool: { minConnections: 0 } });
  assertEquals([service.getConnectionPool().kind, service.getAdminPool().kind], ["user", "admin"]);
  assertStrictEquals(service.getAdminPool(), service.getAdminPool());
  assertEquals((await service.healthCheck()).healthy, true);
  assertEquals(project.requests.map(({ apikey }) => apikey), [KEYS.publishableKey]);
  assertEquals(service.getPoolStats().totalConnections, service.getConnectionPool().getStats().totalConnections);
  await service.shutdown();
});

Deno.test("SupabaseService.getAdminPool() throws without a secret key, and names the variables", async () => {
  const service = new SupabaseService({ url: "http://127.0.0.1:9", publishableKey: "sb_publishable_b" });
  assertThrows(() => service.getAdminPool(), ConfigError, "SUPABASE_SECRET_KEYS");
  await service.shutdown();
});

Deno.test("SupabaseService.fromEnv() reads the project, its keys and the options of the pools", async () => {
  const service = SupabaseService.fromEnv({
    SUPABASE_URL: "http://127.0.0.1:9",
    SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_c"}',
    SUPABASE_SECRET_KEYS: '{"default":"sb_secret_c"}',
    POOL_MAX_CONNECTIONS: "7",
  });
  assertEquals(service.getConnectionPool().config.maxConnections, 7);
  assertEquals(service.getAdminPool().config.maxConnections, 7);
  await service.shutdown();
  assertThrows(() => SupabaseService.fromEnv({ SUPABASE_URL: "nowhere" }), ConfigError, "SUPABASE_URL");
});

Deno.test("SupabaseService.shutdown() rejects new work at once, is idempotent, and shuts down a later admin pool", async () => {
  const options = { url: "http://127.0.0.1:9", publishableKey: "sb_publishable_d", secretKey: "sb_secret_d" };
  const service = new SupabaseService(options);
  const pool = service.getConnectionPool();
  const closing = service.shutdown();
  assertStrictEquals(service.shutdown(), closing);
  await assertRejects(() => pool.lease(), PoolClosedError);
  await assertRejects(() => service.getAdminPool().lease(), PoolClosedError);
  await closing;

  const next = new SupabaseService(options);
  assertNotStrictEquals(next.getConnectionPool(), pool);
  await next.shutdown();
});
