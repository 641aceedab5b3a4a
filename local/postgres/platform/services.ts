/**
 * The smaller schemas of a hosted project: GraphQL, database webhooks, connection pooling, the history of migrations.
 *
 * @module
 */

/*
 * `supabase_functions.http_request` is the function behind database webhooks: triggers that the dashboard creates call
 * it, and dumps of hosted projects contain them. It queues the request as `pg_net` does.
 */
export const SERVICES = `
create schema graphql_public;
grant usage on schema graphql_public to postgres, anon, authenticated, service_role;
create function graphql_public.graphql(
  "operationName" text default null, query text default null, variables jsonb default null,
  extensions jsonb default null
) returns jsonb language sql stable as $$
  select '{"errors": [{"message": "GraphQL is not part of the local stack: use the Data API."}]}'::jsonb
$$;
grant execute on all functions in schema graphql_public to postgres, anon, authenticated, service_role;

create schema pgbouncer authorization pgbouncer;

create schema supabase_functions;
grant usage on schema supabase_functions to postgres, anon, authenticated, service_role;
grant all on schema supabase_functions to supabase_functions_admin;
create table supabase_functions.migrations (
  version text primary key, inserted_at timestamptz not null default now()
);
create table supabase_functions.hooks (
  id bigserial primary key,
  hook_table_id integer not null,
  hook_name text not null,
  created_at timestamptz not null default now(),
  request_id bigint
);
create function supabase_functions.http_request() returns trigger language plpgsql security definer
set search_path = supabase_functions as $$
declare
  url text := tg_argv[0];
  verb text := tg_argv[1];
  headers jsonb := coalesce(nullif(tg_argv[2], 'null'), '{"Content-Type": "application/json"}')::jsonb;
  params jsonb := coalesce(nullif(tg_argv[3], 'null'), '{}')::jsonb;
  wait_ms integer := coalesce(nullif(tg_argv[4], 'null'), '1000')::integer;
  request bigint;
begin
  if url is null or url = 'null' then
    raise exception 'url argument is missing';
  end if;
  if verb is null or verb not in ('GET', 'POST') then
    raise exception 'method argument % is invalid', verb;
  end if;
  if to_regprocedure('net.http_post(text, jsonb, jsonb, jsonb, integer)') is null then
    raise warning 'The webhook % was not called: the extension pg_net is not installed', tg_name;
    return new;
  end if;
  if verb = 'GET' then
    execute 'select net.http_get($1, $2, $3, $4)' into request using url, params, headers, wait_ms;
  else
    execute 'select net.http_post($1, $2, $3, $4, $5)' into request using url,
      jsonb_build_object('type', tg_op, 'table', tg_table_name, 'schema', tg_table_schema, 'record',
        case when tg_op = 'DELETE' then null else to_jsonb(new) end, 'old_record',
        case when tg_op = 'INSERT' then null else to_jsonb(old) end),
      params, headers, wait_ms;
  end if;
  insert into supabase_functions.hooks (hook_table_id, hook_name, request_id) values (tg_relid, tg_name, request);
  return new;
end $$;
do $$
declare
  item record;
begin
  for item in select oid::regclass as name from pg_class
    where relnamespace = 'supabase_functions'::regnamespace and relkind = 'r' loop
    execute format('alter table %s owner to supabase_functions_admin', item.name);
  end loop;
end $$;
alter function supabase_functions.http_request() owner to supabase_functions_admin;
grant all on all tables in schema supabase_functions to postgres, anon, authenticated, service_role;
grant all on all sequences in schema supabase_functions to postgres, anon, authenticated, service_role;
grant execute on all functions in schema supabase_functions to postgres, anon, authenticated, service_role;

create schema supabase_migrations authorization postgres;
create table supabase_migrations.schema_migrations (version text not null primary key, statements text[], name text);
create table supabase_migrations.seed_files (path text not null primary key, hash text not null);
alter table supabase_migrations.schema_migrations owner to postgres;
alter table supabase_migrations.seed_files owner to postgres;
`;
