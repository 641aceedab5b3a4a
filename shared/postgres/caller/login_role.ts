/**
 * Whether a login role is weak enough to act for callers: a statement that
 * takes off the caller's role (`RESET ROLE`) must gain nothing.
 *
 * @module
 */
import { LoginRoleError } from "../errors/errors.ts";
import type { Bounds, StatementRunner } from "../query/statement_runner.ts";

/*
 * 'USAGE' asks for what is inherited, so that a NOINHERIT member passes; 'MEMBER' for whom `SET ROLE` may turn it into.
 * The hosted authenticator is a member of service_role. pg_shdepend knows every object that a role
 * owns, and every one it has rights on.
 */
const STRENGTHS = `
select r.rolname as name,
  case
    when r.rolsuper then 'is a superuser'
    when r.rolbypassrls then 'bypasses row-level security'
    when r.rolcreaterole then 'may make roles'
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
 * Sees to it that callers may be acted for on a session. It is asked once for each.
 *
 * @param trusted A login role that is accepted however strong it is.
 * @throws {LoginRoleError} when its login role is stronger, and not `trusted`.
 * @throws what `follow` of the runner throws.
 */
export async function checkLoginRole(
  runner: StatementRunner,
  trusted: string | undefined,
  bounds: Bounds,
): Promise<void> {
  const { session } = runner;
  if (session.fitForCallers) return;
  const [result] = await runner.follow(session.start([{ text: STRENGTHS }]), bounds);
  const { name, strength } = result?.rows[0] ?? {};
  if (typeof name !== "string") throw new LoginRoleError("unknown", "could not be looked at");
  if (typeof strength === "string" && name !== trusted) throw new LoginRoleError(name, strength);
  session.fitForCallers = true;
}
