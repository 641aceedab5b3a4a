-- Budget templates. Every caller can read the published ones; only the project's staff writes them.

create table public.templates (
  id uuid primary key default gen_random_uuid(),
  name text not null
    constraint templates_name_check check (char_length(name) <= 120 and name ~ '[^[:space:]]'),
  description text not null default ''
    constraint templates_description_check check (char_length(description) <= 2000),
  categories text[] not null default '{}'
    constraint templates_categories_check
    check (cardinality(categories) <= 500 and array_position(categories, null) is null),
  published boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

comment on table public.templates is 'A budget to start from: the names of its categories. Unpublished ones are drafts.';

-- Serves the policy and the list, which is ordered by name, id.
create index templates_published_name_idx on public.templates (name, id) where published;

create trigger templates_touch_updated_at
  before update on public.templates
  for each row execute function private.touch_updated_at();

alter table public.templates enable row level security;

create policy "Everybody reads published templates" on public.templates
  for select to anon, authenticated using (published);

revoke all on table public.templates from public, anon, authenticated;
grant select on table public.templates to anon, authenticated;
grant all on table public.templates to service_role;
