/**
 * Runs statements as a caller, as the Data API does: the caller's role and claims hold for one transaction, and
 * row-level security applies to them.
 *
 * @module
 */
import { checkCaller, servesUntilMs } from "../../resilience/mod.ts";
import { CallerError } from "../errors/caller_error.ts";
import type { WorkOptions } from "../query/query_options.ts";
import type { Statement } from "../wire/query_result.ts";
import { checkClaims } from "./claims.ts";
import { type CallerRequest, NO_REQUEST, REQUEST_SETTINGS, requestSettings } from "./request_settings.ts";
import type { RoleSettings } from "./role_settings.ts";

/**
 * A caller: anonymous, or the user of a token whose claims were **verified**. This module verifies no token.
 */
export type Caller = "anonymous" | { readonly claims: Readonly<Record<string, unknown>> };

/**
 * Older functions prefer one setting per claim: these are cleared, since a leftover would override the claims.
 */
const CLEARED = ["request.jwt.claim", "request.jwt.claim.sub", "request.jwt.claim.role", "request.jwt.claim.email"];

/** The most arguments of a function are 100 (`max_function_args`). */
const MAX_ARGUMENTS = 90;

/**
 * Returns a statement that sets parameters until the transaction ends, in their order. It returns nothing of their
 * values: `set_config` alone would send the claims back.
 *
 * @param constants Names and values that are the same for every caller.
 */
function setting(
  own: readonly (readonly [name: string, value: string])[],
  constants: readonly (readonly [name: string, value: string])[],
  last: readonly (readonly [name: string, value: string])[],
): Statement {
  const values: string[] = [];
  const calls: string[] = [];
  for (const [name, value] of own) {
    const at = values.push(name, value);
    calls.push(`set_config($${at - 1}, $${at}, true)`);
  }
  for (const [name, value] of constants) calls.push(`set_config('${name}', '${value}', true)`);
  for (const [name, value] of last) calls.push(`set_config('${name}', $${values.push(value)}, true)`);
  const columns: string[] = [];
  for (let at = 0; at < calls.length; at += MAX_ARGUMENTS) {
    columns.push(`num_nulls(${calls.slice(at, at + MAX_ARGUMENTS).join(", ")})`);
  }
  return { text: `SELECT ${columns.join(", ")}`, values };
}

const ANONYMOUS = { json: '{"role":"anon"}', role: "anon", exp: Infinity, sub: undefined };

/** A caller whose claims have been checked. */
export class VerifiedCaller {
  /** The role of its statements. */
  readonly role: string;
  /** The key of the flow of what it runs: a user's own, or one for all anonymous callers. */
  readonly flow: string;
  /** True for a signed-in user. */
  readonly isUser: boolean;

  readonly #json: string;
  readonly #request: CallerRequest | undefined;
  #requestValues: readonly string[] | undefined = undefined;
  #statement: Statement | undefined = undefined;
  /** The settings of the role that {@linkcode #statement} was created with. */
  #settings: RoleSettings | undefined = undefined;
  readonly #wallClock: () => number;
  /** In ms since the epoch. */
  readonly #servesUntilMs: number;

  /**
   * @param work Whether the token was valid when its request began, and the request.
   * @param wallClock The wall clock, in ms since the epoch. Default: `Date.now`.
   * @throws {CallerError} when the claims do not identify a user.
   */
  constructor(
    caller: Caller,
    { admitted = false, request }: Pick<WorkOptions, "admitted" | "request"> = {},
    wallClock: () => number = Date.now,
  ) {
    const { json, role, exp, sub } = caller === "anonymous" ? ANONYMOUS : checkClaims(caller);
    this.#wallClock = wallClock;
    this.#servesUntilMs = servesUntilMs(exp, admitted, wallClock());
    this.role = role;
    this.isUser = sub !== undefined;
    this.flow = sub === undefined ? "anonymous" : `user ${sub}`;
    this.#json = json;
    this.#request = request;
  }

  /** Role and user: the same for every token of a user. */
  get identity(): string {
    return `${this.role} ${this.flow}`;
  }

  /** The claims, as JSON. */
  get claims(): string {
    return this.#json;
  }

  /**
   * Checks that the token still serves.
   *
   * @throws {CallerError} when it has expired: 30 s after its `exp`, if it was valid when its request began.
   * @throws {SharedLoaderError} when it would act for a user in a loader of the shared cache.
   */
  check(): void {
    if (this.isUser) checkCaller();
    if (this.#wallClock() < this.#servesUntilMs) return;
    throw new CallerError("The caller's token has expired: refresh the session", "expired");
  }

  /** Returns the statement that sets role, claims, request and the role's settings until the transaction ends. */
  impersonate(settings: RoleSettings): Statement {
    if (this.#statement && this.#settings === settings) return this.#statement;
    const request = this.#requestValues ??= this.#request && requestSettings(this.#request);
    const given = REQUEST_SETTINGS.map((name, index) => [name, request?.[index] ?? NO_REQUEST[index] ?? ""] as const);
    const constants = CLEARED.map((name) => [name, ""] as const);
    this.#settings = settings;
    // The role comes last: the settings before it may need the rights of the login role.
    const statement = setting(
      settings.settings,
      request ? constants : [...constants, ...given],
      [["request.jwt.claims", this.#json], ...(request ? given : []), ["role", this.role]],
    );
    const path = settings.settings.findLast(([name]) => name === "search_path")?.[1];
    const namespace = path === undefined ? this.role : `${this.role} ${path}`;
    return this.#statement = { ...statement, namespace };
  }
}
