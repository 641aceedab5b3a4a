import { assert, assertEquals, assertInstanceOf, assertStrictEquals, assertThrows } from "@std/assert";
import type { SupabaseClient } from "@supabase/supabase-js";
import { AcquireTimeoutError } from "../../shared/pool/mod.ts";
import { classifyFailure, RetryTimeoutError } from "../../shared/resilience/mod.ts";
import {
  ApiKeyRejectedError,
  BaseService,
  NotFoundError,
  ServiceError,
  toServiceError,
  UpstreamUnavailableError,
} from "../../shared/services/mod.ts";
import { messageFor } from "../../shared/services/service_error.ts";
import { sourceOfError } from "../../shared/services/to_service_error.ts";

function serviceError(failure: unknown): ServiceError {
  const error = toServiceError(failure);
  assertInstanceOf(error, ServiceError);
  return error;
}

const CASES: readonly (readonly [what: string, failure: unknown, status: number, code: string])[] = [
  ["a result's status", { error: { code: "PGRST116", message: "m" }, status: 406 }, 406, "PGRST116"],
  ["the code over the result's status", { error: { code: "23505", message: "m" }, status: 500 }, 409, "23505"],
  ["an error without a status", { code: "42501", message: "m", details: null, hint: null }, 403, "42501"],
  ["a status a function asked for", { error: { code: "PT418", message: "m" }, status: 400 }, 418, "PT418"],
  ["a class", { code: "22003", message: "m" }, 400, "22003"],
  ["too many rows of a subquery", { error: { code: "21000", message: "m" }, status: 500 }, 500, "21000"],
  ["an update of every row", { error: { code: "21000", message: "m" }, status: 400 }, 400, "21000"],
  ["a limit of the configuration", { error: { code: "53400", message: "m" }, status: 503 }, 500, "53400"],
  [
    "a statement too complex, of an older Data API",
    { error: { code: "54001", message: "m" }, status: 413 },
    500,
    "54001",
  ],
  ["a check", { code: "23514", message: "m" }, 400, "23514"],
  ["a bad token", { error: { code: "PGRST301", message: "m" }, status: 401 }, 401, "PGRST301"],
  ["too many requests", { error: { code: "", message: "m" }, status: 429 }, 429, "UPSTREAM_FAILED"],
  ["no database", { error: { code: "PGRST000", message: "m" }, status: 503 }, 503, "PGRST000"],
  ["a deadlock, after the last retry", { error: { code: "40P01", message: "m" }, status: 500 }, 503, "40P01"],
  ["a slow statement", { error: { code: "57014", message: "m" }, status: 500 }, 504, "57014"],
  ["a fault of the database", { error: { code: "XX000", message: "m" }, status: 500 }, 500, "XX000"],
  ["a proxy's page", { error: { code: "", message: "<html>" }, status: 502 }, 502, "UPSTREAM_FAILED"],
  [
    "another Data API that cannot reach its database",
    { error: { code: "SUP", message: "Error: connect ECONNREFUSED 10.0.0.1:5432" }, status: 500 },
    503,
    "UPSTREAM_UNAVAILABLE",
  ],
  [
    "a refused connection",
    { error: { code: "", message: "TypeError: connection refused" }, status: 0 },
    503,
    "UPSTREAM_UNAVAILABLE",
  ],
  [
    "a broken connection",
    { error: { code: "", message: "TypeError: connection reset" }, status: 0 },
    502,
    "UPSTREAM_FAILED",
  ],
  ["an unknown failure", undefined, 502, "UPSTREAM_FAILED"],
  ["a text", "oops", 502, "UPSTREAM_FAILED"],
];

for (const [what, failure, status, code] of CASES) {
  Deno.test(`toServiceError() returns ${status} ${code} for ${what}`, () => {
    const error = serviceError(failure);
    assertEquals([error.status, error.code], [status, code]);
    assert(error.message !== "");
  });
}

Deno.test("toServiceError() keeps message and hint of a 4xx, and drops details, which hold values of rows", () => {
  const error = serviceError({
    data: null,
    error: {
      code: "23505",
      message: "duplicate key",
      hint: "choose another",
      details: "Key (name)=(my secret) already exists.",
    },
    status: 409,
  });
  assertEquals([error.message, error.hint], ["duplicate key", "choose another"]);
  assert(!Deno.inspect(error).includes("my secret"));
  assert(!JSON.stringify(error).includes("duplicate"), "neither does JSON show its cause");
  assertEquals((error.cause as { code: string }).code, "23505");
});

Deno.test("toServiceError() keeps the message of a 5xx in the cause only", () => {
  const error = serviceError({
    error: { code: "XX000", message: "at 10.0.0.1", hint: "look at 10.0.0.1" },
    status: 500,
  });
  assertEquals([error.message.includes("10.0.0.1"), error.hint], [false, undefined]);
  assertEquals((error.cause as { message: string }).message, "at 10.0.0.1");
});

Deno.test("toServiceError() keeps the causes of a thrown error", () => {
  const thrown = new TypeError("fetch failed", { cause: new Error("connection refused") });
  assertStrictEquals(serviceError(thrown).cause, thrown);
  assertEquals(serviceError(thrown).status, 503);
});

Deno.test("toServiceError() returns errors of the pool, of services and aborts unchanged", () => {
  for (
    const own of [new AcquireTimeoutError("m"), new NotFoundError("budget"), new DOMException("gone", "AbortError")]
  ) {
    assertStrictEquals(toServiceError(own), own);
  }
});

