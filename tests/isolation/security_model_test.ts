/**
 * The security model, point by point, judged by the requests that reach the Data API.
 *
 * @module
 */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { FakeTime } from "@std/testing/time";
import { IdentityError } from "../../shared/supabase/mod.ts";
import { SupabaseService } from "../../shared/services/mod.ts";
import { readEnvironment } from "../../shared/http/mod.ts";
import type { Variables } from "../../shared/environment/mod.ts";
import {
  type PooledContext,
  type PooledHandler,
  type PooledSupabaseOptions,
  withPooledSupabase,
} from "../support/http.ts";
import { JWT_SECRET } from "../http/fake_pools.ts";
import { createProjectKey, sharedSecretToken, USER } from "../http/tokens.ts";
import { PROJECT, PUBLISHABLE, SECRET } from "./callers.ts";
import type { Client, Database } from "./handler_behaviors.ts";
import { until } from "../support/until.ts";

const key = await createProjectKey();
const legacyKey = async (role: string) =>
  await sharedSecretToken({ sub: undefined, role, aud: undefined, exp: 4_000_000_000 });

const VARIABLES: Variables = {
  SUPABASE_URL: PROJECT,
  SUPABASE_PUBLISHABLE_KEY: PUBLISHABLE,
  SUPABASE_SECRET_KEY: SECRET,
  SUPABASE_JWKS: JSON.stringify(key.jwks),
  JWT_SECRET,
};

/** The credentials of a call to the project. */
type Arrived = readonly [apikey: string | null, authorization: string | null];

interface Rig extends AsyncDisposable {
  readonly arrived: Arrived[];
  /** Sends a request with that bearer token and returns the status of the response. */
  ask(token: string): Promise<number>;
}

/** Creates a function whose project records the credentials of each call. */
function setUp(
  handler: PooledHandler<Database>,
  options: PooledSupabaseOptions<Database> = {},
  more: Variables = {},
): Rig {
  const variables = { ...VARIABLES, ...more };
  const arrived: Arrived[] = [];
  const answer: typeof fetch = (_input, init) => {
    const headers = new Headers(init?.headers);
    arrived.push([headers.get("apikey"), headers.get("authorization")]);
    return Promise.resolve(Response.json([]));
  };
  const service = new SupabaseService<Database>({ ...readEnvironment(variables), pool: { fetch: answer } });
  const handle = withPooledSupabase<Database>({ auth: "user", variables, service, log: () => {}, ...options }, handler);
  return {
    arrived,
    ask: async (token) =>
      (await handle(new Request("http://functions.test/f", { headers: { authorization: `Bearer ${token}` } }))).status,
    [Symbol.asyncDispose]: () => service.shutdown(0),
  };
}

const list: PooledHandler<Database> = async (_request, { supabase }) =>
  Response.json(await supabase.from("items").select());
const asUser = (token: string): Arrived => [PUBLISHABLE, `Bearer ${token}`];

for (const role of ["anon", "service_role"]) {
  Deno.test(`withPooledSupabase() rejects a legacy ${role} key as a user's token and sends no call`, async () => {
    await using rig = setUp(list, { auth: ["user", "none"] });
    assertEquals([await rig.ask(await legacyKey(role)), rig.arrived], [401, []]);
    const good = await sharedSecretToken();
    assertEquals([await rig.ask(good), rig.arrived], [200, [asUser(good)]]);
  });
}

Deno.test("ctx.supabase never sends a service_role token of the handler's, wherever the handler sets it", async () => {
  const serviceRole = await legacyKey("service_role");
  const authorization = `Bearer ${serviceRole}`;
  type Inside = Client & { fetch: typeof fetch; rest: { headers: Headers }; headers: Record<string, string> };
  const offers: Record<string, (client: Inside) => unknown> = {
    "a query's header": (client) => client.from("items").select().setHeader("authorization", authorization),
    "a query's apikey": (client) => client.from("items").select().setHeader("apikey", serviceRole),
    "the query client's headers": (client) => {
      client.rest.headers.set("authorization", authorization);
      client.rest.headers.set("apikey", serviceRole);
      return client.from("items").select();
    },
    "the client's headers": (client) => {
      client.headers["authorization"] = authorization;
      return client.from("items").select();
    },
    "functions.setAuth": (client) => {
      const { functions } = client;
      functions.setAuth(serviceRole);
      return functions.invoke("report");
    },
    "a function's header": (client) =>
      client.functions.invoke("report", { headers: { authorization, apikey: SECRET } }),
    "storage.setHeader": (client) =>
      client.storage.setHeader("authorization", authorization).setHeader("apikey", SECRET).from("files").list(),
    "the view's own fetch": (client) =>
      client.fetch(`${PROJECT}/rest/v1/items`, { headers: { authorization, apikey: SECRET } }),
    "a Request of its own": (client) =>
      client.fetch(new Request(`${PROJECT}/rest/v1/items`, { headers: { authorization } })),
    "a fetch of its own": (client) => {
      const own: typeof fetch = (input, init) => {
        assert(!new Headers(init?.headers).get("authorization")?.includes(serviceRole));
        return client.fetch(input, { ...init, headers: { authorization } });
      };
      return client.from("items", { fetch: own }).select();
    },
  };
  for (const [what, offer] of Object.entries(offers)) {
    await using rig = setUp(async (_request, { supabase, pool }) => {
      await offer(supabase as unknown as Inside);
      await assertRejects(() => pool.lease({ identity: { token: serviceRole } }), IdentityError);
      await using lease = await pool.lease();
      await offer(lease.client as unknown as Inside);
      return new Response();
    });
    const token = await key.sign();
    assertEquals(await rig.ask(token), 200, what);
    assertEquals(rig.arrived, Array(rig.arrived.length).fill(asUser(token)), what);
    assert(rig.arrived.length >= 2, what);
  }
});

