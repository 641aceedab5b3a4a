import { assert, assertEquals } from "@std/assert";
import { type Answer, assertProblem, call, poolHeaders, signUp, useStack } from "./support.ts";

const stack = useStack();

interface Household {
  readonly token: string;
  readonly budgetId: string;
  readonly categoryIds: readonly string[];
}

/** Signs up a user with a budget of two categories, the first of which has a balance of 1,000. */
async function household(name: string): Promise<Household> {
  const { token } = await signUp(stack(), name);
  const budgetId = (await call(stack(), "/budgets", { token, body: { name: "Household" } })).body.id;
  const categoryIds: string[] = [];
  for (const category of ["Rent", "Food"]) {
    categoryIds.push(
      (await call(stack(), "/categories", { token, body: { budget_id: budgetId, name: category } })).body.id,
    );
  }
  const filled = await fetch(`${stack().restUrl}/categories?id=eq.${categoryIds[0]}`, {
    method: "PATCH",
    headers: {
      apikey: stack().publishableKey,
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
    },
    body: JSON.stringify({ balance: 1_000 }),
  });
  await filled.body?.cancel();
  assertEquals(filled.status, 204);
  return { token, budgetId, categoryIds };
}

async function move({ token, categoryIds: [from_category_id, to_category_id] }: Household, amount: number) {
  const headers = { "idempotency-key": crypto.randomUUID() };
  const body = { from_category_id, to_category_id, amount };
  assertEquals((await call(stack(), "/transfers", { token, body, headers })).status, 201);
}

const report = ({ token }: Pick<Household, "token">, query: string): Promise<Answer> =>
  call(stack(), `/reports?${query}`, { token });

Deno.test("reports sums the transfers of a user's budget, and of no other one", async () => {
  const [mine, other] = [await household("reader"), await household("neighbor")];
  await Promise.all([move(mine, 100), move(mine, 50), move(other, 7)]);
  const month = new Date().toISOString().slice(0, 7);
  const { status, body, headers } = await report(mine, `budget_id=${mine.budgetId}`);
  assertEquals([status, body.to, headers.get("cache-control")], [200, month, "no-store"]);
  const [rent, food] = mine.categoryIds;
  assertEquals(body.items, [
    { month, category_id: rent, category_name: "Rent", received: 0, spent: 150, transfers: 2 },
    { month, category_id: food, category_name: "Food", received: 150, spent: 0, transfers: 2 },
  ]);
  assertProblem(await report(mine, `budget_id=${other.budgetId}`), 404, "NOT_FOUND");
  assertEquals((await report(mine, `budget_id=${mine.budgetId}&from=2020-01&to=2020-12`)).body, {
    from: "2020-01",
    to: "2020-12",
    items: [],
  });
});

Deno.test("reports takes two connections, and transfers four", async () => {
  const mine = await household("many");
  await move(mine, 1);
  const answers = await Promise.all(
    Array.from({ length: 40 }, () => report(mine, `budget_id=${mine.budgetId}`)),
  );
  for (const answer of answers) {
    const [total = NaN] = poolHeaders(answer);
    assertEquals([answer.status, answer.body.items.length], [200, 2]);
    assert(total <= 2, `${total} connections`);
    assertEquals(answer.headers.get("x-pool-limit"), "2");
  }
  const { headers } = await call(stack(), "/transfers/health/pool", { apikey: null });
  assert(headers.get("x-pool-limit") === null || headers.get("x-pool-limit") === "4");
});
