/**
 * Routes that return a session: `POST /token` and `/verify`.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import type { AuthContext, AuthRequest, Sql } from "./context.ts";
import { AuthError, invalid, notLocal } from "./errors.ts";
import { clearTokens, hashCode, type LinkType, PKCE_PREFIX, redirectOf, type TokenKind } from "./one_time_tokens.ts";
import { checkPassword, matchesPassword } from "./passwords.ts";
import { createSession, refreshSession, type SessionBody } from "./sessions.ts";
import { confirmEmail } from "./sign_up.ts";
import {
  checkEmail,
  findByEmail,
  findUser,
  isBanned,
  reloadUser,
  saveIdentity,
  updateProviders,
  updateUser,
  type User,
} from "./users.ts";

async function signInWithPassword(context: AuthContext, { body, headers }: AuthRequest): Promise<SessionBody> {
  const { database, config } = context;
  const [email, phone, password] = [body.text("email"), body.text("phone"), body.text("password")];
  if (email !== "" && phone !== "") {
    throw invalid("Only an email address or phone number should be provided on login.");
  }
  if (phone !== "") throw new AuthError(422, "phone_provider_disabled", "Phone logins are disabled");
  if (email === "") throw invalid("missing email or phone");
  const user = await findByEmail(database, email);
  const rejected = new AuthError(400, "invalid_credentials", "Invalid login credentials");
  if (!user?.encrypted_password) throw rejected;
  if (isBanned(user)) throw new AuthError(400, "user_banned", "User is banned");
  if (!await matchesPassword(password, user.encrypted_password)) throw rejected;
  if (!user.email_confirmed_at) throw new AuthError(400, "email_not_confirmed", "Email not confirmed");
  let weak: unknown = null;
  try {
    checkPassword(password, config);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    weak = error.members.weak_password ?? null;
  }
  const session = await database.transaction((sql) => createSession(context, sql, user.id, "password", headers));
  return weak === null ? session : { ...session, weak_password: weak };
}

interface FlowState {
  readonly id: string;
  readonly user_id: string | null;
  readonly code_challenge: string;
  readonly code_challenge_method: string;
  readonly expired: boolean;
}

/** Exchanges the code of a link for a session (PKCE). */
async function exchangeCode(context: AuthContext, { body, headers }: AuthRequest): Promise<SessionBody> {
  const [code, verifier] = [body.text("auth_code"), body.text("code_verifier")];
  if (code === "" || verifier === "") {
    throw invalid("invalid request: both auth code and code verifier should be non-empty");
  }
  return await context.database.transaction(async (sql) => {
    const { rows: [state] } = await sql.query<FlowState>(
      `select id::text, user_id::text, code_challenge, code_challenge_method::text,
         auth_code_issued_at < now() - interval '5 minutes' as expired
       from auth.flow_state where auth_code = $1 and auth_code_issued_at is not null for update`,
      [code],
    );
    const user = state?.user_id ? await findUser(sql, state.user_id) : undefined;
    if (!state || !user) {
      throw new AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found");
    }
    if (state.expired) throw new AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired");
    const computed = state.code_challenge_method === "s256"
      ? createHash("sha256").update(verifier).digest("base64url")
      : verifier;
    const [actual, expected] = [new TextEncoder().encode(computed), new TextEncoder().encode(state.code_challenge)];
    if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) {
      throw new AuthError(400, "bad_code_verifier", "code challenge does not match previously saved code verifier");
    }
    await sql.query("delete from auth.flow_state where id = $1::uuid", [state.id]);
    return await createSession(context, sql, user.id, "otp", headers);
  });
}

/** `POST /token`. */
export async function grantToken(context: AuthContext, request: AuthRequest): Promise<SessionBody> {
  switch (request.url.searchParams.get("grant_type")) {
    case "password":
      return await signInWithPassword(context, request);
    case "refresh_token":
      return await refreshSession(context, request);
    case "pkce":
      return await exchangeCode(context, request);
    case "id_token":
      throw notLocal("Sign-in with the token of a provider is", "provider_disabled");
    case "web3":
      throw notLocal("Sign-in with a wallet is", "web3_provider_disabled");
    default:
      throw new AuthError(400, "invalid_credentials", "unsupported_grant_type");
  }
}

const KINDS: Readonly<Record<string, readonly TokenKind[]>> = {
  email: ["confirmation_token", "recovery_token"],
  signup: ["confirmation_token"],
  invite: ["confirmation_token"],
  recovery: ["recovery_token"],
  // A first link of a user who is not confirmed is one of kind confirmation.
  magiclink: ["recovery_token", "confirmation_token"],
  email_change: ["email_change_token_new", "email_change_token_current"],
};

/** The result of a verification: a user, or one of the two confirmations of a new address. */
type Verified = { readonly user: User; readonly pkce: boolean } | "one of two";

