/**
 * Judges a failure by the table of `failure_table.ts`, whatever form it has.
 *
 * @module
 */
import {
  type FailureKind,
  type FailureRow,
  LIBRARY,
  NAMES,
  POSTGREST,
  SQLSTATE,
  STATUS,
  TEXT,
  TRANSPORT,
} from "./failure_table.ts";

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

/** Made at the first failure: an isolate starts faster without. */
function tables(): Indexes {
  return indexes ??= {
    code: index(SQLSTATE, POSTGREST, TRANSPORT, LIBRARY),
    name: index(NAMES),
    status: index(STATUS),
  };
}

/** Five characters with a digit among them: `EPIPE` is no SQLSTATE. */
const SQLSTATE_FORM = /^(?=.*\d)[0-9A-Z]{5}$/;
const POSTGREST_FORM = /^PGRST\w{3}$/;

/** No chain of causes is followed further: it may be endless. */
const MAX_LINKS = 16;

type Link = Readonly<Record<string, unknown>>;

function isLink(value: unknown): value is Link {
  return (typeof value === "object" || typeof value === "function") && value !== null;
}

/** Reads a member of an object that is not ours; a getter may throw. */
function read(link: Link, key: string): unknown {
  try {
    return link[key];
  } catch {
    return undefined;
  }
}

/**
 * The failure and what it wraps, outermost first: `error` of a result, `cause`,
 * `originalError` (storage-js), `context` (functions-js) and the errors of an
 * `AggregateError`.
 */
function chain(failure: unknown): Link[] {
  const links: Link[] = [];
  const pending: unknown[] = [failure];
  while (pending.length > 0 && links.length < MAX_LINKS) {
    const link = pending.shift();
    if (!isLink(link) || links.includes(link)) continue;
    links.push(link);
    for (const key of ["error", "cause", "originalError", "context"]) pending.push(read(link, key));
    const errors = read(link, "errors");
    if (Array.isArray(errors)) pending.push(...errors.slice(0, MAX_LINKS));
  }
  return links;
}

function byCode(link: Link): FailureKind | undefined {
  const code = read(link, "code");
  if (typeof code === "string") {
    const kind = tables().code.get(code);
    if (kind !== undefined) return kind;
    if (SQLSTATE_FORM.test(code)) return tables().code.get(code.slice(0, 2)) ?? "permanent";
    if (POSTGREST_FORM.test(code)) return "permanent";
  }
  const name = read(link, "name");
  return typeof name === "string" ? tables().name.get(name) : undefined;
}

function byStatus(link: Link): FailureKind | undefined {
  const status = read(link, "status");
  if (typeof status !== "number" || status < 400) return undefined;
  return tables().status.get(status) ?? (status < 500 ? "permanent" : undefined);
}

/** The texts of a link. postgrest-js makes `details` of the causes of what `fetch` threw, and leaves the code empty. */
function textsOf(link: Link): string[] {
  const details = read(link, "code") === "" ? read(link, "details") : undefined;
  return [read(link, "message"), details].filter((text) => typeof text === "string");
}

/** The rows are ordered, from what says much to what says little: the first that any text matches decides. */
function byText(texts: readonly string[]): FailureKind | undefined {
  return TEXT.find(([pattern]) => texts.some((text) => pattern.test(text)))?.[1];
}

/**
 * Whether what failed may be tried again.
 *
 * Takes whatever was thrown (with its causes), the error objects of
 * postgrest-js, auth-js, storage-js and functions-js, whole results
 * `{ data, error, status }`, and a `Response`. A code says more than a status,
 * and a status more than a text; of two codes the outer one decides,
 * of two texts the one that says more.
 *
 * Never throws. What is not known is `permanent`.
 */
export function classifyFailure(failure: unknown): FailureKind {
  const links = chain(failure);
  for (const judge of [byCode, byStatus]) {
    for (const link of links) {
      const kind = judge(link);
      if (kind !== undefined) return kind;
    }
  }
  const texts = typeof failure === "string" ? [failure] : links.flatMap(textsOf);
  return byText(texts) ?? "permanent";
}

/** How long the far side asks to wait, from a `Retry-After` header (RFC 9110, 10.2.3), in ms. */
function parseRetryAfter(value: string, nowEpochMs: number): number | undefined {
  const text = value.trim();
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  // Each of the three forms of an HTTP-date names its day; Date.parse alone takes nearly anything.
  const date = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.max(date - nowEpochMs, 0);
}

/**
 * How long the far side asked to wait before the next attempt, in ms, or
 * `undefined` when it is not known: from `retryAfterMs` of an error, or from the
 * `Retry-After` header of a response the failure carries.
 *
 * @param nowEpochMs The wall clock, against which a date is read. Default: `Date.now()`.
 */
export function retryAfterMs(failure: unknown, nowEpochMs: number = Date.now()): number | undefined {
  for (const link of chain(failure)) {
    const ms = read(link, "retryAfterMs");
    if (typeof ms === "number" && Number.isFinite(ms) && ms >= 0) return ms;
    const headers = read(link, "headers");
    if (!(headers instanceof Headers)) continue;
    const value = headers.get("Retry-After");
    const parsed = value === null ? undefined : parseRetryAfter(value, nowEpochMs);
    if (parsed !== undefined) return parsed;
  }
  return undefined;
}
