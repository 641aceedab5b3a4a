/**
 * The errors of statements that run as a caller.
 *
 * @module
 */
import { PoolError } from "../../pool/mod.ts";
import {
  type HttpDescription,
  INTERNAL_ERROR,
  messageOf,
  type RefusalReason,
  refusalResponse,
} from "../../resilience/mod.ts";

/**
 * The manager cannot act for this caller.
 *
 * Its HTTP status is 401 for a token that has expired, 403 for a role other than `anon` and `authenticated`, 400 for
 * claims that are nested too deeply, and 500 otherwise.
 *
 * @cause The claims are not those of a verified token of role `anon` or `authenticated`, or the token has expired.
 * @fix Pass `{ claims }` of a verified, current token, or `"anonymous"`.
 * @sample new CallerError("The sub claim must be the user's id")
 */
export class CallerError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "CALLER_INVALID";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /** The reason, which decides the HTTP status. */
  readonly reason: RefusalReason;

  /**
   * Creates the error.
   *
   * @param reason Default: `mistake`, of the program.
   */
  constructor(message: string, reason: RefusalReason = "mistake") {
    super(message);
    this.reason = reason;
  }

  /** The HTTP response by the reason. */
  override get http(): HttpDescription {
    return refusalResponse(this.reason);
  }
}

/**
 * A setting of a caller's role cannot be applied. It is left out; only the manager's event `error` shows this error.
 *
 * @cause The login role may not set the parameter, or the parameter does not exist any more.
 * @fix `GRANT SET ON PARAMETER` to the login role (Postgres 15 and later), or `ALTER ROLE ... RESET` the setting.
 * @sample new RoleSettingError("log_min_duration_statement", new Error("permission denied to set parameter"))
 */
export class RoleSettingError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "ROLE_SETTING_REFUSED";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param name The parameter; `undefined` where the settings of all callers' roles could not be read.
   */
  constructor(name: string | undefined, cause: unknown) {
    const what = name === undefined ? "Cannot read the settings of callers' roles" : `Cannot apply ${name} of a role`;
    super(`${what}, which runs without: ${messageOf(cause)}`, { cause });
  }
}

/**
 * The login role has more rights than a caller may reach if a statement resets the role.
 *
 * @cause `DB_USER` is a superuser or owns rights of its own, such as `postgres`.
 * @fix Log in as a role like `authenticator` (NOINHERIT, no rights of its own), or name the role in `trustedLogin`.
 * @sample new LoginRoleError("postgres", "is a superuser")
 */
export class LoginRoleError extends PoolError {
  /** The code in logs and responses. */
  static override readonly code = "LOGIN_ROLE_TOO_STRONG";
  /** The retry class. */
  static override readonly retry = "permanent";
  /** The response to a request that fails with it. */
  static override readonly http: HttpDescription = INTERNAL_ERROR;

  /**
   * Creates the error.
   *
   * @param role The login role.
   * @param reason The right that it has or lacks.
   */
  constructor(role: string, reason: string) {
    super(
      `Cannot run as a caller on login role ${JSON.stringify(role)} because it ${reason}: ` +
        "log in as a role like authenticator (NOINHERIT, no rights of its own), or name this one in trustedLogin",
    );
  }
}
