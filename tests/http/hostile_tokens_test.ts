/** Tests valid tokens whose users wrote too much into their metadata. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { CompactSign } from "jose";
import { MAX_TOKEN_LENGTH } from "../../shared/http/auth/user_token.ts";
import { withPooledSupabase } from "../support/http.ts";
import { FakePools, JWT_SECRET, VARIABLES } from "./fake_pools.ts";
import { claims, createProjectKey, sharedSecretToken } from "./tokens.ts";

/** Nests `depth` lists, or objects. */
function nested(depth: number, list: boolean): unknown {
  let value: unknown = "x";
  for (let level = 0; level < depth; level++) value = list ? [value] : { a: value };
  return value;
}

const project = await createProjectKey();

/** Returns a token whose claims are nested as deep as its length allows: `jose` itself could not encode them. */
async function deepestToken(): Promise<string> {
  const depth = 5_900;
  const metadata = `,"user_metadata":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const payload = JSON.stringify(claims({ user_metadata: undefined })).slice(0, -1) + metadata;
  return await new CompactSign(new TextEncoder().encode(payload)).setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .sign(new TextEncoder().encode(JWT_SECRET));
}

/** The two ways of signing. */
const SIGNERS = {
  "a shared secret": (changes: Record<string, unknown>) => sharedSecretToken(changes),
  "a key of the project": (changes: Record<string, unknown>) => project.sign(changes),
};

function setUp(auth: "user" | readonly ["secret", "user"] = "user") {
  const log: string[] = [];
  const handle = withPooledSupabase<unknown>({
    auth: auth as "user",
    variables: { ...VARIABLES, JWT_SECRET, SUPABASE_JWKS: JSON.stringify(project.jwks) },
    service: new FakePools(),
    log: (line) => log.push(line),
  }, (_request, { authMode, userClaims }) => Response.json([authMode, structuredClone(userClaims)?.id]));
  const respond = async (token: string, headers: Record<string, string> = {}) => {
    const response = await handle(
      new Request("https://x.test/f", { headers: { Authorization: `Bearer ${token}`, ...headers } }),
    );
    return { status: response.status, text: await response.text() };
  };
  return { log, respond };
}

for (const [name, sign] of Object.entries(SIGNERS)) {
  Deno.test(`withPooledSupabase() rejects a valid token that is too long with 401 and logs nothing: ${name}`, async () => {
    const { log, respond } = setUp();
    for (const length of [13_000, 100_000]) {
      const token = await sign({ user_metadata: { bio: "x".repeat(length) } });
      assertEquals(token.length > MAX_TOKEN_LENGTH, true);
      const { status, text } = await respond(token);
      assertEquals([status, log], [401, []]);
      assertStringIncludes(text, `longer than ${MAX_TOKEN_LENGTH} characters`);
    }
    assertEquals((await respond(await sign({ user_metadata: { bio: "x".repeat(11_000) } }))).status, 200);
  });

  Deno.test(`withPooledSupabase() rejects a valid token with deep claims with 401 and logs nothing: ${name}`, async () => {
    const { log, respond } = setUp();
    const shapes = [[63, true], [63, false], [400, true], [400, false]] as const;
    const tokens = await Promise.all(
      shapes.map(([depth, list]) => sign({ user_metadata: { deep: nested(depth, list) } })),
    );
    for (const token of [...tokens, await deepestToken()]) {
      assertEquals(token.length <= MAX_TOKEN_LENGTH, true);
      for (let i = 0; i < 2; i++) {
        const { status, text } = await respond(token);
        assertEquals([status, log], [401, []]);
        assertStringIncludes(text, "nested more than 64 levels deep");
      }
    }
    const flat = await sign({ user_metadata: { deep: nested(61, true), wide: new Array(2_000).fill([]) } });
    assertEquals((await respond(flat)).status, 200);
  });
}

Deno.test("withPooledSupabase() prefers an earlier auth mode to a token that is too long", async () => {
  const { respond } = setUp(["secret", "user"]);
  const token = await sharedSecretToken({ user_metadata: { bio: "x".repeat(13_000) } });
  assertEquals((await respond(token, { apikey: "sb_secret_default" })).status, 200);
  assertEquals((await respond(token)).status, 401);
});

Deno.test("withPooledSupabase() reads a token of 16,384 characters, and no longer one", async () => {
  const { respond } = setUp();
  for (const [length, isTooLong] of [[MAX_TOKEN_LENGTH, false], [MAX_TOKEN_LENGTH + 1, true]] as const) {
    const { status, text } = await respond(`a.b.${"x".repeat(length - 4)}`);
    assertEquals([status, text.includes("it is longer than")], [401, isTooLong], `${length}`);
  }
});
