/**
 * Acting as a caller, as the Data API does: the caller's role and claims hold
 * for one transaction, and row-level security judges by them.
 *
 * @module
 */
import { CallerError } from "./errors.ts";
import type { Statement } from "./query_result.ts";

/** The roles that callers may have (Supabase, "Postgres Roles"). No other one is ever acted as. */
export const CALLER_ROLES: readonly string[] = Object.freeze(["anon", "authenticated"]);

/**
 * Whom statements act for: nobody in particular, or the user of a token whose
 * claims were **verified**. This module verifies no token.
 */
export type Caller = "anonymous" | { readonly claims: Readonly<Record<string, unknown>> };

/*
 * The role comes last: what is set before is set as the login role. Older
 * functions read one setting for each claim, and prefer it: a leftover must not speak for the caller.
 */
const BECOME = "SELECT set_config('request.jwt.claims', $1, true), set_config('request.jwt.claim', '', true), " +
  "set_config('request.jwt.claim.sub', '', true), set_config('request.jwt.claim.role', '', true), " +
  "set_config('request.jwt.claim.email', '', true), set_config('role', $2, true)";

/** A caller whose claims were looked at. */
export class ActingCaller {
  readonly #statement: Statement;
  /** In seconds since 1970 (RFC 7519, 4.1.4). */
  readonly #exp: number;

  /** @throws {CallerError} when the claims are not those of a user. */
  constructor(caller: Caller) {
    const claims = caller === "anonymous" ? { role: "anon" } : caller.claims;
    const { role } = claims;
    if (typeof role !== "string" || !CALLER_ROLES.includes(role)) {
      throw new CallerError(`The claim role must be ${CALLER_ROLES.join(" or ")}: nobody else is acted for`);
    }
    this.#exp = role === "anon" && caller === "anonymous" ? Infinity : expiry(claims);
    this.#statement = { text: BECOME, values: [JSON.stringify(claims), role] };
  }

  /**
   * The statement that takes on role and claims until the transaction ends.
   *
   * @param nowEpochMs The wall clock.
   * @throws {CallerError} when the token has expired.
   */
  become(nowEpochMs: number): Statement {
    if (nowEpochMs >= this.#exp * 1_000) throw new CallerError("The caller's token has expired");
    return this.#statement;
  }
}

function expiry({ sub, exp }: Readonly<Record<string, unknown>>): number {
  if (typeof sub !== "string" || sub === "") throw new CallerError("The claim sub must be the user's id");
  if (typeof exp !== "number" || !Number.isFinite(exp)) throw new CallerError("The claim exp must be a number");
  return exp;
}
