import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { type AuthError, createClient, type SupabaseClient } from "@supabase/supabase-js";
import { decodeJwt } from "jose";
import { legacyKeys } from "../../local/keys.ts";
import { type Stack, startStack } from "../../local/mod.ts";
import { createProject } from "./fixture.ts";

const PASSWORD = "correct-horse-battery";

const USER_FUNCTION = `
import { withSupabase } from "npm:@supabase/server@1.8.1";
export default {
  fetch: withSupabase({ auth: "user" }, async (_request, { supabase, userClaims }) => {
    const { data, error } = await supabase.from("notes").insert({ body: "from the function" }).select("user_id").single();
    return Response.json({ id: userClaims?.id, data, error });
  }),
};`;

const TRIGGER = `
create function public.check_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  if new.raw_user_meta_data ->> 'fail' = 'yes' then raise exception 'No such team: %', new.email; end if;
  return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.check_new_user();
insert into auth.users (id, aud, role, email, encrypted_password, email_confirmed_at)
values ('11111111-1111-4111-8111-111111111111', 'authenticated', 'authenticated', 'seed@example.com',
  extensions.crypt('seeded', extensions.gen_salt('bf')), now());`;

async function withStack(config: string, use: (stack: Stack, output: string[]) => Promise<void>): Promise<void> {
  await using project = await createProject();
  await project.write("supabase/config.toml", config);
  await project.write("supabase/functions/hello/index.ts", USER_FUNCTION);
  await project.write("supabase/migrations/20260102000000_trigger.sql", TRIGGER);
  const output: string[] = [];
  await using stack = await startStack({
    root: project.root,
    ephemeral: true,
    log: (source, line) => output.push(`[${source}] ${line}`),
  });
  await use(stack, output);
}

const NO_SESSION = { auth: { persistSession: false, autoRefreshToken: false } } as const;

function clientOf(stack: Stack, key = stack.publishableKey): SupabaseClient {
  return createClient(stack.url, key, NO_SESSION);
}

/** Returns what the error of a client says: its status and its code. */
function codeOf({ error }: { error: AuthError | null }): [number | undefined, string | undefined] | null {
  return error === null ? null : [error.status, error.code];
}

async function mails(stack: Stack): Promise<{ to: string; subject: string; link?: string; code: string }[]> {
  return await (await fetch(`${stack.url}/mail.json`)).json();
}

/** Follows a link of a mail, and returns the parameters of the address that it leads to. */
async function follow(link: string): Promise<{ address: string; parameters: URLSearchParams }> {
  const response = await fetch(link, { redirect: "manual" });
  await response.body?.cancel();
  assertEquals(response.status, 303);
  const url = new URL(response.headers.get("location") ?? "");
  return { address: url.origin + url.pathname, parameters: new URLSearchParams(url.hash.slice(1) || url.search) };
}

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

