import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from "jose";
import { Credentials } from "../../local/auth/credentials.ts";
import { checkRedirect, matchesGlob } from "../../local/auth/redirects.ts";
import { parseDuration, sessionLimitS } from "../../local/auth/sessions.ts";
import { Tokens } from "../../local/auth/tokens.ts";
import { parseConfig } from "../../local/config/mod.ts";
import { generateKeys, legacyKeys } from "../../local/keys.ts";

const keys = generateKeys();
const tokens = new Tokens(keys);
const secret = new TextEncoder().encode(keys.jwtSecret);
const now = Math.floor(Date.now() / 1000);
const claims = { sub: "11111111-1111-4111-8111-111111111111", role: "authenticated", exp: now + 600 };

const encode = (value: unknown) =>
  btoa(JSON.stringify(value)).replace(/[+/=]/g, (c) => ({ "+": "-", "/": "_" })[c] ?? "");

Deno.test("Tokens.sign() creates an ES256 token whose kid the JWKS publishes, without the private key", async () => {
  const token = await tokens.sign(claims);
  const [key] = tokens.jwks.keys;
  assert(key);
  assertEquals(decodeProtectedHeader(token), { alg: "ES256", kid: key.kid ?? "", typ: "JWT" });
  assertEquals((await jwtVerify(token, await importJWK(key, "ES256"))).payload, claims);
  assertEquals(await tokens.verify(token), { state: "valid", claims });
  assert(!("d" in key) && JSON.stringify(tokens.jwks).length < 400);
});

Deno.test("Tokens.verify() rejects every token that no key of the project has signed with its own algorithm", async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const own = await importJWK(JSON.parse(keys.signingKey), "ES256");
  const kid = tokens.jwks.keys[0]?.kid ?? "";
  const es256 = await tokens.sign(claims);
  const sign = (header: { alg: string; kid?: string }, key: Uint8Array | CryptoKey) =>
    new SignJWT(claims).setProtectedHeader(header).sign(key);
  const publicText = new TextEncoder().encode(JSON.stringify(tokens.jwks.keys[0]));
  const signature = es256.split(".")[2] ?? "";
  const hostile: Record<string, string> = {
    "another key under the kid": await sign({ alg: "ES256", kid }, privateKey),
    "another key under its own kid": await sign({ alg: "ES256", kid: "other" }, privateKey),
    "no kid": await sign({ alg: "ES256" }, privateKey),
    "its own key without a kid": await sign({ alg: "ES256" }, own),
    "its own key under another kid": await sign({ alg: "ES256", kid: "other" }, own),
    "an embedded key": await new SignJWT(claims).setProtectedHeader({
      alg: "ES256",
      kid,
      jwk: await exportJWK(publicKey),
    })
      .sign(privateKey),
    "HS256 with the public key as the secret": await sign({ alg: "HS256" }, publicText),
    "HS256 under the kid of ES256": await sign({ alg: "HS256", kid }, secret),
    "HS256 under a foreign kid": await sign({ alg: "HS256", kid: "x" }, secret),
    "HS512 with the secret": await sign({ alg: "HS512" }, secret),
    "HS256 with another secret": await sign({ alg: "HS256" }, new Uint8Array(32)),
    "none": `${encode({ alg: "none" })}.${encode(claims)}.`,
    "none with a signature": `${encode({ alg: "none", kid })}.${encode(claims)}.${signature}`,
    "None": `${encode({ alg: "None" })}.${encode(claims)}.`,
    "a signature of other claims": `${encode({ alg: "ES256", kid })}.${
      encode({ ...claims, role: "service_role" })
    }.${signature}`,
    "an unknown critical header": `${encode({ alg: "ES256", kid, crit: ["b64"], b64: false })}.${
      encode(claims)
    }.${signature}`,
    "an empty signature": es256.split(".").slice(0, 2).join(".") + ".",
    "two parts": es256.split(".").slice(0, 2).join("."),
    "four parts": `${es256}.x`,
    "no JSON": "YQ.YQ.YQ",
    "nothing": "",
  };
  for (const [name, token] of Object.entries(hostile)) {
    assertEquals(await tokens.verify(token), { state: "invalid" }, name);
    assertEquals(await tokens.toShared(token), undefined, name);
  }
});

Deno.test("Tokens.verify() tells an expired token of the project from a foreign one", async () => {
  const old = { ...claims, exp: now - 1 };
  assertEquals((await tokens.verify(await tokens.sign(old))).state, "expired");
  assertEquals((await tokens.verify(await tokens.sign({ ...claims, nbf: now + 60 }))).state, "expired");
  const foreign = new Tokens(generateKeys());
  assertEquals((await tokens.verify(await foreign.sign(old))).state, "invalid");
});

Deno.test("Tokens.toShared() signs the same claims with the secret, and extends none", async () => {
  for (const exp of [now + 600, now - 600]) {
    const shared = await tokens.toShared(await tokens.sign({ ...claims, exp })) ?? "";
    const options = { algorithms: ["HS256"], currentDate: new Date(0) };
    assertEquals((await jwtVerify(shared, secret, options)).payload, { ...claims, exp });
  }
  const many = Array.from(
    { length: 1_200 },
    (_, n) => tokens.sign({ ...claims, n }).then((token) => tokens.toShared(token)),
  );
  assertEquals(new Set(await Promise.all(many)).size, 1_200);
});

