import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { CreateFailedError, PoolError } from "../../shared/pool/mod.ts";
import { redacted } from "../../shared/postgres/errors/server_error.ts";
import { PoolerError, PoolerLostServerError, PoolerRefusedError, PostgresError } from "../../shared/postgres/mod.ts";
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
  ["XX000", "(EADDRNOTALLOWED) address not in tenant allow_list: {1, 2, 3, 4}", "permanent"],
  ["XX000", "Tenant or user not found", "permanent"],
  ["XX000", "(EWORKERNOTFOUND) worker processes (manager/pool) not found for tenant x", "transient"],
  ["XX000", "(EPOOLCONFIGNOTFOUND) pool configuration not found for x", "transient"],
  ["XX000", "(EMAXPOOLSREACHED) max pools count reached", "transient"],
  ["08006", "(EAUTHTIMEOUT) timeout while waiting for message", "transient"],
  ["08P01", "bouncer resources exhaustion", "transient"],
  ["08P01", 'database "d" is disabled', "transient"],
  ["08P01", "server DNS lookup failed", "transient"],
  ["08P01", "query_timeout", "ambiguous"],
  ["08P01", "idle transaction timeout", "ambiguous"],
  // With a code of its own.
  ["57P03", "the database system is starting up", "transient"],
];

Deno.test("redacted() returns PoolerError for texts of poolers", () => {
  for (const [code, message, kind] of SAID) assertEquals(classifyFailure(said(code, message)), kind, message);
  assertInstanceOf(said("08P01", "query_wait_timeout"), PoolerError);
});

Deno.test("redacted() returns PoolerRefusedError, with 503 and Retry-After, for refusals that pass later", () => {
  const refusals = [
    "(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked",
    "(ECIRCUITBREAKER) circuit breaker open for operation: auth_error, too many attempts",
    "(ECIRCUITBREAKER) failed to retrieve database credentials after multiple attempts, new connections are blocked",
    "(EBANNED) tenant is banned: abuse",
    "(EAUTHSECRETS) failed to retrieve authentication secrets: :timeout",
    "(EAUTHQUERY) auth_query connection failed: tcp connect: timeout",
    "(EAUTHQUERY) authentication query failed: connection to database not available",
    '(EJITREQUESTFAILED) failed to reach JIT provider for user "u"',
  ];
  for (const message of refusals) {
    const error = said("XX000", message);
    assertInstanceOf(error, PoolerRefusedError, message);
    // Not retried at once: each attempt may prolong the refusal.
    assertEquals(classifyFailure(error), "permanent");
    const { http } = new CreateFailedError(error);
    assertEquals([http.status, http.retryAfterSeconds], [503, 60]);
    assert(error.message.includes(message));
  }
  // A lasting rejection is a fault of the configuration.
  assertEquals(new CreateFailedError(said("XX000", "(ENOTFOUND) tenant/user u.ref not found")).http.status, 500);
  assertEquals(new CreateFailedError(said("28P01", "password authentication failed")).http.status, 500);
});

Deno.test("PoolerUnavailableError and refusals of the server have 503 and Retry-After", () => {
  const errors = [
    said("08P01", "query_wait_timeout"),
    said("53300", "sorry, too many clients already", "InitPostgres"),
    said("53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute", "InitPostgres"),
    said("57P03", "the database system is starting up"),
    said("57P01", "terminating connection due to administrator command", "ProcessInterrupts"),
  ];
  for (const error of errors) {
    assertInstanceOf(error, PoolError);
    assertEquals([error.http.status, error.http.retryAfterSeconds], [503, 1], error.message);
  }
});

Deno.test("redacted() returns PostgresError for errors of the server, whatever their texts", () => {
  const error = said("XX000", "Max client connections reached", "exec_stmt_raise");
  assertInstanceOf(error, PostgresError);
  assertEquals([error.code, classifyFailure(error)], ["XX000", "permanent"]);
});

Deno.test("PoolerLostServerError has the pooler's message, and says how to go on", () => {
  assertEquals(
    new PoolerLostServerError("server conn crashed?").message,
    "The pooler lost its connection to Postgres, so the effect of the statement is unknown (server conn crashed?). " +
      "Check its effect before retrying, or retry only if it is idempotent",
  );
});