/** Uses a token, once. */
async function useToken(
  context: AuthContext,
  sql: Sql,
  hash: string,
  type: string,
  message: string,
): Promise<Verified> {
  const kinds = KINDS[type];
  if (!kinds) throw invalid("Invalid email verification type");
  const { rows: [row] } = await sql.query<{ user_id: string; kind: TokenKind; fresh: boolean; hash: string }>(
    `delete from auth.one_time_tokens
     where token_hash in ($1, 'pkce_' || $1) and token_type::text in (select jsonb_array_elements_text($2::jsonb))
     returning user_id::text, token_type::text as kind, token_hash as hash,
       created_at > localtimestamp - make_interval(secs => $3::float8) as fresh`,
    [hash, JSON.stringify(kinds), context.config.email.otpExpiryS],
  );
  const user = row?.fresh ? await findUser(sql, row.user_id) : undefined;
  if (!row || !user) throw new AuthError(403, "otp_expired", message);
  if (isBanned(user)) throw new AuthError(403, "user_banned", "User is banned");
  if (row.kind.startsWith("email_change")) {
    const isSecond = user.email_change_confirm_status === 1;
    if (context.config.email.doubleConfirmChanges && !isSecond && (user.email ?? "") !== "") {
      await updateUser(sql, user.id, { email_change_confirm_status: 1 });
      return "one of two";
    }
    await changeEmail(sql, user, user.email_change ?? "");
  } else if (!user.email_confirmed_at) await confirmEmail(sql, user);
  if (row.kind === "recovery_token") await clearTokens(sql, user.id, "recovery_token");
  await updateProviders(sql, user.id);
  return { user: await reloadUser(sql, user.id), pkce: row.hash.startsWith(PKCE_PREFIX) };
}

/** Gives a user a new, confirmed mail address. */
export async function changeEmail(sql: Sql, user: User, email: string): Promise<void> {
  await saveIdentity(sql, user.id, "email", { email, email_verified: true });
  await updateUser(sql, user.id, {
    email,
    email_change: "",
    email_change_confirm_status: 0,
    email_confirmed_at: new Date().toISOString(),
    is_anonymous: false,
  });
  await clearTokens(sql, user.id);
}

const ACCEPTED = "Confirmation link accepted. Please proceed to confirm link sent to the other email";

/** `POST /verify`. */
export async function verifyCode(
  context: AuthContext,
  { body, headers }: AuthRequest,
): Promise<SessionBody | Record<string, unknown>> {
  const [type, token, hash] = [body.text("type"), body.text("token"), body.text("token_hash")];
  if (type === "") throw invalid("Verify requires a verification type");
  if (type === "sms" || type === "phone_change") throw notLocal("Codes by SMS are", "phone_provider_disabled");
  if ((token === "") === (hash === "")) throw invalid("Verify requires either a token or a token hash");
  if (hash !== "" && (body.text("email") !== "" || body.text("phone") !== "")) {
    throw invalid("Only the token_hash and type should be provided");
  }
  if (token !== "" && body.text("email") === "") {
    throw invalid("Only an email address or phone number should be provided on verify");
  }
  const [wanted, message] = hash !== ""
    ? [hash, "Email link is invalid or has expired"]
    : [hashCode(checkEmail(body.text("email")), token), "Token has expired or is invalid"];
  return await context.database.transaction(async (sql) => {
    const verified = await useToken(context, sql, wanted, type, message);
    if (verified === "one of two") return { code: "200", msg: ACCEPTED };
    return await createSession(context, sql, verified.user.id, "otp", headers);
  });
}

/** Sets parameters of a URL in its fragment, or in its query. */
function withParameters(
  address: string,
  part: "hash" | "search",
  parameters: Readonly<Record<string, string>>,
): string {
  const url = new URL(address);
  const merged = new URLSearchParams(part === "search" ? url.search : "");
  for (const [name, value] of Object.entries(parameters)) merged.set(name, value);
  url[part] = merged.toString();
  return url.href;
}

/** `GET /verify`: follows a link, and leads to the site with a session, a code, or an error. */
export async function followLink(context: AuthContext, request: AuthRequest): Promise<Response> {
  const { searchParams } = request.url;
  const [type, token] = [
    searchParams.get("type") ?? "",
    searchParams.get("token") ?? searchParams.get("token_hash") ?? "",
  ];
  if (type === "") throw invalid("Verify requires a verification type");
  if (token === "") throw invalid("Verify requires a token or a token hash");
  const target = redirectOf(context, request);
  let location: string;
  try {
    location = await context.database.transaction(async (sql) => {
      const verified = await useToken(context, sql, token, type, "Email link is invalid or has expired");
      if (verified === "one of two") return withParameters(target, "hash", { message: ACCEPTED });
      if (verified.pkce) return withParameters(target, "search", { code: await issueCode(sql, verified.user, type) });
      const session = await createSession(context, sql, verified.user.id, "otp", request.headers);
      return withParameters(target, "hash", {
        access_token: session.access_token,
        expires_at: String(session.expires_at),
        expires_in: String(session.expires_in),
        refresh_token: session.refresh_token,
        token_type: "bearer",
        type,
      });
    });
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    const parameters = { error: "access_denied", error_code: error.code, error_description: error.message };
    location = withParameters(target, "hash", parameters);
    if (token.startsWith(PKCE_PREFIX)) location = withParameters(location, "search", parameters);
  }
  return new Response(null, { status: 303, headers: { location, "cache-control": "no-store" } });
}

/** Returns the code of the challenge that asked for the link. */
async function issueCode(sql: Sql, user: User, type: string): Promise<string> {
  const method = (type as LinkType) === "signup" ? "email/signup" : type;
  const { rows: [row] } = await sql.query<{ auth_code: string }>(
    `update auth.flow_state set auth_code_issued_at = now(), updated_at = now()
     where id = (select id from auth.flow_state where user_id = $1::uuid
       order by (authentication_method = $2) desc, created_at desc limit 1)
     returning auth_code`,
    [user.id, method],
  );
  if (!row) throw new AuthError(400, "flow_state_not_found", "No associated flow state found");
  return row.auth_code;
}