Deno.test("Credentials.callerOf() prefers a token to the API key, and an API key is a role", async () => {
  const credentials = new Credentials(keys, tokens);
  const legacy = legacyKeys(keys.jwtSecret);
  const user = await tokens.sign(claims);
  const caller = async (headers: Record<string, string>, query = "") => {
    const { from, ...rest } = await credentials.callerOf(new Request(`http://x/${query}`, { headers }));
    return [from, "claims" in rest ? rest.claims.role : "reason" in rest ? rest.reason : undefined];
  };
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const { publishableKey, secretKey } = keys;
  assertEquals(await caller({}), ["nothing", undefined]);
  assertEquals(await caller({ apikey: publishableKey }), ["key", "anon"]);
  assertEquals(await caller({}, `?apikey=${secretKey}`), ["key", "service_role"]);
  assertEquals(await caller({ apikey: secretKey, ...bearer(secretKey) }), ["key", "service_role"]);
  assertEquals(await caller(bearer(secretKey)), ["key", "service_role"]);
  assertEquals(await caller({ apikey: publishableKey, ...bearer(secretKey) }), ["key", "anon"]);
  assertEquals(await caller({ apikey: publishableKey, ...bearer(user) }), ["token", "authenticated"]);
  assertEquals(await caller({ apikey: secretKey, ...bearer(user) }), ["token", "authenticated"]);
  assertEquals(await caller({ apikey: legacy.anonKey, ...bearer(legacy.anonKey) }), ["key", "anon"]);
  assertEquals(await caller({ apikey: legacy.anonKey, ...bearer(legacy.serviceRoleKey) }), ["token", "service_role"]);
  assertEquals(await caller(bearer(legacy.serviceRoleKey)), ["token", "service_role"]);
  assertEquals(await caller({ apikey: secretKey, ...bearer("rubbish") }), ["rejected", "invalid"]);
  assertEquals(await caller(bearer("sb_secret_other")), ["rejected", "invalid"]);
  assertEquals(await caller({ authorization: "Basic eA==", apikey: publishableKey }), ["key", "anon"]);
});

Deno.test("legacyKeys() returns tokens of the roles, which other secrets do not verify", async () => {
  const { anonKey, serviceRoleKey } = legacyKeys(keys.jwtSecret);
  assertEquals((await jwtVerify(anonKey, secret)).payload.role, "anon");
  assertEquals((await jwtVerify(serviceRoleKey, secret)).payload.role, "service_role");
  assertNotEquals(legacyKeys("another secret of the project").anonKey, anonKey);
});

Deno.test("matchesGlob() matches addresses as GoTrue does, in linear time", () => {
  const cases: [string, string, boolean][] = [
    ["https://a.example.com/x", "https://a.example.com/x", true],
    ["https://*.example.com/**", "https://a.example.com/x/y.html", true],
    ["https://*.example.com/**", "https://a.b.example.com/", false],
    ["https://*.example.com/*", "https://a.example.com/x/y", false],
    ["https://example.com/?", "https://example.com/a", true],
    ["https://example.com/?", "https://example.com/", false],
    ["myapp://**", "myapp://", true],
    ["", "x", false],
    ["*", "", true],
    ["https://example.com", "https://example.com.evil.com", false],
  ];
  for (const [glob, text, expected] of cases) assertEquals(matchesGlob(glob, text), expected, `${glob} ${text}`);
  const started = performance.now();
  assertEquals(matchesGlob("**a".repeat(20), "a".repeat(20_000) + "b"), false);
  assert(performance.now() - started < 20_000);
});

Deno.test("checkRedirect() leads to the site unless the address is allowed", () => {
  const config = {
    ...parseConfig("", "config.toml").auth,
    siteUrl: "https://site.example.com",
    additionalRedirectUrls: ["https://*.vercel.app/**"],
  };
  const allowed = ["https://site.example.com/x?y#z", "https://my-app.vercel.app/a/b"];
  for (const url of allowed) assertEquals(checkRedirect(config, url), url);
  const rejected = [
    "",
    "x",
    null,
    "https://evil.com",
    "https://site.example.com.evil.com",
    "http://site.example.com",
    "javascript:alert(1)",
    "https://site.example.com@evil.com",
    "https://evil.com/?https://my-app.vercel.app/",
    "//evil.com",
  ];
  for (const url of rejected) assertEquals(checkRedirect(config, url), "https://site.example.com", String(url));
});

Deno.test("parseDuration() reads durations as Go does", () => {
  const cases: [string, number | undefined][] = [
    ["24h", 86_400],
    ["1h30m", 5_400],
    ["1.5s", 1.5],
    ["300ms", 0.3],
    ["", undefined],
    ["24", undefined],
    ["1d", undefined],
    ["-1h", undefined],
    ["1.2.3h", undefined],
    ["876000h", 3_153_600_000],
    ["2562048h", undefined],
    ["9999999999999h", undefined],
  ];
  for (const [text, expected] of cases) assertEquals(parseDuration(text), expected, text);
});

Deno.test("sessionLimitS() is no limit for an empty text and for a duration of 0, as in GoTrue", () => {
  assertEquals(["", "0", "0s", "90m"].map(sessionLimitS), [Infinity, Infinity, Infinity, 5_400]);
});
