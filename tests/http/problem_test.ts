import { assert, assertEquals, assertFalse, assertMatch } from "@std/assert";
import { problem, RequestError } from "../support/http.ts";
import { errorResponse } from "../../shared/http/responses/error_response.ts";
import { stampHeaders } from "../../shared/http/responses/response_headers.ts";
import { redact } from "../../shared/observability/mod.ts";
import * as pool from "../../shared/pool/mod.ts";
import * as postgres from "../../shared/postgres/mod.ts";
import { RetryTimeoutError } from "../../shared/resilience/mod.ts";
import { ServiceError } from "../../shared/services/mod.ts";
import { IdentityError, RequestTimeoutError, ViewRestrictedError } from "../../shared/supabase/mod.ts";

Deno.test("problem() creates a response as RFC 9457 defines it, with a code", async () => {
  const response = problem({
    status: 400,
    code: "INVALID_INPUT",
    title: "Bad request",
    detail: "One field is bad",
    errors: [{ path: "name", message: "is empty" }],
    headers: { Allow: "GET" },
  });
  assertEquals(response.status, 400);
  assertEquals(response.headers.get("Content-Type"), "application/problem+json");
  assertEquals(response.headers.get("Cache-Control"), "no-store");
  assertEquals(response.headers.get("Allow"), "GET");
  assertEquals(await response.json(), {
    type: "about:blank",
    title: "Bad request",
    status: 400,
    code: "INVALID_INPUT",
    detail: "One field is bad",
    errors: [{ path: "name", message: "is empty" }],
  });
});

Deno.test("problem() leaves out absent members", async () => {
  assertEquals(await problem({ status: 404, code: "X", title: "T", type: "https://x.test/t" }).json(), {
    type: "https://x.test/t",
    title: "T",
    status: 404,
    code: "X",
  });
});

Deno.test("stampHeaders() sets the counters, the limit and the parts of the time", () => {
  const stats = { totalConnections: 8, activeConnections: 3, idleConnections: 5, waitingForConnection: 1, limit: 8 };
  const parts = { verifyMs: 1, waitedMs: 12.345, upstreamMs: 20.06 };
  assertEquals(Object.fromEntries(stampHeaders(new Response(), undefined, stats, parts).headers), {
    "access-control-expose-headers":
      "X-Pool-Total-Connections, X-Pool-Active-Connections, X-Pool-Idle-Connections, X-Pool-Waiting-Requests, " +
      "X-Pool-Limit, Server-Timing",
    "server-timing": "pool;dur=12.3, verify;dur=1.0, wait;dur=12.3, upstream;dur=20.1",
    "x-pool-active-connections": "3",
    "x-pool-idle-connections": "5",
    "x-pool-limit": "8",
    "x-pool-total-connections": "8",
    "x-pool-waiting-requests": "1",
  });
});

/** An error class of an application. */
class TaxError extends pool.PoolError {
  static override readonly code = "TAX_UNKNOWN";
  static override readonly retry = "permanent";
  static override readonly http = { status: 422, title: "Tax unknown", detail: "There is no tax of that name" };
}

