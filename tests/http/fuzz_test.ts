/** Whatever is sent: no fault of ours, and nobody becomes somebody else. */
import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { withPooledSupabase } from "../../shared/http/mod.ts";
import type { Identity } from "../../shared/supabase/mod.ts";
import { FakePools, JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { sharedSecretToken, unsignedToken, USER } from "./tokens.ts";

const good = await sharedSecretToken();
const tokens = [
  good,
  await sharedSecretToken({ exp: 1 }),
  await sharedSecretToken({ role: "service_role" }),
  await sharedSecretToken({ sub: undefined, role: "anon" }),
  unsignedToken({}, { alg: "HS256" }),
];
const keys = ["sb_publishable_default", "sb_publishable_web", "sb_secret_default", "sb_secret_jobs"];

/** What a header may hold, from NUL-free Latin-1. */
const latin1 = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });

/** A token with one part cut, doubled or exchanged. */
const broken = fc.tuple(fc.constantFrom(...tokens), fc.nat(400), latin1).map(([token, at, text]) =>
  token.slice(0, at) + text + token.slice(at + text.length)
);
const value = fc.oneof(fc.constantFrom(...tokens, ...keys), broken, latin1);
const authorization = fc.oneof(
  value,
  fc.tuple(fc.constantFrom("Bearer ", "bearer ", "Bearer  ", "Basic ", "Bearer\t"), value).map((parts) =>
    parts.join("")
  ),
);
const auth = fc.constantFrom<("user" | "publishable" | "secret:*" | "none")[]>(
  ["user"],
  ["user", "none"],
  ["publishable", "user"],
  ["secret:*", "user", "none"],
);

Deno.test("no credentials give a 500, an identity that was not proven, or the admin pool", async () => {
  await fc.assert(
    fc.asyncProperty(
      auth,
      fc.option(authorization),
      fc.option(value),
      fc.webPath(),
      fc.constantFrom("GET", "POST", "HEAD", "OPTIONS", "DELETE"),
      async (modes, bearer, apikey, path, method) => {
        const service = new FakePools();
        const log: string[] = [];
        const seen: Identity[] = [];
        const fetch = withPooledSupabase<unknown>(
          { auth: modes, variables: { ...VARIABLES, JWT_SECRET }, service, log: (line) => log.push(line) },
          (_request, { supabase, userClaims }) => Response.json([typeof supabase, userClaims?.id ?? null]),
        );
        const headers = new Headers();
        if (bearer !== null) headers.set("Authorization", bearer);
        if (apikey !== null) headers.set("apikey", apikey);
        const response = await fetch(
          new Request(`https://x.test${path.startsWith("/") ? path : `/${path}`}`, { method, headers }),
        );
        assert(response.status < 500, `${response.status}`);
        assertEquals([log.length, service.adminAsked], [0, 0]);
        for (const { options } of service.user.leases) if (options.identity !== undefined) seen.push(options.identity);
        for (const identity of seen) {
          if (identity === "anonymous") continue;
          // The last character of a signature has spare bits: another spelling of it is the same proof.
          assert(identity !== "admin" && headers.get("Authorization") === `Bearer ${identity.token}`);
          assertEquals(identity.token.split(".").slice(0, 2), good.split(".").slice(0, 2));
        }
        if (response.status === 200 && method === "POST") {
          const [, user] = await response.json();
          assert(user === null || user === USER.sub);
        }
      },
    ),
    { numRuns: 1_500, seed: 1 },
  );
});
