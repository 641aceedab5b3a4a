/**
 * Sessions: an access token, and refresh tokens that are used once.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import type { AuthContext, AuthRequest, Sql } from "./context.ts";
import { AuthError } from "./errors.ts";
import { findUser, isBanned, present, reloadUser, type User } from "./users.ts";

/** The way in which a session began. */
export type SignInMethod = "password" | "otp" | "anonymous";

/** A session, as responses show it. */
export type SessionBody = Record<string, unknown> & { readonly access_token: string; readonly refresh_token: string };

interface TokenRow {
  readonly token: string;
  readonly user_id: string;
  readonly session_id: string | null;
  readonly revoked: boolean;
  readonly age: number;
  readonly session_age: number | null;
  readonly idle: number | null;
}

/** The longest duration of Go, in s: 2^63 ns, 292 years. */
const MAX_DURATION_S = 2 ** 63 / 1e9;

/** Returns the seconds of a duration such as `24h` or `1h30m`; `undefined` if the text is not one. */
export function parseDuration(text: string): number | undefined {
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001, us: 1e-6, ns: 1e-9 };
  if (!/^(?:[\d.]{1,15}(?:h|ms|us|ns|m|s))+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]{1,15})(h|ms|us|ns|m|s)/g)) {
    seconds += Number(amount) * (units[unit ?? ""] ?? 0);
  }
  return seconds <= MAX_DURATION_S ? seconds : undefined;
}

/** Returns the limit that a setting sets, in s: none for an empty text and for a duration of 0, as in GoTrue. */
export function sessionLimitS(text: string): number {
  return parseDuration(text) || Infinity;
}

async function createRefreshToken(sql: Sql, userId: string, sessionId: string, parent: string | null): Promise<string> {
  const token = randomBytes(16).toString("base64url");
  await sql.query(
    `insert into auth.refresh_tokens (instance_id, token, user_id, parent, session_id, revoked, created_at, updated_at)
     values ('00000000-0000-0000-0000-000000000000', $1, $2, $3, $4::uuid, false, now(), now())`,
    [token, userId, parent, sessionId],
  );
  return token;
}

/** Returns the body of a session: a new access token for it, and `refreshToken`. */
async function bodyOf(
  { tokens, config, url }: AuthContext,
  sql: Sql,
  user: User,
  sessionId: string,
  refreshToken: string,
): Promise<SessionBody> {
  const { rows } = await sql.query<{ method: string; timestamp: number; aal: string | null }>(
    `select authentication_method as method, extract(epoch from claims.created_at)::int as timestamp, aal::text
     from auth.sessions left join auth.mfa_amr_claims as claims on session_id = sessions.id
     where sessions.id = $1::uuid order by claims.created_at desc`,
    [sessionId],
  );
  const now = Math.floor(Date.now() / 1000);
  const expiresAt = now + config.jwtExpiryS;
  const access_token = await tokens.sign({
    iss: `${url}/auth/v1`,
    sub: user.id,
    aud: user.aud ?? "authenticated",
    exp: expiresAt,
    iat: now,
    email: user.email ?? "",
    phone: user.phone ?? "",
    app_metadata: user.raw_app_meta_data ?? {},
    user_metadata: user.raw_user_meta_data ?? {},
    role: user.role ?? "authenticated",
    aal: rows[0]?.aal ?? "aal1",
    amr: rows.filter(({ method }) => method !== null).map(({ method, timestamp }) => ({ method, timestamp })),
    session_id: sessionId,
    is_anonymous: user.is_anonymous,
  });
  return {
    access_token,
    token_type: "bearer",
    expires_in: config.jwtExpiryS,
    expires_at: expiresAt,
    refresh_token: refreshToken,
    user: present(user),
  };
}

/** Creates a session of a user. */
export async function createSession(
  context: AuthContext,
  sql: Sql,
  userId: string,
  method: SignInMethod,
  headers: Headers,
): Promise<SessionBody> {
  const id = crypto.randomUUID();
  await sql.query(
    `insert into auth.sessions (id, user_id, aal, created_at, updated_at, user_agent)
     values ($1::uuid, $2::uuid, 'aal1', now(), now(), $3)`,
    [id, userId, headers.get("user-agent")],
  );
  await sql.query(
    `insert into auth.mfa_amr_claims (id, session_id, authentication_method, created_at, updated_at)
     values (gen_random_uuid(), $1::uuid, $2, now(), now())`,
    [id, method],
  );
  const refreshToken = await createRefreshToken(sql, userId, id, null);
  await sql.query("update auth.users set last_sign_in_at = now(), updated_at = now() where id = $1::uuid", [userId]);
  return await bodyOf(context, sql, await reloadUser(sql, userId), id, refreshToken);
}

