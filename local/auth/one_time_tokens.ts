/**
 * One-time tokens: the codes and links of mails.
 *
 * @module
 */
import { createHash, randomInt } from "node:crypto";
import type { AuthContext, AuthRequest, Sql } from "./context.ts";
import { invalid } from "./errors.ts";
import { checkRedirect } from "./redirects.ts";
import { updateUser, type User } from "./users.ts";

/** The kind of a token, as `auth.one_time_tokens` names it. */
export type TokenKind =
  | "confirmation_token"
  | "recovery_token"
  | "email_change_token_new"
  | "email_change_token_current"
  | "reauthentication_token";

/** The type of a link. */
export type LinkType = "signup" | "invite" | "magiclink" | "recovery" | "email_change";

/** The prefix of tokens whose link leads to a code (PKCE) instead of a session. */
export const PKCE_PREFIX = "pkce_";

const SUBJECTS: Readonly<Record<LinkType | "reauthentication", string>> = {
  signup: "Confirm your email address",
  invite: "You have been invited",
  magiclink: "Your sign-in link",
  recovery: "Reset your password",
  email_change: "Confirm your new email address",
  reauthentication: "Your verification code",
};

const SENT_AT: Readonly<Record<TokenKind, string>> = {
  confirmation_token: "confirmation_sent_at",
  recovery_token: "recovery_sent_at",
  email_change_token_new: "email_change_sent_at",
  email_change_token_current: "email_change_sent_at",
  reauthentication_token: "reauthentication_sent_at",
};

/** A token that was created. */
export interface CreatedToken {
  /** The digits that a user types. */
  readonly code: string;
  /** The token of links. */
  readonly hash: string;
}

/** Returns the token of a code for an address. */
export function hashCode(address: string, code: string): string {
  return createHash("sha224").update(address + code).digest("hex");
}

/** Creates a token of a kind, which replaces the user's earlier one. */
export async function createToken(
  { config }: AuthContext,
  sql: Sql,
  user: User,
  kind: TokenKind,
  address: string,
  pkce = false,
): Promise<CreatedToken> {
  const length = Math.min(Math.max(config.email.otpLength, 6), 10);
  const code = Array.from({ length }, () => randomInt(10)).join("");
  const hash = (pkce ? PKCE_PREFIX : "") + hashCode(address, code);
  await sql.query(
    `insert into auth.one_time_tokens (id, user_id, token_type, token_hash, relates_to)
     values (gen_random_uuid(), $1::uuid, $2::text::auth.one_time_token_type, $3, $4)
     on conflict (user_id, token_type) do update
     set token_hash = excluded.token_hash, relates_to = excluded.relates_to, created_at = now(), updated_at = now()`,
    [user.id, kind, hash, address],
  );
  await updateUser(sql, user.id, { [SENT_AT[kind]]: new Date().toISOString() });
  return { code, hash };
}

/** Removes tokens of a user, all of them by default. */
export async function clearTokens(sql: Sql, userId: string, kind?: TokenKind): Promise<void> {
  await sql.query(
    `delete from auth.one_time_tokens
     where user_id = $1::uuid and ($2::text is null or token_type = $2::text::auth.one_time_token_type)`,
    [userId, kind ?? null],
  );
}

/** Returns the link to follow. */
export function linkOf({ url }: AuthContext, hash: string, type: LinkType, redirectTo: string): string {
  return `${url}/auth/v1/verify?${new URLSearchParams({ token: hash, type, redirect_to: redirectTo })}`;
}

/** Returns the address that a request asks a link to lead to, if the project allows it; otherwise that of its site. */
export function redirectOf({ config }: AuthContext, { url, headers, body }: AuthRequest): string {
  const requested = [url.searchParams.get("redirect_to"), headers.get("redirect_to"), body.optionalText("redirect_to")]
    .find((value) => value);
  return checkRedirect(config, requested ?? headers.get("referer"));
}

/** Creates a token and mails its link and its code. */
export async function mailLink(
  context: AuthContext,
  sql: Sql,
  request: AuthRequest,
  user: User,
  { type, kind, address, pkce = false }: {
    readonly type: LinkType;
    readonly kind: TokenKind;
    readonly address: string;
    readonly pkce?: boolean;
  },
): Promise<void> {
  const { code, hash } = await createToken(context, sql, user, kind, address, pkce);
  const link = linkOf(context, hash, type, redirectOf(context, request));
  context.mailbox.deliver({ to: address, subject: SUBJECTS[type], link, code });
}

/** Mails a code that confirms a change of the password. */
export async function mailCode(context: AuthContext, sql: Sql, user: User): Promise<void> {
  const to = user.email ?? "";
  const { code } = await createToken(context, sql, user, "reauthentication_token", to);
  context.mailbox.deliver({ to, subject: SUBJECTS.reauthentication, code });
}

/** The challenge of a request that wants a code instead of a session (PKCE). */
export interface Challenge {
  /** The challenge. */
  readonly text: string;
  /** The way in which it is computed from the verifier. */
  readonly method: "s256" | "plain";
}

/**
 * Returns the challenge of a request, if it has one.
 *
 * @throws {AuthError} `validation_failed`.
 */
export function challengeOf({ body }: AuthRequest): Challenge | undefined {
  const [text, method] = [body.text("code_challenge"), body.text("code_challenge_method").toLowerCase()];
  if (text === "" && method === "") return undefined;
  if (text === "" || method === "") {
    throw invalid("PKCE flow requires code_challenge_method and code_challenge");
  }
  if (!/^[a-zA-Z0-9._~-]{43,128}$/.test(text)) throw invalid("code challenge does not adhere to RFC 7636");
  if (method !== "s256" && method !== "plain") throw invalid("code challenge method not supported");
  return { text, method };
}

/** Keeps the challenge of a request until the user follows the link. */
export async function saveChallenge(sql: Sql, userId: string, challenge: Challenge, type: string): Promise<void> {
  await sql.query("delete from auth.flow_state where user_id = $1::uuid and authentication_method = $2", [
    userId,
    type,
  ]);
  await sql.query(
    `insert into auth.flow_state (id, user_id, auth_code, code_challenge_method, code_challenge, provider_type,
       authentication_method, created_at, updated_at)
     values (gen_random_uuid(), $1::uuid, gen_random_uuid()::text, $2::text::auth.code_challenge_method, $3, 'email', $4,
       now(), now())`,
    [userId, challenge.method, challenge.text, type],
  );
}
