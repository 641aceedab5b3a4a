import { assertEquals } from "@std/assert";
import { AcquireTimeoutError, PoolError, type PoolErrorCode, QueueFullError } from "../../shared/pool/mod.ts";
import { acquireTimeout } from "../../shared/pool/errors.ts";
import type { PostgresErrorCode } from "../../shared/postgres/mod.ts";
import { describeStatus } from "../../shared/resilience/mod.ts";
import type { ServiceErrorCode } from "../../shared/services/mod.ts";
import type { SupabaseErrorCode } from "../../shared/supabase/mod.ts";

Deno.test("ErrorCodes is the union of the codes that the classes of a module declare", () => {
  const codes: [PoolErrorCode, SupabaseErrorCode, PostgresErrorCode, PostgresErrorCode, ServiceErrorCode] = [
    "QUEUE_FULL",
    "VIEW_RESTRICTED",
    "COMMIT_OUTCOME_UNKNOWN",
    "TLS_UNVERIFIED",
    "NOT_FOUND",
  ];
  assertEquals(codes.length, 5);
  // @ts-expect-error: not a code of the pool
  const typo: PoolErrorCode = "QUEU_FULL";
  // @ts-expect-error: a code of another module
  const other: PoolErrorCode = "VIEW_RESTRICTED";
  // @ts-expect-error: not a code of Postgres
  const third: PostgresErrorCode = "QUEUE_FULL";
  assertEquals([typo, other, third].length, 3);
});

Deno.test("PoolError takes code, name, retry class and HTTP response from the class", () => {
  const error = new QueueFullError("full");
  assertEquals([error.code, error.name, error.retry, error.http.status], [
    "QUEUE_FULL",
    "QueueFullError",
    "permanent",
    503,
  ]);
  class OwnError extends PoolError {
    static override readonly code = "OWN";
    static override readonly retry = "transient";
    static override readonly http = { status: 418, title: "Own" };
  }
  const own = new OwnError("own");
  assertEquals([own.code, own.name, own.retry, own.http.status], ["OWN", "OwnError", "transient", 418]);
});

Deno.test("acquireTimeout() creates the same error as the constructor of AcquireTimeoutError", () => {
  const cause = new Error("refused");
  const [fast, slow] = [acquireTimeout("late", { cause }), new AcquireTimeoutError("late", { cause })];
  const members = (
    { message, code, name, retry, http, cause }: AcquireTimeoutError,
  ) => [message, code, name, retry, http, cause];
  assertEquals(members(fast), members(slow));
  assertEquals(Object.getPrototypeOf(fast), Object.getPrototypeOf(slow));
});

Deno.test("describeStatus() gives each status a title, and 503 and 429 a Retry-After", () => {
  const rows = [400, 429, 500, 503, 504].map((status) => {
    const { title, retryAfterSeconds, status: same } = describeStatus(status);
    return [same, title, retryAfterSeconds];
  });
  assertEquals(rows, [
    [400, "Request rejected", undefined],
    [429, "Request rejected", 1],
    [500, "Upstream failure", undefined],
    [503, "Service unavailable", 1],
    [504, "Upstream timeout", undefined],
  ]);
});
