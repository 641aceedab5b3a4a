import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { CredentialResolver } from "../../shared/supabase/identity.ts";
import { type Identity, IdentityError, SupabaseConnectionPool } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { createRig, PUBLISHABLE, SECRET } from "./support.ts";

const legacy = (role: string) => userToken("", { sub: undefined, role });

Deno.test("SupabaseConnectionPool.lease() sends the publishable key and no bearer token for an anonymous identity", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease();
  await lease.client.from("templates").select();
  const [request] = rig.project.requests;
  assertEquals([request?.apikey, request?.authorization], [PUBLISHABLE, null]);
});

Deno.test("SupabaseConnectionPool.lease() also sends a legacy anon key as the bearer token", async () => {
  const key = legacy("anon");
  await using rig = createRig({}, key);
  assertEquals(rig.pool.kind, "user");
  await using lease = await rig.pool.lease({ identity: "anonymous" });
  await lease.client.from("templates").select();
  const [request] = rig.project.requests;
  assertEquals([request?.apikey, request?.authorization], [key, `Bearer ${key}`]);
});

Deno.test("SupabaseConnectionPool.lease() sends the publishable key and the user's token", async () => {
  await using rig = createRig();
  const token = userToken("alice");
  await using lease = await rig.pool.lease({ identity: { token } });
  await lease.client.from("budgets").select();
  const [request] = rig.project.requests;
  assertEquals([request?.apikey, request?.authorization], [PUBLISHABLE, `Bearer ${token}`]);
});

Deno.test("SupabaseConnectionPool.lease() of an admin pool acts as admin and rejects other identities", async () => {
  await using rig = createRig({}, SECRET);
  assertEquals(rig.pool.kind, "admin");
  await using lease = await rig.pool.lease();
  await lease.client.from("budgets").select();
  assertEquals(rig.project.requests[0]?.apikey, SECRET);
  await assertRejects(() => rig.pool.lease({ identity: { token: userToken("alice") } }), IdentityError);
  await assertRejects(() => rig.pool.lease({ identity: "anonymous" }), IdentityError);
});

Deno.test("SupabaseConnectionPool.kind is admin for a legacy service_role key", async () => {
  await using rig = createRig({}, legacy("service_role"));
  assertEquals(rig.pool.kind, "admin");
});

const past = Math.floor(Date.now() / 1_000) - 1;
const refused: Record<string, unknown> = {
  "admin on a user pool": "admin",
  "an empty token": { token: "" },
  "a token that is not a string": { token: 7 },
  "no token at all": {},
  "null": null,
  "a publishable key": { token: PUBLISHABLE },
  "a secret key": { token: SECRET },
  "a word": { token: "token" },
  "a JWT whose payload is not JSON": { token: "a.b.c" },
  "a JWT whose payload is a list": { token: `a.${btoa("[1]")}.c` },
  "a JWT of four parts": { token: `${userToken("alice")}.x` },
  "a token with a line break": { token: `${userToken("alice")}\nx` },
  "a token with a letter outside base64url": { token: `${userToken("alice")}é` },
  "a token with a blank before it": { token: ` ${userToken("alice")}` },
  "a token whose payload is padded": { token: userToken("alice").replace(/\.(?=[^.]*$)/, "=.") },
  "a token of many kilobytes": { token: userToken("alice", { more: "x".repeat(20_000) }) },
  "a legacy anon key": { token: legacy("anon") },
  "a legacy service_role key": { token: legacy("service_role") },
  "a service_role token with a sub": { token: userToken("alice", { role: "service_role" }) },
  "a token without a role": { token: userToken("alice", { role: undefined }) },
  "a token with an empty sub": { token: userToken("") },
  "a token whose sub is a number": { token: userToken("x", { sub: 1 }) },
  "an expired token": { token: userToken("alice", { exp: past }) },
  "a token without exp": { token: userToken("alice", { exp: undefined }) },
  "a token whose exp is infinite": { token: `e30.${btoa('{"sub":"alice2","role":"authenticated","exp":1e999}')}.c2ln` },
  "a token whose exp is 1e308": { token: userToken("alice", { exp: 1e308 }) },
  "a token whose exp is in ms": { token: userToken("alice", { exp: Date.now() + 3_600_000 }) },
  "a token whose exp is negative": { token: userToken("alice", { exp: -1 }) },
  "a token whose exp is text": { token: userToken("alice", { exp: "9999999999" }) },
};
for (const [what, identity] of Object.entries(refused)) {
  Deno.test(`SupabaseConnectionPool.lease() of a user pool rejects ${what} and takes no slot`, async () => {
    await using rig = createRig();
    const error = await assertRejects(() => rig.pool.lease({ identity: identity as Identity }), IdentityError);
    assertEquals(error.code, "IDENTITY_REFUSED");
    assertEquals(rig.pool.getStats().totalAcquired, 0);
    const token: unknown = identity !== null && typeof identity === "object" ? Reflect.get(identity, "token") : "";
    if (typeof token === "string" && token.length > 5) assertEquals(error.message.includes(token), false);
  });
}

Deno.test("SupabaseConnectionPool.lease() accepts the roles in userRoles", async () => {
  await using rig = createRig({ userRoles: ["authenticated", "editor"] });
  await using lease = await rig.pool.lease({ identity: { token: userToken("alice", { role: "editor" }) } });
  await lease.client.from("budgets").select();
  assertEquals(rig.project.requests.length, 1);
});

