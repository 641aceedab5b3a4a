/** Tests the response to every error that a gateway gives in place of the Data API. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import { PooledBaseService } from "../../../shared/services/mod.ts";
import { response } from "./fault_project.ts";
import { type Ask, type Client, startPair } from "./rig.ts";

/** The bodies of gateways and proxies. */
const BODIES: Record<string, readonly [body: string | Uint8Array, type: string]> = {
  "a message": ['{"message":"Something is wrong"}', "application/json"],
  "an error and a message": ['{"error":"Bad","message":"Something is wrong"}', "application/json"],
  "an error": ['{"error":"Bad"}', "application/json"],
  "a code that is a number": ['{"code":400,"msg":"Something is wrong"}', "application/json"],
  "a code that is a word": ['{"code":"SOME_CODE","message":"Something is wrong"}', "application/json"],
  "HTML": ["<!DOCTYPE html><html><body><h1>Bad</h1> at 10.0.0.1</body></html>", "text/html"],
  "HTML that claims to be JSON": ["<html>", "application/json"],
  "text": ["upstream at 10.0.0.1 is gone\n", "text/plain"],
  "JSON that claims to be HTML": ['{"message":"Something is wrong"}', "text/html"],
  "nothing": ["", "text/plain"],
  "truncated JSON": ['{"message":"Someth', "application/json"],
  "a list": ['[{"message":"x"}]', "application/json"],
  "null": ["null", "application/json"],
  "false": ["false", "application/json"],
  "a string": ['"wrong"', "application/json"],
  "an object without members": ["{}", "application/json"],
  "a large page": [`<html>${"x".repeat(300_000)}</html>`, "text/html"],
  "no UTF-8": [new Uint8Array([0xff, 0xfe, 0x00]), "application/octet-stream"],
};

/** The bodies that stand for the others. */
const SOME_BODIES = ["a message", "HTML", "nothing", "null"];

/** The status of our response by that of the gateway. */
const STATUSES: Record<number, number> = {
  400: 400,
  401: 500,
  402: 503,
  403: 500,
  404: 404,
  405: 405,
  406: 406,
  408: 503,
  409: 409,
  413: 413,
  414: 414,
  416: 416,
  418: 418,
  425: 503,
  429: 429,
  431: 431,
  500: 500,
  501: 501,
  502: 502,
  503: 503,
  504: 504,
  520: 502,
  521: 503,
  522: 504,
  523: 503,
  524: 504,
  525: 502,
  526: 502,
  527: 502,
  530: 503,
  540: 503,
  544: 504,
  546: 502,
};

class TestService extends PooledBaseService {
  run(wholeResult: boolean): Promise<unknown> {
    return this.withPooledClient(async (client) => {
      const result = await client.from("a").insert({});
      if (result.error) this.handleError(wholeResult ? result : result.error);
      return result.data;
    });
  }

  retried(): Promise<unknown> {
    return this.withRetry(async (client) => {
      const { data, error } = await client.from("a").insert({});
      if (error) this.handleError(error);
      return data;
    }, 0);
  }
}

/** The ways to pass an error on. */
const WAYS: Record<string, Ask> = {
  "throw error": async ({ supabase }) => {
    const { data, error } = await supabase.from("a").insert({});
    if (error) throw error;
    return data;
  },
  "throwOnError()": async ({ supabase }) => (await supabase.from("a").insert({}).throwOnError()).data,
  "handleError(error) of a service": ({ pooled }) => pooled && new TestService(pooled.pool).run(false),
  "handleError(result) of a service": ({ pooled }) => pooled && new TestService(pooled.pool).run(true),
  "withRetry() of a service": ({ pooled }) => pooled && new TestService(pooled.pool).retried(),
};

for (const [way, ask] of Object.entries(WAYS)) {
  Deno.test(`withPooledSupabase() responds to each status of a gateway as documented, whatever the body: ${way}`, async () => {
    await using pair = startPair();
    for (const [given, expected] of Object.entries(STATUSES)) {
      for (const [what, [body, type]] of Object.entries(BODIES)) {
        if (way !== "throw error" && !SOME_BODIES.includes(what)) continue;
        // postgrest-js takes these for an empty result.
        if (given === "404" && (what === "nothing" || what === "a list")) continue;
        const fault = response(Number(given), body, { "content-type": type, "retry-after": "7" });
        const { status, retryAfter, body: problem, text } = await pair.ours(ask, fault);
        assertEquals([given, what, status], [given, what, expected]);
        assertEquals([given, what, retryAfter], [given, what, [429, 503].includes(expected) ? "7" : null]);
        assertEquals(problem.status, expected);
        assertFalse(/10\.0\.0\.1|<|xxx/.test(text), text);
      }
    }
    for (const line of pair.log) assert(line.length < 20_000, `a line of ${line.length} characters`);
  });
}