Deno.test("withPooledSupabase() rejects a cached token from the instant it expires", async () => {
  using time = new FakeTime(1_800_000_000_000);
  await using rig = setUp(list);
  for (const sign of [key.sign, sharedSecretToken]) {
    rig.arrived.length = 0;
    const exp = Math.floor(Date.now() / 1_000) + 20;
    const token = await sign({ exp });
    assertEquals(await rig.ask(token), 200);
    time.tick(19_999 - Date.now() % 1_000);
    assertEquals([await rig.ask(token), rig.arrived], [200, [asUser(token), asUser(token)]]);
    time.tick(exp * 1_000 - Date.now());
    assertEquals([await rig.ask(token), rig.arrived.length], [401, 2]);
  }
});

Deno.test("withPooledSupabase() passes the token's claims to each request, although a handler tries to change them", async () => {
  for (const rememberTokensMs of [60_000, 0]) {
    const seen: unknown[] = [];
    await using rig = setUp(async (_request, { supabase, jwtClaims, userClaims }) => {
      seen.push(
        structuredClone([userClaims?.id, jwtClaims?.sub, jwtClaims?.role, jwtClaims?.exp, userClaims?.appMetadata]),
      );
      for (
        const [claims, name] of [[jwtClaims, "sub"], [jwtClaims, "role"], [jwtClaims, "exp"], [
          userClaims,
          "id",
        ]] as const
      ) {
        Reflect.set(claims ?? {}, name, "service_role");
      }
      Reflect.set(Object(userClaims?.appMetadata), "provider", "admin");
      Reflect.set(Object(jwtClaims?.["app_metadata"]), "admin", true);
      return Response.json(await supabase.from("items").select());
    }, { rememberTokensMs });
    const exp = Math.floor(Date.now() / 1_000) + 600;
    const token = await key.sign({ exp });
    for (let time = 0; time < 3; time++) assertEquals(await rig.ask(token), 200);
    assertEquals(seen, Array(3).fill([USER.sub, USER.sub, "authenticated", exp, USER.app_metadata]));
    assertEquals(rig.arrived, Array(3).fill(asUser(token)));
  }
});

Deno.test("withPooledSupabase() rejects the tokens of a replaced key, cached or not", async () => {
  using time = new FakeTime(1_800_000_000_000);
  const next = await createProjectKey("key-2");
  let jwks = key.jwks;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => Response.json(jwks));
  try {
    for (const rememberTokensMs of [60_000, 0]) {
      jwks = key.jwks;
      const address = `http://127.0.0.1:${server.addr.port}/${rememberTokensMs}/jwks.json`;
      const more = { SUPABASE_JWKS: "", SUPABASE_JWKS_URL: address };
      await using rig = setUp(list, { rememberTokensMs }, more);
      const exp = Math.floor(Date.now() / 1_000) + 3_600;
      const [before, after] = await Promise.all([key.sign({ exp }), next.sign({ exp })]);
      assertEquals([await rig.ask(before), await rig.ask(after)], [200, 401]);
      jwks = next.jwks;
      // Fetched keys are used for ten minutes.
      time.tick(600_000);
      assertEquals([await rig.ask(before), await rig.ask(after)], [401, 200]);
      assertEquals(rig.arrived, [asUser(before), asUser(after)]);
    }
  } finally {
    await server.shutdown();
  }
});

Deno.test("ctx.pool rejects the leases of another request, during its own request and after it", async () => {
  let kept: PooledContext<Database>["pool"] | undefined;
  let first = Promise.withResolvers<void>();
  let held = false;
  await using rig = setUp(async (_request, { pool }) => {
    if (kept) {
      await assertRejects(async () => await kept?.lease(), IdentityError, "another request");
      assertThrows(() => kept?.client(), IdentityError, "another request");
      return new Response();
    }
    kept = pool;
    if (held) await first.promise;
    return new Response();
  });
  const [ann, bob] = [await key.sign(), await key.sign({ sub: "11111111-1111-4111-8111-111111111111" })];
  assertEquals([await rig.ask(ann), await rig.ask(bob)], [200, 200], "after it");
  [kept, held, first] = [undefined, true, Promise.withResolvers()];
  const asked = rig.ask(ann);
  await until("the client is kept", () => kept !== undefined);
  assertEquals(await rig.ask(bob), 200, "during it");
  first.resolve();
  assertEquals([await asked, rig.arrived], [200, []]);
});
