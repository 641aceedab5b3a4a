/** Tests that `withPooledSupabase` and `withSupabase` respond to the same requests in the same way. */
import { assertEquals } from "@std/assert";
import { withSupabase, type WithSupabaseConfig } from "@supabase/server";
import { withPooledSupabase } from "../support/http.ts";
import { FakePools, URL_OF_PROJECT } from "./fake_pools.ts";
import { createProjectKey, sharedSecretToken, unsignedToken } from "./tokens.ts";

const project = await createProjectKey();
const stranger = await createProjectKey("key-1");

const env = {
  url: URL_OF_PROJECT,
  publishableKeys: { default: "sb_publishable_default", web: "sb_publishable_web" },
  secretKeys: { default: "sb_secret_default", jobs: "sb_secret_jobs" },
  jwks: project.jwks,
};

/** The part of the context that both handlers return. */
interface Seen {
  userClaims: unknown;
  jwtClaims: unknown;
  authMode: string;
  authKeyName?: string | undefined;
}
const tell = (_request: Request, { userClaims, jwtClaims, authMode, authKeyName }: Seen) =>
  Promise.resolve(Response.json({ userClaims, jwtClaims, authMode, authKeyName }, { headers: { "X-Mine": "1" } }));

const OURS = ["x-pool-total-connections", "x-pool-active-connections", "x-pool-idle-connections"]
  .concat(["x-pool-waiting-requests", "x-pool-limit", "server-timing"]);

/** Headers that a preflight gets besides those of `withSupabase`. */
const OF_PREFLIGHTS = ["access-control-allow-headers", "access-control-max-age", "vary"];

/**
 * Returns a response without the headers that the pool adds, and without their names in the exposed headers. Those that
 * only a preflight gets are tested in `cors_test.ts`.
 */
async function describe(response: Response) {
  const headers = Object.fromEntries(response.headers);
  for (const name of response.status === 204 ? [...OURS, ...OF_PREFLIGHTS] : OURS) delete headers[name];
  const exposed = (headers["access-control-expose-headers"] ?? "").split(",").map((name) => name.trim())
    .filter((name) => name !== "" && !OURS.includes(name.toLowerCase()));
  delete headers["access-control-expose-headers"];
  const text = await response.text();
  return { status: response.status, headers, exposed, body: text === "" ? null : JSON.parse(text) };
}

type Options = Pick<WithSupabaseConfig, "auth" | "allow" | "cors" | "errors" | "audience" | "issuer" | "env">;

const OPTIONS: Record<string, Options> = {
  "user": { auth: "user" },
  "nothing given": {},
  "publishable": { auth: "publishable" },
  "publishable:web": { auth: "publishable:web" },
  "publishable:*": { auth: "publishable:*" },
  "publishable:absent": { auth: "publishable:absent" },
  "secret": { auth: "secret" },
  "secret:jobs": { auth: "secret:jobs" },
  "secret:*": { auth: "secret:*" },
  "none": { auth: "none" },
  "user, publishable": { auth: ["user", "publishable"] },
  "publishable, user": { auth: ["publishable", "user"] },
  "secret:*, user, none": { auth: ["secret:*", "user", "none"] },
  "short errors": { auth: ["user", "secret"], errors: { detailed: false } },
  "no CORS": { auth: "user", cors: "disabled" },
  "CORS of one's own": {
    auth: "user",
    cors: { headers: { "Access-Control-Allow-Origin": "https://app.test", "Access-Control-Expose-Headers": "X-Mine" } },
  },
  "CORS, the older way": { auth: "user", cors: true },
  "no CORS, the older way": { auth: "user", cors: false },
  "CORS of one's own, the older way": { auth: "user", cors: { "Access-Control-Allow-Origin": "https://app.test" } },
  "modes, the older way": { allow: ["secret", "user"] },
  "modes, both ways": { allow: "none", auth: "user" },
  "audience and issuer": { auth: "user", audience: "authenticated", issuer: `${URL_OF_PROJECT}/auth/v1` },
  "another audience": { auth: "user", audience: ["elsewhere"] },
  "another issuer": { auth: ["user", "none"], issuer: "https://elsewhere.test" },
  "an empty audience": { auth: "user", audience: [] },
  "no keys of that kind": { auth: ["secret", "user"], env: { ...env, secretKeys: {} } },
};