function expired(suffix = ""): AuthError {
  return new AuthError(400, "session_expired", `Invalid Refresh Token: Session Expired${suffix}`);
}

/**
 * Exchanges a refresh token for a new one, and for a new access token.
 *
 * @throws {AuthError} `refresh_token_not_found`, `refresh_token_already_used`, `session_expired` or `user_banned`.
 */
export async function refreshSession(context: AuthContext, { body }: AuthRequest): Promise<SessionBody> {
  const { database, config } = context;
  const token = body.text("refresh_token");
  if (token === "") throw new AuthError(400, "validation_failed", "refresh_token required");
  // An error inside the transaction would roll back the revocation of the tokens of a session.
  const outcome = await database.transaction(async (sql): Promise<SessionBody | AuthError> => {
    const { rows: [row] } = await sql.query<TokenRow>(
      `select token, tokens.user_id, session_id, revoked,
         extract(epoch from now() - tokens.updated_at)::float8 as age,
         extract(epoch from now() - sessions.created_at)::float8 as session_age,
         extract(epoch from now() - coalesce(refreshed_at at time zone 'UTC', sessions.created_at))::float8 as idle
       from auth.refresh_tokens as tokens left join auth.sessions on sessions.id = session_id
       where token = $1 for update of tokens`,
      [token],
    );
    if (!row) {
      return new AuthError(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
    }
    const user = await findUser(sql, row.user_id);
    if (!user || row.session_id === null) {
      return new AuthError(400, "session_not_found", "Invalid Refresh Token: No Valid Session Found");
    }
    if (isBanned(user)) return new AuthError(400, "user_banned", "Invalid Refresh Token: User Banned");
    if ((row.session_age ?? 0) > sessionLimitS(config.sessions.timebox)) return expired();
    if ((row.idle ?? 0) > sessionLimitS(config.sessions.inactivityTimeout)) {
      return expired(" (Inactivity)");
    }

    let next = token;
    if (row.revoked) {
      const { rows: [active] } = await sql.query<{ token: string; parent: string | null }>(
        `select token, parent from auth.refresh_tokens where session_id = $1::uuid and not revoked
         order by created_at desc limit 1`,
        [row.session_id],
      );
      // A client that could not store the response to its refresh repeats it.
      const repeated = active?.parent === token || row.age <= config.refreshTokenReuseIntervalS;
      if (!active || !repeated) {
        if (config.enableRefreshTokenRotation) {
          await sql.query(
            "update auth.refresh_tokens set revoked = true, updated_at = now() where session_id = $1::uuid and not revoked",
            [row.session_id],
          );
        }
        return new AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used");
      }
      next = active.token;
    } else if (config.enableRefreshTokenRotation) {
      await sql.query("update auth.refresh_tokens set revoked = true, updated_at = now() where token = $1", [token]);
      next = await createRefreshToken(sql, user.id, row.session_id, token);
    }
    await sql.query(
      "update auth.sessions set refreshed_at = now() at time zone 'UTC', updated_at = now() where id = $1::uuid",
      [row.session_id],
    );
    return await bodyOf(context, sql, user, row.session_id, next);
  });
  if (outcome instanceof AuthError) throw outcome;
  return outcome;
}

/** The sessions that a sign-out ends. */
export type SignOutScope = "global" | "local" | "others";

/** Ends sessions of a user. */
export async function endSessions(
  sql: Sql,
  userId: string,
  scope: SignOutScope = "global",
  sessionId?: string,
): Promise<void> {
  const condition = sessionId === undefined || scope === "global"
    ? ""
    : `and id ${scope === "local" ? "=" : "<>"} $2::uuid`;
  await sql.query(
    `delete from auth.sessions where user_id = $1::uuid ${condition}`,
    condition === "" ? [userId] : [userId, sessionId],
  );
}
