/**
 * Checks that a login role is weak enough to run as callers: a statement that leaves the caller's role (`RESET ROLE`)
 * must gain nothing.
 *
 * @module
 */
import { LoginRoleError } from "../errors/caller_error.ts";
import type { Bounds, StatementRunner } from "../query/statement_runner.ts";

/**
 * Returns the `name` of the session's login role, and its `strength`: the first reason why it may not act for callers,
 * or `null`.
 *
 * 'USAGE' tests inherited rights, so that a NOINHERIT member passes; 'MEMBER' tests the roles that `SET ROLE` reaches.
 * The hosted authenticator is a member of service_role. pg_shdepend lists every object that a role owns or has rights on.
 */
export const LOGIN_ROLE_STRENGTH = `
select r.rolname as name,
  case
    when r.rolsuper then 'is a superuser'
    when r.rolbypassrls then 'bypasses row-level security'
    when r.rolcreaterole then 'may create roles'
    when r.rolreplication then 'may replicate'
    when exists (
      select from pg_roles o where o.oid <> r.oid and pg_has_role(r.oid, o.oid, 'USAGE')
    ) then 'inherits the rights of another role'
    when exists (
      select from pg_roles o
      where o.oid <> r.oid and o.rolname <> 'service_role' and pg_has_role(r.oid, o.oid, 'MEMBER')
        and (o.rolsuper or o.rolbypassrls or o.rolcreaterole or o.rolreplication)
    ) then 'may become a stronger role'
    when exists (
      select from pg_shdepend d
      where d.refclassid = 'pg_authid'::regclass and d.refobjid = r.oid
        and (d.deptype = 'o' or (d.deptype = 'a' and d.classid = 'pg_class'::regclass))
        and d.dbid in (0, (select oid from pg_database where datname = current_database()))
    ) then 'owns objects or has rights on tables'
  end as strength
from pg_roles r where r.rolname = session_user`;

/**
 * Checks that statements may run as callers on a connection. Queries the server once per connection.
 *
 * @param trusted A login role that is accepted however strong it is.
 * @throws {LoginRoleError} when the login role is too strong, and not `trusted`.
 * @throws what `awaitResult` of the runner throws.
 */
export async function checkLoginRole(
  runner: StatementRunner,
  trusted: string | undefined,
  bounds: Bounds,
): Promise<void> {
  const { connection } = runner;
  if (connection.loginRoleChecked) return;
  const [result] = await runner.awaitResult(connection.start([{ text: LOGIN_ROLE_STRENGTH }]), bounds);
  const { name, strength } = result?.rows[0] ?? {};
  if (typeof name !== "string") throw new LoginRoleError("unknown", "could not be checked");
  if (typeof strength === "string" && name !== trusted) throw new LoginRoleError(name, strength);
  connection.loginRoleChecked = true;
}
