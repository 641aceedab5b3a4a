import { assertEquals, assertThrows } from "@std/assert";
import { type Caller, VerifiedCaller } from "../../shared/postgres/caller/caller.ts";
import { checkClaims, MAX_CLAIMS_DEPTH } from "../../shared/postgres/caller/claims.ts";
import { CallerError } from "../../shared/postgres/mod.ts";

const EXP = 1_900_000_000;

function callerOf(changes: Record<string, unknown> = {}): Exclude<Caller, string> {
  return { claims: { sub: "alice", role: "authenticated", exp: EXP, ...changes } };
}

Deno.test("VerifiedCaller.check() serves a token until 30 s after its exp, if it was valid at the beginning", () => {
  let nowMs = EXP * 1_000 - 1;
  const clock = () => nowMs;
  const caller = new VerifiedCaller(callerOf(), undefined, clock);
  const passes = (each: VerifiedCaller, atMs: number) => {
    nowMs = atMs;
    try {
      each.check();
      return true;
    } catch (error) {
      assertEquals([(error as CallerError).reason, (error as CallerError).http.status], ["expired", 401]);
      return false;
    }
  };
  assertEquals([0, 1, 29_999, 30_000, 30_001].map((ms) => passes(caller, EXP * 1_000 + ms)), [
    true,
    true,
    true,
    false,
    false,
  ]);
  nowMs = EXP * 1_000;
  assertEquals(passes(new VerifiedCaller(callerOf(), undefined, clock), nowMs), false);
  assertEquals(passes(new VerifiedCaller(callerOf(), { admitted: true }, clock), nowMs), true);
  assertEquals(passes(new VerifiedCaller("anonymous", undefined, clock), Number.MAX_SAFE_INTEGER), true);
});

Deno.test("VerifiedCaller rejects an exp that is not a point in time up to the year 9999", () => {
  for (const exp of [1e308, 1e12, Number.MAX_SAFE_INTEGER, Date.now(), "1900000000", null, undefined, [EXP], -1e300]) {
    const error = assertThrows(() => new VerifiedCaller(callerOf({ exp })), CallerError, "exp claim");
    assertEquals(error.http.status, 500);
  }
  for (const exp of [-1, 0, 0.5]) {
    assertThrows(() => new VerifiedCaller(callerOf({ exp })).check(), CallerError, "expired");
  }
  for (const other of [{ iat: 1e308 }, { nbf: -1e308 }, { iat: "now" }]) {
    new VerifiedCaller(callerOf(other)).check();
  }
});

Deno.test("VerifiedCaller rejects a custom role with 403 and names the alternative", () => {
  const error = assertThrows(() => new VerifiedCaller(callerOf({ role: "editor" })), CallerError, "ctx.supabase");
  assertEquals([error.code, error.reason, error.http.status], ["CALLER_INVALID", "role", 403]);
  assertEquals(JSON.stringify(error.http).includes("editor"), false);
});

/** Claims nested `depth` levels deep in all. */
function nested(depth: number, list = false): Exclude<Caller, string> {
  let inner: unknown = list ? [] : {};
  for (let level = 2; level < depth; level++) inner = list ? [inner] : { 'a]}"\\': inner };
  return callerOf({ user_metadata: inner });
}

Deno.test("checkClaims() encodes claims as deep as a token holds, and rejects deeper ones with 400", () => {
  for (const list of [true, false]) {
    for (const depth of [3_000, MAX_CLAIMS_DEPTH]) {
      const { json } = checkClaims(nested(depth, list));
      assertEquals(json.match(list ? /\[/g : /\{/g)?.length, list ? depth - 1 : depth);
      let inner: unknown = JSON.parse(json).user_metadata;
      let levels = 1;
      for (; typeof inner === "object" && inner !== null; levels++) inner = Object.values(inner)[0];
      assertEquals(levels, depth);
    }
    const error = assertThrows(() => checkClaims(nested(MAX_CLAIMS_DEPTH + 1, list)), CallerError, "nested");
    assertEquals([error.reason, error.http.status], ["claims", 400]);
    assertThrows(() => checkClaims(nested(200_000, list)), CallerError, "nested");
  }
});

Deno.test("checkClaims() encodes claims as JSON.stringify() does, also where that runs out of stack", () => {
  const { claims } = callerOf();
  const mixed = {
    ...claims,
    a: [1, "\u2028", null, true, { "": [] }, 1.5e-7],
    b: undefined,
    c: { d: {}, "e\n": [[]] },
  };
  const stringify = JSON.stringify;
  const expected = stringify(mixed);
  const overflow = (value: unknown) => {
    if (typeof value === "object" && value !== null) throw new RangeError("Maximum call stack size exceeded");
    return stringify(value);
  };
  JSON.stringify = overflow as typeof JSON.stringify;
  try {
    assertEquals(checkClaims({ claims: mixed }).json, expected);
    const circular: Record<string, unknown> = { ...claims };
    circular["self"] = circular;
    for (const bad of [circular, { ...claims, big: 1n }, 5, undefined]) {
      assertThrows(() => checkClaims({ claims: bad }), CallerError, "verified token");
    }
  } finally {
    JSON.stringify = stringify;
  }
});
