import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decodeJwt } from "jose";
import { legacyKeys } from "../../local/keys.ts";
import { clientOf, codeOf, follow, mails, PASSWORD, withStack } from "./auth_stack.ts";

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
