/** Tests the tokens that the gateway accepts for `verify_jwt`. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { SignJWT } from "jose";
import { KEYS, openTo, raw, serveProject, sign } from "./serve.ts";

Deno.test("Gateway checks the JWT of a function with verify_jwt as the hosted platform does", async () => {
  const module = `Deno.serve((request) => new Response(request.method));`;
  await using served = await serveProject({
    files: {
      "supabase/config.toml": openTo("open") + "[functions.closed]\nverify_jwt = true\n",
      "supabase/functions/open/index.ts": module,
      "supabase/functions/closed/index.ts": module,
      "supabase/functions/unlisted/index.ts": module,
    },
  });
  const valid = await sign({ role: "anon" });
  const [header = "", payload = ""] = valid.split(".");
  const cases: [headers: Record<string, string>, status: number, code: string | null, message?: string][] = [
    [{}, 401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header"],
    [{ apikey: "sb_publishable_wrong" }, 401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header"],
    [
      { authorization: `Basic ${valid}` },
      401,
      "UNAUTHORIZED_INVALID_JWT_FORMAT",
      "Auth header is not 'Bearer {token}'",
    ],
    [{ authorization: "Bearer x" }, 401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT"],
    [{ authorization: `Bearer ${KEYS.publishableKey}` }, 401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT"],
    [{ authorization: `Bearer ${header}.${payload}.AAAA` }, 401, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT"],
    [
      { authorization: `Bearer ${await sign({}, "another secret of thirty-two characters")}` },
      401,
      "UNAUTHORIZED_LEGACY_JWT",
      "Invalid JWT",
    ],
    [{ authorization: `Bearer ${await sign({ nbf: 1e11 })}` }, 401, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT"],
    [
      { authorization: `Bearer ${btoa(`{"alg":"ES256"}`)}.${payload}.AAAA` },
      401,
      "UNAUTHORIZED_ASYMMETRIC_JWT",
      "Invalid JWT",
    ],
    [
      { authorization: `Bearer ${btoa(`{"alg":"PS256"}`)}.${payload}.AAAA` },
      401,
      "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM",
      "Unsupported JWT algorithm PS256",
    ],
    [
      { authorization: `Bearer ${btoa(`{"alg":"none"}`).replaceAll("=", "")}.${payload}.` },
      401,
      "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM",
      "Unsupported JWT algorithm none",
    ],
    [{ authorization: `Bearer ${valid}` }, 200, null],
    [{ apikey: KEYS.publishableKey }, 200, null],
    [{ apikey: KEYS.publishableKey, authorization: `Bearer ${KEYS.publishableKey}` }, 200, null],
    [{ apikey: KEYS.secretKey, authorization: `Bearer ${valid}` }, 200, null],
  ];
  for (const name of ["closed", "unlisted"]) {
    for (const [headers, status, code, message] of cases) {
      const response = await served.call(name, { headers });
      const text = await response.text();
      assertEquals([response.status, response.headers.get("sb-error-code")], [status, code], JSON.stringify(headers));
      if (status === 401) assertEquals(JSON.parse(text), { code, message });
    }
    assertEquals(await (await served.call(name, { method: "OPTIONS" })).text(), "OPTIONS");
  }
  assertEquals(await (await served.call("open")).text(), "GET");
});

Deno.test("Gateway accepts no forged, expired or ambiguous token for verify_jwt", async () => {
  await using served = await serveProject({
    files: {
      "supabase/config.toml": "[functions.closed]\nverify_jwt = true\n",
      "supabase/functions/closed/index.ts": `Deno.serve(() => new Response("in"));`,
    },
  });
  const valid = await sign({ role: "anon" });
  const [, payload = "", signature = ""] = valid.split(".");
  const header = (value: unknown) => btoa(JSON.stringify(value)).replace(/=+$/, "");
  const secret = new TextEncoder().encode(KEYS.jwtSecret);
  const critical = await new SignJWT({}).setProtectedHeader({ alg: "HS256", crit: ["x"], x: 1 })
    .sign(secret, { crit: { x: true } });
  const expired = await new SignJWT({ exp: 1 }).setProtectedHeader({ alg: "HS256" }).sign(secret);
  const tokens: Record<string, string> = {
    "alg none": `${header({ alg: "none" })}.${payload}.`,
    "alg NONE": `${header({ alg: "NONE" })}.${payload}.`,
    "an unknown kid": `${header({ alg: "ES256", kid: "x" })}.${payload}.${signature}`,
    "a key of its own": `${header({ alg: "ES256", jwk: { kty: "EC" } })}.${payload}.${signature}`,
    "an empty secret": await sign({}, "\0"),
    "a header that must be understood": critical,
    "expired": expired,
    "two tokens": `${valid},Bearer ${valid}`,
    "two tokens with a space": `${valid}, Bearer ${valid}`,
    "a fourth part": `${valid}.x`,
    "no signature": `${valid.slice(0, valid.lastIndexOf("."))}.`,
    "an array": `${header([])}.${payload}.${signature}`,
  };
  for (const [what, token] of Object.entries(tokens)) {
    const response = await served.call("closed", { headers: { authorization: `Bearer ${token}` } });
    assertEquals([response.status, await response.text() === "in"], [401, false], what);
  }
  const twice = await raw(
    served.port,
    `GET /functions/v1/closed HTTP/1.1\r\nHost: 127.0.0.1:${served.port}\r\nAuthorization: Bearer ${valid}\r\n` +
      `Authorization: Bearer x.y.z\r\nConnection: close\r\n\r\n`,
  );
  assertStringIncludes(twice, "HTTP/1.1 401 ");
});