Deno.test("toServiceError() returns 504 RETRY_TIMEOUT for a RetryTimeoutError", () => {
  const timeout = new RetryTimeoutError(10, 2);
  const error = serviceError(timeout);
  assertEquals([error.status, error.code], [504, "RETRY_TIMEOUT"]);
  assertStrictEquals(error.cause, timeout);
});

Deno.test("toServiceError() returns the pool's error that supabase-js has wrapped in a result", () => {
  const timeout = new AcquireTimeoutError("Connection acquire timeout");
  for (
    const [what, failure] of [
      ["functions-js", { data: null, error: Object.assign(new Error("failed to send"), { context: timeout }) }],
      ["storage-js", { data: null, error: Object.assign(new Error("failed"), { originalError: timeout }) }],
    ] as const
  ) assertStrictEquals(toServiceError(failure), timeout, what);
});

Deno.test("toServiceError() passes statuses of a gateway on as what they mean to the caller of this function", () => {
  const rows: readonly (readonly [status: number, passedOn: number])[] = [
    ...[[402, 503], [407, 502], [408, 503], [421, 502], [425, 503], [511, 502], [520, 502], [521, 503]] as const,
    ...[[522, 504], [523, 503], [524, 504], [525, 502], [526, 502], [527, 502], [530, 503], [540, 503]] as const,
    ...[[544, 504], [546, 502], [400, 400], [409, 409], [429, 429], [599, 599]] as const,
  ];
  for (const [status, passedOn] of rows) {
    assertEquals(serviceError({ error: { message: "m" }, status }).status, passedOn, `${status}`);
  }
  // Not a status of HTTP.
  for (const status of [200, 399, 600, 0]) {
    assertEquals(serviceError({ error: { message: "m" }, status }).status, 502, `${status}`);
  }
});

Deno.test("toServiceError() reads the status of a response that functions-js keeps", () => {
  const failure = { error: Object.assign(new Error("failed"), { context: new Response(null, { status: 404 }) }) };
  assertEquals(serviceError(failure).status, 404);
});

Deno.test("ServiceError.http shows statuses from 400 to 599, and 502 for others", () => {
  const statusOf = (status: number) => new ServiceError({ code: "X", status, message: "m" }).http.status;
  assertEquals([400, 599, 399, 600, 404.5].map(statusOf), [400, 599, 502, 502, 502]);
});

Deno.test("NotFoundError is not retried", () => {
  assertEquals(classifyFailure(new NotFoundError("budget")), "permanent");
});

Deno.test("BaseService.handleError() throws a ServiceError for every failure", () => {
  class Notes extends BaseService {
    fail(failure: unknown): never {
      return this.handleError(failure);
    }
  }
  const notes = new Notes({} as SupabaseClient<unknown>);
  assertEquals(assertThrows(() => notes.fail({ code: "23505", message: "m" }), ServiceError).status, 409);
  assertEquals(assertThrows(() => notes.fail(undefined), ServiceError).status, 502);
});

Deno.test("BaseService.client is the client that the service was created with", () => {
  class Notes extends BaseService {
    own(): unknown {
      return this.client;
    }
  }
  const client = {} as SupabaseClient<unknown>;
  assertStrictEquals(new Notes(client).own(), client);
});

Deno.test("NotFoundError has status 404, in its HTTP description and as itself", () => {
  const error = new NotFoundError("budget");
  assertEquals([error.status, error.http.status, error.code], [404, 404, "NOT_FOUND"]);
});

Deno.test("sourceOfError() returns the failure that an error was created from, and any other error itself", () => {
  const failure = { error: { code: "23505", message: "m" }, status: 409 };
  assertStrictEquals(sourceOfError(toServiceError(failure)), failure.error);
  for (const other of [new NotFoundError("category"), new Error("other"), "text", undefined]) {
    assertStrictEquals(sourceOfError(other), other);
  }
});

Deno.test("ServiceError.retry is the retry class of the class, undefined where the failure decides", () => {
  assertEquals(new NotFoundError("category").retry, "permanent");
  assertEquals(new ApiKeyRejectedError(new Error("Invalid API key")).retry, "permanent");
  assertEquals(new UpstreamUnavailableError(new TypeError("refused")).retry, undefined);
  assertEquals(new ServiceError({ code: "23505", status: 409, message: "m" }).retry, undefined);
});

Deno.test("the errors of services have the status of their class", () => {
  const cause = new Error("cause");
  assertEquals(
    [new NotFoundError("category"), new ApiKeyRejectedError(cause), new UpstreamUnavailableError(cause)].map(
      (error) => [error.status, error.http.status, error.code],
    ),
    [[404, 404, "NOT_FOUND"], [500, 500, "API_KEY_REJECTED"], [503, 503, "UPSTREAM_UNAVAILABLE"]],
  );
  assertEquals(new UpstreamUnavailableError(cause, 7).retryAfterMs, 7);
});

Deno.test("messageFor() has a text for a project that is unavailable, one that is too slow, and any other failure", () => {
  assertEquals([500, 502, 503, 504, 505].map(messageFor), [
    "The project could not complete the call",
    "The project could not complete the call",
    "The project is unavailable",
    "The project did not respond in time",
    "The project could not complete the call",
  ]);
});
