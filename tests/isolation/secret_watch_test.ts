/** The search for secrets finds what is planted. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { SecretShownError, SecretWatch } from "../support/secret_watch.ts";
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
  "what a token says": [`claims: ${payload}`, "the token"],
  "what proves a token": [`?sig=${signature}&x=1`, "the token"],
  "a password": [`{"password":"${PASSWORD}"}`, "the password"],
  "a password in a URL": [`?p=${encodeURIComponent(PASSWORD)}`, "the password"],
  "a password in base64": [`Basic ${btoa(PASSWORD)}`, "the password"],
  "a password in base64url, with more behind it": [base64url(`${PASSWORD}:more`), "the password"],
  "a token nobody knows": ["eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0xx.", "something like a token"],
  "a key nobody knows": ["key sb_secret_x", "something like an API key"],
  "a bearer token nobody knows": ["authorization: Bearer 0123456789", "something like a bearer token"],
  "a connection string": ["postgres://admin:hunter2@db:5432/app", "something like a connection string"],
  "a private key": ["-----BEGIN EC PRIVATE KEY-----", "something like a private key"],
};
for (const [name, [text, what]] of Object.entries(planted)) {
  Deno.test(`the search finds ${name}, says which it is and does not show it`, () => {
    assertEquals(watching().find(text), what);
    const error = assertThrows(() => watching().inspect("a line", text), SecretShownError);
    assertEquals(error.message, `${what} is shown in a line`);
  });
}

Deno.test("the search finds a secret anywhere in an error", () => {
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

Deno.test("the search finds a secret in an answer's headers and status text", () => {
  for (
    const response of [
      new Response(null, { headers: { "x-debug": token } }),
      new Response(null, { headers: { [`x-${signature.toLowerCase().replaceAll("_", "-")}`]: "1", location: token } }),
      new Response(null, { statusText: PASSWORD }),
    ]
  ) {
    const error = assertThrows(() => watching().inspectHeaders("a request", response), SecretShownError);
    assertStringIncludes(error.message, "the headers of an answer of 200");
  }
});

Deno.test("what is harmless is let through", () => {
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
