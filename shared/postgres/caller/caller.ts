/**
 * Runs statements as a caller, as the Data API does: the caller's role and claims hold for one transaction, and
 * row-level security applies to them.
 *
 * @module
 */
import { servesUntilMs } from "../../resilience/mod.ts";
import { CallerError } from "../errors/errors.ts";
import type { Statement } from "../wire/query_result.ts";
import { checkClaims } from "./claims.ts";

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

const ANONYMOUS = { json: '{"role":"anon"}', role: "anon", exp: Infinity };

/** A caller whose claims have been checked. */
export class VerifiedCaller {
  readonly #statement: Statement;
  readonly #wallClock: () => number;
  /** In ms since the epoch. */
  readonly #servesUntilMs: number;

  /**
   * @param admitted Whether the token was valid when its request began. Default: whether it is valid now.
   * @param wallClock The wall clock, in ms since the epoch. Default: `Date.now`.
   * @throws {CallerError} when the claims do not identify a user.
   */
  constructor(caller: Caller, admitted = false, wallClock: () => number = Date.now) {
    const { json, role, exp } = caller === "anonymous" ? ANONYMOUS : checkClaims(caller);
    this.#wallClock = wallClock;
    this.#servesUntilMs = servesUntilMs(exp, admitted, wallClock());
    this.#statement = { text: SET_CALLER, values: [json, role] };
  }

  /**
   * Returns the statement that sets role and claims until the transaction ends.
   *
   * @throws {CallerError} when the token has expired: 30 s after its `exp`, if it was valid when its request began.
   */
  impersonate(): Statement {
    if (this.#wallClock() >= this.#servesUntilMs) {
      throw new CallerError("The caller's token has expired: refresh the session", "expired");
    }
    return this.#statement;
  }
}
