/**
 * The content of a Supabase database before the first migration: roles, grants, the
 * schema `auth`.
 *
 * @module
 */
import type { Sql } from "postgres";
import type { Keys } from "../keys.ts";

/*
 * As on the hosted platform: `postgres` owns the database but is not a superuser,
 * `authenticator` has no rights of its own and becomes one of the API roles, and
 * what `postgres` creates in `public` is granted to these.
 */
const ROLES = `
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create role authenticator login noinherit;
create role postgres login createdb createrole replication bypassrls;
grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant pg_monitor, pg_signal_backend, pg_read_all_data to postgres;
alter database postgres owner to postgres;
grant usage on schema public to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to anon, authenticated, service_role;
create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;
alter database postgres set search_path to "$user", public, extensions;
alter role anon set statement_timeout to '3s';
alter role authenticated set statement_timeout to '8s';
alter role authenticator set statement_timeout to '8s';
`;

// Older tools set one setting per claim, newer tools one setting with all claims: both are read, as on the hosted platform.
const AUTH_FUNCTIONS = `
create or replace function auth.jwt() returns jsonb language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim', true), ''),
                  nullif(current_setting('request.jwt.claims', true), ''))::jsonb
$$;
create or replace function auth.uid() returns uuid language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.sub', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;
create or replace function auth.role() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.role', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role')
$$;
create or replace function auth.email() returns text language sql stable as $$
  select coalesce(nullif(current_setting('request.jwt.claim.email', true), ''),
                  nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email')
$$;
`;

const AUTH_GRANTS = `
grant usage on schema auth to anon, authenticated, service_role, postgres;
grant all on all tables in schema auth to postgres with grant option;
grant select on all tables in schema auth to service_role;
`;

/**
 * Creates roles, grants and the schema `auth` in a new database, and sets the
 * passwords of the roles. Does nothing in a database that has them.
 *
 * @param sql A connection of the superuser.
 * @param authSchema Returns the SQL that creates the tables of Auth.
 * @returns Whether the database was new.
 */
export async function prepareDatabase(sql: Sql, keys: Keys, authSchema: () => Promise<string>): Promise<boolean> {
  const [found] = await sql`select 1 from pg_roles where rolname = 'authenticator'`;
  if (found) return false;
  const tables = await authSchema();
  await sql.begin(async (transaction) => {
    await transaction.unsafe(ROLES).simple();
    // Generated passwords are base64url: they need no escaping.
    await transaction.unsafe(`alter role postgres password '${keys.databasePassword}'`).simple();
    await transaction.unsafe(`alter role authenticator password '${keys.authenticatorPassword}'`).simple();
    await transaction.unsafe(tables).simple();
    await transaction.unsafe(AUTH_FUNCTIONS).simple();
    await transaction.unsafe(AUTH_GRANTS).simple();
  });
  return true;
}
