import { assertEquals, assertRejects } from "@std/assert";
import { createClient } from "@supabase/supabase-js";
import { ServiceError } from "../../shared/services/mod.ts";
import type { ClientPool } from "../../shared/supabase/mod.ts";
import { apiError, type Call, counted, type DataApi, PUBLISHABLE_KEY, startDataApi } from "../services/data_api.ts";
import { BudgetService } from "../../functions/_app/budget_service.ts";
import { CategoryService } from "../../functions/_app/category_service.ts";
import type { Database } from "../../functions/_app/database.ts";
import { PooledCategoryService } from "../../functions/_app/pooled_category_service.ts";
import { TemplateService } from "../../functions/_app/template_service.ts";

const ID = "123e4567-e89b-12d3-a456-426614174000";
const BUDGET = { id: ID, name: "Home" };
const CATEGORY = { id: ID, name: "Rent", position: 0 };

function typed(api: DataApi): ClientPool<Database> {
  return api.pool as unknown as ClientPool<Database>;
}

function summary({ method, path, query, body }: Call): unknown[] {
  return [method, path, Object.fromEntries(query), body];
}

Deno.test("BudgetService.listBudgets() requests one page, in order, with a count", async () => {
  await using api = startDataApi(() => counted([BUDGET], 7));
  const page = await new BudgetService(typed(api)).listBudgets({ limit: 2, offset: 4 });
  assertEquals(page as unknown, { items: [BUDGET], total: 7, limit: 2, offset: 4 });
  const [call] = api.calls as [Call];
  assertEquals(Object.fromEntries(call.query), {
    select: "*",
    order: "created_at.asc,id.asc",
    offset: "4",
    limit: "2",
  });
  assertEquals(call.prefer, "count=exact");
});

Deno.test("BudgetService.listBudgets() returns an empty page with the total after the end of the list", async () => {
  await using api = startDataApi((_call, nth) =>
    nth === 1 ? apiError(416, "PGRST103", "Requested range not satisfiable") : counted([BUDGET], 3)
  );
  const page = await new BudgetService(typed(api)).listBudgets({ limit: 2, offset: 100 });
  assertEquals(page as unknown, { items: [], total: 3, limit: 2, offset: 100 });
});

Deno.test("BudgetService.listBudgets() returns an empty page of an empty list", async () => {
  await using api = startDataApi(() => apiError(416, "PGRST103", "Requested range not satisfiable"));
  const page = await new BudgetService(typed(api)).listBudgets({ limit: 2, offset: 100 });
  assertEquals([page.items, page.total], [[], 0]);
});

Deno.test("services of the application retry reads and updates after a 502, but no creations and deletions", async () => {
  await using api = startDataApi(() => apiError(502, ""), { maxRetries: 1 });
  const budgets = new BudgetService(typed(api));
  const categories = new PooledCategoryService(typed(api));
  const templates = new TemplateService(typed(api));
  const page = { limit: 1, offset: 0 };
  const expected: readonly (readonly [work: () => Promise<unknown>, calls: number])[] = [
    [() => budgets.listBudgets(page), 2],
    [() => budgets.getBudget(ID), 2],
    [() => budgets.createBudget({ name: "a" }), 1],
    [() => budgets.renameBudget(ID, "a"), 2],
    [() => budgets.deleteBudget(ID), 1],
    [() => categories.listCategories(ID), 2],
    [() => categories.pageCategories(ID, page), 2],
    [() => categories.getCategory(ID), 2],
    [() => categories.createCategory(ID, "a"), 1],
    [() => categories.renameCategory(ID, "a"), 2],
    [() => categories.reorderCategories(ID, [ID]), 2],
    [() => categories.deleteCategory(ID), 1],
    [() => templates.listTemplates(page), 2],
    [() => templates.getTemplate(ID), 2],
  ];
  for (const [work, calls] of expected) {
    const before = api.calls.length;
    const error = await assertRejects(work, ServiceError);
    assertEquals([error.status, api.calls.length - before], [502, calls], work.toString());
  }
  assertEquals(api.pool.getStats().activeConnections, 0);
});

