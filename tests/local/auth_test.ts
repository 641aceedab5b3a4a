import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { decodeJwt } from "jose";
import { legacyKeys } from "../../local/keys.ts";
import { clientOf, codeOf, follow, mails, NO_SESSION, PASSWORD, withStack } from "./auth_stack.ts";

Deno.test("Auth signs users up, in and out as GoTrue", async (t) => {
  const config = `[auth]\nenable_anonymous_sign_ins = true\nadditional_redirect_urls = ["https://*.example.com/**"]\n` +
    `[auth.email]\ndouble_confirm_changes = false\n`;
  await withStack(config, async (stack, output) => {
    const anon = clientOf(stack);
    const admin = clientOf(stack, stack.secretKey).auth.admin;

    await t.step("a token carries what policies read: metadata, session, method", async () => {
      const { data } = await anon.auth.signUp({
        email: "Ann@Example.com",
        password: PASSWORD,
        options: { data: { name: "Ann" } },
      });
      const claims = decodeJwt(data.session?.access_token ?? "");
      assertEquals([claims.iss, claims.email, claims.aal, claims.is_anonymous], [
        stack.authUrl,
        "ann@example.com",
        "aal1",
        false,
      ]);
      assertEquals(claims.app_metadata, { provider: "email", providers: ["email"] });
      assertEquals((claims.user_metadata as { name: string }).name, "Ann");
      assertEquals((claims.amr as { method: string }[])[0]?.method, "password");
      assertEquals(data.user?.identities?.[0]?.identity_data?.email, "ann@example.com");
      const verified = await anon.auth.getClaims();
      assertEquals(verified.data?.claims.sub, data.user?.id);
    });

    await t.step("plain withSupabase() accepts a user's token", async () => {
      const { data: { session } } = await anon.auth.getSession();
      const call = async (token: string) => {
        const headers = { authorization: `Bearer ${token}`, apikey: stack.publishableKey };
        const response = await fetch(`${stack.url}/functions/v1/hello`, { method: "POST", headers });
        return [response.status, await response.json()];
      };
      const id = session?.user.id;
      assertEquals(await call(session?.access_token ?? ""), [200, { id, data: { user_id: id }, error: null }]);
      assertEquals((await call(stack.publishableKey))[0], 401);
      const [head, , signature] = session?.access_token.split(".") ?? [];
      assertEquals((await call(`${head}.${btoa('{"role":"authenticated","sub":"x"}')}.${signature}`))[0], 401);
    });

    await t.step("the Data API rejects tokens of other keys, and reports expired ones", async () => {
      const get = async (token: string) => {
        const headers = { authorization: `Bearer ${token}`, apikey: stack.publishableKey };
        const response = await fetch(`${stack.restUrl}/greetings`, { headers });
        const body = await response.json();
        return [response.status, body.code ?? body.length];
      };
      const legacy = legacyKeys(stack.jwtSecret);
      assertEquals(await get(legacy.anonKey), [200, 1]);
      const { data: { session } } = await anon.auth.getSession();
      const token = session?.access_token ?? "";
      assertEquals(await get(token), [200, 0]);
      assertEquals(await get(`${token.slice(0, -8)}AAAAAAAA`), [401, "PGRST301"]);
      assertEquals(await get(`${btoa('{"alg":"none"}')}.${token.split(".")[1]}.`), [401, "PGRST301"]);
      const client = clientOf(stack, legacy.anonKey);
      assertEquals((await client.from("greetings").select()).data?.length, 1);
      assertEquals((await clientOf(stack, legacy.serviceRoleKey).from("notes").select()).error, null);
    });

    await t.step("errors have the status and code of GoTrue", async () => {
      const other = clientOf(stack);
      assertEquals(codeOf(await other.auth.signUp({ email: "ann@example.com", password: PASSWORD })), [
        422,
        "user_already_exists",
      ]);
      assertEquals(codeOf(await other.auth.signUp({ email: "x@example.com", password: "x" })), [422, "weak_password"]);
      assertEquals(codeOf(await other.auth.signUp({ email: "no address", password: PASSWORD })), [
        400,
        "validation_failed",
      ]);
      assertEquals(codeOf(await other.auth.signUp({ phone: "+15551234567", password: PASSWORD })), [
        400,
        "phone_provider_disabled",
      ]);
      assertEquals(codeOf(await other.auth.signInWithPassword({ email: "ann@example.com", password: "x" })), [
        400,
        "invalid_credentials",
      ]);
      assertEquals(codeOf(await other.auth.signInWithPassword({ email: "missing@example.com", password: "x" })), [
        400,
        "invalid_credentials",
      ]);
      assertEquals(codeOf(await other.auth.refreshSession({ refresh_token: "x" })), [400, "refresh_token_not_found"]);
      assertEquals(codeOf(await other.auth.verifyOtp({ email: "ann@example.com", token: "000000", type: "email" })), [
        403,
        "otp_expired",
      ]);
      assertEquals(codeOf(await other.auth.getUser("x.y.z")), [403, "bad_jwt"]);
      assertEquals(codeOf(await other.auth.getUser(legacyKeys(stack.jwtSecret).anonKey)), [403, "bad_jwt"]);
      assertEquals(codeOf(await other.auth.signInWithIdToken({ provider: "google", token: "x" })), [
        400,
        "provider_disabled",
      ]);
      assertEquals(codeOf(await other.auth.signInWithSSO({ domain: "example.com" })), [400, "saml_provider_disabled"]);
    });

    await t.step(
      "a text that Postgres cannot store is an error of the request, and a body may have 1 MiB",
      async () => {
        const post = async (path: string, body: unknown) => {
          const response = await fetch(`${stack.authUrl}/${path}`, {
            method: "POST",
            headers: { apikey: stack.secretKey, "content-type": "application/json" },
            body: JSON.stringify(body),
          });
          const { error_code } = await response.json();
          return [response.status, error_code];
        };
        for (
          const [path, body] of [
            ["signup", { email: "a\0@example.com", password: PASSWORD }],
            ["signup", { email: "\ud800@example.com", password: PASSWORD }],
            ["token?grant_type=password", { email: "a\0@example.com", password: PASSWORD }],
            ["token?grant_type=refresh_token", { refresh_token: "\0" }],
            ["verify", { type: "email", token_hash: "\0" }],
            ["admin/users", { email: "role@example.com", role: "\0" }],
          ] as const
        ) assertEquals(await post(path, body), [400, "validation_failed"], path);
        const [email, password] = ["long@example.com", PASSWORD];
        assertEquals(await post("signup", { email, password, data: { text: "x".repeat(1_048_000) } }), [
          200,
          undefined,
        ]);
        assertEquals(await post("signup", { email, password, data: { text: "x".repeat(1_048_576) } }), [
          413,
          "request_too_large",
        ]);
      },
    );

    await t.step("a refresh token is used once, and a repeated refresh gets the same successor", async () => {
      const { data: { session: first } } = await clientOf(stack).auth.signInWithPassword({
        email: "ann@example.com",
        password: PASSWORD,
      });
      const refresh = (token: string) => clientOf(stack).auth.refreshSession({ refresh_token: token });
      const results = await Promise.all(Array.from({ length: 5 }, () => refresh(first?.refresh_token ?? "")));
      assertEquals(new Set(results.map(({ data }) => data.session?.refresh_token)).size, 1);
      const second = results[0]?.data.session?.refresh_token ?? "";
      assertNotEquals(second, first?.refresh_token);
      assertEquals((await refresh(second)).error, null);
    });

    await t.step("an anonymous user becomes a permanent one", async () => {
      const client = clientOf(stack);
      const { data } = await client.auth.signInAnonymously({ options: { data: { theme: "dark" } } });
      assertEquals([data.user?.is_anonymous, data.user?.user_metadata.theme], [true, "dark"]);
      assertEquals(decodeJwt(data.session?.access_token ?? "").is_anonymous, true);
      const { data: updated } = await client.auth.updateUser({ email: "guest@example.com" });
      assertEquals([updated.user?.is_anonymous, updated.user?.email], [false, "guest@example.com"]);
      assertEquals((await client.auth.updateUser({ password: PASSWORD })).error, null);
      assertEquals(
        (await clientOf(stack).auth.signInWithPassword({ email: "guest@example.com", password: PASSWORD })).error,
        null,
      );
    });

    await t.step("signOut() ends the sessions of its scope", async () => {
      const [one, two] = [clientOf(stack), clientOf(stack)];
      for (const client of [one, two]) {
        await client.auth.signInWithPassword({ email: "guest@example.com", password: PASSWORD });
      }
      const token = (await two.auth.getSession()).data.session?.access_token ?? "";
      await one.auth.signOut({ scope: "others" });
      assertEquals((await anon.auth.getUser(token)).error?.name, "AuthSessionMissingError");
      await two.auth.signInWithPassword({ email: "guest@example.com", password: PASSWORD });
      const again = (await two.auth.getSession()).data.session?.access_token ?? "";
      assertEquals((await admin.signOut(again, "global")).error, null);
      assertEquals((await anon.auth.getUser(again)).error?.name, "AuthSessionMissingError");
    });

    await t.step("mails are printed and kept, and their links work once", async () => {
      const redirectTo = "https://app.example.com/welcome";
      await anon.auth.resetPasswordForEmail("ann@example.com", { redirectTo });
      const [mail] = await mails(stack);
      assertEquals(mail?.to, "ann@example.com");
      assert(output.some((line) => line.includes(mail?.link ?? "?")));
      const { address, parameters } = await follow(mail?.link ?? "");
      assertEquals([address, parameters.get("type")], [redirectTo, "recovery"]);
      const client = clientOf(stack);
      await client.auth.setSession({
        access_token: parameters.get("access_token") ?? "",
        refresh_token: parameters.get("refresh_token") ?? "",
      });
      assertEquals(codeOf(await client.auth.updateUser({ password: PASSWORD })), [422, "same_password"]);
      assertEquals((await client.auth.updateUser({ password: `${PASSWORD}!` })).error, null);
      assertEquals((await follow(mail?.link ?? "")).parameters.get("error_code"), "otp_expired");
      // An address that the project does not allow is replaced by that of its site.
      await anon.auth.signInWithOtp({ email: "ann@example.com", options: { emailRedirectTo: "https://evil.com/" } });
      const [otp] = await mails(stack);
      assertStringIncludes(otp?.link ?? "", encodeURIComponent("http://127.0.0.1:3000"));
      const signedIn = await clientOf(stack).auth.verifyOtp({
        email: "ann@example.com",
        token: otp?.code ?? "",
        type: "email",
      });
      assertEquals(signedIn.data.user?.email, "ann@example.com");
    });

    await t.step("a link of a PKCE client leads to a code, which only its verifier redeems", async () => {
      const pkce = () =>
        createClient(stack.url, stack.publishableKey, { auth: { ...NO_SESSION.auth, flowType: "pkce" } });
      const client = pkce();
      await client.auth.signInWithOtp({ email: "ann@example.com" });
      const [mail] = await mails(stack);
      const code = (await follow(mail?.link ?? "")).parameters.get("code") ?? "";
      const wrong = await fetch(`${stack.authUrl}/token?grant_type=pkce`, {
        method: "POST",
        headers: { apikey: stack.publishableKey },
        body: JSON.stringify({ auth_code: code, code_verifier: "x".repeat(60) }),
      });
      assertEquals([wrong.status, (await wrong.json()).error_code], [400, "bad_code_verifier"]);
      assertEquals((await client.auth.exchangeCodeForSession(code)).data.user?.email, "ann@example.com");
    });

    await t.step("a change of address needs the new mailbox", async () => {
      const client = clientOf(stack);
      await client.auth.signInWithPassword({ email: "guest@example.com", password: PASSWORD });
      const { data } = await client.auth.updateUser({ email: "new@example.com" });
      assertEquals([data.user?.email, data.user?.new_email], ["guest@example.com", "new@example.com"]);
      const [mail] = await mails(stack);
      assertEquals(mail?.to, "new@example.com");
      await follow(mail?.link ?? "");
      assertEquals((await client.auth.getUser()).data.user?.email, "new@example.com");
    });

    await t.step("the mailbox is not readable by pages of other origins", async () => {
      const response = await fetch(`${stack.url}/mail`, { headers: { origin: "https://evil.com" } });
      assertStringIncludes(await response.text(), "ann@example.com");
      assertEquals(response.headers.get("access-control-allow-origin"), null);
    });

    await t.step("a password and a secret key are in no line of output", () => {
      for (const secret of [PASSWORD, stack.secretKey, stack.jwtSecret]) {
        assert(!output.some((line) => line.includes(secret)));
      }
    });
  });
});
