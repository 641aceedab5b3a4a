/** Tests that `SecretWatch` finds the secrets that a test plants. */
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { problem, withPooledSupabase } from "../support/http.ts";
import { SecretShownError, SecretWatch } from "../support/secret_watch.ts";
import { FakePools } from "../http/fake_pools.ts";
import { createProjectKey } from "../http/tokens.ts";

const PASSWORD = "correct/horse+battery=staple";
const token = await (await createProjectKey()).sign();

function watching(): SecretWatch {
  const watch = new SecretWatch();
  watch.know("the token", token);
  watch.know("the password", PASSWORD);
  return watch;
}

const base64url = (text: string) => btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const [, payload = "", signature = ""] = token.split(".");

const planted: Record<string, readonly [text: string, what: string]> = {
  "a token": [`sent ${token}.`, "the token"],
  "the payload of a token": [`claims: ${payload}`, "the token"],
  "the signature of a token": [`?sig=${signature}&x=1`, "the token"],
  "a password": [`{"password":"${PASSWORD}"}`, "the password"],
  "a password in a URL": [`?p=${encodeURIComponent(PASSWORD)}`, "the password"],
  "a password in base64": [`Basic ${btoa(PASSWORD)}`, "the password"],
  "a password in base64url, with more behind it": [base64url(`${PASSWORD}:more`), "the password"],
  "an unknown token": ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0xx.", "something like a token"],
  "an unknown key": ["key sb_secret_x", "something like an API key"],
  "an unknown bearer token": ["authorization: Bearer 0123456789", "something like a bearer token"],
  "a connection string": ["postgres://admin:hunter2@db:5432/app", "something like a connection string"],
  "a private key": ["-----BEGIN EC PRIVATE KEY-----", "something like a private key"],
};
for (const [name, [text, what]] of Object.entries(planted)) {
  Deno.test(`SecretWatch.inspect() finds ${name}, and its error names the secret without its value`, () => {
    assertEquals(watching().find(text), what);
    const error = assertThrows(() => watching().inspect("a line", text), SecretShownError);
    assertEquals(error.message, `${what} is shown in a line`);
  });
}

Deno.test("SecretWatch.inspectError() finds a secret anywhere in an error", () => {
  const chain = new Error("1", { cause: new Error("2", { cause: { deep: { details: PASSWORD } } }) });
  const listed = new AggregateError([new Error(PASSWORD)], "several");
  const own = Object.assign(new Error("own"), { request: { headers: new Headers({ authorization: token }) } });
  const stack = new Error("stack");
  stack.stack = `Error: stack\n    at connect (${PASSWORD})`;
  for (const error of [chain, listed, own, stack, PASSWORD, { message: token }]) {
    assertThrows(() => watching().inspectError("an error", error), SecretShownError);
  }
  watching().inspectError("an error", new Error("harmless", { cause: null }));
});

Deno.test("SecretWatch.inspectHeaders() finds a secret in a response's headers and status text", () => {
  for (
    const response of [
      new Response(null, { headers: { "x-debug": token } }),
      new Response(null, { headers: { [`x-${signature.toLowerCase().replaceAll("_", "-")}`]: "1", location: token } }),
      new Response(null, { statusText: PASSWORD }),
    ]
  ) {
    const error = assertThrows(() => watching().inspectHeaders("a request", response), SecretShownError);
    assertStringIncludes(error.message, "the headers of a response of 200");
  }
});

Deno.test("SecretWatch.find() accepts harmless texts", () => {
  const watch = watching();
  for (
    const text of [
      "",
      "The JWT in the Authorization header failed verification",
      "one begins with sb_secret_ or is a legacy service_role key",
      "Authorization: Bearer [token]",
      "http://127.0.0.1:54321/rest/v1/budgets?select=*",
      "https://example.com/@scope/package:1@2",
      '{"sub":"11111111-1111-4111-8111-111111111111"}',
    ]
  ) assertEquals(watch.find(text), undefined, text);
  assert(watch.texts >= 7);
});

const KEY = "sb_secret_of_this_project";
const VARIABLES = {
  SUPABASE_URL: "http://project.test",
  SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_of_this_project"}',
  SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEY }),
  SUPABASE_JWKS: '{"keys":[]}',
};

/** Returns the response to a request whose handler returns `response`. */
async function answered(response: (request: Request) => Response): Promise<Response> {
  const handle = withPooledSupabase({ auth: "none", variables: VARIABLES, service: new FakePools() }, response);
  return await handle(new Request("http://functions.test/f", { headers: { authorization: `Bearer ${token}` } }));
}

Deno.test("withPooledSupabase() of tests/support fails a test whose handler shows a secret to its caller", async () => {
  const leaks: Record<string, (request: Request) => Response> = {
    "the caller's token in a header": ({ headers }) =>
      new Response("", { headers: { "x-debug": headers.get("authorization") ?? "" } }),
    "the caller's token in a problem": ({ headers }) =>
      problem({ status: 400, code: "BAD", title: `not ${headers.get("authorization")?.slice(7)}` }),
    "a key of the environment": () => Response.json({ env: VARIABLES.SUPABASE_SECRET_KEYS }),
    "half a token": () => Response.json({ payload }),
  };
  for (const [what, leak] of Object.entries(leaks)) {
    await assertRejects(() => answered(leak), SecretShownError, "", what);
  }
  assertEquals(await (await answered(() => Response.json({ ok: true }))).json(), { ok: true });
});

Deno.test("withPooledSupabase() of tests/support fails a test whose handler logs a secret", async () => {
  const lines: string[] = [];
  const reported = Promise.withResolvers<unknown>();
  const report = (event: ErrorEvent) => {
    event.preventDefault();
    reported.resolve(event.error);
  };
  globalThis.addEventListener("error", report);
  try {
    const handle = withPooledSupabase(
      { auth: "none", variables: VARIABLES, service: new FakePools(), log: (line) => lines.push(line) },
      // An encoding that redact() does not remove: only a watch that knows the key finds it.
      () => Promise.reject(new Error(btoa(KEY))),
    );
    assertEquals((await handle(new Request("http://functions.test/f"))).status, 500);
    assertInstanceOf(await reported.promise, SecretShownError);
    assertEquals(lines.length, 1);
  } finally {
    globalThis.removeEventListener("error", report);
  }
});

Deno.test("tests/http imports withPooledSupabase() from tests/support/http.ts, which searches for secrets", async () => {
  const folder = new URL("../http/", import.meta.url);
  // Its folders contain programs that run without the modules of the tests.
  for await (const { name, isFile } of Deno.readDir(folder)) {
    // Other files may be those that a test has just written.
    if (!isFile || !name.endsWith("_test.ts")) continue;
    const direct = /from "\.\.\/\.\.\/shared\/(http\/)?mod\.ts"/.test(await Deno.readTextFile(new URL(name, folder)));
    assert(
      !direct,
      `tests/http/${name}: import from ../support/http.ts, which searches responses and logs for secrets`,
    );
  }
});
