/** The cache of verified tokens. */
import { assert, assertEquals } from "@std/assert";
import type { AuthResult } from "@supabase/server";
import fc from "fast-check";
import {
  MAX_CACHED_LENGTH,
  MAX_CACHED_TOKENS,
  VerifiedTokenCache,
} from "../../shared/http/auth/verified_token_cache.ts";

const KEYS = { name: "keys" };
const START_MS = 1_800_000_000_000;

const authOf = (token: string): AuthResult => ({
  authMode: "user",
  token,
  userClaims: null,
  jwtClaims: null,
  keyName: null,
});

function setUp(maxAgeMs = 60_000) {
  const clock = { nowMs: START_MS };
  const cache = new VerifiedTokenCache(maxAgeMs, () => clock.nowMs);
  return {
    clock,
    cache,
    set: (token: string, expMs = Infinity, keys: object = KEYS) => cache.set(token, keys, authOf(token), expMs),
    has: (token: string, keys: object = KEYS) => cache.get(token, (by) => by === keys)?.token === token,
  };
}

Deno.test("VerifiedTokenCache.get() returns a token until its time or its exp has passed, to the instant", () => {
  for (const [maxAgeMs, expMs, untilMs] of [[60_000, Infinity, 60_000], [60_000, 5_000, 5_000], [10, 99, 10]]) {
    const { clock, set, has } = setUp(maxAgeMs);
    set("a", START_MS + (expMs ?? 0));
    clock.nowMs = START_MS + (untilMs ?? 0) - 1;
    assertEquals([has("a"), has("b")], [true, false]);
    clock.nowMs++;
    assertEquals(has("a"), false);
    clock.nowMs -= 5;
    assertEquals(has("a"), false, "a dropped token stays dropped");
  }
});

Deno.test("VerifiedTokenCache caches for a minute at most, and get() does not extend it", () => {
  const { clock, set, has } = setUp(3_600_000);
  set("a");
  for (let i = 0; i < 6; i++, clock.nowMs += 10_000) assert(has("a"));
  assertEquals(has("a"), false);
});

Deno.test("VerifiedTokenCache.get() drops a token when the clock was set back, since its age is unknown", () => {
  const { clock, set, has } = setUp();
  set("a");
  clock.nowMs--;
  assertEquals(has("a"), false);
});

Deno.test("VerifiedTokenCache.set() ignores a token that has expired or has no valid exp", () => {
  const { set, cache } = setUp();
  for (const expMs of [START_MS, START_MS - 1, NaN, -Infinity]) set("a", expMs);
  assertEquals(cache.size, 0);
});

Deno.test("VerifiedTokenCache.get() returns nothing for another key set, and nothing with maxAgeMs 0", () => {
  const { set, has, cache } = setUp();
  set("a");
  assertEquals([has("a", { name: "keys" }), has("a")], [false, false]);
  assertEquals(cache.size, 0);
  const off = setUp(0);
  off.set("a");
  assertEquals([off.cache.enabled, off.cache.size], [false, 0]);
});

Deno.test("VerifiedTokenCache is bounded in tokens and in bytes, and evicts the least recently used token", () => {
  const { clock, set, has, cache } = setUp();
  for (let i = 0; i < MAX_CACHED_TOKENS; i++) set(`t${i}`);
  clock.nowMs += 1_000; // the order of use is kept to the second
  assert(has("t0"));
  set("one more");
  assertEquals([cache.size, has("t0"), has("t1"), has("one more")], [MAX_CACHED_TOKENS, true, false, true]);
  set("t0");
  assertEquals(cache.size, MAX_CACHED_TOKENS, "the same token again evicts none");
  set("x".repeat(MAX_CACHED_LENGTH));
  assertEquals(cache.size, MAX_CACHED_TOKENS);
  set("y".repeat(MAX_CACHED_LENGTH + 1));
  assert(has("x".repeat(MAX_CACHED_LENGTH)) && !has("y".repeat(MAX_CACHED_LENGTH + 1)));
});

/** Tokens that differ little: in case, in their last character, in what stands before a dot, in length. */
const token = fc.tuple(fc.constantFrom("a.b.", "a.b", "A.b.", "__proto__", ""), fc.constantFrom("x", "y", "X", "x="))
  .map((parts) => parts.join(""));
const step = fc.oneof(
  fc.record({ set: token, keys: fc.nat(1), expMs: fc.integer({ min: -2_000, max: 120_000 }) }),
  fc.record({ get: token, keys: fc.nat(1) }),
  fc.record({ wait: fc.integer({ min: -1_000, max: 40_000 }) }),
);

Deno.test("VerifiedTokenCache.get() never returns the identity of another token", () => {
  const keySets = [{ name: "old" }, { name: "new" }];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const { clock, cache } = setUp();
      const model = new Map<string, { auth: AuthResult; keys: number; fromMs: number; untilMs: number }>();
      for (const each of steps) {
        if ("wait" in each) clock.nowMs += each.wait;
        else if ("set" in each) {
          const auth = authOf(each.set);
          const keys = keySets[each.keys] ?? KEYS;
          cache.set(each.set, keys, auth, clock.nowMs + each.expMs);
          if (each.expMs <= 0) continue;
          const untilMs = clock.nowMs + Math.min(each.expMs, 60_000);
          model.set(each.set, { auth, keys: each.keys, fromMs: clock.nowMs, untilMs });
        } else {
          const known = model.get(each.get);
          const valid = known && known.keys === each.keys && clock.nowMs >= known.fromMs &&
            clock.nowMs < known.untilMs;
          const got = cache.get(each.get, (by) => by === keySets[each.keys]);
          assert(got === (valid ? known.auth : undefined));
          if (!valid) model.delete(each.get);
        }
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
});
