/** Rights on the table of transfers, for each role that could use it directly. */
import { assertEquals } from "@std/assert";
import { PostgresError, type PostgresQueries } from "../../../shared/postgres/mod.ts";
import { thrownBy } from "../support.ts";
import { Money, type Owner } from "./money.ts";

const INSERT = "insert into public.transfers (budget_id, from_category_id, to_category_id, amount, idempotency_key) " +
  "values ($1, $2, $3, $4, $5)";

function valuesOf({ budgetId, categoryIds }: Owner, amount: unknown, from = 0, to = 1) {
  return [budgetId, categoryIds[from], categoryIds[to], amount, crypto.randomUUID()];
}

async function codeOf(work: () => Promise<unknown>): Promise<[code: string, constraint: string | undefined]> {
  const { code, constraint } = await thrownBy(work, PostgresError);
  return [code, constraint];
}

Deno.test("public.transfers", async (t) => {
  await using money = await Money.start();
  const manager = money.database.manager({ maxConnections: 8 }, "authenticator");

  await t.step("insert moves the owner's money, and at most the balance", async () => {
    const owner = await money.owner(100, 0);
    const queries = manager.as(owner.claims);
    await queries.query(INSERT, valuesOf(owner, 60));
    assertEquals(await money.balances(owner.categoryIds), [40, 60]);
    const sufficient = "transfers_sufficient_balance";
    assertEquals(await codeOf(() => queries.query(INSERT, valuesOf(owner, 41))), ["PT409", sufficient]);
    assertEquals(await money.balances(owner.categoryIds), [40, 60]);
    assertEquals(await money.transfers(owner.budgetId), 1);
  });

  await t.step("insert of several rows moves their sum, or nothing", async () => {
    const owner = await money.owner(100, 0, 0);
    const [budget, from, to, amount] = valuesOf(owner, 30);
    const text =
      "insert into public.transfers (budget_id, from_category_id, to_category_id, amount, idempotency_key) " +
      "select $1, $2, $3, $4, gen_random_uuid() from generate_series(1, $5::int)";
    const add = (count: number) => manager.as(owner.claims).query(text, [budget, from, to, amount, count]);
    assertEquals((await codeOf(() => add(4)))[0], "PT409");
    assertEquals(await money.balances(owner.categoryIds), [100, 0, 0]);
    await add(3);
    assertEquals(await money.balances(owner.categoryIds), [10, 90, 0]);
  });

  await t.step("insert on conflict do nothing moves nothing", async () => {
    const owner = await money.owner(100, 0);
    const values = valuesOf(owner, 10);
    const again = `${INSERT} on conflict (user_id, idempotency_key) do nothing`;
    for (let time = 0; time < 3; time++) await manager.as(owner.claims).query(again, values);
    assertEquals(await money.balances(owner.categoryIds), [90, 10]);
  });

  await t.step("insert rejects fractions, negative amounts and one category", async () => {
    const owner = await money.owner(100, Number.MAX_SAFE_INTEGER);
    const queries = manager.as(owner.claims);
    const outcomes: [amount: unknown, to: number, code: string, constraint: string | undefined][] = [
      [0, 1, "23514", "transfers_amount_check"],
      [-5, 1, "23514", "transfers_amount_check"],
      ["1.5", 1, "22P02", undefined],
      ["NaN", 1, "22P02", undefined],
      ["9007199254740992", 1, "23514", "transfers_amount_check"],
      ["99999999999999999999", 1, "22003", undefined],
      [1, 0, "23514", "transfers_categories_check"],
      [1, 1, "PT409", "transfers_room_for_amount"],
    ];
    for (const [amount, to, code, constraint] of outcomes) {
      assertEquals(await codeOf(() => queries.query(INSERT, valuesOf(owner, amount, 0, to))), [code, constraint]);
    }
    assertEquals(await money.balances(owner.categoryIds), [100, Number.MAX_SAFE_INTEGER]);
  });

  await t.step("insert rejects rows of another user, or without a user", async () => {
    const [owner, thief] = [await money.owner(100, 0), await money.owner(0, 0)];
    const asThief = manager.as(thief.claims);
    const [budget, from, to, amount, key] = valuesOf(owner, 10);
    assertEquals((await codeOf(() => asThief.query(INSERT, [budget, from, to, amount, key])))[0], "23503");
    const [own] = thief.categoryIds;
    assertEquals((await codeOf(() => asThief.query(INSERT, [thief.budgetId, from, own, amount, key])))[0], "23503");
    const inTheirName = "insert into public.transfers " +
      "(user_id, budget_id, from_category_id, to_category_id, amount, idempotency_key) values ($1, $2, $3, $4, $5, $6)";
    const values = [owner.claims.claims["sub"], budget, from, to, amount, key];
    assertEquals((await codeOf(() => asThief.query(inTheirName, values)))[0], "42501");
    assertEquals((await codeOf(() => manager.as("anonymous").query(INSERT, valuesOf(owner, 10))))[0], "42501");
    assertEquals(await money.balances(owner.categoryIds), [100, 0]);
  });

  await t.step("insert by service_role obeys the same rules", async () => {
    const owner = await money.owner(100, 0);
    const text = "insert into public.transfers " +
      "(user_id, budget_id, from_category_id, to_category_id, amount, idempotency_key) values ($1, $2, $3, $4, $5, $6)";
    const add = (amount: number) =>
      money.auditor.transaction(async (tx) => {
        await tx.query("set local role service_role");
        await tx.query(text, [owner.claims.claims["sub"], ...valuesOf(owner, amount)]);
      });
    await add(70);
    assertEquals((await codeOf(() => add(31)))[0], "PT409");
    assertEquals(await money.balances(owner.categoryIds), [30, 70]);
  });

  await t.step("update and delete are rejected, and so are balances by hand", async () => {
    const owner = await money.owner(100, 0);
    const queries: PostgresQueries = manager.as(owner.claims);
    await queries.query(INSERT, valuesOf(owner, 10));
    const forbidden = [
      "update public.transfers set amount = 1",
      "delete from public.transfers",
      "truncate public.transfers",
      "alter table public.transfers disable trigger transfers_carry_out",
      "select private.carry_out_transfer()",
    ];
    for (const text of forbidden) assertEquals((await codeOf(() => queries.query(text)))[0], "42501", text);
    assertEquals(await money.balances(owner.categoryIds), [90, 10]);
  });
});
