/**
 * The headers of CORS: those of `withSupabase` of `@supabase/server`, and what browsers need besides.
 *
 * @module
 */
import { corsHeaders } from "@supabase/supabase-js/cors";
import type { WithSupabaseConfig } from "@supabase/server";
import { ConfigError, type ConfigIssue } from "../../pool/mod.ts";
import { EXPOSE, listed, VARY } from "./response_headers.ts";

/**
 * Returns the CORS headers for a request, preflights included; `undefined` if its origin is not allowed. `Vary: Origin`
 * is added. A preflight without `Access-Control-Allow-Headers` or `-Methods` gets those of the default.
 */
export type CorsFunction = (request: Request) => Readonly<Record<string, string>> | undefined;

/**
 * The CORS option: `"default"` (the headers of supabase-js), `"disabled"`, headers, or a function of the request, for
 * credentials and a list of origins for example. The older forms `true`, `false` and a bare record are accepted, too.
 * What a handler sets itself wins over the option.
 *
 * @example Credentials, from two origins
 * ```ts
 * const origins = ["https://app.example.com", "https://admin.example.com"];
 * withPooledSupabase({
 *   auth: "user",
 *   cors: (request) => {
 *     const origin = request.headers.get("Origin") ?? "";
 *     if (!origins.includes(origin)) return undefined;
 *     return { "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true" };
 *   },
 * }, () => new Response("hello"));
 * ```
 */
export type CorsOption = NonNullable<WithSupabaseConfig["cors"]> | CorsFunction;

/** The CORS headers of one response. */
export interface Cors {
  /** The headers that a response gets unless it has one of that name. */
  readonly headers: readonly (readonly [string, string])[];
  /** The headers whose list is added to the response's own. */
  readonly lists: readonly (readonly [string, readonly string[]])[];
  /** True if a preflight allows every header that it asks for. */
  readonly allowsAnyHeader: boolean;
}

const ALLOW_HEADERS = "access-control-allow-headers";
const ALLOW_METHODS = "access-control-allow-methods";
const MAX_AGE = "access-control-max-age";

/** The time for which a browser may keep a preflight, in seconds: the limit of Chromium. */
const MAX_AGE_S = 7_200;

/**
 * Headers that a preflight of the default allows besides those of supabase-js, although it is not asked for them: a
 * browser keeps each listed name, and asks once for all. Its clients send the first line with regions, schemas, uploads
 * and sessions.
 */
const ALSO_ALLOWED = [
  ...[
    "accept-profile",
    "content-profile",
    "cache-control",
    "x-metadata",
    "x-region",
    "x-supabase-api-version",
    "x-upsert",
  ],
  ...["idempotency-key", "if-match", "if-modified-since", "if-none-match", "prefer", "range", "x-request-id"],
];

/** The maximum number of names that a preflight may ask for; more are ignored. */
const MAX_REQUESTED = 64;

/** Matches the name of a header (RFC 9110, section 5.6.2). */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;

/** Returns the headers that an option lists; `undefined` if the handler sets them and responds to preflights. */
function recordOf(option: Exclude<CorsOption, CorsFunction>): Readonly<Record<string, string>> | undefined {
  if (option === false || option === "disabled") return undefined;
  if (typeof option !== "object") return corsHeaders;
  return "headers" in option && typeof option.headers === "object" ? option.headers : option as Record<string, string>;
}

/**
 * Finds header names and values that cannot be sent: control characters are rejected by some runtimes, others panic.
 * `Headers`, a list or a promise has no members that name headers: no response would have any.
 */
function* issuesOf(headers: Readonly<Record<string, unknown>>): Generator<ConfigIssue> {
  if (typeof headers !== "object" || Symbol.iterator in headers || "then" in headers) {
    yield { path: "cors", message: "must be an object with header names and values, not Headers, a list or a promise" };
    return;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!NAME.test(name)) {
      yield { path: "cors.headers", message: `${JSON.stringify(name.slice(0, 40))} is not a header name` };
    } else if (typeof value !== "string" || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      yield { path: `cors.headers.${name}`, message: "must be printable text, in Latin-1 and on one line" };
    }
  }
}

/** Finds what is wrong with a CORS option, apart from what a function will return. */
export function corsIssues(option: CorsOption): Iterable<ConfigIssue> {
  return typeof option === "object" ? issuesOf(recordOf(option) ?? {}) : [];
}

function toCors(record: Readonly<Record<string, string>>, allowsAnyHeader: boolean): Cors {
  const entries = Object.entries(record).map(([name, value]) => [name.toLowerCase(), value] as const);
  const isList = ([name]: readonly [string, string]) => name === EXPOSE || name === VARY;
  return {
    headers: entries.filter((entry) => !isList(entry)),
    lists: entries.filter(isList).map(([name, value]) => [name, listed(value)]),
    allowsAnyHeader,
  };
}

/** Returns the CORS headers of every response under `option`, a function that computes them, or `undefined` for none. */
export function parseCors(option: CorsOption = "default"): Cors | ((request: Request) => Cors) | undefined {
  if (typeof option === "function") return (request) => ofRequest(option(request));
  const record = recordOf(option);
  return record && toCors(record, record === corsHeaders);
}

/** @throws {ConfigError} listing every header that cannot be sent. */
function ofRequest(returned: Readonly<Record<string, string>> | null | undefined): Cors {
  const headers = returned ?? undefined;
  const issues = [...issuesOf(headers ?? {})];
  if (issues.length > 0) throw new ConfigError(issues, "headers that the option cors returned");
  if (headers === undefined) return { headers: [], lists: [[VARY, ["Origin"]]], allowsAnyHeader: false };
  const lower = toCors(headers, false);
  const has = (wanted: string) => lower.headers.some(([name]) => name === wanted);
  return {
    headers: has(ALLOW_METHODS)
      ? lower.headers
      : [...lower.headers, [ALLOW_METHODS, corsHeaders["Access-Control-Allow-Methods"] ?? ""]],
    lists: [...lower.lists, [VARY, ["Origin"]]],
    allowsAnyHeader: !has(ALLOW_HEADERS),
  };
}

/** Creates the response to a preflight. Its other CORS headers are added as to every response. */
export function preflightResponse(request: Request, cors: Cors): Response {
  const response = new Response(null, { status: 204 });
  if (cors.headers.length === 0) return response;
  const { headers } = response;
  if (!cors.headers.some(([name]) => name === MAX_AGE)) headers.set(MAX_AGE, String(MAX_AGE_S));
  if (!cors.allowsAnyHeader) return response;
  const requested = listed(request.headers.get("access-control-request-headers") ?? "").slice(0, MAX_REQUESTED);
  const names = [...listed(corsHeaders["Access-Control-Allow-Headers"] ?? ""), ...ALSO_ALLOWED, ...requested];
  headers.set(
    ALLOW_HEADERS,
    [...new Set(names.map((name) => name.toLowerCase()))].filter((name) => NAME.test(name)).join(", "),
  );
  headers.set(VARY, "Access-Control-Request-Headers");
  return response;
}
