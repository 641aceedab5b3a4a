-- Budget templates. Running this again changes nothing: the ids are fixed.
insert into public.templates (id, name, description, categories, published)
values
  (
    '7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e01',
    'Household',
    'The running costs of a home and the people in it.',
    array['Rent', 'Groceries', 'Utilities', 'Transport', 'Insurance', 'Health', 'Leisure', 'Savings'],
    true
  ),
  (
    '7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e02',
    'Student',
    'A small budget with few fixed costs.',
    array['Rent', 'Food', 'Books', 'Tuition', 'Transport', 'Leisure'],
    true
  ),
  (
    '7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e03',
    'Freelancer',
    'Business and private money, with taxes put aside first.',
    array['Taxes', 'Office', 'Equipment', 'Insurance', 'Rent', 'Groceries', 'Pension', 'Savings'],
    true
  ),
  (
    '7a1d6f3e-0c4b-4e52-9f0a-1b6b1c2d3e04',
    'Wedding',
    'A draft: not published yet, so that the Data API hides it.',
    array['Venue', 'Catering', 'Clothes', 'Music'],
    false
  )
on conflict (id) do update
set
  name = excluded.name,
  description = excluded.description,
  categories = excluded.categories,
  published = excluded.published
where
  (templates.name, templates.description, templates.categories, templates.published)
  is distinct from (excluded.name, excluded.description, excluded.categories, excluded.published);
