-- A row of transfers is a transfer: inserting one, over the Data API or in SQL, moves the money in the same statement. So
-- every row stands for money that was moved, and no caller needs a right that only one function should have.

-- Runs with the caller's rights: row-level security and grants on categories apply. It runs after the insert, not before:
-- a row that `on conflict do nothing` skips must move nothing.
create function private.carry_out_transfer() returns trigger
language plpgsql
set search_path = ''
as $$
declare
  v_from bigint;
  v_to bigint;
begin
  -- In one order, whatever the direction: transfers between the same categories wait, and cannot deadlock.
  perform 1 from public.categories where id in (new.from_category_id, new.to_category_id) order by id for no key update;
  select balance into v_from from public.categories where id = new.from_category_id;
  select balance into v_to from public.categories where id = new.to_category_id;
  if v_from is null or v_to is null then
    raise sqlstate 'PT404' using
      message = 'No such category',
      hint = 'Check from_category_id and to_category_id.';
  end if;
  if v_from < new.amount then
    raise sqlstate 'PT409' using
      message = 'There is less in the category than is to be taken from it',
      constraint = 'transfers_sufficient_balance';
  end if;
  -- As categories_balance_check has it.
  if v_to > 9007199254740991 - new.amount then
    raise sqlstate 'PT409' using
      message = 'The category would hold more than a category may',
      constraint = 'transfers_room_for_amount';
  end if;
  update public.categories
  set balance = balance + case id when new.from_category_id then -new.amount else new.amount end
  where id in (new.from_category_id, new.to_category_id);
  return null;
end;
$$;

revoke execute on function private.carry_out_transfer() from public;

create trigger transfers_carry_out
  after insert on public.transfers
  for each row execute function private.carry_out_transfer();

comment on table public.transfers is
  'Money that is moved between two categories: adding a row moves it. Visible to its owner only.';
