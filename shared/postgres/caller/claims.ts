/**
 * The claims of a caller, as they are sent to the server.
 *
 * @module
 */
import { isNumericDate, memberOf } from "../../resilience/mod.ts";
import { CallerError } from "../errors/caller_error.ts";

/** The roles that a caller may have (Supabase, "Postgres Roles"). */
export const CALLER_ROLES: readonly string[] = Object.freeze(["anon", "authenticated"]);

/**
 * The deepest nesting of claims. A user's `user_metadata` may be nested as deep as a token is long; policies convert the
 * claims to `jsonb`, which exhausts the server's stack (`max_stack_depth`, initially 2 MB) at about twice this depth.
 */
export const MAX_CLAIMS_DEPTH = 6_000;

/** Claims that have been checked. */
export interface CheckedClaims {
  /** The claims as JSON. */
  readonly json: string;
  /** The `role` claim: one of {@linkcode CALLER_ROLES}. */
  readonly role: string;
  /** The `exp` claim, in seconds since the epoch. */
  readonly exp: number;
  /** The `sub` claim: the user's id. */
  readonly sub: string;
}

/**
 * Checks that claims identify a user.
 *
 * @param caller `{ claims }`, with the claims of a verified token.
 * @throws {CallerError} when they do not.
 */
export function checkClaims(caller: unknown): CheckedClaims {
  const json = encode(memberOf(caller, "claims"));
  // Checks what is sent: an object may change between two reads.
  const claims: unknown = json === undefined ? undefined : JSON.parse(json);
  if (json === undefined || typeof claims !== "object" || claims === null) {
    throw new CallerError('The caller must be "anonymous" or { claims }, with the claims of a verified token');
  }
  if (depthOf(json) > MAX_CLAIMS_DEPTH) {
    throw new CallerError(`The claims are nested more than ${MAX_CLAIMS_DEPTH} levels deep`, "claims");
  }
  const role = memberOf(claims, "role");
  if (typeof role !== "string" || !CALLER_ROLES.includes(role)) {
    // Of a verified token, the role is a matter of the caller's rights.
    throw new CallerError(
      `Cannot run as the role of the token: the role claim must be ${CALLER_ROLES.join(" or ")}. ` +
        "Use ctx.supabase for other roles, or give the user one of these",
      typeof role === "string" ? "role" : "mistake",
    );
  }
  const sub = memberOf(claims, "sub");
  if (typeof sub !== "string" || sub === "") throw new CallerError("The sub claim must be the user's id");
  const exp = memberOf(claims, "exp");
  if (!isNumericDate(exp)) {
    throw new CallerError("The exp claim must be a number of seconds since the epoch, up to the year 9999");
  }
  return { json, role, exp, sub };
}

/** Returns claims as JSON; `undefined` for what no token holds, such as a cycle or a bigint. */
function encode(claims: unknown): string | undefined {
  try {
    return JSON.stringify(claims);
  } catch (error) {
    // Some versions of V8 exhaust their stack on claims that are nested deeply.
    return error instanceof RangeError ? encodeDeep(claims) : undefined;
  }
}

/** The most values that {@linkcode encodeDeep} writes: more than a token holds, so that a cycle ends. */
const MAX_VALUES = 1_000_000;

/** Returns parsed JSON as JSON again, without recursion; `undefined` for what JSON does not hold. */
function encodeDeep(claims: unknown): string | undefined {
  const parts: string[] = [];
  /** The rest to write, last first: text, or a value. */
  const rest: ({ readonly text: string } | { readonly value: unknown })[] = [{ value: claims }];
  for (let next = rest.pop(), count = 0; next !== undefined; next = rest.pop(), count++) {
    if (count > MAX_VALUES) return undefined;
    if ("text" in next) {
      parts.push(next.text);
      continue;
    }
    const { value } = next;
    if (typeof value !== "object" || value === null) {
      const text = typeof value === "bigint" ? undefined : JSON.stringify(value);
      if (text === undefined) return undefined;
      parts.push(text);
      continue;
    }
    const isList = Array.isArray(value);
    const entries = Object.entries(value).filter(([, each]) => isList || each !== undefined);
    parts.push(isList ? "[" : "{");
    rest.push({ text: isList ? "]" : "}" });
    for (const [index, [key, each]] of [...entries.entries()].reverse()) {
      rest.push({ value: each });
      const name = isList ? "" : `${JSON.stringify(key)}:`;
      rest.push({ text: index === 0 ? name : `,${name}` });
    }
  }
  return parts.join("");
}

/** Returns how deeply JSON is nested. */
function depthOf(json: string): number {
  // Each level takes two characters.
  if (json.length <= 2 * MAX_CLAIMS_DEPTH) return 0;
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let index = 0; index < json.length; index++) {
    const character = json[index];
    if (quoted && character === "\\") index++;
    else if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === "[" || character === "{") deepest = Math.max(deepest, ++depth);
    else if (character === "]" || character === "}") depth--;
  }
  return deepest;
}
