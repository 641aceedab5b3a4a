/** The facts about `@supabase/server` that are written down here, so that it need not be loaded. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  ErrorCodeHeader,
  Errors,
  InvalidJwtError,
  MissingCredentialsError,
  MissingDefaultSecretKeyError,
} from "@supabase/server";
import { ERROR_CODE_HEADER, isServerError, rejectionResponse } from "../../shared/http/auth/rejection.ts";
import { invalidToken, jwksFetchFailed } from "../../shared/http/auth/token_failure.ts";
import { sharedSecretToken } from "./tokens.ts";

Deno.test("isServerError() knows the errors of @supabase/server, and ERROR_CODE_HEADER its header", () => {
  assertEquals(ERROR_CODE_HEADER, ErrorCodeHeader);
  const absent = Errors[MissingCredentialsError]({
    authModes: ["user"],
    received: { authorization: "absent", apikey: "absent" },
  });
  for (const error of [Errors[MissingDefaultSecretKeyError]([]), absent]) {
    assert(isServerError(error));
  }
  for (const other of [new Error("no"), { source: "@supabase/server" }, undefined, "@supabase/server"]) {
    assertFalse(isServerError(other));
  }
});

Deno.test("invalidToken() creates the INVALID_JWT error of @supabase/server, without the token", async () => {
  const token = await sharedSecretToken();
  const error = await invalidToken(["user"], new Request("https://x.test/"), token, {
    reason: "it is old",
    hint: "get another",
  });
  assertEquals([error.code, error.status, error.hint], [InvalidJwtError, 401, "get another"]);
  assertFalse(JSON.stringify(error).includes(token));
});

Deno.test("rejectionResponse() shows no query and no credentials of the URL that keys could not be fetched from", async () => {
  const request = new Request("https://x.test/");
  const cause = new TypeError("error sending request for url (https://u:canary@h/jwks.json?key=canary): refused");
  const error = await jwksFetchFailed(["user"], request, cause);
  const text = await rejectionResponse(error, request).text();
  assertFalse(text.includes("canary"), text);
  assert(text.includes("https://[credentials]@h/jwks.json"), text);
});

Deno.test("rejectionResponse() shows a scheme of at most 20 characters, and no longer word of the header", async () => {
  for (const [length, isShown] of [[20, true], [21, false]] as const) {
    const scheme = "x".repeat(length);
    const error = await invalidToken(["user"], new Request("https://x.test/"), "token", {
      reason: `it is ${scheme}`,
      hint: "",
    });
    const request = new Request("https://x.test/", { headers: { Authorization: `${scheme} y` } });
    const text = await rejectionResponse(error, request).text();
    assertEquals([text.includes(scheme), text.includes("[credential]")], [isShown, !isShown], `${length}`);
  }
});
