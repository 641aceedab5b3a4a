/**
 * Classifies a failure, whatever form it has.
 *
 * @module
 */
import { type FailedResponse, responseOf } from "./failed_response.ts";
import { type FailureKind, type FailureRow, NAMES, POSTGREST, STATUS, TEXT, TRANSPORT } from "./failure_table.ts";
import { sqlstateMeaning } from "./sqlstate.ts";
import { memberOf, textOf } from "./unknown.ts";

export type { FailureKind } from "./failure_table.ts";

function index<Key>(...tables: readonly (readonly FailureRow<Key>[])[]): ReadonlyMap<Key, FailureKind> {
  return new Map(tables.flat().map(([key, kind]) => [key, kind]));
}

/** The tables by their keys. */
interface Indexes {
  readonly code: ReadonlyMap<string, FailureKind>;
  readonly name: ReadonlyMap<string, FailureKind>;
  readonly status: ReadonlyMap<number, FailureKind>;
}

let indexes: Indexes | undefined;

/** Built at the first failure: an isolate starts faster without it. */
function tables(): Indexes {
  return indexes ??= { code: index(POSTGREST, TRANSPORT), name: index(NAMES), status: index(STATUS) };
}

const POSTGREST_FORM = /^PGRST\w{3}$/;

/** Longest chain of causes that is followed: a chain may be endless. */
const MAX_LINKS = 16;

/**
 * Returns the failure and the errors it wraps, outermost first: `error` of a result, `cause`, `originalError`
 * (storage-js), `context` (functions-js) and the errors of an `AggregateError`.
 */
export function failureChain(failure: unknown): object[] {
  const links: object[] = [];
  const pending: unknown[] = [failure];
  while (pending.length > 0 && links.length < MAX_LINKS) {
    const link = pending.shift();
    if ((typeof link !== "object" && typeof link !== "function") || link === null || links.includes(link)) continue;
    links.push(link);
    for (const key of ["error", "cause", "originalError", "context"]) pending.push(memberOf(link, key));
    const errors = memberOf(link, "errors");
    if (Array.isArray(errors)) pending.push(...errors.slice(0, MAX_LINKS));
  }
  return links;
}

/** Classifies an error that declares its retry class, or has a known code or name. */
function byDeclaration(link: object): FailureKind | undefined {
  const declared = memberOf(link, "retry");
  if (declared === "transient" || declared === "ambiguous" || declared === "permanent") return declared;
  const code = textOf(link, "code");
  if (code !== undefined) {
    const kind = tables().code.get(code) ?? sqlstateMeaning(code)?.retry;
    if (kind !== undefined) return kind;
    if (POSTGREST_FORM.test(code)) return "permanent";
  }
  return tables().name.get(textOf(link, "name") ?? "");
}

/** Returns the first response behind a failure, or behind one of the errors it wraps. */
export function failedResponse(failure: unknown): FailedResponse | undefined {
  for (const link of failureChain(failure)) {
    const response = responseOf(link);
    if (response !== undefined) return response;
  }
  return undefined;
}

function byStatus(link: object): FailureKind | undefined {
  const status = responseOf(link)?.status ?? memberOf(link, "status");
  if (typeof status !== "number" || status < 400) return undefined;
  return tables().status.get(status) ?? (status < 500 ? "permanent" : undefined);
}

/** Returns the texts of a link. postgrest-js puts the causes of what `fetch` threw into `details`, with an empty code. */
function textsOf(link: object): string[] {
  const details = memberOf(link, "code") === "" ? memberOf(link, "details") : undefined;
  return [memberOf(link, "message"), details].filter((text) => typeof text === "string");
}

/** Classifies by text. The rows are ordered from specific to general: the first that matches any text decides. */
function byText(texts: readonly string[]): FailureKind | undefined {
  return TEXT.find(([pattern]) => texts.some((text) => pattern.test(text)))?.[1];
}

/**
 * Returns the retry class of a failure.
 *
 * Takes anything thrown (with its causes), the error objects of postgrest-js, auth-js, storage-js and functions-js,
 * whole results `{ data, error, status }`, and a `Response`. A status is also known of the error objects of views. The `retry` that an error declares wins over its code, a
 * code over a status, and a status over a text; of two codes the outer one decides, of two texts the more specific one.
 *
 * Never throws. An unknown failure is `permanent`.
 */
export function classifyFailure(failure: unknown): FailureKind {
  const links = failureChain(failure);
  for (const classify of [byDeclaration, byStatus]) {
    for (const link of links) {
      const kind = classify(link);
      if (kind !== undefined) return kind;
    }
  }
  const texts = typeof failure === "string" ? [failure] : links.flatMap(textsOf);
  return byText(texts) ?? "permanent";
}

/** The three forms of an HTTP-date (RFC 9110, section 5.6.7): its own, and the obsolete ones of RFC 850 and asctime(). */
const HTTP_DATE =
  /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (\d{1,2}[ -][A-Z][a-z]{2}[ -](\d{4}|\d\d) \d\d:\d\d:\d\d GMT|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4})$/;

/**
 * Parses a `Retry-After` header (RFC 9110, section 10.2.3) into ms. Returns `undefined` if it is neither a number of
 * seconds nor a date.
 *
 * @param nowEpochMs The wall clock, against which a date is read, in ms since the epoch.
 */
export function parseRetryAfter(value: string, nowEpochMs: number): number | undefined {
  const text = value.trim();
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1_000, Number.MAX_SAFE_INTEGER);
  // Date.parse alone takes nearly anything. The form of asctime() does not name its zone, which is GMT as well.
  const date = HTTP_DATE.test(text) ? Date.parse(text.endsWith("GMT") ? text : `${text} GMT`) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(date - nowEpochMs, 0);
}

/**
 * Returns the wait that the server asked for before the next attempt, in ms, or `undefined` if it asked for none: from
 * `retryAfterMs` of an error, from the response behind it (`rememberResponse`), or from the `Retry-After` header of a
 * response that the failure carries.
 *
 * @param nowEpochMs The wall clock, against which a date is read. Default: `Date.now()`.
 */
export function retryAfterMs(failure: unknown, nowEpochMs: number = Date.now()): number | undefined {
  for (const link of failureChain(failure)) {
    const ms = responseOf(link)?.retryAfterMs ?? memberOf(link, "retryAfterMs");
    if (typeof ms === "number" && Number.isFinite(ms) && ms >= 0) return ms;
    const headers = memberOf(link, "headers");
    if (!(headers instanceof Headers)) continue;
    const value = headers.get("Retry-After");
    const parsed = value === null ? undefined : parseRetryAfter(value, nowEpochMs);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}
