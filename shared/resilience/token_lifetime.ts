/**
 * The lifetime of a caller's token.
 *
 * @module
 */
import { describeStatus, type HttpDescription, INTERNAL_ERROR } from "./error_class.ts";

/**
 * The time for which a token serves a request after its `exp`, in ms, if it was valid when the request began. The Data
 * API grants the same to every request (PostgREST, "JWT claims validation"), so that the last calls of a long request
 * do not fail.
 */
export const TOKEN_LEEWAY_MS = 30_000;

/** The end of the year 9999, in seconds since the epoch. */
const MAX_NUMERIC_DATE = 253_402_300_799;

/**
 * Returns whether a claim is a point in time (`NumericDate`, RFC 7519, section 2) up to the year 9999. A later one is a
 * mistake or an attack: in milliseconds, or without an end.
 */
export function isNumericDate(claim: unknown): claim is number {
  return typeof claim === "number" && Math.abs(claim) <= MAX_NUMERIC_DATE;
}

/**
 * Returns the time until which a token serves a caller, in ms since the epoch; `-Infinity` if it serves none.
 *
 * @param exp The `exp` claim, in seconds since the epoch.
 * @param admitted Whether the token was valid when its request began.
 * @param nowMs The wall clock, in ms since the epoch.
 */
export function servesUntilMs(exp: number, admitted: boolean, nowMs: number): number {
  const expMs = exp * 1_000;
  return admitted || nowMs < expMs ? expMs + TOKEN_LEEWAY_MS : -Infinity;
}

/**
 * The reason why a caller is refused: a mistake of the program, claims that the client is to blame for, a token that has
 * expired, or a role that may not be used.
 */
export type RefusalReason = "mistake" | "claims" | "expired" | "role";

const RESPONSES: Readonly<Record<RefusalReason, HttpDescription>> = {
  mistake: INTERNAL_ERROR,
  claims: { ...describeStatus(400), detail: "The claims of the access token cannot be used" },
  expired: { ...describeStatus(401), detail: "The access token has expired: refresh the session" },
  role: { ...describeStatus(403), detail: "The role of the access token may not be used here" },
};

/** Returns the HTTP response to the refusal of a caller. */
export function refusalResponse(reason: RefusalReason): HttpDescription {
  return RESPONSES[reason];
}