Deno.test("withPooledSupabase() gives handlers the result that withSupabase() gives them, whatever the gateway responds", async () => {
  await using pair = startPair();
  const ask: Ask = async ({ supabase }) => {
    const { data, error, status, count } = await supabase.from("a").insert({});
    return { data, error, status, count };
  };
  for (const given of [200, ...Object.keys(STATUSES).map(Number)]) {
    for (const [what, [body, type]] of Object.entries(BODIES)) {
      const fault = response(given, body, { "content-type": type });
      const [ours, plain] = [await pair.ours(ask, fault), await pair.plain(ask, fault)];
      // plain takes a failed call whose body is null or false for one that succeeded.
      const isHidden = given >= 400 && ["null", "false", "a string"].includes(what);
      if (isHidden) assertEquals(ours.body.error, { message: String(body).replaceAll('"', "") });
      else assertEquals(ours.body, plain.body, `${given} ${what}`);
      assertEquals([ours.status, ours.body.status], [200, plain.body.status]);
    }
  }
});

Deno.test("withPooledSupabase() bounds Retry-After, and reads it in seconds or as a date", async () => {
  await using pair = startPair();
  const ask = WAYS["throw error"] as Ask;
  const rows: [string, RegExp][] = [
    ["2", /^2$/],
    ["0", /^1$/],
    ["100000000", /^3600$/],
    [new Date(Date.now() + 30_000).toUTCString(), /^(29|30)$/],
    [new Date(0).toUTCString(), /^1$/],
    ["soon", /^1$/],
    ["-5", /^1$/],
    ["1e9", /^1$/],
  ];
  for (const given of [429, 503]) {
    for (const [value, expected] of rows) {
      const { retryAfter } = await pair.ours(ask, response(given, "", { "retry-after": value }));
      assert(expected.test(retryAfter ?? ""), `${given} ${value}: ${retryAfter}`);
    }
    assertEquals((await pair.ours(ask, response(given, ""))).retryAfter, "1");
  }
});

Deno.test("withPooledSupabase() tells apart calls whose bodies are the same", async () => {
  await using pair = startPair();
  const both = (which: number): Ask => async ({ supabase }) => {
    const results = await Promise.all(["a", "b"].map((table) => supabase.from(table).insert({})));
    throw results[which]?.error;
  };
  const respond = (request: { path: string }) =>
    request.path.endsWith("/a") ? response(429, "", { "retry-after": "9" }) : response(503, "", { "retry-after": "4" });
  for (const [which, expected] of [[0, [429, "9"]], [1, [503, "4"]]] as const) {
    const { status, retryAfter } = await pair.ours(both(which), respond);
    assertEquals([status, retryAfter], [...expected]);
  }
});

Deno.test("withPooledSupabase() passes an error of the Data API on with its own status, code, message and hint, without details", async () => {
  await using pair = startPair();
  const rows: [given: number, code: string, expected: number, asUser?: boolean][] = [
    [406, "PGRST116", 406],
    [404, "PGRST205", 404],
    [404, "PGRST202", 404],
    [400, "PGRST100", 400],
    [416, "PGRST103", 416],
    [409, "23505", 409],
    [403, "42501", 403, true],
    [401, "42501", 403],
    [401, "PGRST301", 401, true],
    [401, "PGRST303", 401, true],
    [401, "PGRST301", 500], // without a user's token: the key itself is a token of the older kind
    [401, "PGRST302", 401],
    [404, "42P01", 404],
    [503, "PGRST002", 503],
    [504, "PGRST003", 503],
    [500, "XX000", 500],
  ];
  for (const [given, code, expected, asUser] of rows) {
    const body = JSON.stringify({ code, message: "m", hint: "h", details: "Key (email)=(jane@example.com)" });
    for (const way of ["throw error", "throwOnError()", "handleError(error) of a service"]) {
      const fault = response(given, body, { "content-type": "application/json" });
      const { status, body: problem, text } = await pair.ours(WAYS[way] as Ask, fault, asUser);
      assertEquals([given, code, way, status], [given, code, way, expected]);
      assertEquals(problem.code, expected === 500 && code === "PGRST301" ? "API_KEY_REJECTED" : code);
      if (status < 500) assertEquals([problem.detail, problem.hint], ["m", "h"]);
      assertFalse(text.includes("jane"));
    }
  }
});

