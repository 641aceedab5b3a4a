-- The fleet: what the isolates of the project report about their pools, and the alerts about them. The tables are in a
-- schema that the Data API does not expose. Isolates reach them through two functions of `public`, which only
-- `service_role` may execute. Every time is that of the database, in ms since 1970: the clocks of isolates differ.

create schema if not exists pool;

comment on schema pool is 'Tables of the connection pool. Not exposed by the Data API.';

revoke all on schema pool from public, anon, authenticated, service_role;

-- One row per isolate. Unlogged: a crash loses what the isolates report again within seconds.
create unlogged table pool.fleet_isolates (
  isolate text primary key check (length(isolate) between 1 and 64),
  function text not null check (length(function) between 1 and 64),
  reported_ms bigint not null,
  waiting double precision not null,
  active double precision not null,
  max_leases double precision not null,
  report jsonb not null
);

create index fleet_isolates_reported_idx on pool.fleet_isolates (reported_ms);

-- The history of each function, in steps of 15 s.
create unlogged table pool.fleet_samples (
  at_ms bigint not null,
  function text not null,
  waiting double precision not null,
  active double precision not null,
  max_leases double precision not null,
  acquisition_ms double precision not null,
  calls double precision not null,
  errors double precision not null,
  primary key (function, at_ms)
);

create index fleet_samples_at_idx on pool.fleet_samples (at_ms);

-- The alerts that are raised, and for a day those that were. `notice_ms`: the latest attempt to send the change of `raised`
-- to a webhook, or the change itself; 0 once it was sent.
create table pool.fleet_alerts (
  rule text not null check (length(rule) between 1 and 64),
  function text not null check (length(function) between 1 and 64),
  raised boolean not null,
  since_ms bigint not null,
  value double precision not null,
  misses integer not null,
  notice_ms bigint not null default 0,
  primary key (rule, function)
);

-- The latest evaluation of the alerts. The isolate that locks the row evaluates them.
create table pool.fleet_turn (
  id boolean primary key default true check (id),
  evaluated_ms bigint not null
);

insert into pool.fleet_turn (evaluated_ms) values (0);

-- No policy: even if the schema is exposed one day, only its owner sees a row.
alter table pool.fleet_isolates enable row level security;
alter table pool.fleet_samples enable row level security;
alter table pool.fleet_alerts enable row level security;
alter table pool.fleet_turn enable row level security;

revoke all on table pool.fleet_isolates, pool.fleet_samples, pool.fleet_alerts, pool.fleet_turn
  from public, anon, authenticated, service_role;

create or replace function pool.fleet_now() returns bigint as $$
  select (extract(epoch from clock_timestamp()) * 1000)::bigint;
$$ language sql volatile set search_path = '';

