/**
 * Who is calling: the auth modes of `@supabase/server`, and under them the
 * rules for a user's token.
 *
 * @module
 */
import type { AuthError, AuthModeWithKey, AuthResult, JWTClaims } from "@supabase/server";
import { decodeProtectedHeader } from "jose";
import { type AuthenticateOptions, copyOptions } from "./authenticate_options.ts";
import { deepFreeze } from "./deep_freeze.ts";
import { invalidToken, jwksFetchFailed, type TokenFailure } from "./invalid_token.ts";
import { type JwksSource, keysAt, type KeySet } from "./jwks_source.ts";
import { type RequestWait, waitForever } from "../request/deadline.ts";
import { createSecretVerifier, isEmpty, type SecretVerifier } from "./shared_secret.ts";
import { TokenMemory, type VerifiedWith } from "./token_memory.ts";
import { DEFAULT_USER_ROLES, toUserClaims, userTokenFailure } from "./user_token.ts";
import { verifyUserToken } from "./user_token_verifier.ts";

/** Who is calling, or why the request is refused. */
export type Verdict =
  | { readonly auth: AuthResult; readonly error: null }
  | { readonly auth: null; readonly error: AuthError };

/** Verifies the credentials of a request: at once where they are remembered. */
export interface Authenticate {
  /**
   * @param patience Waits for a fetch of keys. Default: for as long as it takes.
   * @throws what `patience` throws, and nothing else.
   */
  (request: Request, patience?: RequestWait): Verdict | Promise<Verdict>;
  /** Forgets every remembered token, where memory is short. */
  forget(): void;
}

/** A verdict, and what the token was verified with: nothing, where that cannot be told. */
interface Verified {
  readonly verdict: Verdict;
  readonly verifiedWith?: VerifiedWith | undefined;
}

let library: typeof import("@supabase/server/core") | undefined;

/** The token of an `Authorization: Bearer` header, as `@supabase/server` reads it, or `null` without one. */
function tokenOf(request: Request): string | null {
  const header = request.headers.get("authorization");
  return header?.startsWith("Bearer ") ? header.slice("Bearer ".length) || null : null;
}

