/** The facts about `@supabase/server` that are written down here, so that it need not be loaded. */
import { assert, assertEquals, assertFalse } from "@std/assert";
import {
  ErrorCodeHeader,
  Errors,
  InvalidJwtError,
  MissingCredentialsError,
  MissingDefaultSecretKeyError,
} from "@supabase/server";
import { ERROR_CODE_HEADER, isServerError } from "../../shared/http/auth/rejection.ts";
import { invalidToken } from "../../shared/http/auth/token_failure.ts";
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