-- Returns the object that was sent: some Data APIs pass an object as the text of it.
create or replace function pool.fleet_object(p_value jsonb) returns jsonb as $$
  select case when jsonb_typeof(p_value) = 'string' then (p_value #>> '{}')::jsonb else p_value end;
$$ language sql immutable set search_path = '';

-- Returns a count of a report; 0 for what is not a number, so that a report of another version breaks no other.
create or replace function pool.fleet_count(p_value jsonb) returns double precision as $$
  select case when jsonb_typeof(p_value) = 'number'
    then least(greatest((p_value #>> '{}')::numeric, 0), 1e15)::double precision else 0 end;
$$ language sql immutable set search_path = '';

-- Returns the name in a report, shortened; `unknown` for what is not a text.
create or replace function pool.fleet_name(p_value jsonb) returns text as $$
  select case when jsonb_typeof(p_value) = 'string' and p_value #>> '{}' <> ''
    then left(p_value #>> '{}', 64) else 'unknown' end;
$$ language sql immutable set search_path = '';

-- Returns the alerts that the store keeps.
create or replace function pool.fleet_alert_states() returns jsonb as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'rule', rule, 'function', function, 'raised', raised, 'sinceMs', since_ms, 'value', value, 'misses', misses,
    'noticeMs', notice_ms
  ) order by raised desc, since_ms desc), '[]') from pool.fleet_alerts;
$$ language sql stable set search_path = '';

-- Returns the samples, oldest first.
create or replace function pool.fleet_sample_list() returns jsonb as $$
  select coalesce(jsonb_agg(jsonb_build_object(
    'atMs', at_ms, 'function', function, 'waiting', waiting, 'active', active, 'limit', max_leases,
    'acquisitionMs', acquisition_ms, 'calls', calls, 'errors', errors
  ) order by at_ms), '[]') from pool.fleet_samples;
$$ language sql stable set search_path = '';

-- Deletes what is too old, and what the future holds after the clock was set back. The whole history goes then: samples of
-- minutes ago would be those of the present again, and raise an alert that was cleared.
create or replace function pool.fleet_expire(p_now bigint) returns void as $$
  delete from pool.fleet_isolates where isolate in (
    select isolate from pool.fleet_isolates
      where reported_ms < p_now - 30000 or reported_ms > p_now + 5000 limit 100 for update skip locked
  );
  delete from pool.fleet_samples where (function, at_ms) in (
    select function, at_ms from pool.fleet_samples where at_ms < p_now - 1500000 limit 500 for update skip locked
  );
  -- By the time of now: a report may have waited for a lock.
  delete from pool.fleet_samples where (function, at_ms) in (
    select function, at_ms from pool.fleet_samples
      where (select max(at_ms) from pool.fleet_samples) > (select pool.fleet_now()) + 15000
      for update skip locked
  );
  delete from pool.fleet_alerts where not raised and since_ms < p_now - 86400000;
$$ language sql volatile set search_path = '';

-- Adds a report to the sample of its function.
create or replace function pool.fleet_add_sample(p_function text, p_interval jsonb, p_now bigint) returns void as $$
declare
  v_at bigint := p_now - p_now % 15000;
begin
  -- At most 100 functions have a history.
  if not exists (select from pool.fleet_samples where function = p_function)
    and (select count(distinct function) from pool.fleet_samples) >= 100 then
    return;
  end if;
  insert into pool.fleet_samples as s
    (at_ms, function, waiting, active, max_leases, acquisition_ms, calls, errors)
  select v_at, p_function, sum(i.waiting), sum(i.active), sum(i.max_leases),
    pool.fleet_count(p_interval -> 'maxWaitMs'), pool.fleet_count(p_interval -> 'calls'),
    pool.fleet_count(p_interval -> 'errors')
  from pool.fleet_isolates i
  where i.function = p_function and i.reported_ms >= p_now - 30000
  having count(*) > 0
  on conflict (function, at_ms) do update set
    waiting = excluded.waiting,
    active = excluded.active,
    max_leases = excluded.max_leases,
    acquisition_ms = greatest(s.acquisition_ms, excluded.acquisition_ms),
    calls = s.calls + excluded.calls,
    errors = s.errors + excluded.errors;
end;
$$ language plpgsql volatile set search_path = '';

-- Changes alerts, each if its state is still the one that was evaluated: of several isolates, one changes it. The lock of
-- the row decides. A change with a `notice` only notes the progress of the webhook. Returns the changes that were applied,
-- each with the time of its state.
create or replace function pool.fleet_change_alerts(p_changes jsonb, p_now bigint) returns jsonb as $$
declare
  v_change jsonb;
  v_applied jsonb := '[]';
  v_rule text;
  v_function text;
  v_raised boolean;
  v_previous bigint;
  v_since bigint;
begin
  for v_change in select c from jsonb_array_elements(p_changes) with ordinality as t (c, n) order by n limit 500 loop
    v_rule := pool.fleet_name(v_change -> 'rule');
    v_function := pool.fleet_name(v_change -> 'function');
    v_raised := (v_change ->> 'raised')::boolean;
    v_previous := pool.fleet_count(v_change -> 'previousSinceMs')::bigint;
    v_since := null;
    if v_change ->> 'notice' is not null then
      update pool.fleet_alerts set notice_ms = case when v_change ->> 'notice' = 'sent' then 0 else p_now end
      where rule = v_rule and function = v_function and since_ms = v_previous
        and (v_change ->> 'notice' = 'sent' or notice_ms = pool.fleet_count(v_change -> 'previousNoticeMs')::bigint)
      returning since_ms into v_since;
    elsif v_previous = 0 then
      insert into pool.fleet_alerts (rule, function, raised, since_ms, value, misses, notice_ms)
      values (v_rule, v_function, v_raised, p_now, pool.fleet_count(v_change -> 'value'), 0, p_now)
      on conflict do nothing
      returning since_ms into v_since;
    else
      update pool.fleet_alerts set
        -- Later than before even if the clock was set back: each state has a time of its own.
        since_ms = case when raised = v_raised then since_ms else greatest(p_now, since_ms + 1) end,
        notice_ms = case when raised = v_raised then notice_ms else p_now end,
        raised = v_raised,
        value = pool.fleet_count(v_change -> 'value'),
        misses = pool.fleet_count(v_change -> 'misses')::integer
      where rule = v_rule and function = v_function and since_ms = v_previous
      returning since_ms into v_since;
    end if;
    if v_since is not null then
      v_applied := v_applied || (v_change || jsonb_build_object('sinceMs', v_since));
    end if;
  end loop;
  return v_applied;
end;
$$ language plpgsql volatile set search_path = '';

-- Takes a message of an isolate: `report`, `remove` or `changes`. Returns the version of the store, and to one isolate in
-- 15 s what the alerts are evaluated on.
create or replace function public.pool_fleet_report(p_message jsonb) returns jsonb as $$
declare
  v_now bigint := pool.fleet_now();
  v_message jsonb := pool.fleet_object(p_message);
  v_report jsonb := v_message -> 'report';
  v_isolate text;
  v_function text;
  v_reply jsonb := jsonb_build_object('version', 1, 'nowMs', v_now);
begin
  if octet_length(v_message::text) > 65536 then
    return v_reply || '{"refused": "too long"}';
  end if;
  if v_message ? 'remove' then
    delete from pool.fleet_isolates where isolate = pool.fleet_name(v_message -> 'remove');
    return v_reply;
  end if;
  if v_message ? 'changes' then
    return v_reply || jsonb_build_object('applied', pool.fleet_change_alerts(v_message -> 'changes', v_now));
  end if;
  if jsonb_typeof(v_report) is distinct from 'object' then
    return v_reply || '{"refused": "not a report"}';
  end if;

  perform pool.fleet_expire(v_now);
  v_isolate := pool.fleet_name(v_report -> 'isolate');
  v_function := pool.fleet_name(v_report -> 'function');
  if not exists (select from pool.fleet_isolates where isolate = v_isolate)
    and (select count(*) from pool.fleet_isolates) >= 500 then
    return v_reply || '{"refused": "full"}';
  end if;
  insert into pool.fleet_isolates as i (isolate, function, reported_ms, waiting, active, max_leases, report)
  values (
    v_isolate, v_function, v_now,
    pool.fleet_count(v_report #> '{stats,waitingForConnection}'),
    pool.fleet_count(v_report #> '{stats,activeConnections}'),
    pool.fleet_count(v_report #> '{stats,limit}'),
    v_report
  )
  on conflict (isolate) do update set
    function = excluded.function, reported_ms = excluded.reported_ms, waiting = excluded.waiting,
    active = excluded.active, max_leases = excluded.max_leases, report = excluded.report;
  perform pool.fleet_add_sample(v_function, v_report -> 'interval', v_now);

  update pool.fleet_turn set evaluated_ms = v_now where id in (
    select id from pool.fleet_turn
    where evaluated_ms <= v_now - 15000 or evaluated_ms > v_now + 5000 for update skip locked
  );
  if found then
    v_reply := v_reply || jsonb_build_object('evaluation', jsonb_build_object(
      'nowMs', v_now, 'samples', pool.fleet_sample_list(), 'alerts', pool.fleet_alert_states()
    ));
  end if;
  return v_reply;
end;
$$ language plpgsql volatile security definer set search_path = '';

-- Returns the isolates that reported within `dropMs` (at most 30 s); with `detail: "full"` also their metrics and slow
-- requests, the samples and the alerts. Of metrics, at most 2 MB: those of isolates beyond that are left out.
create or replace function public.pool_fleet_read(p_options jsonb default '{}') returns jsonb as $$
declare
  v_now bigint := pool.fleet_now();
  v_options jsonb := pool.fleet_object(p_options);
  v_is_full boolean := coalesce(v_options ->> 'detail' = 'full', false);
  v_drop double precision := case when jsonb_typeof(v_options -> 'dropMs') = 'number'
    then least(greatest(pool.fleet_count(v_options -> 'dropMs'), 1000), 30000) else 30000 end;
  v_isolates jsonb;
begin
  select coalesce(jsonb_agg(
    case
      when not v_is_full then report - 'metrics' - 'slowRequests'
      when bytes > 2097152 then report - 'metrics' - 'slowRequests' || '{"omitted": ["metrics", "slowRequests"]}'
      else report
    end || jsonb_build_object('ageMs', v_now - reported_ms)
    order by function, isolate
  ), '[]') into v_isolates
  from (
    select *, sum(case when v_is_full then octet_length(report::text) end)
      over (order by reported_ms desc, isolate) as bytes
    from pool.fleet_isolates where reported_ms >= v_now - v_drop and reported_ms <= v_now + 5000
    limit 500
  ) as live;
  return jsonb_build_object('version', 1, 'nowMs', v_now, 'isolates', v_isolates) || case when v_is_full
    then jsonb_build_object('samples', pool.fleet_sample_list(), 'alerts', pool.fleet_alert_states())
    else '{}' end;
end;
$$ language plpgsql volatile security definer set search_path = '';

comment on function public.pool_fleet_report(jsonb) is 'Stores what an isolate reports about its pool. For service_role.';
comment on function public.pool_fleet_read(jsonb) is 'Returns what the isolates reported about their pools. For service_role.';

revoke all on function pool.fleet_now(), pool.fleet_object(jsonb), pool.fleet_count(jsonb), pool.fleet_name(jsonb),
  pool.fleet_alert_states(), pool.fleet_sample_list(), pool.fleet_expire(bigint), pool.fleet_add_sample(text, jsonb, bigint),
  pool.fleet_change_alerts(jsonb, bigint) from public, anon, authenticated, service_role;
revoke all on function public.pool_fleet_report(jsonb), public.pool_fleet_read(jsonb) from public, anon, authenticated;
grant execute on function public.pool_fleet_report(jsonb), public.pool_fleet_read(jsonb) to service_role;

-- A Data API that does not watch for changes learns of the functions.
notify pgrst, 'reload schema';