/** The key a token names. Without one, or without an algorithm, it is refused whatever the keys are. */
function kidOf(token: string): string | undefined {
  try {
    const { alg, kid } = decodeProtectedHeader(token);
    return alg && kid ? kid : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Makes the check for one set of options. `@supabase/server` verifies
 * everything it can; HS256 tokens are verified against `jwtSecret`. Whoever
 * verified a user's token, it must then pass {@linkcode userTokenFailure}, on
 * every request, remembered or not. A user's claims are frozen: requests with
 * the same token share them.
 */
export function createAuthenticate(options: AuthenticateOptions): Authenticate {
  const { env, roles = DEFAULT_USER_ROLES, jwtSecret, rememberTokensMs = 0, now = Date.now } = options;
  const modes: AuthModeWithKey[] = typeof options.auth === "string" ? [options.auth] : [...options.auth];
  const { audience, issuer } = copyOptions(options);
  const expected = {
    ...(audience === undefined ? {} : { audience }),
    ...(issuer === undefined ? {} : { issuer }),
  };
  const userMode = modes.indexOf("user");
  const secret = jwtSecret === undefined ? undefined : createSecretVerifier(jwtSecret, env.jwks);
  const memory = new TokenMemory({ rememberMs: userMode < 0 ? 0 : rememberTokensMs, now });
  // Without a memory the library looks after the keys by itself.
  const source = memory.on && env.jwks instanceof URL ? keysAt(env.jwks) : undefined;

  const inline = env.jwks === null || env.jwks instanceof URL ? undefined : env.jwks;

  async function withLibrary(request: Request, auth: AuthModeWithKey[], keys?: KeySet): Promise<Verdict> {
    // Loaded on demand: most requests carry a good token, which is verified without it.
    library ??= await import("@supabase/server/core");
    const { data, error } = await library.verifyAuth(request, {
      auth,
      env: keys ? { ...env, jwks: keys } : env,
      ...expected,
    });
    return error === null ? { auth: data, error } : { auth: null, error };
  }

  /** Verifies with a key set. Where `user` is the first mode, a good token needs no library. */
  async function withKeys(request: Request, token: string, keys: KeySet): Promise<Verdict> {
    const auth = userMode === 0 ? await verifyUserToken(token, keys, expected) : undefined;
    return auth ? { auth, error: null } : await withLibrary(request, modes, keys);
  }

  /** What the modes named before `user` make of the request: they come first, as they would for any token. */
  async function earlierMatch(request: Request): Promise<Verdict | undefined> {
    if (userMode <= 0) return undefined;
    const earlier = await withLibrary(request, modes.slice(0, userMode));
    return earlier.error === null ? earlier : undefined;
  }

  async function withSecret(verifier: SecretVerifier, request: Request, token: string): Promise<Verdict> {
    const earlier = await earlierMatch(request);
    if (earlier) return earlier;
    const { claims, failure } = await verifier.verify(token, expected);
    if (failure) return await refuse(request, token, failure);
    const jwtClaims = claims as JWTClaims;
    return {
      auth: { authMode: "user", token, jwtClaims, userClaims: toUserClaims(jwtClaims), keyName: null },
      error: null,
    };
  }

  /** Verifies with the keys that the project publishes. */
  async function withPublished(source: JwksSource, request: Request, token: string, patience: RequestWait) {
    const kid = kidOf(token);
    if (kid === undefined || isEmpty(audience) || isEmpty(issuer)) {
      return { verdict: await withLibrary(request, modes) }; // refused before any key is asked for
    }
    const { keys, failure } = await source.keysFor(kid, patience);
    if (keys) return { verdict: await withKeys(request, token, keys), verifiedWith: keys };
    const earlier = await earlierMatch(request);
    if (earlier) return { verdict: earlier };
    const apikey = request.headers.get("apikey");
    return { verdict: { auth: null, error: await jwksFetchFailed(modes, apikey, failure) } };
  }

  async function verify(request: Request, token: string, patience: RequestWait): Promise<Verified> {
    if (secret?.covers(token)) return { verdict: await withSecret(secret, request, token), verifiedWith: secret };
    if (source) return await withPublished(source, request, token, patience);
    if (inline) return { verdict: await withKeys(request, token, inline), verifiedWith: inline };
    const verdict = withLibrary(request, modes);
    return { verdict: await (env.jwks instanceof URL ? patience(verdict) : verdict) };
  }

  async function refuse(request: Request, token: string, failure: TokenFailure): Promise<Verdict> {
    const apikey = request.headers.get("apikey");
    return { auth: null, error: await invalidToken(modes, { token, apikey }, failure) };
  }

  const isCurrent = (by: VerifiedWith) => by === secret || by === (source ? source.fresh : inline);

  async function judge(
    request: Request,
    token: string,
    known: AuthResult | undefined,
    patience: RequestWait,
  ): Promise<Verdict> {
    const { verdict, verifiedWith }: Verified = known
      ? { verdict: await earlierMatch(request) ?? { auth: known, error: null } }
      : await verify(request, token, patience);
    const { auth } = verdict;
    if (auth?.authMode !== "user") return verdict;
    const failure = userTokenFailure(auth.jwtClaims ?? {}, roles, now());
    if (failure) return await refuse(request, token, failure);
    deepFreeze(auth);
    if (memory.on && verifiedWith) memory.remember(token, verifiedWith, auth, Number(auth.jwtClaims?.exp) * 1_000);
    return verdict;
  }

  function authenticate(request: Request, patience: RequestWait = waitForever): Verdict | Promise<Verdict> {
    const token = tokenOf(request);
    if (token === null || userMode < 0) return withLibrary(request, modes);
    const known = memory.on ? memory.recall(token, isCurrent) : undefined;
    const good = known && userMode === 0 && !userTokenFailure(known.jwtClaims ?? {}, roles, now());
    return good ? { auth: known, error: null } : judge(request, token, known, patience);
  }

  return Object.assign(authenticate, { forget: () => memory.forget() });
}
