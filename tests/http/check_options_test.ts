/** Tests that invalid options are rejected when the handler is created, unless they depend on the environment. */
import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { healthRoute, type PooledSupabaseOptions, withPooledSupabase } from "../support/http.ts";
import { pooledSupabase } from "../../shared/http/hono.ts";
import { ConfigError } from "../../shared/pool/mod.ts";
import { FakePools, VARIABLES } from "./fake_pools.ts";

type Options = PooledSupabaseOptions<unknown>;

const handler = () => new Response();

/** Casts options that a caller in plain JavaScript may pass. */
const untyped = (options: unknown) => options as Options;

const BAD: readonly (readonly [Options, paths: readonly string[]])[] = [
  [{ jwtSecret: "" }, ["jwtSecret"]],
  [{ jwtSecret: "hunter2" }, ["jwtSecret"]],
  [{ deadlineMs: 0 }, ["deadlineMs"]],
  [{ deadlineMs: NaN, rememberTokensMs: 60_001 }, ["rememberTokensMs", "deadlineMs"]],
  [untyped({ auth: "users" }), ["auth"]],
  [untyped({ auth: ["user", "admin:web"] }), ["auth"]],
  [untyped({ auth: ["none", "user"] }), ["auth"]],
  [{ allow: ["none", "user"] }, ["auth"]],
  [untyped({ allow: "user:web" }), ["auth"]],
  [untyped({ lease: { lane: "express" } }), ["lease.lane"]],
  [{ lease: { timeoutMs: -1 } }, ["lease.timeoutMs"]],
  [{ cors: { headers: { "X-A": "one\r\ntwo" } } }, ["cors.headers.X-A"]],
  [{ cors: { headers: { "X-A": "\x01" } } }, ["cors.headers.X-A"]],
  [{ cors: { headers: { "X-A": "→" } } }, ["cors.headers.X-A"]],
  [{ cors: { headers: { "X A": "a" } } }, ["cors.headers"]],
  [untyped({ cors: { "X-A": 1 } }), ["cors.headers.X-A"]],
  [untyped({ cors: new Headers({ "X-A": "a" }) }), ["cors"]],
  [untyped({ cors: { headers: [["X-A", "a"]] } }), ["cors"]],
  [{ pool: { maxConnections: 0 } }, ["pool.maxConnections"]],
  [{ pool: { maxConnections: 2, minConnections: 3 } }, ["pool.minConnections"]],
  [untyped({ pool: { maxConnection: 5 } }), ["pool.maxConnection"]],
  [{ supabaseOptions: { db: { timeout: -1 } } }, ["pool.requestTimeoutMs"]],
  [{ supabaseOptions: { storage: { useNewHostname: true } } }, ["supabaseOptions.storage.useNewHostname"]],
  [{ jwtSecret: "", deadlineMs: 0, pool: { maxUses: 0 } }, ["jwtSecret", "deadlineMs", "pool.maxUses"]],
];

for (const [options, paths] of BAD) {
  Deno.test(`withPooledSupabase() throws ConfigError for ${JSON.stringify(options)}`, () => {
    const error = assertThrows(() => withPooledSupabase(options, handler), ConfigError);
    assertEquals(error.issues.map(({ path }) => path), paths);
    assertFalse(error.message.includes("hunter2"));
    const { cors, ...others } = options;
    if (cors === undefined) assertThrows(() => pooledSupabase(others), ConfigError);
  });
}

Deno.test("withPooledSupabase() throws ConfigError if the handler is not a function", () => {
  for (const none of [undefined, null, {}, new Response()]) {
    assertThrows(() => withPooledSupabase({}, none as unknown as () => Response), ConfigError, "must be a function");
  }
});

Deno.test("healthRoute() throws ConfigError for invalid options of its pool", () => {
  assertThrows(() => healthRoute({ pool: { maxConnections: 0 } }), ConfigError, "maxConnections");
});

Deno.test("withPooledSupabase() accepts valid options, including those that the environment may complete", async () => {
  const fine: Options[] = [
    {},
    { auth: ["user", "publishable", "publishable:web", "secret:*", "none"] },
    { pool: { minConnections: 20 } },
    { pool: { reservedConnections: 3 } },
    { cors: { headers: { "Access-Control-Allow-Origin": "https://a.test", "X-Latin": "é" } } },
    { cors: { "Access-Control-Allow-Origin": "https://a.test" } },
    { cors: false },
    { lease: { lane: "low", timeoutMs: Infinity } },
    { jwtSecret: "ü".repeat(16) },
  ];
  for (const options of fine) {
    const handle = withPooledSupabase(
      { variables: VARIABLES, service: new FakePools(), log: () => {}, ...options },
      handler,
    );
    assert((await handle(new Request("https://x.test/f", { method: "OPTIONS" }))).status < 500);
  }
});

Deno.test("withPooledSupabase() responds 500 to options that conflict with the environment, and logs them once", async () => {
  const log: string[] = [];
  const handle = withPooledSupabase(
    { pool: { minConnections: 20 }, variables: VARIABLES, log: (line) => log.push(line) },
    handler,
  );
  for (let i = 0; i < 3; i++) {
    const response = await handle(new Request("https://x.test/f"));
    assertEquals([response.status, (await response.json()).code], [500, "CONFIG_INVALID"]);
  }
  assertEquals(log.map((line) => line.includes("minConnections")), [true]);
});
