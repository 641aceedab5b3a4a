/**
 * The check of credentials, loaded when there is something to check: a cold
 * isolate whose handler takes everybody does without all that verifies tokens.
 *
 * @module
 */
import type { Authenticate, Verdict } from "./authenticate.ts";
import { type AuthenticateOptions, copyOptions } from "./authenticate_options.ts";
import type { RequestWait } from "../request/deadline.ts";

/** The verdict of auth mode `none`, whatever the request carries. */
const ANYBODY: Verdict = Object.freeze({
  auth: Object.freeze({ authMode: "none", token: null, userClaims: null, jwtClaims: null, keyName: null }),
  error: null,
});

/** Does what `createAuthenticate` does, and loads it at the first request that needs it. */
export function createLazyAuthenticate(options: AuthenticateOptions): Authenticate {
  const rules = copyOptions(options);
  const first = typeof rules.auth === "string" ? rules.auth : rules.auth[0];
  let authenticate: Authenticate | undefined;
  let loading: Promise<Authenticate> | undefined;

  async function load(): Promise<Authenticate> {
    const { createAuthenticate } = await import("./authenticate.ts");
    return authenticate = createAuthenticate(rules);
  }

  function check(request: Request, patience?: RequestWait): Verdict | Promise<Verdict> {
    // It matches every request, and the first match wins.
    if (first === "none") return ANYBODY;
    if (authenticate !== undefined) return authenticate(request, patience);
    loading ??= load();
    return loading.then((loaded) => loaded(request, patience));
  }

  return Object.assign(check, { forget: () => authenticate?.forget() });
}