Deno.test("services of the application throw NOT_FOUND for a row that does not exist or belongs to another user", async () => {
  await using api = startDataApi(() => Response.json([]));
  const budgets = new BudgetService(typed(api));
  const categories = new PooledCategoryService(typed(api));
  for (
    const [work, what] of [
      [() => budgets.getBudget(ID), "budget"],
      [() => budgets.renameBudget(ID, "a"), "budget"],
      [() => budgets.deleteBudget(ID), "budget"],
      [() => categories.getCategory(ID), "category"],
      [() => categories.renameCategory(ID, "a"), "category"],
      [() => categories.deleteCategory(ID), "category"],
      [() => new TemplateService(typed(api)).getTemplate(ID), "template"],
    ] as const
  ) {
    const error = await assertRejects(work, ServiceError, `No such ${what}`);
    assertEquals([error.code, error.status], ["NOT_FOUND", 404]);
  }
});

Deno.test("PooledCategoryService throws NOT_FOUND when the budget belongs to another user", async () => {
  await using api = startDataApi(({ path }) =>
    path.endsWith("/reorder_categories") ? apiError(404, "PT404") : apiError(409, "23503")
  );
  const categories = new PooledCategoryService(typed(api));
  for (const work of [() => categories.createCategory(ID, "a"), () => categories.reorderCategories(ID, [])]) {
    const error = await assertRejects(work, ServiceError, "No such budget");
    assertEquals(error.status, 404);
  }
});

Deno.test("services of the application send the given fields only", async () => {
  await using api = startDataApi(({ path }) =>
    path.endsWith("/budgets") || path.endsWith("/categories")
      ? new Response(JSON.stringify(BUDGET), { headers: { "Content-Type": "application/json" } })
      : Response.json([CATEGORY])
  );
  const budgets = new BudgetService(typed(api));
  const categories = new PooledCategoryService(typed(api));
  await budgets.createBudget({ name: "Home" });
  await budgets.createBudget({ name: "Home", currency: "EUR" });
  await categories.createCategory(ID, "Rent");
  assertEquals(await categories.reorderCategories(ID, [ID]) as unknown, [CATEGORY]);
  assertEquals(api.calls.map(summary), [
    ["POST", "/rest/v1/budgets", { select: "*" }, { name: "Home" }],
    ["POST", "/rest/v1/budgets", { select: "*" }, { name: "Home", currency: "EUR" }],
    ["POST", "/rest/v1/categories", { select: "*" }, { budget_id: ID, name: "Rent" }],
    ["POST", "/rest/v1/rpc/reorder_categories", {}, { p_budget_id: ID, p_category_ids: [ID] }],
  ]);
});

Deno.test("CategoryService and PooledCategoryService send the same request and return the same categories", async () => {
  await using api = startDataApi(() => Response.json([CATEGORY]));
  const client = createClient<Database>(api.project.url, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
  const old = await new CategoryService(client).listCategories(ID);
  const pooled = await new PooledCategoryService(typed(api)).listCategories(ID);
  assertEquals(old, pooled);
  const [first, second] = api.calls.map(summary);
  assertEquals(first, second);
  assertEquals(first, [
    "GET",
    "/rest/v1/categories",
    { select: "*", budget_id: `eq.${ID}`, order: "position.asc" },
    undefined,
  ]);
});

Deno.test("CategoryService throws a ServiceError", async () => {
  await using api = startDataApi(() => apiError(409, "23505"));
  const client = createClient<Database>(api.project.url, PUBLISHABLE_KEY, {
    auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false },
  });
  const error = await assertRejects(() => new CategoryService(client).createCategory(ID, "a"), ServiceError);
  assertEquals([error.code, error.status], ["23505", 409]);
});
