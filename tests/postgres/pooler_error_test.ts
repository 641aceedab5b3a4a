import { assertEquals, assertInstanceOf } from "@std/assert";
import { redacted } from "../../shared/postgres/errors/errors.ts";
import { PoolerError, PostgresError } from "../../shared/postgres/mod.ts";
import { classifyFailure, type FailureKind } from "../../shared/resilience/mod.ts";

/** As the driver gives what a pooler says: without a routine, which every error of the server names. */
function said(code: string, message: string, routine?: string): Error {
  return redacted(Object.assign(new Error(message), { code, severity: "FATAL", routine }));
}

const SAID: readonly (readonly [code: string, message: string, kind: FailureKind])[] = [
  ["08P01", "pgbouncer cannot connect to server", "transient"],
  ["08P01", "server login has been failing, try again later (server_login_retry)", "transient"],
  ["08P01", "server login has been failing, cached error: connect failed (server_login_retry)", "transient"],
  ["08P01", "query_wait_timeout", "transient"],
  ["08P01", "client_login_timeout (server down)", "transient"],
  ["08P01", "no more connections allowed (max_client_conn)", "transient"],
  ["08P01", "client connections exceeded (max_db_client_connections)", "transient"],
  ["XX000", "(EMAXCONN) max client connections reached, limit: 200", "transient"],
  [
    "XX000",
    "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
    "transient",
  ],
  [
    "XX000",
    "(ECHECKOUTTIMEOUT) unable to check out connection from the pool after 60000ms in Transaction mode",
    "transient",
  ],
  ["XX000", "Max client connections reached", "transient"],
  [
    "XX000",
    "MaxClientsInSessionMode: max clients reached - in BackendConnection mode max clients are limited to pool_size",
    "transient",
  ],
  ["08P01", "server conn crashed?", "ambiguous"],
  ["XX000", "(EDBHANDLEREXITED) connection to database closed. Check logs for more information", "ambiguous"],
  ["08P01", "password authentication failed", "permanent"],
  [
    "08P01",
    'server login has been failing, cached error: password authentication failed for user "u" (server_login_retry)',
    "permanent",
  ],
  ["08P01", "SSL required", "permanent"],
  ["08P01", "no such database: d", "permanent"],
  ["XX000", "(ENOTFOUND) tenant/user u.ref not found", "permanent"],
  ["XX000", "(ECIRCUITBREAKER) circuit breaker open for operation: auth_error, too many attempts", "permanent"],
  // With a code of its own.
  ["57P03", "the database system is starting up", "transient"],
];

Deno.test("redacted() returns PoolerError for texts of poolers", () => {
  for (const [code, message, kind] of SAID) assertEquals(classifyFailure(said(code, message)), kind, message);
  assertInstanceOf(said("08P01", "query_wait_timeout"), PoolerError);
});

Deno.test("redacted() returns PostgresError for errors of the server, whatever their texts", () => {
  const error = said("XX000", "Max client connections reached", "exec_stmt_raise");
  assertInstanceOf(error, PostgresError);
  assertEquals([error.code, classifyFailure(error)], ["XX000", "permanent"]);
});
