import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { CacheConfigError, CacheKeyError, type CallerContext, LayeredCache } from "../../shared/cache/mod.ts";
import { identityOf } from "../../shared/cache/identity.ts";
import { redisNames, sharedKey, userKey } from "../../shared/cache/keys.ts";

const user = (claims: Record<string, unknown>): CallerContext => ({
  jwtClaims: Object.freeze({ role: "authenticated", ...claims }),
  authMode: "user",
});

Deno.test("sharedKey(), userKey() and redisNames() give two different keys no common name, whatever they contain", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "grapheme" }),
    fc.constantFrom("", "~", "~s:", "~u:", ":", "::", "a:b", "~u:me:", "~u:me:x", "~s:~u:me:x", "l:", "v:", "\0", "*"),
    fc.tuple(fc.constantFrom("~u:", "~s:", ":", "cache:v:"), fc.string()).map((parts) => parts.join("")),
  );
  const owner = fc.constantFrom<string | undefined>(undefined, "me", "other", "m", "e");
  const names = redisNames("cache");
  const nameOf = (who: string | undefined, key: string) => who === undefined ? sharedKey(key) : userKey(who)(key);
  fc.assert(
    fc.property(owner, text, owner, text, (who, key, whose, other) => {
      // A user who knows the names of keys sends one.
      assertNotEquals(sharedKey(userKey("me")(key)), userKey("me")(key));
      if (who === whose && key === other) return;
      const [one, two] = [nameOf(who, key), nameOf(whose, other)];
      assertNotEquals(one, two);
      assertEquals(new Set([one, two].flatMap((name) => [names.value(name), names.lock(name)])).size, 4);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("redisNames() rejects names with which two caches could share keys", () => {
  for (const name of ["", "a:b", "a b", "a*", "\u00e4", "x".repeat(65)]) {
    assertThrows(() => redisNames(name), CacheConfigError);
  }
});

Deno.test("identityOf() tells apart what a policy can tell apart, and no two tokens of one session", () => {
  const one = identityOf(user({ sub: "a", session_id: "s", exp: 1, iat: 1 }));
  assert(/^[\w-]+$/.test(one));
  assertEquals(identityOf(user({ iat: 2, exp: 2, session_id: "s", jti: "x", sub: "a" })), one);
  const others = [
    user({ sub: "b", session_id: "s" }),
    user({ sub: "a", session_id: "t" }),
    user({ sub: "a", session_id: "s", role: "editor" }),
    user({ sub: "a", session_id: "s", aal: "aal2" }),
    user({ sub: "a", session_id: "s", app_metadata: { org: 1 } }),
    user({ sub: "a", session_id: "s", app_metadata: { org: 2 } }),
    user({ sub: "a", session_id: "s", app_metadata: [["org", 1]] }),
    { jwtClaims: null, authMode: "none" },
    { jwtClaims: null, authMode: "publishable", authKeyName: "default" },
    { jwtClaims: null, authMode: "secret", authKeyName: "default" },
    { jwtClaims: null, authMode: "secret" },
  ].map(identityOf);
  assertEquals(new Set([one, ...others]).size, others.length + 1);
});

Deno.test("LayeredCache.forUser() rejects a context without an identity", () => {
  using cache = new LayeredCache();
  for (
    const ctx of [{}, { jwtClaims: null, authMode: "user" }, { jwtClaims: {}, authMode: "user" }, {
      jwtClaims: { sub: "" },
    }]
  ) {
    assertThrows(() => cache.forUser(ctx as unknown as CallerContext), CacheKeyError);
  }
});

Deno.test("LayeredCache.forUser() keeps callers and the shared cache apart, in memory and on channels", async () => {
  using cache = new LayeredCache();
  const [a, b] = [cache.forUser(user({ sub: "a" })), cache.forUser(user({ sub: "b" }))];
  await cache.set("x", "shared");
  await a.set("x", "a's");
  await b.mset({ x: "b's" });
  assertEquals([await cache.get("x"), await a.get("x"), await b.get("x")], ["shared", "a's", "b's"]);
  assertEquals(await a.mget(["x", "y"]), ["a's", undefined]);
  await a.delete("x");
  assertEquals([await cache.exists("x"), await a.exists("x"), await b.exists("x")], [true, false, true]);
  assertEquals([await a.increment("n"), await b.increment("n", 5), await cache.increment("n", 7)], [1, 5, 7]);
  const received: unknown[] = [];
  using _subscription = await b.subscribe("c", (message, channel) => received.push(channel, message));
  await a.publish("c", "of a");
  await cache.publish("c", "of all");
  await b.publish("c", "of b");
  assertEquals(received, ["c", "of b"]);
  await a.set("t", 1, { tags: ["posts"] });
  await cache.invalidateTags(["posts"]);
  assertEquals(await a.get("t"), undefined);
});

Deno.test("LayeredCache rejects keys that are not well-formed texts of at most 1,024 characters", async () => {
  using cache = new LayeredCache();
  for (const key of [undefined, null, 1, {}, "x".repeat(1_025), "\ud800", "a\udc00b"]) {
    for (const call of ["get", "set", "delete", "exists", "increment", "getOrLoad", "publish"] as const) {
      await assertRejects(
        () => Promise.resolve((cache[call] as (...args: unknown[]) => unknown)(key, () => 1)),
        CacheKeyError,
      );
    }
  }
  const longest = "x".repeat(1_024);
  for (const view of [cache, cache.forUser(user({ sub: "a" }))]) {
    for (const key of [longest, `~${longest.slice(1)}`]) {
      await view.set(key, 1);
      assertEquals([await view.getOrLoad(key, () => 2), await view.exists(key), await view.delete(key)], [
        1,
        true,
        true,
      ]);
      assertEquals([await view.increment(key), await view.getOrLoad(key, () => 2)], [1, 1]);
    }
    await assertRejects(() => view.get(`${longest}x`), CacheKeyError);
  }
  await cache.set("", "empty");
  assertEquals(await cache.get(""), "empty");
});
