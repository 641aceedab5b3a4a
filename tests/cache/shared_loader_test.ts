/** A loader of the shared cache cannot act for a signed-in caller; that of a caller's own cache can. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { AsyncLocalStorage } from "node:async_hooks";
import { LayeredCache, SharedLoaderError } from "../../shared/cache/mod.ts";
import { VerifiedCaller } from "../../shared/postgres/caller/caller.ts";
import { SupabaseConnectionPool } from "../../shared/mod.ts";
import { startFakeProject, userToken } from "../support/fake_project.ts";

const context = { jwtClaims: { sub: "a" }, authMode: "user" };

Deno.test("getOrLoad() of the shared cache rejects with SharedLoaderError when its loader uses a caller's client", async () => {
  await using project = startFakeProject();
  const pool = SupabaseConnectionPool.getInstance(project.url, "sb_publishable_x");
  using cache = new LayeredCache();
  {
    await using scope = pool.scope({ identity: { token: userToken("a") } });
    await using anonymous = pool.scope();
    const client = scope.client();
    const loaders: Record<string, () => Promise<unknown>> = {
      "whose error is a value": async () => (await client.from("budgets").select()).data,
      "that is thrown": async () => (await client.from("budgets").select().throwOnError()).data,
      "in a nested load": () => cache.forUser(context).getOrLoad("nested", () => 1),
    };
    for (const [name, loader] of Object.entries(loaders)) {
      await assertRejects(() => cache.getOrLoad(name, loader), SharedLoaderError, "forUser");
      assertEquals(await cache.exists(name), false);
    }
    assertEquals(project.requests.length, 0);
    // Outside of a shared loader, and for what everyone may see, the clients work.
    const own = await cache.forUser(context).getOrLoad("own", async () => (await client.from("budgets").select()).data);
    const shared = await cache.getOrLoad(
      "shared",
      async () => (await anonymous.client().from("categories").select()).data,
    );
    assertEquals([own, shared, project.requests.length], [[], [], 2]);
  }
  await pool.shutdown();
});

Deno.test("VerifiedCaller.check() throws in a shared loader for a user, and not for an anonymous caller", async () => {
  using cache = new LayeredCache();
  const exp = Math.floor(Date.now() / 1_000) + 60;
  const user = new VerifiedCaller({ claims: { sub: crypto.randomUUID(), role: "authenticated", exp } });
  const anonymous = new VerifiedCaller("anonymous");
  user.check();
  await cache.getOrLoad("anonymous", () => anonymous.check());
  await assertRejects(() => cache.getOrLoad("user", () => user.check()), SharedLoaderError);
  await cache.forUser(context).getOrLoad("user", () => user.check());
});

Deno.test("a shared loader runs outside of the async context of the request that is first; a caller's own in it", async () => {
  using cache = new LayeredCache();
  const request = new AsyncLocalStorage<string>();
  await request.run("first", async () => {
    assertEquals(await cache.getOrLoad("shared", () => request.getStore()), undefined);
    assertEquals(await cache.forUser(context).getOrLoad("own", () => request.getStore()), "first");
  });
});

Deno.test("runSharedLoader() leaves the context of a request that was the first to load the cache", async () => {
  const request = new AsyncLocalStorage<string>();
  const url = new URL("../../shared/cache/loader_scope.ts?loaded_by_a_request", import.meta.url).href;
  const { runSharedLoader }: typeof import("../../shared/cache/loader_scope.ts") = await request.run(
    "first",
    () => import(url),
  );
  assertEquals(await request.run("second", () => runSharedLoader(() => request.getStore())), undefined);
});

Deno.test("forUser() reads and writes nothing in a shared loader", async () => {
  using cache = new LayeredCache();
  const own = cache.forUser(context);
  await own.set("secret", "a's");
  const calls: (() => Promise<unknown>)[] = [
    () => own.get("secret"),
    () => own.mget(["secret"]),
    () => own.exists("secret"),
    () => own.set("secret", 1),
    () => own.mset({ secret: 1 }),
    () => own.delete("secret"),
    () => own.increment("n"),
    () => own.publish("c", 1),
    () => own.subscribe("c", () => {}),
  ];
  for (const [index, call] of calls.entries()) {
    // The violation counts even if the loader ignores it.
    await assertRejects(() => cache.getOrLoad(`k:${index}`, () => call().catch(() => "ignored")), SharedLoaderError);
  }
  assertEquals(await own.get("secret"), "a's");
  assert(
    assertThrows(() => {
      throw new SharedLoaderError();
    }, SharedLoaderError).code === "CACHE_SHARED_LOADER",
  );
});
