/**
 * Routes for the user of a token: `/user`, `/logout`, `/reauthenticate`, and the mails that anyone may ask for.
 *
 * @module
 */
import type { Caller } from "./credentials.ts";
import type { AuthContext, AuthRequest, SignedIn, Sql } from "./context.ts";
import { AuthError, invalid } from "./errors.ts";
import { challengeOf, clearTokens, hashCode, mailCode, mailLink, saveChallenge } from "./one_time_tokens.ts";
import { checkPassword, hashPassword, matchesPassword } from "./passwords.ts";
import { endSessions, type SignOutScope } from "./sessions.ts";
import { changeEmail } from "./sign_in.ts";
import {
  checkEmail,
  emailExists,
  findByEmail,
  findUser,
  isBanned,
  isUuid,
  mergeMetadata,
  present,
  reloadUser,
  saveIdentity,
  updateUser,
  type User,
} from "./users.ts";

type Json = Record<string, unknown>;

/** The error of a request without a token. */
export function noToken(): AuthError {
  return new AuthError(401, "no_authorization", "This endpoint requires a valid Bearer token");
}

/** The error of a token that was not accepted. */
export function badToken(reason: "expired" | "invalid"): AuthError {
  const cause = reason === "expired" ? "token has invalid claims: token is expired" : "signature is invalid";
  return new AuthError(403, "bad_jwt", `invalid JWT: unable to parse or verify signature, ${cause}`);
}

/**
 * Returns the user of a request.
 *
 * @throws {AuthError} `no_authorization`, `bad_jwt`, `user_not_found`, `session_not_found` or `user_banned`.
 */
export async function requireUser({ database }: AuthContext, caller: Caller): Promise<SignedIn> {
  if (caller.from === "rejected") throw badToken(caller.reason);
  if (caller.from === "nothing") throw noToken();
  const { sub, session_id: sessionId } = caller.claims;
  if (typeof sub !== "string" || sub === "") throw new AuthError(403, "bad_jwt", "invalid claim: missing sub claim");
  if (!isUuid(sub)) throw new AuthError(400, "bad_jwt", "invalid claim: sub claim must be a UUID");
  const user = await findUser(database, sub);
  if (!user) throw new AuthError(403, "user_not_found", "User from sub claim in JWT does not exist");
  if (isBanned(user)) throw new AuthError(403, "user_banned", "User is banned");
  if (typeof sessionId !== "string" || sessionId === "") return { user, sessionId: undefined, claims: caller.claims };
  if (!isUuid(sessionId)) throw new AuthError(403, "bad_jwt", "invalid claim: session_id claim must be a UUID");
  const { rows } = await database.query("select from auth.sessions where id = $1::uuid", [sessionId]);
  if (rows.length === 0) {
    throw new AuthError(403, "session_not_found", "Session from session_id claim in JWT does not exist");
  }
  return { user, sessionId, claims: caller.claims };
}

async function checkNonce(sql: Sql, user: User, nonce: string, expiryS: number): Promise<void> {
  const { rows } = await sql.query(
    `delete from auth.one_time_tokens where user_id = $1::uuid and token_type = 'reauthentication_token'
     and token_hash = $2 and created_at > localtimestamp - make_interval(secs => $3::float8) returning id`,
    [user.id, hashCode(user.email ?? "", nonce), expiryS],
  );
  if (rows.length === 0) throw new AuthError(422, "reauthentication_not_valid", "Nonce has expired or is invalid");
}