const user = await project.sign();
const REQUESTS: Record<string, HeadersInit> = {
  "no credentials": {},
  "a user": { Authorization: `Bearer ${user}` },
  "a user with the publishable key": { Authorization: `Bearer ${user}`, apikey: "sb_publishable_default" },
  "the publishable key": { apikey: "sb_publishable_default" },
  "the publishable key twice, as supabase-js sends it": {
    Authorization: "Bearer sb_publishable_default",
    apikey: "sb_publishable_default",
  },
  "the publishable key in the wrong header": { Authorization: "Bearer sb_publishable_default" },
  "the web key": { apikey: "sb_publishable_web" },
  "the secret key": { apikey: "sb_secret_default" },
  "the jobs key": { apikey: "sb_secret_jobs" },
  "the secret key and a user": { Authorization: `Bearer ${user}`, apikey: "sb_secret_jobs" },
  "an unknown key": { apikey: "sb_publishable_unknown" },
  "an odd key": { apikey: "password" },
  "a legacy key": { apikey: await sharedSecretToken({ sub: undefined, role: "anon" }) },
  "an empty key": { apikey: "" },
  "an expired user": { Authorization: `Bearer ${await project.sign({ exp: 1 })}` },
  "an expired user with the publishable key": {
    Authorization: `Bearer ${await project.sign({ exp: 1 })}`,
    apikey: "sb_publishable_default",
  },
  "a user from the future": { Authorization: `Bearer ${await project.sign({ nbf: 4_000_000_000 })}` },
  "a stranger's signature": { Authorization: `Bearer ${await stranger.sign()}` },
  "an unknown kid": { Authorization: `Bearer ${await project.sign({}, { kid: "other" })}` },
  "no sub": { Authorization: `Bearer ${await project.sign({ sub: undefined })}` },
  "a sub that is no text": { Authorization: `Bearer ${await project.sign({ sub: 7 })}` },
  "no signature": { Authorization: `Bearer ${unsignedToken({}, { kid: "key-1" })}` },
  "HS256 without kid": { Authorization: `Bearer ${await sharedSecretToken()}` },
  "HS256 with an unknown kid": { Authorization: `Bearer ${await sharedSecretToken({}, { kid: "key-1" })}` },
  "HS512 with a known kid": { Authorization: `Bearer ${await sharedSecretToken({}, { alg: "HS512", kid: "key-1" })}` },
  "a token that is none": { Authorization: "Bearer not-a-token" },
  "a token of odd parts": { Authorization: "Bearer e30.e30.e30" },
  "an empty token": { Authorization: "Bearer " },
  "blanks for a token": { Authorization: "Bearer    " },
  "another scheme": { Authorization: "Basic dXNlcjpwYXNz" },
  "a scheme in lower case": { Authorization: `bearer ${user}` },
  "a token without a scheme": { Authorization: user },
};

for (const [name, options] of Object.entries(OPTIONS)) {
  const theirs = withSupabase({ env, ...options }, tell);
  const ours = withPooledSupabase(
    { env, variables: {}, service: new FakePools(), log: () => {}, ...options as { auth?: "user" } },
    tell,
  );
  Deno.test(`withPooledSupabase() responds as withSupabase() does: ${name}`, async (t) => {
    for (const [request, headers] of Object.entries(REQUESTS)) {
      for (const method of request === "no credentials" ? ["GET", "OPTIONS"] : ["GET"]) {
        await t.step(`${method}, ${request}`, async () => {
          const make = () => new Request("https://x.test/f", { method, headers });
          assertEquals(await describe(await ours(make())), await describe(await theirs(make())));
        });
      }
    }
  });
}
