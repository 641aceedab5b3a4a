/** Which tokens are remembered, for how long, and that none is taken for another. */
import { assert, assertEquals } from "@std/assert";
import type { AuthResult } from "@supabase/server";
import fc from "fast-check";
import { MAX_REMEMBERED_LENGTH, MAX_REMEMBERED_TOKENS, TokenMemory } from "../../shared/http/auth/token_memory.ts";

const KEYS = { name: "keys" };
const START_MS = 1_800_000_000_000;

const authOf = (token: string): AuthResult => ({
  authMode: "user",
  token,
  userClaims: null,
  jwtClaims: null,
  keyName: null,
});

function setUp(rememberMs = 60_000) {
  const clock = { nowMs: START_MS };
  const memory = new TokenMemory({ rememberMs, now: () => clock.nowMs });
  return {
    clock,
    memory,
    remember: (token: string, expMs = Infinity, keys: object = KEYS) =>
      memory.remember(token, keys, authOf(token), expMs),
    knows: (token: string, keys: object = KEYS) => memory.recall(token, (by) => by === keys)?.token === token,
  };
}

Deno.test("a token is remembered for its time, to the instant", () => {
  for (const [rememberMs, expMs, untilMs] of [[60_000, Infinity, 60_000], [60_000, 5_000, 5_000], [10, 99, 10]]) {
    const { clock, remember, knows } = setUp(rememberMs);
    remember("a", START_MS + (expMs ?? 0));
    clock.nowMs = START_MS + (untilMs ?? 0) - 1;
    assertEquals([knows("a"), knows("b")], [true, false]);
    clock.nowMs++;
    assertEquals(knows("a"), false);
    clock.nowMs -= 5;
    assertEquals(knows("a"), false, "what was forgotten stays forgotten");
  }
});

Deno.test("no time is longer than a minute, and looking at a token does not lengthen its time", () => {
  const { clock, remember, knows } = setUp(3_600_000);
  remember("a");
  for (let i = 0; i < 6; i++, clock.nowMs += 10_000) assert(knows("a"));
  assertEquals(knows("a"), false);
});

Deno.test("a clock that was set back forgets: nobody knows how long ago that was", () => {
  const { clock, remember, knows } = setUp();
  remember("a");
  clock.nowMs--;
  assertEquals(knows("a"), false);
});

Deno.test("what has expired, or never says when, is not remembered", () => {
  const { remember, memory } = setUp();
  for (const expMs of [START_MS, START_MS - 1, NaN, -Infinity]) remember("a", expMs);
  assertEquals(memory.size, 0);
});

Deno.test("with another key set, or none of time, nothing is known", () => {
  const { remember, knows, memory } = setUp();
  remember("a");
  assertEquals([knows("a", { name: "keys" }), knows("a")], [false, false]);
  assertEquals(memory.size, 0);
  const off = setUp(0);
  off.remember("a");
  assertEquals([off.memory.on, off.memory.size], [false, 0]);
});

Deno.test("it is bounded in tokens and in bytes; the one unused for longest goes", () => {
  const { clock, remember, knows, memory } = setUp();
  for (let i = 0; i < MAX_REMEMBERED_TOKENS; i++) remember(`t${i}`);
  clock.nowMs += 1_000; // uses are told apart by the second
  assert(knows("t0"));
  remember("one more");
  assertEquals([memory.size, knows("t0"), knows("t1"), knows("one more")], [MAX_REMEMBERED_TOKENS, true, false, true]);
  remember("t0");
  assertEquals(memory.size, MAX_REMEMBERED_TOKENS, "the same one again takes no place");
  remember("x".repeat(MAX_REMEMBERED_LENGTH));
  assertEquals(memory.size, MAX_REMEMBERED_TOKENS);
  remember("y".repeat(MAX_REMEMBERED_LENGTH + 1));
  assert(knows("x".repeat(MAX_REMEMBERED_LENGTH)) && !knows("y".repeat(MAX_REMEMBERED_LENGTH + 1)));
});

/** Tokens that differ little: in case, in their last character, in what stands before a dot, in length. */
const token = fc.tuple(fc.constantFrom("a.b.", "a.b", "A.b.", "__proto__", ""), fc.constantFrom("x", "y", "X", "x="))
  .map((parts) => parts.join(""));
const step = fc.oneof(
  fc.record({ remember: token, keys: fc.nat(1), expMs: fc.integer({ min: -2_000, max: 120_000 }) }),
  fc.record({ recall: token, keys: fc.nat(1) }),
  fc.record({ wait: fc.integer({ min: -1_000, max: 40_000 }) }),
);

Deno.test("two tokens are never confused, whatever was remembered when", () => {
  const keySets = [{ name: "old" }, { name: "new" }];
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { clock, memory } = setUp();
      const model = new Map<string, { auth: AuthResult; keys: number; fromMs: number; untilMs: number }>();
      for (const each of steps) {
        if ("wait" in each) clock.nowMs += each.wait;
        else if ("remember" in each) {
          const auth = authOf(each.remember);
          const keys = keySets[each.keys] ?? KEYS;
          memory.remember(each.remember, keys, auth, clock.nowMs + each.expMs);
          if (each.expMs <= 0) continue;
          const untilMs = clock.nowMs + Math.min(each.expMs, 60_000);
          model.set(each.remember, { auth, keys: each.keys, fromMs: clock.nowMs, untilMs });
        } else {
          const known = model.get(each.recall);
          const valid = known && known.keys === each.keys && clock.nowMs >= known.fromMs &&
            clock.nowMs < known.untilMs;
          const got = memory.recall(each.recall, (by) => by === keySets[each.keys]);
          assert(got === (valid ? known.auth : undefined));
          if (!valid) model.delete(each.recall);
        }
      }
    }),
    { numRuns: 2_000, seed: 1 },
  );
});
