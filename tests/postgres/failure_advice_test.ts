/** Errors of connecting: what they advise, and how they are classified. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { LoginsRefusedError } from "../../shared/postgres/mod.ts";
import { addressAdvice } from "../../shared/postgres/errors/connection_error.ts";
import { redacted } from "../../shared/postgres/errors/server_error.ts";
import { classifyPostgresFailure } from "../../shared/postgres/query/attempts.ts";
import { noteStale } from "../../shared/postgres/wire/stale_statement.ts";
import { classifyFailure } from "../../shared/resilience/mod.ts";

Deno.test("addressAdvice() names the pooler for a direct address that cannot be reached, and for no other", () => {
  const direct = "db.abcdefghijklmnopqrst.supabase.co";
  for (const code of ["ENETUNREACH", "EHOSTUNREACH"]) {
    assertStringIncludes(addressAdvice(direct, code), `${direct} has only an IPv6 address`);
    assertStringIncludes(addressAdvice(direct, code), "*.pooler.supabase.com");
  }
  assertEquals(addressAdvice(direct, "ECONNREFUSED"), "");
  for (const host of ["localhost", "aws-0-eu.pooler.supabase.com", "db.example.com"]) {
    assertEquals(addressAdvice(host, "ENETUNREACH"), "");
  }
});

Deno.test("LoginsRefusedError says what to correct, and asks callers to wait", () => {
  const error = new LoginsRefusedError();
  assertStringIncludes(error.message, "refused 5 times within 300 s");
  assertStringIncludes(error.message, "Correct the credentials");
  assertEquals(error.http.retryAfterSeconds, 300);
});

Deno.test("an error of several attempts to connect shows the reason of each", () => {
  const attempts = [new Error("connect ECONNREFUSED ::1:5432"), new Error("connect ECONNREFUSED 127.0.0.1:5432")];
  const { message } = redacted(Object.assign(new AggregateError(attempts, ""), { code: "ECONNREFUSED" }));
  for (const address of ["::1:5432", "127.0.0.1:5432"]) assertStringIncludes(message, address);
});

Deno.test("classifyPostgresFailure() classifies an error that a change of the schema caused as transient", () => {
  const error = new Error("cached plan must not change result type");
  assertEquals(classifyPostgresFailure(error), classifyFailure(error));
  noteStale(error);
  assertEquals(classifyPostgresFailure(error), "transient");
});
