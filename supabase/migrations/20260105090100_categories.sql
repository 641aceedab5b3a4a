-- Categories: the ordered lines of a budget.

create table public.categories (
  id uuid primary key default gen_random_uuid(),
  budget_id uuid not null,
  user_id uuid not null default auth.uid(),
  name text not null
    constraint categories_name_check check (char_length(name) <= 120 and name ~ '[^[:space:]]'),
  position integer not null
    constraint categories_position_check check (position >= 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  -- Foreign keys are checked with the rights of the owner, not the caller: only the pair prevents adding categories
  -- to another's budget.
  constraint categories_budget_id_user_id_fkey foreign key (budget_id, user_id)
    references public.budgets (id, user_id) on delete cascade on update cascade,
  constraint categories_budget_id_name_key unique (budget_id, name),
  -- Deferrable: checked when the statement ends, so that one update can permute positions.
  constraint categories_budget_id_position_key unique (budget_id, position) deferrable initially immediate
);

comment on table public.categories is 'A category of a budget, ordered by position. Visible to the budget''s owner only.';

-- For the policies; the unique constraints serve the lists.
create index categories_user_id_idx on public.categories (user_id);

-- A new category goes last. The budget's row is the lock: two creations at once, or a creation and a reordering, would
-- otherwise choose the same position. It also limits the size of a budget, so that one page can hold all its categories.
create function private.place_category() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_count integer;
  v_last integer;
begin
  perform 1 from public.budgets where id = new.budget_id for no key update;
  select count(*), max(position) into v_count, v_last from public.categories where budget_id = new.budget_id;
  if v_count >= 500 then
    raise sqlstate 'PT409' using
      message = 'A budget holds at most 500 categories',
      hint = 'Delete a category first.';
  end if;
  new.position := coalesce(v_last + 1, 0);
  return new;
end;
$$;

revoke execute on function private.place_category() from public;

create trigger categories_place
  before insert on public.categories
  for each row execute function private.place_category();

create trigger categories_touch_updated_at
  before update on public.categories
  for each row execute function private.touch_updated_at();

alter table public.categories enable row level security;

create policy "Users read their categories" on public.categories
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users create their categories" on public.categories
  for insert to authenticated with check ((select auth.uid()) = user_id);
create policy "Users change their categories" on public.categories
  for update to authenticated using ((select auth.uid()) = user_id) with check ((select auth.uid()) = user_id);
create policy "Users delete their categories" on public.categories
  for delete to authenticated using ((select auth.uid()) = user_id);

revoke all on table public.categories from public, anon, authenticated;
grant select, delete, insert (budget_id, name), update (name, position) on table public.categories to authenticated;
grant all on table public.categories to service_role;

-- Sets the order of a budget's categories to that of the given ids, all or nothing, and returns them in that order.
--
-- Raises PT404 when the caller has no such budget and PT409 when the ids are not exactly its categories, each once.
-- PostgREST responds to SQLSTATE PTnnn with HTTP status nnn.
create function public.reorder_categories(p_budget_id uuid, p_category_ids uuid[])
returns setof public.categories
language plpgsql
security invoker
set search_path = ''
as $$
begin
  perform 1 from public.budgets where id = p_budget_id for no key update;
  if not found then
    raise sqlstate 'PT404' using
      message = 'No such budget',
      hint = 'Check p_budget_id.';
  end if;

  if p_category_ids is null
    or exists (
      select from (select unnest(p_category_ids) as id) as wanted
      full join (select id from public.categories where budget_id = p_budget_id) as held on held.id = wanted.id
      where held.id is null or wanted.id is null
    )
    or cardinality(p_category_ids) <> (select count(*) from public.categories where budget_id = p_budget_id)
  then
    raise sqlstate 'PT409' using
      message = 'The ids are not exactly the categories of the budget',
      hint = 'Send the id of every category of the budget, each once. The list may have changed: read it again.';
  end if;

  update public.categories as c
  set position = wanted.ordinality - 1
  from unnest(p_category_ids) with ordinality as wanted (id, ordinality)
  where c.id = wanted.id and c.budget_id = p_budget_id and c.position <> wanted.ordinality - 1;

  return query select * from public.categories where budget_id = p_budget_id order by position;
end;
$$;

revoke execute on function public.reorder_categories(uuid, uuid[]) from public, anon;
grant execute on function public.reorder_categories(uuid, uuid[]) to authenticated, service_role;
