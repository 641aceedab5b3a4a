/** Tests the reports of a budget on a real Postgres. */
import { assertEquals, assertRejects } from "@std/assert";
import { ReportService } from "../../../functions/_app/report_service.ts";
import { ServiceError } from "../../../shared/mod.ts";
import { Money, type Owner } from "./money.ts";

const RANGE = { from: "2026-01", to: "2026-03" };

Deno.test("ReportService.listMonthlyTotals()", async (t) => {
  await using money = await Money.start();
  const manager = money.database.manager({}, "authenticator");
  const reports = ({ claims }: Owner) => new ReportService(manager.as(claims));

  /** Adds a transfer at a moment of the past. */
  async function transfer({ claims, budgetId, categoryIds }: Owner, at: string, amount: number, from = 0, to = 1) {
    await money.auditor.query(
      `insert into public.transfers
        (user_id, budget_id, from_category_id, to_category_id, amount, idempotency_key, created_at)
        values ($1, $2, $3, $4, $5, gen_random_uuid()::text, $6)`,
      [claims.claims["sub"], budgetId, categoryIds[from], categoryIds[to], amount, at],
    );
  }

  await t.step("sums transfers by month in UTC and category, in order", async () => {
    const owner = await money.owner(1_000, 100, 0);
    await transfer(owner, "2025-12-31T23:59:59.999Z", 1);
    await transfer(owner, "2026-01-01T00:00:00Z", 10);
    await transfer(owner, "2026-01-31T23:59:59.999Z", 20, 0, 2);
    await transfer(owner, "2026-02-01T00:30:00+01:00", 40, 1, 0);
    await transfer(owner, "2026-03-31T23:59:59.999Z", 80);
    await transfer(owner, "2026-04-01T00:00:00Z", 160);
    const [a = "", b = "", c = ""] = owner.categoryIds;
    const items = await reports(owner).listMonthlyTotals(owner.budgetId, RANGE);
    assertEquals(
      items.map(({ category_name: _, ...item }) => item),
      [
        { month: "2026-01", category_id: a, received: 40, spent: 30, transfers: 3 },
        { month: "2026-01", category_id: b, received: 10, spent: 40, transfers: 2 },
        { month: "2026-01", category_id: c, received: 20, spent: 0, transfers: 1 },
        { month: "2026-03", category_id: a, received: 0, spent: 80, transfers: 1 },
        { month: "2026-03", category_id: b, received: 80, spent: 0, transfers: 1 },
      ].sort((one, other) =>
        one.month === other.month
          ? order(items, one.category_id) - order(items, other.category_id)
          : one.month < other.month
          ? -1
          : 1
      ),
    );
    assertEquals(items[0]?.category_name, "category 0");
  });

  await t.step("shows no other user's budget", async () => {
    const [owner, stranger] = [await money.owner(100, 0), await money.owner(0)];
    await transfer(owner, "2026-02-01T00:00:00Z", 5);
    const error = await assertRejects(
      () => reports(stranger).listMonthlyTotals(owner.budgetId, RANGE),
      ServiceError,
    );
    assertEquals(error.code, "NOT_FOUND");
    assertEquals(await reports(stranger).listMonthlyTotals(stranger.budgetId, RANGE), []);
  });

  await t.step("runs in a read-only transaction of one round trip", async () => {
    const owner = await money.owner(100, 0);
    const before = manager.getStats();
    await reports(owner).listMonthlyTotals(owner.budgetId, RANGE);
    const { totalAcquired, transactions } = manager.getStats();
    assertEquals([totalAcquired, transactions.committed], [
      before.totalAcquired + 1,
      before.transactions.committed + 1,
    ]);
  });

  await t.step("rejects a total that JSON cannot hold", async () => {
    const most = Number.MAX_SAFE_INTEGER;
    const owner = await money.owner(most, 0);
    await transfer(owner, "2026-01-02T00:00:00Z", most);
    await transfer(owner, "2026-01-03T00:00:00Z", most, 1, 0);
    await transfer(owner, "2026-01-04T00:00:00Z", most);
    const error = await assertRejects(() => reports(owner).listMonthlyTotals(owner.budgetId, RANGE), ServiceError);
    assertEquals([error.code, error.status], ["TOTAL_TOO_LARGE", 409]);
  });
});

/** Returns the index of a category in the report: all have one position, so that their ids decide. */
function order(items: readonly { category_id: string }[], id: string): number {
  return items.findIndex(({ category_id }) => category_id === id);
}
