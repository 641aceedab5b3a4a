/**
 * The roles of a hosted project and what they may do outside of the schemas of the services.
 *
 * @module
 */

/*
 * As on the hosted platform: `postgres` owns the database but is not a superuser, `authenticator` has no rights of its
 * own and becomes one of the API roles, and what `postgres` creates in `public` is granted to these. Each service has
 * a role that owns its schema; `postgres` is not a member of it.
 */
export const ROLES = `
create role anon nologin;
create role authenticated nologin;
create role service_role nologin bypassrls;
create role authenticator login noinherit;
create role postgres login createdb createrole replication bypassrls;
create role supabase_auth_admin login noinherit createrole;
create role supabase_storage_admin login noinherit createrole;
create role supabase_functions_admin login noinherit createrole;
create role supabase_realtime_admin nologin noinherit;
create role supabase_replication_admin login replication;
create role supabase_etl_admin login replication bypassrls;
create role supabase_read_only_user login bypassrls;
create role dashboard_user nologin createdb createrole replication;
create role pgbouncer login;

grant anon, authenticated, service_role to authenticator;
grant anon, authenticated, service_role to postgres with admin option;
grant anon, authenticated, service_role, authenticator to supabase_storage_admin;
grant supabase_realtime_admin to postgres;
grant pg_monitor, pg_signal_backend, pg_read_all_data to postgres;
grant pg_read_all_data to supabase_read_only_user, supabase_etl_admin;
do $$
begin
  if current_setting('server_version_num')::int >= 160000 then
    grant pg_create_subscription to postgres;
  end if;
  if current_setting('server_version_num')::int >= 150000 then
    execute 'grant set on parameter session_replication_role, log_min_messages, log_lock_waits, track_io_timing to postgres';
  end if;
end $$;

alter role anon set statement_timeout to '3s';
alter role authenticated set statement_timeout to '8s';
alter role authenticator set statement_timeout to '8s';
alter role authenticator set lock_timeout to '8s';
alter role supabase_auth_admin set search_path to auth;
alter role supabase_storage_admin set search_path to storage;
alter role supabase_functions_admin set search_path to supabase_functions;

alter database postgres owner to postgres;
alter database postgres set search_path to "$user", public, extensions;
grant all on database postgres to dashboard_user;
grant create on database postgres to supabase_auth_admin, supabase_storage_admin, supabase_functions_admin;

create schema extensions authorization postgres;
grant usage on schema extensions to anon, authenticated, service_role;
grant all on schema extensions to dashboard_user;
grant usage on schema public to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
  grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
  grant all on sequences to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema public
  grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on tables to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on sequences to postgres, anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  grant all on functions to postgres, anon, authenticated, service_role;
alter default privileges for role supabase_admin in schema extensions
  grant all on tables to postgres with grant option;
alter default privileges for role supabase_admin in schema extensions
  grant all on functions to postgres with grant option;

create publication supabase_realtime;
alter publication supabase_realtime owner to postgres;
`;

/** The statements that take back what `[api] auto_expose_new_tables = false` excludes. */
export const REVOKE_API_DEFAULTS = `
alter default privileges for role postgres in schema public
  revoke select, insert, update, delete on tables from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  revoke usage, select on sequences from anon, authenticated, service_role;
alter default privileges for role postgres in schema public
  revoke execute on functions from anon, authenticated, service_role;
`;