Deno.test("errorResponse() returns the response that the error's class declares", async (t) => {
  const rows: readonly (readonly [unknown, status: number, code: string, retryAfter: string | null])[] = [
    [new pool.AcquireTimeoutError("Connection acquire timeout"), 503, "ACQUIRE_TIMEOUT", "1"],
    [new pool.QueueFullError("full"), 503, "QUEUE_FULL", "1"],
    [new pool.PoolClosedError(), 503, "POOL_CLOSED", "1"],
    [new pool.LeaseRevokedError(), 503, "LEASE_REVOKED", "1"],
    [new pool.AcquireAbortedError(new Error("x")), 503, "ACQUIRE_ABORTED", "1"],
    [new pool.CreateTimeoutError(5), 503, "CREATE_TIMEOUT", "1"],
    [Object.assign(new pool.QueueFullError("full"), { retryAfterMs: 2_500 }), 503, "QUEUE_FULL", "3"],
    [Object.assign(new pool.QueueFullError("full"), { retryAfterMs: 1e12 }), 503, "QUEUE_FULL", "3600"],
    [Object.assign(new pool.QueueFullError("full"), { retryAfterMs: NaN }), 503, "QUEUE_FULL", "1"],
    [new RequestTimeoutError(5), 504, "REQUEST_TIMEOUT", null],
    [new pool.CreateFailedError(new Error("x")), 500, "CREATE_FAILED", null],
    [new pool.LeaseReleasedError(), 500, "LEASE_RELEASED", null],
    [new pool.DoubleReleaseError(), 500, "DOUBLE_RELEASE", null],
    [new pool.ConfigError([]), 500, "CONFIG_INVALID", null],
    [new IdentityError("x"), 500, "IDENTITY_REFUSED", null],
    [new ViewRestrictedError("a", "b"), 500, "VIEW_RESTRICTED", null],
    [new RetryTimeoutError(10, 2), 504, "RETRY_TIMEOUT", null],
    [new TaxError("x"), 422, "TAX_UNKNOWN", null],
    [new Error("x"), 500, "INTERNAL_ERROR", null],
    [null, 500, "INTERNAL_ERROR", null],
    [{ code: "ACQUIRE_TIMEOUT" }, 500, "INTERNAL_ERROR", null],
  ];
  for (const [error, status, code, retryAfter] of rows) {
    await t.step(`${code} ${retryAfter}`, async () => {
      const response = errorResponse(error);
      const body = await response.json();
      assertEquals([response.status, body.status, body.code], [status, status, code]);
      assertEquals(response.headers.get("Retry-After"), retryAfter);
      assert(typeof body.title === "string" && typeof body.detail === "string");
    });
  }
});

Deno.test("errorResponse() never throws, whatever response an error declares", async () => {
  const fail = () => {
    throw new Error("trap");
  };
  const bad: unknown[] = [
    ...[{ status: 0 }, { status: 200 }, { status: 302 }, { status: 304 }, { status: 600 }, { status: NaN }, {
      status: 422,
      detail: 5,
    }].map((http) => Object.assign(new Error("x"), { code: "TAX_UNKNOWN", http })),
    new RequestError({ status: 304, code: "TAX_UNKNOWN", title: "Tax unknown" }),
    new Proxy(new Error("x"), { get: fail, has: fail }),
  ];
  for (const error of bad) {
    const response = errorResponse(error);
    assertEquals([response.status, (await response.json()).code], [500, "INTERNAL_ERROR"]);
  }
});

Deno.test("errorResponse() gives an error of Postgres the status of the Data API, without names of the server", async () => {
  const lost = new postgres.ConnectionLostError(new Error("reset by 10.0.0.1"));
  const reported = (code: string, message: string) =>
    new postgres.PostgresError({ code, message, severity: "ERROR", detail: "Key (name)=(hunter2)", hint: "Rename it" });
  const rows: readonly (readonly [unknown, status: number, code: string, detail: RegExp, retryAfter: string | null])[] =
    [
      [reported("23505", "duplicate key"), 409, "23505", /^duplicate key$/, null],
      [reported("42501", "permission denied"), 403, "42501", /^permission denied$/, null],
      [reported("53300", "too many clients on db-7"), 503, "53300", /^The database could not/, "1"],
      [reported("57014", "canceling statement"), 504, "57014", /^The database could not/, null],
      [reported("XX001", "page 7 of users is corrupt"), 500, "XX001", /^An unexpected error/, null],
      [new postgres.QueryTimeoutError(5), 504, "QUERY_TIMEOUT", /respond in time/, null],
      [new postgres.TransactionTimeoutError(5), 504, "TRANSACTION_TIMEOUT", /respond in time/, null],
      [lost, 502, "CONNECTION_LOST", /it is unknown/, null],
      [new postgres.CommitOutcomeUnknownError(lost), 502, "COMMIT_OUTCOME_UNKNOWN", /it is unknown/, null],
      [new postgres.PoolerUnavailableError("on db-7"), 503, "POOLER_UNAVAILABLE", /reached/, "1"],
      [new postgres.PoolerLostServerError("on db-7"), 502, "POOLER_LOST_SERVER", /it is unknown/, null],
      [new postgres.ConnectionBrokenError(lost), 503, "CONNECTION_BROKEN", /broke/, "1"],
      [
        new postgres.LoginRoleError("postgres", "is strong"),
        500,
        "LOGIN_ROLE_TOO_STRONG",
        /^An unexpected error/,
        null,
      ],
    ];
  for (const [error, status, code, detail, retryAfter] of rows) {
    const response = errorResponse(error);
    const body = await response.json();
    assertEquals([response.status, body.code, response.headers.get("Retry-After")], [status, code, retryAfter]);
    assertMatch(body.detail, detail);
    assert(!/hunter2|10\.0|db-7|page 7/.test(JSON.stringify(body)));
    assertEquals(body.hint, status < 500 ? "Rename it" : undefined);
  }
});

