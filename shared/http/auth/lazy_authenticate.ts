/**
 * The check of credentials, loaded when there is something to check: a cold isolate whose handler accepts every caller
 * does not load what verifies tokens.
 *
 * @module
 */
import type { Authenticate, AuthenticateOptions, AuthOutcome, RequestWait } from "./authenticate.ts";

/** The outcome of auth mode `none`, whatever the request carries. */
const ANY_CALLER: AuthOutcome = Object.freeze({
  auth: Object.freeze({ authMode: "none", token: null, userClaims: null, jwtClaims: null, keyName: null }),
  error: null,
});

/** Copies the lists of the options: the caller may change its own later. */
function copyOptions(options: AuthenticateOptions): AuthenticateOptions {
  const { auth, audience, issuer } = options;
  return {
    ...options,
    auth: typeof auth === "string" ? auth : [...auth],
    audience: Array.isArray(audience) ? [...audience] : audience,
    issuer: Array.isArray(issuer) ? [...issuer] : issuer,
  };
}

/** Creates the same check as `createAuthenticate`, which it loads at the first request that needs it. */
export function createLazyAuthenticate(options: AuthenticateOptions): Authenticate {
  const copy = copyOptions(options);
  const first = typeof copy.auth === "string" ? copy.auth : copy.auth[0];
  let authenticate: Authenticate | undefined;
  let loading: Promise<Authenticate> | undefined;

  async function load(): Promise<Authenticate> {
    const { createAuthenticate } = await import("./authenticate.ts");
    return authenticate = createAuthenticate(copy);
  }

  function check(request: Request, wait?: RequestWait): AuthOutcome | Promise<AuthOutcome> {
    // It matches every request, and the first match wins.
    if (first === "none") return ANY_CALLER;
    if (authenticate !== undefined) return authenticate(request, wait);
    loading ??= load();
    return loading.then((loaded) => loaded(request, wait));
  }

  return Object.assign(check, { clearCache: () => authenticate?.clearCache() });
}
