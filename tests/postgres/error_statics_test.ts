import { assertEquals } from "@std/assert";
import * as exported from "../../shared/postgres/mod.ts";
import { errorStatics } from "../support/error_statics.ts";

Deno.test("each error class of shared/postgres has its code, retry class and HTTP status", () => {
  assertEquals(errorStatics(exported), {
    CallerError: ["CALLER_INVALID", "permanent", 500],
    CircuitOpenError: ["CIRCUIT_OPEN", "transient", 503],
    CommitOutcomeUnknownError: ["COMMIT_OUTCOME_UNKNOWN", "ambiguous", 502],
    ConnectTimeoutError: ["CONNECT_TIMEOUT", "transient", 503],
    ConnectionBrokenError: ["CONNECTION_BROKEN", "transient", 503],
    ConnectionError: ["CONNECTION_FAILED", "undefined", 503],
    ConnectionLostError: ["CONNECTION_LOST", "ambiguous", 502],
    DecodeError: ["RESULT_UNREADABLE", "permanent", 500],
    LoginRoleError: ["LOGIN_ROLE_TOO_STRONG", "permanent", 500],
    LoginsRefusedError: ["LOGINS_REFUSED", "permanent", 503],
    NestedTransactionOpenError: ["NESTED_TRANSACTION_OPEN", "permanent", 500],
    PoolerError: ["undefined", "undefined", NaN],
    PoolerLostServerError: ["POOLER_LOST_SERVER", "ambiguous", 502],
    PoolerRefusedError: ["POOLER_REFUSED", "permanent", 503],
    PoolerUnavailableError: ["POOLER_UNAVAILABLE", "transient", 503],
    PostgresError: ["SQLSTATE", "undefined", 500],
    QueryTimeoutError: ["QUERY_TIMEOUT", "ambiguous", 504],
    ResultTooLargeError: ["RESULT_TOO_LARGE", "permanent", 500],
    RoleSettingError: ["ROLE_SETTING_REFUSED", "permanent", 500],
    RollbackFailedError: ["ROLLBACK_FAILED", "undefined", 500],
    StatementError: ["STATEMENT_INVALID", "permanent", 500],
    TlsError: ["undefined", "undefined", NaN],
    TlsNotOfferedError: ["TLS_NOT_OFFERED", "permanent", 500],
    TlsUnverifiedError: ["TLS_UNVERIFIED", "permanent", 500],
    TransactionEndedError: ["TRANSACTION_ENDED", "permanent", 500],
    TransactionOpenError: ["TRANSACTION_OPEN", "permanent", 500],
    TransactionRolledBackError: ["TRANSACTION_ROLLED_BACK", "undefined", 500],
    TransactionTimeoutError: ["TRANSACTION_TIMEOUT", "ambiguous", 504],
  });
});
