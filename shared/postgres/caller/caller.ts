/**
 * Runs statements as a caller, as the Data API does: the caller's role and claims hold for one transaction, and
 * row-level security applies to them.
 *
 * @module
 */
import { memberOf } from "../../resilience/mod.ts";
import { CallerError } from "../errors/errors.ts";
import type { Statement } from "../wire/query_result.ts";

/** The roles that a caller may have (Supabase, "Postgres Roles"). */
export const CALLER_ROLES: readonly string[] = Object.freeze(["anon", "authenticated"]);

/**
 * A caller: anonymous, or the user of a token whose claims were **verified**. This module verifies no token.
 */
export type Caller = "anonymous" | { readonly claims: Readonly<Record<string, unknown>> };

/*
 * The role comes last: the settings before it need the rights of the login role. Older functions prefer one setting per
 * claim: these are cleared, since a leftover would override the claims.
 */
const SET_CALLER = "SELECT set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim', '', true), " +
  "set_config('request.jwt.claim.sub', '', true), set_config('request.jwt.claim.role', '', true), " +
  "set_config('request.jwt.claim.email', '', true), set_config('role', $2, true)";

/** A caller whose claims have been checked. */
export class VerifiedCaller {
  readonly #statement: Statement;
  /** In seconds since 1970 (RFC 7519, 4.1.4). */
  readonly #exp: number;

  /** @throws {CallerError} when the claims do not identify a user. */
  constructor(caller: Caller) {
    const json = caller === "anonymous" ? '{"role":"anon"}' : jsonOf(caller);
    // Checks what is sent: an object may change between two reads.
    const claims: unknown = JSON.parse(json);
    if (typeof claims !== "object" || claims === null) throw notClaims();
    const role = memberOf(claims, "role");
    if (typeof role !== "string" || !CALLER_ROLES.includes(role)) {
      throw new CallerError(`The role claim must be ${CALLER_ROLES.join(" or ")}`);
    }
    this.#exp = caller === "anonymous" ? Infinity : expiry(claims);
    this.#statement = { text: SET_CALLER, values: [json, role] };
  }

  /**
   * Returns the statement that sets role and claims until the transaction ends.
   *
   * @throws {CallerError} when the token has expired.
   */
  impersonate(): Statement {
    // The wall clock: a Clock has an arbitrary origin.
    if (Date.now() >= this.#exp * 1_000) throw new CallerError("The caller's token has expired");
    return this.#statement;
  }
}

function notClaims(): CallerError {
  return new CallerError('The caller must be "anonymous" or { claims }, with the claims of a verified token');
}

/** Returns the claims as JSON. */
function jsonOf(caller: unknown): string {
  let json: string | undefined;
  try {
    json = JSON.stringify(memberOf(caller, "claims"));
  } catch {
    // A cycle or a bigint, which no token holds.
  }
  if (json === undefined) throw notClaims();
  return json;
}

function expiry(claims: object): number {
  const sub = memberOf(claims, "sub");
  const exp = memberOf(claims, "exp");
  if (typeof sub !== "string" || sub === "") throw new CallerError("The sub claim must be the user's id");
  if (typeof exp !== "number" || !Number.isFinite(exp)) throw new CallerError("The exp claim must be a number");
  return exp;
}
