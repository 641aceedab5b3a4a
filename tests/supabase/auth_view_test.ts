import { assert, assertEquals, assertRejects } from "@std/assert";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { ViewRestrictedError } from "../../shared/supabase/mod.ts";
import { userToken } from "../support/fake_project.ts";
import { createRig, SECRET } from "./support.ts";

const alice = userToken("alice");
const bob = userToken("bob");

/** Creates a signing key, as a project publishes it, and a token signed with it. */
async function signer() {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const kid = crypto.randomUUID();
  const jwk = { ...await exportJWK(publicKey), kid, alg: "ES256", use: "sig", key_ops: ["verify"] };
  const token = await new SignJWT({ role: "authenticated" }).setSubject("alice").setIssuedAt()
    .setProtectedHeader({ alg: "ES256", kid, typ: "JWT" }).setExpirationTime("1h").sign(privateKey);
  return { jwk, token };
}

Deno.test("auth.getUser() returns the lease's own user, and rejects another token", async () => {
  await using rig = createRig();
  rig.project.answer = () => Response.json({ id: "alice" });
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const { data } = await lease.client.auth.getUser();
  assertEquals(data.user?.id, "alice");
  assertEquals(rig.project.requests[0]?.authorization, `Bearer ${alice}`);
  await assertRejects(() => lease.client.auth.getUser(bob), ViewRestrictedError);
});

Deno.test("auth.admin sends the secret key on an admin lease", async () => {
  await using rig = createRig({}, SECRET);
  rig.project.answer = () => Response.json({ id: "alice" });
  await using lease = await rig.pool.lease();
  const { data } = await lease.client.auth.admin.getUserById("6f2c9e0a-0000-4000-8000-000000000000");
  assertEquals(data.user?.id, "alice");
  assertEquals(rig.project.requests[0]?.apikey, SECRET);
});

Deno.test("auth.getClaims() verifies with the keys of its own project only", async () => {
  const [a, b] = await Promise.all([signer(), signer()]);
  await using first = createRig({}, SECRET);
  await using second = createRig({}, SECRET);
  first.project.answer = () => Response.json({ keys: [a.jwk] });
  second.project.answer = ({ url }) =>
    url.endsWith("jwks.json") ? Response.json({ keys: [b.jwk] }) : Response.json({ message: "no" }, { status: 403 });
  await using ofFirst = await first.pool.lease();
  await using ofSecond = await second.pool.lease();
  assertEquals((await ofFirst.client.auth.getClaims(a.token)).data?.claims.sub, "alice");
  assert((await ofSecond.client.auth.getClaims(a.token)).error, "verified with another project's key");
  assertEquals((await ofSecond.client.auth.getClaims(b.token)).error, null);
});

Deno.test("auth.getClaims() fetches the keys of a project once for all leases", async () => {
  const { jwk, token } = await signer();
  await using rig = createRig();
  rig.project.answer = () => Response.json({ keys: [jwk] });
  for (let time = 0; time < 2; time++) {
    await using lease = await rig.pool.lease({ identity: { token } });
    assertEquals((await lease.client.auth.getClaims()).data?.claims.sub, "alice");
  }
  assertEquals(rig.project.requests.map(({ path }) => path), ["/auth/v1/.well-known/jwks.json"]);
});

Deno.test("auth.getClaims() returns the claims of the lease's own token, and rejects another token", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  await assertRejects(() => lease.client.auth.getClaims(bob), ViewRestrictedError);
  await using anonymous = await rig.pool.lease();
  await assertRejects(() => anonymous.client.auth.getClaims(alice), ViewRestrictedError);
  assertEquals((await anonymous.client.auth.getClaims()).data, null);
  assertEquals(rig.project.requests.length, 0);
});

Deno.test("auth of a view can be awaited and inspected, as a plain object", async () => {
  await using rig = createRig();
  await using lease = await rig.pool.lease({ identity: { token: alice } });
  const { auth } = lease.client;
  assert(await auth === auth);
  assertEquals(String(Object.prototype.toString.call(auth)), "[object Object]");
});
