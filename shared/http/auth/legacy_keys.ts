/**
 * The legacy keys of a project, `SUPABASE_ANON_KEY` and `SUPABASE_SERVICE_ROLE_KEY`, beside the newer ones.
 *
 * A signed-out supabase-js client with a legacy key sends it as `apikey` and as `Authorization: Bearer`; cron jobs,
 * `pg_net` and webhooks send the service_role key as a bearer token alone.
 *
 * @module
 */
import type { AuthModeWithKey } from "@supabase/server";
import type { Authenticate, AuthOutcome, RequestWait } from "./authenticate.ts";

/** The legacy keys, and the newer keys that they count as. */
export interface LegacyKeys {
  /** The value of `SUPABASE_ANON_KEY`. */
  readonly anon: string | undefined;
  /** The value of `SUPABASE_SERVICE_ROLE_KEY`. */
  readonly serviceRole: string | undefined;
}

/** The newer keys of a project. */
export interface CurrentKeys {
  readonly publishableKey: string;
  readonly secretKey: string | undefined;
}

const BEARER = "Bearer ";

/** Returns whether two keys are equal, in a time that depends on their lengths only. */
function isEqual(one: string, other: string): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at++) difference |= one.charCodeAt(at) ^ other.charCodeAt(at);
  return difference === 0;
}

/** Returns the newer key that `value` counts as, if it is exactly one of the legacy keys. */
function currentKeyOf(value: string | null, legacy: LegacyKeys, current: CurrentKeys): string | undefined {
  if (value === null || value === "") return undefined;
  if (legacy.serviceRole !== undefined && isEqual(value, legacy.serviceRole)) return current.secretKey;
  return legacy.anon !== undefined && isEqual(value, legacy.anon) ? current.publishableKey : undefined;
}

/** Returns the credentials of `request` with `key` as its `apikey`, and without its token if that is a legacy key. */
function withKey(request: Request, key: string, dropsToken: boolean): Request {
  const headers = new Headers(request.headers);
  headers.set("apikey", key);
  if (dropsToken) headers.delete("authorization");
  return new Request(request.url, { headers });
}

/**
 * Extends `authenticate` by the legacy keys: as `apikey` or as a bearer token they count as the project's publishable and
 * secret key wherever `modes` allow these, and never as a user. What they do not match is left to `authenticate`.
 */
export function withLegacyKeys(
  authenticate: Authenticate,
  modes: AuthModeWithKey | readonly AuthModeWithKey[],
  legacy: LegacyKeys,
  current: CurrentKeys,
): Authenticate {
  const all = [modes].flat();
  const takesKeys = all.some((mode) => mode.startsWith("publishable") || mode.startsWith("secret"));
  if (!takesKeys || (legacy.anon === undefined && legacy.serviceRole === undefined)) return authenticate;

  async function tryKeys(
    request: Request,
    keys: ReadonlySet<string>,
    dropsToken: boolean,
    wait?: RequestWait,
  ): Promise<AuthOutcome> {
    for (const key of keys) {
      const outcome = await authenticate(withKey(request, key, dropsToken), wait);
      // Mode "none" would accept a key that no mode takes.
      if (outcome.auth && outcome.auth.authMode !== "none") return outcome;
    }
    return await authenticate(request, wait);
  }

  function check(request: Request, wait?: RequestWait): AuthOutcome | Promise<AuthOutcome> {
    const authorization = request.headers.get("authorization");
    const token = authorization?.startsWith(BEARER) ? authorization.slice(BEARER.length) : null;
    const ofToken = currentKeyOf(token, legacy, current);
    // A user's token decides alone where mode "user" comes first.
    if (token && ofToken === undefined && all[0] === "user" && !token.startsWith("sb_")) {
      return authenticate(request, wait);
    }
    const apikey = request.headers.get("apikey") || undefined;
    const ofKey = currentKeyOf(apikey ?? null, legacy, current);
    // A newer key decides where it can, as it does without a legacy key beside it.
    const newer = ofKey === undefined ? apikey : undefined;
    const keys = new Set([ofToken && newer, ofToken, ofKey].filter((key) => key !== undefined));
    return keys.size > 0 ? tryKeys(request, keys, ofToken !== undefined, wait) : authenticate(request, wait);
  }

  return Object.assign(check, { clearCache: () => authenticate.clearCache() });
}
