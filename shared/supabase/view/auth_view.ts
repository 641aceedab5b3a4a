/**
 * The `auth` of a view.
 *
 * @module
 */
import { ViewRestrictedError } from "../errors.ts";
import { lazyProxy } from "./lazy_proxy.ts";
import type { LeaseFetch } from "../calls/lease_fetch.ts";
import type { AnyClient, ClientTemplate } from "../client_template.ts";

/** The alternative to what a view cannot do. */
export const OWN_CLIENT = "create a client of your own with createClient for this caller";

/** Loads auth-js on demand: few functions use it, and it is the largest part of supabase-js. */
const load = () => import("@supabase/auth-js");

/** Creates the `auth` of a view, which can get the lease's user, and administer users on an admin lease. */
export function restrictedAuth(parts: ClientTemplate, calls: LeaseFetch): AnyClient["auth"] {
  const { token, mayOverride } = calls.credentials;
  const options = { url: parts.authUrl, headers: { ...parts.headers }, fetch: calls.fetch };
  const markPending = () => calls.markPending();
  const client = lazyProxy(async () => {
    const { AuthClient } = await load();
    return new AuthClient({
      ...options,
      // The module keeps signing keys by this name, for every client in the isolate: under its default, which all share,
      // one project's keys would verify another's tokens. All else it shares is a counter of clients by that name.
      storageKey: `${mayOverride ? "admin" : "user"} ${parts.authUrl}`,
      autoRefreshToken: false,
      persistSession: false,
      detectSessionInUrl: false,
    });
  }, markPending);
  const own = (jwt: string | undefined, what: string): string | undefined => {
    if (jwt !== undefined && jwt !== token && !mayOverride) {
      throw new ViewRestrictedError(`${what} of another token`, "the lease is bound to its caller");
    }
    return jwt ?? token;
  };
  const allowed: Partial<AnyClient["auth"]> = {
    getUser: async (jwt) => await client.getUser(own(jwt, "auth.getUser()")),
    getClaims: async (jwt, rest) => await client.getClaims(own(jwt, "auth.getClaims()"), rest),
    ...(mayOverride ? { admin: lazyProxy(async () => new (await load()).AuthAdminApi(options), markPending) } : {}),
  };
  return new Proxy(Object.freeze(allowed) as AnyClient["auth"], {
    get(target, name) {
      if (typeof name === "symbol" || name === "then") return undefined;
      if (Object.hasOwn(target, name)) return Reflect.get(target, name);
      if (name === "admin") throw new ViewRestrictedError("auth.admin", "lease from a pool with the secret key");
      throw new ViewRestrictedError(`auth.${name}`, `a session would outlive its request; ${OWN_CLIENT}`);
    },
  });
}
