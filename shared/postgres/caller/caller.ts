/**
 * Acting as a caller, as the Data API does: the caller's role and claims hold
 * for one transaction, and row-level security judges by them.
 *
 * @module
 */
import { CallerError } from "../errors/errors.ts";
import type { Statement } from "../wire/query_result.ts";

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
    const json = caller === "anonymous" ? '{"role":"anon"}' : jsonOf(caller);
    // What is sent is what is judged, whatever the object does when it is read.
    const claims: unknown = JSON.parse(json);
    if (typeof claims !== "object" || claims === null) throw notClaims();
    const role: unknown = Reflect.get(claims, "role");
    if (typeof role !== "string" || !CALLER_ROLES.includes(role)) {
      throw new CallerError(`The claim role must be ${CALLER_ROLES.join(" or ")}: nobody else is acted for`);
    }
    this.#exp = caller === "anonymous" ? Infinity : expiry(claims);
    this.#statement = { text: BECOME, values: [json, role] };
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

function notClaims(): CallerError {
  return new CallerError('The caller must be "anonymous" or { claims }, with the claims of a verified token');
}

/** The claims as they are sent. */
function jsonOf(caller: unknown): string {
  let json: string | undefined;
  try {
    if (typeof caller === "object" && caller !== null) json = JSON.stringify(Reflect.get(caller, "claims"));
  } catch {
    // A cycle, a bigint: no token holds these.
  }
  if (json === undefined) throw notClaims();
  return json;
}

function expiry(claims: object): number {
  const sub: unknown = Reflect.get(claims, "sub");
  const exp: unknown = Reflect.get(claims, "exp");
  if (typeof sub !== "string" || sub === "") throw new CallerError("The claim sub must be the user's id");
  if (typeof exp !== "number" || !Number.isFinite(exp)) throw new CallerError("The claim exp must be a number");
  return exp;
}