/** `PUT /user`. */
export async function updateAccount(
  context: AuthContext,
  request: AuthRequest,
  { user, sessionId }: SignedIn,
): Promise<Json> {
  const { database, config } = context;
  const { body } = request;
  const password = body.optionalText("password");
  const email = body.text("email") === "" ? "" : checkEmail(body.text("email"));
  const data = body.object("data");
  if (body.text("phone") !== "") throw new AuthError(400, "phone_provider_disabled", "Phone logins are disabled");
  if (body.object("app_metadata") !== undefined) {
    throw new AuthError(403, "not_admin", "Updating app_metadata requires admin privileges");
  }
  if (password !== undefined) checkPassword(password, config);
  if (user.is_anonymous && password && email === "") {
    throw invalid("Updating password of an anonymous user without an email or phone is not allowed", 422);
  }
  const newEmail = email !== "" && email !== user.email?.toLowerCase() ? email : undefined;
  if (newEmail !== undefined && await findByEmail(database, newEmail)) throw emailExists();
  const challenge = challengeOf(request);
  if (password && user.encrypted_password && await matchesPassword(password, user.encrypted_password)) {
    throw new AuthError(422, "same_password", "New password should be different from the old password.");
  }
  const hashed = password ? await hashPassword(password) : undefined;

  return await database.transaction(async (sql) => {
    if (hashed !== undefined) {
      if (body.text("nonce") !== "") await checkNonce(sql, user, body.text("nonce"), config.email.otpExpiryS);
      await updateUser(sql, user.id, { encrypted_password: hashed });
      await clearTokens(sql, user.id, "recovery_token");
      if (sessionId !== undefined) await endSessions(sql, user.id, "others", sessionId);
      if (!user.encrypted_password && user.email) await saveIdentity(sql, user.id, "email", { email: user.email });
    }
    if (data !== undefined) {
      await updateUser(sql, user.id, { raw_user_meta_data: mergeMetadata(user.raw_user_meta_data, data) });
    }
    if (newEmail !== undefined) {
      // An anonymous user has no address to protect.
      if (user.is_anonymous && !config.email.enableConfirmations) await changeEmail(sql, user, newEmail);
      else await requestEmailChange(context, sql, request, user, newEmail, challenge !== undefined);
      if (challenge) await saveChallenge(sql, user.id, challenge, "email_change");
    }
    return present(await reloadUser(sql, user.id));
  });
}

async function requestEmailChange(
  context: AuthContext,
  sql: Sql,
  request: AuthRequest,
  user: User,
  email: string,
  pkce: boolean,
): Promise<void> {
  await updateUser(sql, user.id, { email_change: email, email_change_confirm_status: 0 });
  const link = { type: "email_change", pkce } as const;
  if (context.config.email.doubleConfirmChanges && user.email) {
    await mailLink(context, sql, request, user, { ...link, kind: "email_change_token_current", address: user.email });
  }
  await mailLink(context, sql, request, user, { ...link, kind: "email_change_token_new", address: email });
}

/** `POST /logout`. */
export async function signOut(
  { database }: AuthContext,
  { url }: AuthRequest,
  { user, sessionId }: SignedIn,
): Promise<void> {
  const scope = url.searchParams.get("scope") || "global";
  if (!["global", "local", "others"].includes(scope)) throw invalid(`Unsupported logout scope "${scope}"`);
  await endSessions(database, user.id, scope as SignOutScope, sessionId);
}

/** `POST /recover`. */
export async function recover(context: AuthContext, request: AuthRequest): Promise<Json> {
  if (request.body.text("email") === "") throw invalid("Password recovery requires an email");
  const email = checkEmail(request.body.text("email"));
  const challenge = challengeOf(request);
  const user = await findByEmail(context.database, email);
  // The response does not tell who has signed up.
  if (!user) return {};
  await context.database.transaction(async (sql) => {
    if (challenge) await saveChallenge(sql, user.id, challenge, "recovery");
    await mailLink(context, sql, request, user, {
      type: "recovery",
      kind: "recovery_token",
      address: email,
      pkce: challenge !== undefined,
    });
  });
  return {};
}

/** `POST /resend`. */
export async function resend(context: AuthContext, request: AuthRequest): Promise<Json> {
  const { body } = request;
  const type = body.text("type");
  if (type === "sms" || type === "phone_change") {
    throw new AuthError(400, "phone_provider_disabled", "Unsupported phone provider");
  }
  if (type !== "signup" && type !== "email_change") {
    throw invalid("Missing one of these types: signup, email_change, sms, phone_change");
  }
  if (body.text("email") === "") throw invalid("Type provided requires an email address");
  const user = await findByEmail(context.database, checkEmail(body.text("email")));
  if (!user) return {};
  await context.database.transaction(async (sql) => {
    if (type === "signup" && !user.email_confirmed_at) {
      const link = { type, kind: "confirmation_token", address: user.email ?? "" } as const;
      await mailLink(context, sql, request, user, link);
    } else if (type === "email_change" && user.email_change) {
      await requestEmailChange(context, sql, request, user, user.email_change, false);
    }
  });
  return {};
}

/** `GET /reauthenticate`. */
export async function reauthenticate(context: AuthContext, { user }: SignedIn): Promise<Json> {
  if (!user.email) throw invalid("Reauthentication requires the user to have an email or a phone number");
  await context.database.transaction((sql) => mailCode(context, sql, user));
  return {};
}
