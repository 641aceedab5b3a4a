-- The log of connections, for administrators. It is in a schema of its own that the Data API does not expose, and no role
-- of the Data API has a right on it.

create schema if not exists pool;

comment on schema pool is 'Tables of the connection pool. Not exposed by the Data API.';

revoke all on schema pool from public, anon, authenticated, service_role;

create table pool.connection_logs (
  id serial primary key,
  connection_id text not null,
  status text not null,
  created_at timestamp with time zone default current_timestamp,
  error_message text,
  metadata jsonb
);

comment on table pool.connection_logs is 'Events of connections to Postgres. Rows are deleted after some days.';

-- Rows are deleted long before their numbers come again.
alter sequence pool.connection_logs_id_seq cycle;

create index connection_logs_created_at_idx on pool.connection_logs (created_at);

-- No policy: even if the schema is exposed one day, only its owner sees a row.
alter table pool.connection_logs enable row level security;

revoke all on table pool.connection_logs from public, anon, authenticated, service_role;
revoke all on sequence pool.connection_logs_id_seq from public, anon, authenticated, service_role;

-- A login that may execute it adds events, and can neither read nor change any.
create or replace function pool.log_connection_event(
  p_connection_id text,
  p_status text,
  p_error_message text default null,
  p_metadata jsonb default '{}'::jsonb
) returns void as $$
begin
  insert into connection_logs (connection_id, status, error_message, metadata)
  values (p_connection_id, p_status, p_error_message, p_metadata);
end;
$$ language plpgsql security definer set search_path = pool, pg_temp;

-- Deletes at most p_limit rows: those older than p_days, and the oldest of more than p_max_rows. Returns their number.
create or replace function pool.delete_connection_logs(
  p_days integer default 7,
  p_max_rows integer default 100000,
  p_limit integer default 1000
) returns integer as $$
declare
  v_before timestamp with time zone;
  v_deleted integer;
begin
  v_before := greatest(
    current_timestamp - make_interval(days => greatest(p_days, 1)),
    (select created_at from connection_logs order by created_at desc offset greatest(p_max_rows, 1000) limit 1)
  );
  delete from connection_logs where id in (
    select id from connection_logs where created_at <= v_before order by created_at limit p_limit for update skip locked
  );
  get diagnostics v_deleted = row_count;
  return v_deleted;
end;
$$ language plpgsql security definer set search_path = pool, pg_temp;

revoke all on function pool.log_connection_event(text, text, text, jsonb) from public, anon, authenticated, service_role;
revoke all on function pool.delete_connection_logs(integer, integer, integer)
  from public, anon, authenticated, service_role;
