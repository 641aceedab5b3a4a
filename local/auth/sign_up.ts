/**
 * Routes that create users: with a password, anonymous ones, and those that follow a link.
 *
 * @module
 */
import type { AuthContext, AuthRequest, Sql } from "./context.ts";
import { AuthError, invalid } from "./errors.ts";
import { challengeOf, clearTokens, mailLink, saveChallenge } from "./one_time_tokens.ts";
import { checkPassword, hashPassword, randomPassword } from "./passwords.ts";
import { createSession, type SessionBody } from "./sessions.ts";
import {
  checkEmail,
  findByEmail,
  insertUser,
  mergeMetadata,
  present,
  reloadUser,
  saveIdentity,
  updateUser,
  type User,
} from "./users.ts";

type Json = Record<string, unknown>;

const EMAIL_PROVIDER = { provider: "email", providers: ["email"] };

/** Creates a user with a mail address and without a confirmation. */
export async function createEmailUser(
  sql: Sql,
  email: string,
  passwordHash: string,
  data: Json = {},
  columns: { readonly invited_at?: string } = {},
): Promise<User> {
  const id = crypto.randomUUID();
  const claims = { email, email_verified: false, phone_verified: false };
  await insertUser(sql, id, {
    aud: "authenticated",
    role: "authenticated",
    email,
    encrypted_password: passwordHash,
    raw_app_meta_data: EMAIL_PROVIDER,
    raw_user_meta_data: { ...data, sub: id, ...claims },
    ...columns,
  });
  await saveIdentity(sql, id, "email", { ...data, ...claims });
  return await reloadUser(sql, id);
}

/** Confirms the mail address of a user. */
export async function confirmEmail(sql: Sql, user: User): Promise<void> {
  await updateUser(sql, user.id, {
    email_confirmed_at: new Date().toISOString(),
    raw_user_meta_data: mergeMetadata(user.raw_user_meta_data, { email_verified: true }),
  });
  if (user.identities.some(({ provider }) => provider === "email")) {
    await saveIdentity(sql, user.id, "email", { email: user.email, email_verified: true });
  }
  await clearTokens(sql, user.id);
}

function checkSignUpEnabled({ config }: AuthContext): void {
  if (!config.enableSignup) throw new AuthError(422, "signup_disabled", "Signups not allowed for this instance");
}

/** Creates a user who has only a session. */
async function signUpAnonymously(context: AuthContext, { body, headers }: AuthRequest): Promise<SessionBody> {
  if (!context.config.enableAnonymousSignIns) {
    throw new AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
  }
  checkSignUpEnabled(context);
  return await context.database.transaction(async (sql) => {
    const id = crypto.randomUUID();
    await insertUser(sql, id, {
      aud: "authenticated",
      role: "authenticated",
      encrypted_password: "",
      raw_app_meta_data: {},
      raw_user_meta_data: body.object("data") ?? {},
      is_anonymous: true,
    });
    return await createSession(context, sql, id, "anonymous", headers);
  });
}

/** A user as others see it, so that a response does not tell who has signed up. */
function disguise(email: string, data: Json): Json {
  const now = new Date().toISOString();
  return {
    id: crypto.randomUUID(),
    aud: "authenticated",
    role: "",
    email,
    phone: "",
    confirmation_sent_at: now,
    app_metadata: EMAIL_PROVIDER,
    user_metadata: data,
    identities: [],
    created_at: now,
    updated_at: now,
    is_anonymous: false,
  };
}

/** `POST /signup`. */
export async function signUp(context: AuthContext, request: AuthRequest): Promise<SessionBody | Json> {
  const { config, database } = context;
  const { body, headers } = request;
  const [given, phone, password] = [body.text("email"), body.text("phone"), body.text("password")];
  if (given === "" && phone === "") return await signUpAnonymously(context, request);
  checkSignUpEnabled(context);
  if (password === "") throw invalid("Signup requires a valid password");
  checkPassword(password, config);
  if (given !== "" && phone !== "") {
    throw invalid("Only an email address or phone number should be provided on signup.");
  }
  if (phone !== "") throw new AuthError(400, "phone_provider_disabled", "Phone signups are disabled");
  if (!config.email.enableSignup) throw new AuthError(400, "email_provider_disabled", "Email signups are disabled");
  const challenge = challengeOf(request);
  const email = checkEmail(given);
  const data = body.object("data") ?? {};
  const hashed = await hashPassword(password);

  const outcome = await database.transaction(async (sql): Promise<SessionBody | User | undefined> => {
    const existing = await findByEmail(sql, email);
    if (existing?.email_confirmed_at) return undefined;
    // The claimed identity of an unconfirmed user is not known to be right: it stays as it is.
    const user = existing ?? await createEmailUser(sql, email, hashed, data);
    if (!config.email.enableConfirmations) {
      await confirmEmail(sql, user);
      return await createSession(context, sql, user.id, "password", headers);
    }
    if (challenge) await saveChallenge(sql, user.id, challenge, "email/signup");
    await mailLink(context, sql, request, user, {
      type: "signup",
      kind: "confirmation_token",
      address: email,
      pkce: challenge !== undefined,
    });
    return await reloadUser(sql, user.id);
  });
  if (outcome !== undefined) return "access_token" in outcome ? outcome : present(outcome as User);
  if (!config.email.enableConfirmations) throw new AuthError(422, "user_already_exists", "User already registered");
  return disguise(email, data);
}

/** `POST /otp` and `POST /magiclink`: mails a link that signs in, and creates the user if need be. */
export async function sendMagicLink(context: AuthContext, request: AuthRequest): Promise<Json> {
  const { database, config } = context;
  const { body } = request;
  if (body.text("phone") !== "") throw new AuthError(400, "phone_provider_disabled", "Unsupported phone provider");
  if (body.text("email") === "") throw invalid("One of email or phone must be set");
  const email = checkEmail(body.text("email"));
  const challenge = challengeOf(request);
  const existing = await findByEmail(database, email);
  if (!existing && body.flag("create_user") === false) {
    throw new AuthError(422, "otp_disabled", "Signups not allowed for otp");
  }
  if (!existing) checkSignUpEnabled(context);
  const confirmed = Boolean(existing?.email_confirmed_at);
  const hashed = existing ? "" : await hashPassword(randomPassword());
  await database.transaction(async (sql) => {
    const user = existing ?? await createEmailUser(sql, email, hashed, body.object("data"));
    // A first link confirms the address, unless the project does not ask for that.
    const first = !confirmed && config.email.enableConfirmations;
    if (challenge) await saveChallenge(sql, user.id, challenge, first ? "email/signup" : "magiclink");
    await mailLink(context, sql, request, user, {
      type: first ? "signup" : "magiclink",
      kind: first ? "confirmation_token" : "recovery_token",
      address: email,
      pkce: challenge !== undefined,
    });
  });
  return {};
}
