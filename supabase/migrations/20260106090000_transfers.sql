-- Transfers: money moved between two categories of a budget.

alter table public.categories
  add column balance bigint not null default 0
    -- Up to the largest whole number that every reader of JSON keeps exact.
    constraint categories_balance_check check (balance between 0 and 9007199254740991),
  -- The target of a transfer's foreign keys: both its categories belong to one budget, and so to one currency.
  add constraint categories_id_budget_id_key unique (id, budget_id);

comment on column public.categories.balance is
  'In minor units of the budget''s currency (cents, say). Its owner sets it, transfers move it.';

grant insert (balance), update (balance) on table public.categories to authenticated;

create table public.transfers (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null default auth.uid(),
  budget_id uuid not null,
  from_category_id uuid not null,
  to_category_id uuid not null,
  amount bigint not null
    constraint transfers_amount_check check (amount between 1 and 9007199254740991),
  -- Chosen by the caller: a transfer that is sent twice takes effect once.
  idempotency_key text not null
    constraint transfers_idempotency_key_check check (char_length(idempotency_key) between 1 and 64),
  created_at timestamptz not null default now(),
  constraint transfers_categories_check check (from_category_id <> to_category_id),
  constraint transfers_user_id_idempotency_key_key unique (user_id, idempotency_key),
  constraint transfers_budget_id_user_id_fkey foreign key (budget_id, user_id)
    references public.budgets (id, user_id) on delete cascade on update cascade,
  constraint transfers_from_category_id_budget_id_fkey foreign key (from_category_id, budget_id)
    references public.categories (id, budget_id) on delete cascade,
  constraint transfers_to_category_id_budget_id_fkey foreign key (to_category_id, budget_id)
    references public.categories (id, budget_id) on delete cascade
);

comment on table public.transfers is 'Money that was moved between two categories. Visible to its owner only.';

-- Serve the foreign keys when a category or a budget is deleted; the unique key serves the policies.
create index transfers_budget_id_idx on public.transfers (budget_id);
create index transfers_from_category_id_idx on public.transfers (from_category_id);
create index transfers_to_category_id_idx on public.transfers (to_category_id);

alter table public.transfers enable row level security;

create policy "Users read their transfers" on public.transfers
  for select to authenticated using ((select auth.uid()) = user_id);
create policy "Users make their transfers" on public.transfers
  for insert to authenticated with check ((select auth.uid()) = user_id);

-- A transfer is final: no caller can change or delete it.
revoke all on table public.transfers from public, anon, authenticated;
grant select, insert (budget_id, from_category_id, to_category_id, amount, idempotency_key)
  on table public.transfers to authenticated;
grant all on table public.transfers to service_role;