/** A call of each client of the project. */
const CLIENTS: Record<string, (client: Client) => PromiseLike<{ error: unknown }>> = {
  auth: (client) => client.auth.admin.listUsers(),
  storage: (client) => client.storage.from("files").list(),
  "a download": (client) => client.storage.from("files").download("a"),
  functions: (client) => client.functions.invoke("f"),
  "an OpenAPI description": (client) => client.getOpenApiSpec().then((result) => result, (error) => ({ error })),
};

for (const [name, call] of Object.entries(CLIENTS)) {
  Deno.test(`withPooledSupabase() responds to each status of a gateway as documented: ${name}`, async () => {
    await using pair = startPair();
    const ask: Ask = async ({ supabaseAdmin }) => {
      const { error } = await call(supabaseAdmin);
      if (error) throw error;
    };
    for (const [given, expected] of Object.entries(STATUSES)) {
      for (const what of ["a message", "HTML", "nothing", "a list"] as const) {
        const [body = "", type = ""] = BODIES[what] ?? [];
        // A read of the OpenAPI description is retried: at once, or not within its time.
        const retryAfter = name.startsWith("an OpenAPI") ? "200" : "7";
        const fault = response(Number(given), body, { "content-type": type, "retry-after": retryAfter });
        const outcome = await pair.ours(ask, fault);
        assertEquals([given, what, outcome.status], [given, what, expected]);
        const asked = [429, 503].includes(expected) ? retryAfter : null;
        assertEquals([given, what, outcome.retryAfter], [given, what, asked]);
      }
    }
  });
}

Deno.test("withPooledSupabase() passes a 401 of Auth and Functions on that is about a user's token", async () => {
  await using pair = startPair();
  const ofAuth = (code: string) =>
    response(403, JSON.stringify({ code: 403, error_code: code, msg: "bad" }), { "content-type": "application/json" });
  const getUser: Ask = async ({ supabaseAdmin }) => {
    const { error } = await supabaseAdmin.auth.getUser("someone's token");
    throw error;
  };
  assertEquals((await pair.ours(getUser, ofAuth("bad_jwt"))).status, 403);
  assertEquals((await pair.ours(getUser, ofAuth("no_authorization"))).status, 500);
  assertEquals((await pair.ours(getUser, ofAuth("not_admin"))).status, 500);
  const invoke: Ask = async ({ supabase }) => {
    const { error } = await supabase.functions.invoke("f");
    throw error;
  };
  const rejected = response(401, '{"code":401,"message":"Invalid JWT"}', { "content-type": "application/json" });
  assertEquals((await pair.ours(invoke, rejected, true)).status, 401);
  assertEquals((await pair.ours(invoke, rejected)).status, 500);
});

Deno.test("withPooledSupabase() shows nothing of a body that is not an error of the project, neither in responses nor in the log", async () => {
  await using pair = startPair();
  const ways: Record<string, Ask> = {
    query: async ({ supabase }) => {
      const { error } = await supabase.from("a").select().retry(false);
      if (error) throw error;
    },
    storage: async ({ supabase }) => {
      const { error } = await supabase.storage.from("b").list();
      if (error) throw error;
    },
    auth: async ({ supabaseAdmin }) => {
      const { error } = await supabaseAdmin.auth.admin.listUsers();
      if (error) throw error;
    },
  };
  const bodies = [
    "\ufeff<!DOCTYPE html><h1>Jane 123-45-67w9</h1>",
    '{"code":"23505","details":"Key (ssn)=(123-45-67w9)"',
    '{"code":"23505","details":"Key (ssn)=(123-45-67w9)"} and more',
    '["123-45-67w9"]',
    '{"rows":[{"ssn":"123-45-67w9"}]}',
    '{"ssn":"123-45-67w9","error":{"ssn":"123-45-67w9"}}',
  ];
  for (const [way, ask] of Object.entries(ways)) {
    for (const status of [300, 400, 422, 500, 502]) {
      for (const body of bodies) {
        const { text } = await pair.ours(ask, response(status, body, { "content-type": "application/json" }));
        assertFalse(text.includes("67w9"), `${way}: ${text}`);
      }
    }
  }
  assert(pair.log.length > 0);
  for (const line of pair.log) assertFalse(line.includes("67w9"), line);
});