Deno.test("Auth has the admin API of GoTrue", async (t) => {
  await withStack("", async (stack) => {
    const client = clientOf(stack, stack.secretKey);
    const { admin } = client.auth;
    const create = (email: string, more = {}) =>
      admin.createUser({ email, password: PASSWORD, email_confirm: true, ...more });

    await t.step("creates, reads, changes and deletes users", async () => {
      const { data, error } = await create("ann@example.com", {
        user_metadata: { a: 1, b: 2 },
        app_metadata: { plan: "pro" },
      });
      assertEquals(error, null);
      const id = data.user?.id ?? "";
      assertEquals(data.user?.app_metadata, { provider: "email", providers: ["email"], plan: "pro" });
      assertEquals(data.user?.user_metadata, { a: 1, b: 2, email_verified: true });
      assertEquals((await admin.getUserById(id)).data.user?.email, "ann@example.com");
      const changed = await admin.updateUserById(id, {
        email: "Ann2@example.com",
        user_metadata: { b: null, c: 3 },
        password: "another-one",
      });
      assertEquals(changed.data.user?.email, "ann2@example.com");
      assertEquals(changed.data.user?.user_metadata, { a: 1, c: 3, email_verified: true });
      const signedIn = await clientOf(stack).auth.signInWithPassword({
        email: "ann2@example.com",
        password: "another-one",
      });
      assertEquals((decodeJwt(signedIn.data.session?.access_token ?? "").app_metadata as { plan: string }).plan, "pro");
      await admin.updateUserById(id, { ban_duration: "24h" });
      assertEquals(
        codeOf(await clientOf(stack).auth.signInWithPassword({ email: "ann2@example.com", password: "another-one" })),
        [400, "user_banned"],
      );
      assertEquals(codeOf(await client.auth.getUser(signedIn.data.session?.access_token)), [403, "user_banned"]);
      await admin.updateUserById(id, { ban_duration: "none" });
      assertEquals(
        (await clientOf(stack).auth.signInWithPassword({ email: "ann2@example.com", password: "another-one" })).error,
        null,
      );
      assertEquals((await admin.mfa.listFactors({ userId: id })).data, { factors: [] });
      assertEquals(codeOf(await admin.mfa.deleteFactor({ userId: id, id: crypto.randomUUID() })), [
        404,
        "mfa_factor_not_found",
      ]);
      assertEquals((await admin.deleteUser(id)).error, null);
      assertEquals(codeOf(await admin.getUserById(id)), [404, "user_not_found"]);
    });

    await t.step("rejects what GoTrue rejects, with its codes", async () => {
      await create("taken@example.com");
      assertEquals(codeOf(await create("Taken@example.com")), [422, "email_exists"]);
      assertEquals(codeOf(await admin.createUser({})), [400, "validation_failed"]);
      assertEquals(codeOf(await create("a@b.c", { id: "x" })), [400, "validation_failed"]);
      assertEquals(codeOf(await create("a@b.c", { ban_duration: "soon" })), [400, "validation_failed"]);
      assertEquals(codeOf(await admin.deleteUser(crypto.randomUUID())), [404, "user_not_found"]);
      const { data } = await create("weak@example.com");
      assertEquals(codeOf(await admin.updateUserById(data.user?.id ?? "", { password: "x" })), [422, "weak_password"]);
      assertEquals(codeOf(await admin.updateUserById(data.user?.id ?? "", { email: "taken@example.com" })), [
        422,
        "email_exists",
      ]);
      const results = await Promise.all(Array.from({ length: 6 }, () => create("race@example.com")));
      assertEquals(results.map(codeOf).filter((code) => code?.[1] === "email_exists").length, 5);
    });

    await t.step("lists pages with the headers of pages", async () => {
      for (let n = 0; n < 5; n++) await create(`page${n}@example.com`);
      const first = await admin.listUsers({ page: 1, perPage: 3 });
      assert("total" in first.data);
      const { users, total, nextPage, lastPage } = first.data;
      assertEquals([users.length, total, nextPage, lastPage], [3, 9, 2, 3]);
      assertEquals(users[0]?.email, "page4@example.com");
      const last = await admin.listUsers({ page: 3, perPage: 3 });
      assert("total" in last.data);
      assertEquals([last.data.users.length, last.data.nextPage], [3, null]);
      assertEquals((await admin.listUsers({ page: 99, perPage: 3 })).data.users, []);
      const list = async (
        query: string,
      ) => (await (await fetch(`${stack.authUrl}/admin/users?${query}`, { headers: { apikey: stack.secretKey } }))
        .json());
      assertEquals((await list("page=18446744073709551615")).users, []);
      assertStringIncludes((await list("page=18446744073709551616")).msg, "value out of range");
      assertStringIncludes((await list("page=-1")).msg, "invalid syntax");
      assertEquals((await list("filter=%00")).error_code, "validation_failed");
    });

    await t.step("needs the secret key or a service_role token", async () => {
      const { data: { session } } = await clientOf(stack).auth.signInWithPassword({
        email: "taken@example.com",
        password: PASSWORD,
      });
      const status = async (headers: Record<string, string>) => {
        const response = await fetch(`${stack.authUrl}/admin/users`, { headers });
        const body = await response.json();
        return [response.status, body.error_code ?? body.users?.length ?? body.message];
      };
      const { publishableKey, secretKey, jwtSecret } = stack;
      const { anonKey, serviceRoleKey } = legacyKeys(jwtSecret);
      assertEquals((await status({ apikey: secretKey }))[0], 200);
      assertEquals((await status({ apikey: serviceRoleKey, authorization: `Bearer ${serviceRoleKey}` }))[0], 200);
      assertEquals((await status({ apikey: anonKey, authorization: `Bearer ${serviceRoleKey}` }))[0], 200);
      assertEquals(await status({ apikey: publishableKey }), [403, "not_admin"]);
      assertEquals(await status({ apikey: secretKey, authorization: `Bearer ${session?.access_token}` }), [
        403,
        "not_admin",
      ]);
      assertEquals(await status({ apikey: secretKey, authorization: "Bearer a.b.c" }), [403, "bad_jwt"]);
      assertEquals(await status({}), [401, "No API key found in request"]);
      assertEquals(await status({ apikey: "x", authorization: `Bearer ${secretKey}` }), [401, "Invalid API key"]);
    });

    await t.step("generateLink() and inviteUserByEmail() create links that sign in", async () => {
      for (const type of ["magiclink", "recovery"] as const) {
        const { data } = await admin.generateLink({ type, email: "taken@example.com" });
        assertEquals(data.properties?.verification_type, type);
        assertMatch(data.properties?.email_otp ?? "", /^\d{6}$/);
        assert((await follow(data.properties?.action_link ?? "")).parameters.get("access_token"));
      }
      const link = await admin.generateLink({ type: "signup", email: "signup@example.com", password: PASSWORD });
      assertEquals(
        codeOf(await clientOf(stack).auth.signInWithPassword({ email: "signup@example.com", password: PASSWORD })),
        [400, "email_not_confirmed"],
      );
      await clientOf(stack).auth.verifyOtp({ type: "signup", token_hash: link.data.properties?.hashed_token ?? "" });
      assertEquals(
        (await clientOf(stack).auth.signInWithPassword({ email: "signup@example.com", password: PASSWORD })).error,
        null,
      );
      const newcomer = await admin.generateLink({ type: "magiclink", email: "newcomer@example.com" });
      assertEquals(newcomer.data.properties?.verification_type, "signup");
      assertEquals(codeOf(await admin.generateLink({ type: "recovery", email: "missing@example.com" })), [
        404,
        "user_not_found",
      ]);
      assertEquals(codeOf(await admin.inviteUserByEmail("taken@example.com")), [422, "email_exists"]);
      const invited = await admin.inviteUserByEmail("invited@example.com", { data: { team: "a" } });
      assertEquals(invited.data.user?.user_metadata.team, "a");
      const [mail] = await mails(stack);
      assertEquals((await follow(mail?.link ?? "")).parameters.get("type"), "invite");
    });

    await t.step("a trigger that fails is reported as GoTrue does, and leaves no user", async () => {
      const { data } = await admin.listUsers();
      const before = data.users.length;
      const fail = { email: "trigger@example.com", user_metadata: { fail: "yes" } };
      const { error } = await admin.createUser(fail);
      assertEquals([error?.status, error?.message], [500, "Database error creating new user"]);
      assertEquals((await admin.listUsers()).data.users.length, before);
    });
  });
});

