/**
 * Categories on a pool.
 *
 * @module
 */
import { notFound, type Page, type PageRequest, PooledBaseService, readPage } from "../../shared/mod.ts";
import type { Category, Database } from "./database.ts";

/** SQLSTATE of a foreign key that points at nothing. */
const FOREIGN_KEY_VIOLATION = "23503";

/** `reorder_categories` raises it when the caller has no such budget. */
const NO_SUCH_BUDGET = "PT404";

/**
 * The categories of a user's budgets. Whose they are is decided by the pool,
 * as for `BudgetService`.
 */
export class PooledCategoryService extends PooledBaseService<Database> {
  /** Every category of a budget, in their order. None where the caller has no such budget. */
  listCategories(budgetId: string): Promise<Category[]> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("categories").select("*").eq("budget_id", budgetId).order("position");
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /** One page of {@linkcode listCategories}. */
  pageCategories(budgetId: string, page: PageRequest): Promise<Page<Category>> {
    return this.withIdempotentRetry((client) =>
      readPage(
        page,
        (from, to) =>
          client.from("categories").select("*", { count: "exact" }).eq("budget_id", budgetId).order("position")
            .range(from, to),
        (result) => this.handleError(result),
      )
    );
  }

  /** @throws {ServiceError} `NOT_FOUND` */
  getCategory(id: string): Promise<Category> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("categories").select("*").eq("id", id).maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(notFound("category"));
    });
  }

  /**
   * Adds a category at the end of a budget.
   *
   * @throws {ServiceError} `NOT_FOUND` for the budget; `23505` (409) when the budget has a category of that name;
   * `PT409` (409) when the budget is full.
   */
  createCategory(budgetId: string, name: string): Promise<Category> {
    return this.withRetry(async (client) => {
      const result = await client.from("categories").insert({ budget_id: budgetId, name }).select("*").single();
      if (result.error?.code === FOREIGN_KEY_VIOLATION) this.handleError(notFound("budget"));
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /** @throws {ServiceError} `NOT_FOUND`; `23505` (409) when the budget has a category of that name. */
  renameCategory(id: string, name: string): Promise<Category> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("categories").update({ name }).eq("id", id).select("*").maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(notFound("category"));
    });
  }

  /**
   * Puts a budget's categories in the order of `categoryIds`, all or nothing,
   * and returns them in that order.
   *
   * @throws {ServiceError} `NOT_FOUND` for the budget; `PT409` (409) when the ids are not exactly its categories.
   */
  reorderCategories(budgetId: string, categoryIds: readonly string[]): Promise<Category[]> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.rpc("reorder_categories", {
        p_budget_id: budgetId,
        p_category_ids: [...categoryIds],
      });
      if (result.error?.code === NO_SUCH_BUDGET) this.handleError(notFound("budget"));
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /**
   * Deletes a category. Not retried where it may have been done: a second
   * attempt would find nothing and say so.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  deleteCategory(id: string): Promise<void> {
    return this.withRetry(async (client) => {
      const result = await client.from("categories").delete().eq("id", id).select("id").maybeSingle();
      if (result.error) this.handleError(result);
      if (result.data === null) this.handleError(notFound("category"));
    });
  }
}
