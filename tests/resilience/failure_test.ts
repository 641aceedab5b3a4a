import { assertEquals } from "@std/assert";
import {
  classifyFailure,
  failedResponse,
  type FailureKind,
  rememberResponse,
  responseOf,
  retryAfterMs,
} from "../../shared/resilience/mod.ts";
import { NAMES, POSTGREST, STATUS, TEXT, TRANSPORT } from "../../shared/resilience/failure_table.ts";
import { SQLSTATES } from "../../shared/resilience/sqlstate.ts";

function coded(code: string, cause?: unknown): Error {
  return Object.assign(new Error("failed", { cause }), { code });
}

function declared(retry: FailureKind, cause?: unknown): Error {
  return Object.assign(new Error("failed", { cause }), { retry });
}

const CASES: readonly (readonly [what: string, failure: unknown, kind: FailureKind])[] = [
  // Codes
  ["a deadlock", { code: "40P01", message: "deadlock detected", details: "", hint: "" }, "transient"],
  ["a code of a listed class", { code: "08006", message: "" }, "ambiguous"],
  ["a code of another class", { code: "23505", message: "connection reset" }, "permanent"],
  ["an unlisted code of class 57", { code: "57P04" }, "permanent"],
  ["a statement timeout, whatever its text", { code: "57014", message: "statement timed out" }, "permanent"],
  ["PostgREST without a database", { code: "PGRST000", message: "" }, "transient"],
  ["PostgREST with a bad token", { code: "PGRST301", message: "" }, "permanent"],
  ["a broken pipe, which is not a SQLSTATE", coded("EPIPE"), "ambiguous"],
  ["an error that declares its retry class, not its cause", declared("permanent", coded("ECONNREFUSED")), "permanent"],
  [
    "a declared retry class, whatever the code",
    Object.assign(coded("ECONNRESET"), { retry: "transient" }),
    "transient",
  ],
  ["a retry class that does not exist", Object.assign(coded("ECONNRESET"), { retry: "always" }), "ambiguous"],
  ["a cause's cause", new Error("a", { cause: new Error("b", { cause: coded("ECONNREFUSED") }) }), "transient"],
  ["an unknown code around a known one", coded("MINE", coded("ECONNRESET")), "ambiguous"],
  ["both addresses of localhost", new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")]), "transient"],
  // Results
  [
    "a result: the code over the status",
    { data: null, error: { code: "53400", message: "" }, status: 503 },
    "permanent",
  ],
  ["a result: the status", { data: null, error: { code: "", message: "<html>" }, status: 503 }, "transient"],
  [
    "a result: the status 499, whatever its text",
    { data: null, error: { message: "connection refused" }, status: 499 },
    "permanent",
  ],
  [
    "a result: the status 500, by its text",
    { data: null, error: { message: "connection refused" }, status: 500 },
    "transient",
  ],
  [
    "a result: the status 399, by its text",
    { data: null, error: { message: "connection refused" }, status: 399 },
    "transient",
  ],
  [
    "a result: the status 400, whatever its text",
    { data: null, error: { message: "connection refused" }, status: 400 },
    "permanent",
  ],
  ["a result: the status 500", { data: null, error: { code: "", message: "oops" }, status: 500 }, "permanent"],
  [
    "a result: the text",
    { data: null, error: { code: "", message: "TypeError: connection refused" }, status: 0 },
    "transient",
  ],
  [
    "a result: the cause that postgrest-js flattened to a text",
    {
      data: null,
      error: { code: "", message: "TypeError: fetch failed", details: "Caused by: Error: client error (Connect)" },
      status: 0,
    },
    "transient",
  ],
  [
    "a result: details of the database are not a text of the transport",
    { data: null, error: { code: "SUP", message: "check", details: "(connection refused)" }, status: 500 },
    "permanent",
  ],
  // Other clients
  ["auth-js: too many requests", { name: "AuthApiError", status: 429, code: "over_request_rate_limit" }, "transient"],
  ["storage-js: wrapped", { name: "StorageUnknownError", originalError: coded("ECONNRESET") }, "ambiguous"],
  ["functions-js: a response", { name: "FunctionsHttpError", context: new Response("", { status: 503 }) }, "transient"],
  ["a response", new Response("", { status: 404 }), "permanent"],
  // DOM exceptions
  ["an abort", new DOMException("gone", "AbortError"), "permanent"],
  ["a timeout", new DOMException("slow", "TimeoutError"), "ambiguous"],
  // Texts of Deno's fetch
  [
    "refused",
    new TypeError("error sending request for url (http://127.0.0.1:1/): client error (Connect): tcp connect error"),
    "transient",
  ],
  [
    "no such host",
    new TypeError("fetch failed", {
      cause: new Error(
        "client error (Connect): dns error: failed to lookup address information: Name or service not known",
      ),
    }),
    "permanent",
  ],
  [
    "no name server",
    new TypeError("client error (Connect): dns error: Temporary failure in name resolution"),
    "transient",
  ],
  ["a bad certificate", new TypeError("client error (Connect): invalid peer certificate: UnknownIssuer"), "permanent"],
  [
    "closed early",
    new TypeError("client error (SendRequest): connection closed before message completed"),
    "ambiguous",
  ],
  ["a body that broke off", new TypeError("error reading a body from connection"), "ambiguous"],
  ["a database that starts", new Error("the database system is starting up"), "transient"],
  // Unknown failures
  ["a fault of the program", new TypeError("Cannot read properties of undefined"), "permanent"],
  ["a text", "connection refused", "transient"],
  [
    "a text of an error that is not the transport's",
    { data: null, error: { code: "", message: "QuotaError: connection refused, timed out" }, status: 0 },
    "permanent",
  ],
  ["nothing", undefined, "permanent"],
  ["null", null, "permanent"],
  ["a number", 503, "permanent"],
  ["a status below 400", { status: 200 }, "permanent"],
];

for (const [what, failure, kind] of CASES) {
  Deno.test(`classifyFailure() returns ${kind} for ${what}`, () => assertEquals(classifyFailure(failure), kind));
}

Deno.test("classifyFailure() returns the retry class of each row of the tables", () => {
  for (const [code, kind] of [...SQLSTATES, ...POSTGREST, ...TRANSPORT]) {
    const full = code.length === 2 ? `${code}9ZZ` : code;
    assertEquals(classifyFailure({ code: full }), kind, code);
  }
  for (const [name, kind] of NAMES) assertEquals(classifyFailure({ name }), kind, name);
  for (const [status, kind] of STATUS) assertEquals(classifyFailure({ status }), kind, String(status));
});

Deno.test("the tables have each key once", () => {
  const keys = [SQLSTATES, POSTGREST, TRANSPORT, NAMES, STATUS, TEXT].flat().map(([key]) => String(key));
  assertEquals(keys.filter((key, at) => keys.indexOf(key) !== at), []);
});

Deno.test("classifyFailure() survives cycles, endless chains and throwing getters", () => {
  const cycle = new Error("a");
  cycle.cause = cycle;
  assertEquals(classifyFailure(cycle), "permanent");

  const endless = {
    get cause(): unknown {
      return Object.create(Object.getPrototypeOf(this), Object.getOwnPropertyDescriptors(this));
    },
  };
  assertEquals(classifyFailure(endless), "permanent");

  const throwing = {
    get code(): never {
      throw new Error("no");
    },
    status: 503,
  };
  assertEquals(classifyFailure(throwing), "transient");
});

Deno.test("retryAfterMs() reads both forms of Retry-After, and retryAfterMs of an error", () => {
  const at = Date.UTC(2026, 0, 1);
  const response = (value: string) => ({ context: new Response("", { headers: { "Retry-After": value } }) });
  assertEquals(retryAfterMs(response("3"), at), 3_000);
  assertEquals(retryAfterMs(response(new Date(at + 5_000).toUTCString()), at), 5_000);
  assertEquals(retryAfterMs(response(new Date(at - 5_000).toUTCString()), at), 0);
  assertEquals(retryAfterMs(response("9".repeat(400)), at), Number.MAX_SAFE_INTEGER);
  // The other two forms of a date (RFC 9110, section 5.6.7), whatever the time zone of the process.
  assertEquals(retryAfterMs(response("Thursday, 01-Jan-26 00:00:09 GMT"), at), 9_000);
  assertEquals(retryAfterMs(response("Thu Jan  1 00:00:09 2026"), at), 9_000);
  const bad = [
    ...["soon", "-1", "+5", "1.5", "5.", "1e3", "0x10", "", "2, 3", "3, 3"],
    // Date.parse has an instant for each of these, most of them long ago: the next attempt would be sent at once.
    ...["2026-01-01", "Thu", "Thursday", "Mon, maintenance 5", "Sun 5", "Sunshine 2030"],
    ...["Thu, 01 Jan 2026 00:00:09 EST", "Thu, 01 Jan 2026 00:00:09 +0200", "Thu, 01 Jan 2026 00:00:09"],
    ...["Thu, 99 Jan 2026 00:00:09 GMT", "Thu, 01 Abc 2026 00:00:09 GMT", "Thu, 01 Jan 2026 00:99:09 GMT"],
    ...["Thu, 01 Jan 275761 00:00:09 GMT", "Thu, 01 Jan 2026 ::::::00 GMT"],
  ];
  for (const value of bad) assertEquals(retryAfterMs(response(value), at), undefined, value);
  assertEquals(retryAfterMs(Object.assign(new Error(), { retryAfterMs: 250 })), 250);
  for (const [retryAfterMsOf, known] of [[0, 0], [-1, undefined], [NaN, undefined], [Infinity, undefined]] as const) {
    assertEquals(retryAfterMs(Object.assign(new Error(), { retryAfterMs: retryAfterMsOf })), known);
  }
  assertEquals(retryAfterMs("503"), undefined);
});

Deno.test("retryAfterMs() and classifyFailure() know the response that was remembered for an error", () => {
  const body = { message: "busy" };
  const known = { status: 503, retryAfterMs: 7_000, asUser: false };
  rememberResponse(body, known);
  for (const failure of [body, { data: null, error: body }, new Error("x", { cause: body })]) {
    assertEquals([retryAfterMs(failure), classifyFailure(failure)], [7_000, "transient"]);
    assertEquals(failedResponse(failure), known);
  }
  assertEquals([retryAfterMs({ ...body }), classifyFailure({ ...body }), responseOf({ ...body })], [
    undefined,
    "permanent",
    undefined,
  ]);
  rememberResponse("a text", known);
  assertEquals(responseOf("a text"), undefined);
});