Deno.test("errorResponse() keeps status, code, message and hint of an error of the Data API, and nothing else", async (t) => {
  const details = "Failing row contains (1, Ada's salary)";
  const refused = { message: "duplicate key", code: "23505", details, hint: "Choose another name" };
  const rows: Record<string, readonly [unknown, Record<string, unknown>]> = {
    "thrown as supabase-js returned it": [
      Object.assign(new Error(refused.message), refused),
      { status: 409, code: "23505", detail: "duplicate key", hint: "Choose another name" },
    ],
    "thrown as a plain object": [refused, { status: 409, code: "23505", detail: "duplicate key" }],
    "of a service": [
      new ServiceError({ code: "NOT_FOUND", status: 404, message: "No such budget" }),
      { status: 404, code: "NOT_FOUND", detail: "No such budget" },
    ],
    "with an invalid status": [
      new ServiceError({ code: "X", status: 200, message: "odd" }),
      { status: 502, code: "X", title: "Upstream failure", type: "about:blank" },
    ],
    "of a service that timed out": [
      new ServiceError({ code: "RETRY_TIMEOUT", status: 504, message: "too late" }),
      { status: 504, code: "RETRY_TIMEOUT", title: "Upstream timeout", type: "docs/errors.md#RETRY_TIMEOUT" },
    ],
    "of a missing table": [
      { message: "Could not find the table", code: "PGRST205", details: null, hint: null },
      { status: 502, code: "PGRST205", title: "Upstream failure" },
    ],
    "of the server": [
      { message: "could not connect to 10.0.0.1", code: "PGRST000", details: null, hint: null },
      { status: 503, code: "PGRST000", title: "Service unavailable", type: "docs/errors.md#DATA_API" },
    ],
  };
  for (const [name, [error, expected]] of Object.entries(rows)) {
    await t.step(name, async () => {
      const response = errorResponse(error);
      const text = await response.text();
      const body = JSON.parse(text);
      assertEquals(response.status, expected["status"]);
      for (const [member, value] of Object.entries(expected)) assertEquals(body[member], value, member);
      assertFalse(/salary|10\.0\.0\.1/.test(text));
      assertEquals(response.headers.has("Retry-After"), response.status === 503);
    });
  }
});

Deno.test("errorResponse() does not contain the message of an internal error", async () => {
  const secret = "hunter2 at 10.0.0.1";
  for (
    const error of [
      new Error(secret, { cause: new Error(secret) }),
      new pool.AcquireTimeoutError(`Connection acquire timeout ${secret}`, { cause: new Error(secret) }),
      new pool.CreateFailedError(new Error(secret)),
      new pool.ConfigError([{ path: "x", message: secret }]),
    ]
  ) assertFalse((await errorResponse(error).text()).includes("hunter2"));
});

Deno.test("redact() removes credentials from a text", async (t) => {
  const rows: readonly (readonly [string, string])[] = [
    ["key sb_secret_abc-DEF_1.", "key [key]."],
    ["got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!", "got [token]!"],
    ["postgres://postgres:p4ss@db:5432/x", "postgres://[credentials]@db:5432/x"],
    ["https://token@host/", "https://[credentials]@host/"],
    ["Authorization: Bearer abc.def", "Authorization: Bearer [token]"],
    ["password=hunter2&x=1", "password=[secret]&x=1"],
    ['{"refresh_token":"v1.abc","a":1}', '{"refresh_token":"[secret]","a":1}'],
    ["mail a@b.test about https://x.test/p", "mail a@b.test about https://x.test/p"],
    ["Invalid token in expression", "Invalid token in expression"],
  ];
  for (const [text, clean] of rows) await t.step(text, () => assertEquals(redact(text), clean));
  assertEquals(redact("a configured value", ["configured", ""]), "a [secret] value");
});
