import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { decodeJwt } from "jose";
import { clientOf, codeOf, follow, mails, PASSWORD, withStack } from "./auth_stack.ts";

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
