import { assert, assertEquals, assertRejects } from "@std/assert";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { ViewRestrictedError } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { rig, SECRET } from "./support.ts";

const alice = userToken("alice");
const bob = userToken("bob");

/** A signing key, as a project publishes it, and a token made with it. */
async function signer() {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const kid = crypto.randomUUID();
  const jwk = { ...await exportJWK(publicKey), kid, alg: "ES256", use: "sig", key_ops: ["verify"] };
  const token = await new SignJWT({ role: "authenticated" }).setSubject("alice").setIssuedAt()
    .setProtectedHeader({ alg: "ES256", kid, typ: "JWT" }).setExpirationTime("1h").sign(privateKey);
  return { jwk, token };
}

Deno.test("auth.getUser tells the lease's own user, and no other", async () => {
  await using made = rig();
  made.project.answer = () => Response.json({ id: "alice" });
  await using lease = await made.pool.lease({ identity: { token: alice } });
  const { data } = await lease.client.auth.getUser();
  assertEquals(data.user?.id, "alice");
  assertEquals(made.project.requests[0]?.authorization, `Bearer ${alice}`);
  await assertRejects(() => lease.client.auth.getUser(bob), ViewRestrictedError);
});

Deno.test("auth.admin works on an admin lease", async () => {
  await using made = rig({}, SECRET);
  made.project.answer = () => Response.json({ id: "alice" });
  await using lease = await made.pool.lease();
  const { data } = await lease.client.auth.admin.getUserById("6f2c9e0a-0000-4000-8000-000000000000");
  assertEquals(data.user?.id, "alice");
  assertEquals(made.project.requests[0]?.apikey, SECRET);
});

Deno.test("auth.getClaims verifies with the keys of its own project only", async () => {
  const [a, b] = await Promise.all([signer(), signer()]);
  await using first = rig({}, SECRET);
  await using second = rig({}, SECRET);
  first.project.answer = () => Response.json({ keys: [a.jwk] });
  second.project.answer = ({ url }) =>
    url.endsWith("jwks.json") ? Response.json({ keys: [b.jwk] }) : Response.json({ message: "no" }, { status: 403 });
  await using ofFirst = await first.pool.lease();
  await using ofSecond = await second.pool.lease();
  assertEquals((await ofFirst.client.auth.getClaims(a.token)).data?.claims.sub, "alice");
  assert((await ofSecond.client.auth.getClaims(a.token)).error, "verified with another project's key");
  assertEquals((await ofSecond.client.auth.getClaims(b.token)).error, null);
});

Deno.test("auth.getClaims asks a project for its keys once, whoever leases", async () => {
  const { jwk, token } = await signer();
  await using made = rig();
  made.project.answer = () => Response.json({ keys: [jwk] });
  for (let time = 0; time < 2; time++) {
    await using lease = await made.pool.lease({ identity: { token } });
    assertEquals((await lease.client.auth.getClaims()).data?.claims.sub, "alice");
  }
  assertEquals(made.project.requests.map(({ path }) => path), ["/auth/v1/.well-known/jwks.json"]);
});

Deno.test("auth.getClaims tells of the lease's own token, and of no other", async () => {
  await using made = rig();
  await using lease = await made.pool.lease({ identity: { token: alice } });
  await assertRejects(() => lease.client.auth.getClaims(bob), ViewRestrictedError);
  await using nobody = await made.pool.lease();
  await assertRejects(() => nobody.client.auth.getClaims(alice), ViewRestrictedError);
  assertEquals((await nobody.client.auth.getClaims()).data, null);
  assertEquals(made.project.requests.length, 0);
});