Deno.test("Auth applies the settings of config.toml", async (t) => {
  const config =
    `[auth]\nsite_url = "https://site.example.com"\njwt_expiry = 120\nenable_signup = false\nminimum_password_length = 12\n` +
    `password_requirements = "letters_digits"\n[auth.email]\notp_length = 8\nenable_confirmations = true\n`;
  await withStack(config, async (stack) => {
    const anon = clientOf(stack);
    const { admin } = clientOf(stack, stack.secretKey).auth;
    await t.step("sign-up and anonymous sign-in are off", async () => {
      assertEquals(codeOf(await anon.auth.signUp({ email: "a@example.com", password: PASSWORD })), [
        422,
        "signup_disabled",
      ]);
      assertEquals(codeOf(await anon.auth.signInWithOtp({ email: "a@example.com" })), [422, "signup_disabled"]);
      assertEquals(codeOf(await anon.auth.signInAnonymously()), [422, "anonymous_provider_disabled"]);
      const settings = await (await fetch(`${stack.authUrl}/settings?apikey=${stack.publishableKey}`)).json();
      assertEquals([settings.disable_signup, settings.mailer_autoconfirm], [true, false]);
    });
    await t.step("a user of a seed signs in, and both mailboxes confirm a change of the address", async () => {
      const client = clientOf(stack);
      const signedIn = await client.auth.signInWithPassword({ email: "seed@example.com", password: "seeded" });
      assertEquals(signedIn.error, null);
      assertEquals((await client.auth.updateUser({ email: "moved@example.com" })).error, null);
      const [second, first] = await mails(stack);
      assertEquals([first?.to, second?.to], ["seed@example.com", "moved@example.com"]);
      assertStringIncludes((await follow(first?.link ?? "")).parameters.get("message") ?? "", "other email");
      assertEquals((await client.auth.getUser()).data.user?.email, "seed@example.com");
      assert((await follow(second?.link ?? "")).parameters.get("access_token"));
      assertEquals((await client.auth.getUser()).data.user?.email, "moved@example.com");
    });
    await t.step("passwords, tokens, codes and links follow their settings", async () => {
      const { data } = await admin.createUser({ email: "a@example.com", password: "letters-and-1" });
      assertEquals(codeOf(await anon.auth.signInWithPassword({ email: "a@example.com", password: "letters-and-1" })), [
        400,
        "email_not_confirmed",
      ]);
      await admin.updateUserById(data.user?.id ?? "", { email_confirm: true });
      for (const password of ["short1", "only-letters-here"]) {
        assertEquals(codeOf(await admin.updateUserById(data.user?.id ?? "", { password })), [422, "weak_password"]);
      }
      const { data: { session } } = await anon.auth.signInWithPassword({
        email: "a@example.com",
        password: "letters-and-1",
      });
      assertEquals(session?.expires_in, 120);
      const claims = decodeJwt(session?.access_token ?? "");
      assertEquals((claims.exp ?? 0) - (claims.iat ?? 0), 120);
      const { data: link } = await admin.generateLink({ type: "magiclink", email: "a@example.com" });
      assertMatch(link.properties?.email_otp ?? "", /^\d{8}$/);
      assertEquals(link.properties?.redirect_to, "https://site.example.com");
    });
  });
});
