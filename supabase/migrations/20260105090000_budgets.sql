-- Budgets. Each belongs to one user, who alone can read and change it.

-- For functions that the Data API must not expose: `private` is not among the exposed schemas.
create schema if not exists private;
revoke all on schema private from public;

create function private.touch_updated_at() returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

revoke execute on function private.touch_updated_at() from public;

create table public.budgets (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid(),
  name text not null
    constraint budgets_name_check check (char_length(name) <= 120 and name ~ '[^[:space:]]'),
  -- ISO 4217
  currency text not null default 'USD'
    constraint budgets_currency_check check (currency ~ '^[A-Z]{3}$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- The target of a category's foreign key: a category and its budget always have the same owner.
  constraint budgets_id_user_id_key unique (id, user_id)
);

comment on table public.budgets is 'A user''s budget. Rows are visible to their owner only.';

-- The rows of a deleted user go with them. A plain Postgres (a test database, a stack whose Auth has not started yet)
-- has no auth.users to reference.
do $$
begin
  if to_regclass('auth.users') is not null then
    alter table public.budgets
      add constraint budgets_user_id_fkey foreign key (user_id) references auth.users (id) on delete cascade;
  end if;
end;
$$;

-- Serves the policies and the list, which is ordered by created_at, id.
create index budgets_user_id_created_at_idx on public.budgets (user_id, created_at, id);

create trigger budgets_touch_updated_at
  before update on public.budgets
  for each row execute function private.touch_updated_at();

alter table public.budgets enable row level security;

-- `(select auth.uid())` is evaluated once per statement, a bare `auth.uid()` once per row.
create policy "Users read their budgets" on public.budgets
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users create their budgets" on public.budgets
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users change their budgets" on public.budgets
  for update to authenticated using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users delete their budgets" on public.budgets
  for delete to authenticated using ((select auth.uid()) = user_id);

-- A project's default privileges may give every role everything: start from nothing. Callers cannot write owner, id and
-- timestamps.
grant usage on schema public to anon, authenticated, service_role;
revoke all on table public.budgets from public, anon, authenticated;
grant select, delete, insert (name, currency), update (name, currency) on table public.budgets to authenticated;
grant all on table public.budgets to service_role;
