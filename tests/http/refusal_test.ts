/** What is known of `@supabase/server` here without loading it is what it says itself. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  ErrorCodeHeader,
  Errors,
  InvalidJwtError,
  MissingCredentialsError,
  MissingDefaultSecretKeyError,
} from "@supabase/server";
import { invalidToken } from "../../shared/http/auth/invalid_token.ts";
import { ERROR_CODE_HEADER, isServerError } from "../../shared/http/auth/refusal.ts";
import { sharedSecretToken } from "./tokens.ts";

Deno.test("its header, and its errors", () => {
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

Deno.test("a refused token", async () => {
  const token = await sharedSecretToken();
  const error = await invalidToken(["user"], { token, apikey: null }, { reason: "it is old", hint: "get another" });
  assertEquals([error.code, error.status, error.hint], [InvalidJwtError, 401, "get another"]);
  assertFalse(JSON.stringify(error).includes(token));
});