Deno.test("CallerScope.lease() rejects other identities than its own", async () => {
  await using rig = createRig();
  const alice = userToken("alice");
  const pool = rig.pool.as({ token: alice });
  await using lease = await pool.lease({ identity: { token: userToken("bob") } });
  await lease.client.from("budgets").select();
  assertEquals(rig.project.requests[0]?.authorization, `Bearer ${alice}`);
});

Deno.test("CallerScope ends with its signal", async () => {
  await using rig = createRig({ maxConnections: 1 });
  const controller = new AbortController();
  const pool = rig.pool.as("anonymous", { signal: controller.signal });
  await using held = await pool.lease();
  rig.project.answer = () => new Promise(() => {});
  const call = held.client.from("templates").select();
  const waiting = pool.lease({ signal: new AbortController().signal });
  const answer = call.then((result) => result);
  controller.abort(new Error("gone"));
  await assertRejects(() => waiting, Error, "aborted by its signal");
  assertEquals((await answer).error?.message, "Error: gone");
  rig.project.answer = () => Response.json([]);
});

Deno.test("CredentialResolver.credentialsFor() rejects a cached token once it expires", () => {
  using time = new FakeTime();
  const identities = new CredentialResolver("user", PUBLISHABLE, ["authenticated"]);
  const token = userToken("alice");
  for (let use = 0; use < 2; use++) assertEquals(identities.credentialsFor({ token }).authorization, `Bearer ${token}`);
  time.tick(3_600_000);
  for (let use = 0; use < 2; use++) assertThrows(() => identities.credentialsFor({ token }), IdentityError, "expired");
});

Deno.test("CredentialResolver.credentialsFor() serves an admitted token until 30 s after its exp", () => {
  let nowMs = Date.now();
  const identities = new CredentialResolver("user", PUBLISHABLE, ["authenticated"], () => nowMs);
  const exp = Math.ceil(nowMs / 1_000) + 60;
  const token = userToken("alice", { exp });
  const serves = (afterMs: number, admitted: boolean) => {
    nowMs = exp * 1_000 + afterMs;
    try {
      return identities.credentialsFor({ token }, undefined, admitted).token === token;
    } catch (error) {
      assertEquals([(error as IdentityError).reason, (error as IdentityError).http.status], ["expired", 401]);
      return false;
    }
  };
  assertEquals([-1, 0, 29_999].map((ms) => serves(ms, false)), [true, false, false]);
  assertEquals([-1, 0, 29_999, 30_000].map((ms) => serves(ms, true)), [true, true, true, false]);
});

Deno.test("SupabaseConnectionPool.as() serves a token that was valid when it was called until 30 s after its exp", async () => {
  let nowMs = Date.now();
  const pool = SupabaseConnectionPool.getInstance("http://127.0.0.1:9/admitted", PUBLISHABLE, {}, {
    wallClock: () => nowMs,
  });
  const exp = Math.ceil(nowMs / 1_000) + 60;
  const token = userToken("alice", { exp });
  const early = pool.as({ token });
  nowMs = exp * 1_000;
  const late = pool.as({ token });
  await assertRejects(() => late.lease(), IdentityError, "expired");
  (await early.lease()).release();
  nowMs += 29_999;
  (await early.lease()).release();
  await assertRejects(() => pool.lease({ identity: { token } }), IdentityError, "expired");
  nowMs++;
  await assertRejects(() => early.lease(), IdentityError, "expired");
  await pool.shutdown();
});

Deno.test("CredentialResolver.credentialsFor() never confuses tokens", () => {
  const identities = new CredentialResolver("user", PUBLISHABLE, ["authenticated"]);
  const good = Array.from({ length: 600 }, (_, n) => userToken(`user-${n}`));
  for (let round = 0; round < 2; round++) {
    for (const token of good) {
      assertEquals(identities.credentialsFor({ token }).token, token);
      // A longer or a shorter token is not cached.
      assertThrows(() => identities.credentialsFor({ token: `${token}.x` }), IdentityError);
      assertThrows(() => identities.credentialsFor({ token: token.slice(0, token.lastIndexOf(".")) }), IdentityError);
    }
  }
  const expired = userToken("alice", { exp: past });
  for (let use = 0; use < 2; use++) {
    assertThrows(() => identities.credentialsFor({ token: expired }), IdentityError, "expired");
  }
});

Deno.test("CredentialResolver caches at most 256 tokens", () => {
  const identities = new CredentialResolver("user", PUBLISHABLE, ["authenticated"]);
  const { set } = Map.prototype;
  let largest = 0;
  Map.prototype.set = function (this: Map<unknown, unknown>, ...entry) {
    const map = Reflect.apply(set, this, entry);
    if (typeof entry[0] === "string") largest = Math.max(largest, this.size);
    return map;
  };
  try {
    for (let n = 0; n < 1_000; n++) identities.credentialsFor({ token: userToken(`user-${n}`) });
  } finally {
    Map.prototype.set = set;
  }
  assertEquals(largest, 256);
});

Deno.test("CredentialResolver.credentialsFor() caches tokens per pool, and no rejected ones", () => {
  const editor = userToken("alice", { role: "editor" });
  const editors = new CredentialResolver("user", PUBLISHABLE, ["editor"]);
  const users = new CredentialResolver("user", PUBLISHABLE, ["authenticated"]);
  assertEquals(editors.credentialsFor({ token: editor }).token, editor);
  for (let use = 0; use < 2; use++) {
    assertThrows(() => users.credentialsFor({ token: editor }), IdentityError, "role");
  }
});
