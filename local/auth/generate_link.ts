/**
 * `POST /admin/generate_link`: a link and a code, which the caller mails.
 *
 * @module
 */
import type { AuthContext, AuthRequest, Sql } from "./context.ts";
import { AuthError, invalid } from "./errors.ts";
import { createToken, linkOf, type LinkType, redirectOf, type TokenKind } from "./one_time_tokens.ts";
import { checkPassword, hashPassword, randomPassword } from "./passwords.ts";
import { createEmailUser } from "./sign_up.ts";
import {
  checkEmail,
  emailExists,
  findByEmail,
  mergeMetadata,
  present,
  reloadUser,
  updateUser,
  type User,
} from "./users.ts";

const TYPES: Readonly<Record<string, { readonly link: LinkType; readonly kind: TokenKind }>> = {
  signup: { link: "signup", kind: "confirmation_token" },
  invite: { link: "invite", kind: "confirmation_token" },
  magiclink: { link: "magiclink", kind: "recovery_token" },
  recovery: { link: "recovery", kind: "recovery_token" },
  email_change_current: { link: "email_change", kind: "email_change_token_current" },
  email_change_new: { link: "email_change", kind: "email_change_token_new" },
};

/** Returns the user of the link, who is created for a first link. */
async function prepareUser(
  sql: Sql,
  { body }: AuthRequest,
  type: string,
  email: string,
  hashed: string,
): Promise<User> {
  const existing = await findByEmail(sql, email);
  if (!existing) {
    if (type !== "signup" && type !== "invite") {
      throw new AuthError(404, "user_not_found", "User with this email not found");
    }
    return await createEmailUser(sql, email, hashed, body.object("data"));
  }
  if (type === "signup" || type === "invite") {
    if (existing.email_confirmed_at) throw emailExists();
    const data = body.object("data");
    if (type === "signup" && data) {
      await updateUser(sql, existing.id, { raw_user_meta_data: mergeMetadata(existing.raw_user_meta_data, data) });
    }
  }
  return existing;
}

/** `POST /admin/generate_link`. */
export async function generateLink(context: AuthContext, request: AuthRequest): Promise<Record<string, unknown>> {
  const { database, config } = context;
  const { body } = request;
  const email = checkEmail(body.text("email"));
  let type = body.text("type");
  if (!Object.hasOwn(TYPES, type)) throw invalid(`Invalid email action link type requested: ${type}`);
  const known = await findByEmail(database, email);
  let hashed = "";
  if (!known && type === "magiclink") {
    type = "signup";
    hashed = await hashPassword(randomPassword());
  } else if (!known && type === "signup") {
    const password = body.text("password");
    if (password === "") throw invalid("Signup requires a valid password");
    checkPassword(password, config);
    hashed = await hashPassword(password);
  }
  const { link, kind } = TYPES[type] ?? { link: "signup", kind: "confirmation_token" };
  const redirectTo = redirectOf(context, request);
  return await database.transaction(async (sql) => {
    const user = await prepareUser(sql, request, type, email, hashed);
    let address = email;
    if (link === "email_change") {
      if (!config.email.doubleConfirmChanges && kind === "email_change_token_current") {
        throw invalid("Enable secure email change to generate link for current email");
      }
      const newEmail = checkEmail(body.text("new_email"));
      const other = await findByEmail(sql, newEmail);
      if (other && other.id !== user.id) throw emailExists();
      await updateUser(sql, user.id, { email_change: newEmail, email_change_confirm_status: 0 });
      if (kind === "email_change_token_new") address = newEmail;
    }
    if (type === "invite") await updateUser(sql, user.id, { invited_at: new Date().toISOString() });
    const { code, hash } = await createToken(context, sql, user, kind, address);
    return {
      ...present(await reloadUser(sql, user.id)),
      action_link: linkOf(context, hash, link, redirectTo),
      email_otp: code,
      hashed_token: hash,
      verification_type: type,
      redirect_to: redirectTo,
    };
  });
}
