/**
 * The identity of a caller, as a part of keys.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { memberOf } from "../resilience/mod.ts";
import { CacheKeyError } from "./errors.ts";

/** The part that a cache uses of the context of a request, such as `ctx` of `withPooledSupabase`. */
export interface CallerContext {
  /** The verified payload of the user's token, or `null` when the caller is not a user. */
  readonly jwtClaims: Readonly<Record<string, unknown>> | null;
  /** The auth mode that matched: `user`, `publishable`, `secret` or `none`. */
  readonly authMode: string;
  /** The name of the API key that matched. */
  readonly authKeyName?: string | undefined;
  /** Lets work outlive the response. */
  readonly waitUntil?: (promise: Promise<unknown>) => void;
}

/**
 * The claims that change with each token of the same session, and that policies do not read. All others are a part of
 * the identity: a policy may read `role`, `aal`, `session_id`, `app_metadata` and any other one by `auth.jwt()`.
 */
const VOLATILE: ReadonlySet<string> = new Set(["exp", "iat", "nbf", "jti"]);

/** The identity of claims that were seen: one request may ask many times. */
const identities = new WeakMap<object, string>();

/** Returns a value with the members of its objects in one order, so that equal claims have one text. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1);
  // In an object of its own: an array of pairs is not an object.
  return { members: members.map(([key, member]) => [key, ordered(member)]) };
}

function hash(parts: unknown): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
}

/**
 * Returns a text for the identity of a caller, which has letters, digits, `-` and `_` only. Two callers have the same
 * one only if row-level security cannot tell them apart.
 *
 * @throws {CacheKeyError} if the context has no identity.
 */
export function identityOf(context: CallerContext): string {
  const claims: unknown = memberOf(context, "jwtClaims");
  const mode: unknown = memberOf(context, "authMode");
  if (typeof claims === "object" && claims !== null) {
    const known = identities.get(claims);
    if (known !== undefined) return known;
    const subject = memberOf(claims, "sub");
    if (typeof subject !== "string" || subject === "") return fail("its claims have no sub");
    const lasting = Object.entries(claims).filter(([name]) => !VOLATILE.has(name));
    const identity = hash(["user", ordered(Object.fromEntries(lasting))]);
    if (Object.isFrozen(claims)) identities.set(claims, identity);
    return identity;
  }
  if (mode === "user" || typeof mode !== "string") return fail("it has neither jwtClaims nor another authMode");
  return hash([mode, memberOf(context, "authKeyName") ?? null]);
}

function fail(reason: string): never {
  throw new CacheKeyError(`Cannot use the context of the caller: ${reason}; pass ctx of the handler`);
}
