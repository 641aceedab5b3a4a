/**
 * Categories on a pool.
 *
 * @module
 */
import { NotFoundError, type Page, type PageRequest, PooledBaseService, readPage } from "../../shared/mod.ts";
import type { Category, Database } from "./database.ts";

/** The SQLSTATE of a foreign key violation. */
const FOREIGN_KEY_VIOLATION = "23503";

/** The SQLSTATE that `reorder_categories` raises when the caller has no such budget. */
const NO_SUCH_BUDGET = "PT404";

/**
 * The categories of a caller's budgets. The pool decides who the caller is, as for `BudgetService`.
 */
export class PooledCategoryService extends PooledBaseService<Database> {
  /** Returns the categories of a budget, in order: none if the caller has no such budget. */
  listCategories(budgetId: string): Promise<Category[]> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("categories").select("*").eq("budget_id", budgetId).order("position");
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /** Returns one page of {@linkcode listCategories}. */
  pageCategories(budgetId: string, page: PageRequest): Promise<Page<Category>> {
    return this.withIdempotentRetry((client) =>
      readPage(
        page,
        (from, to) =>
          client.from("categories").select("*", { count: "exact" }).eq("budget_id", budgetId).order("position")
            .range(from, to),
      )
    );
  }

  /**
   * Returns a category.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  getCategory(id: string): Promise<Category> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("categories").select("*").eq("id", id).maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(new NotFoundError("category"));
    });
  }

  /**
   * Adds a category at the end of a budget.
   *
   * @throws {ServiceError} `NOT_FOUND` for the budget; `23505` (409) if the budget has a category of that name; `PT409`
   * (409) if the budget is full.
   */
  createCategory(budgetId: string, name: string): Promise<Category> {
    return this.withRetry(async (client) => {
      const result = await client.from("categories").insert({ budget_id: budgetId, name }).select("*").single();
      if (result.error?.code === FOREIGN_KEY_VIOLATION) this.handleError(new NotFoundError("budget"));
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /**
   * Renames a category.
   *
   * @throws {ServiceError} `NOT_FOUND`; `23505` (409) if the budget has a category of that name.
   */
  renameCategory(id: string, name: string): Promise<Category> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("categories").update({ name }).eq("id", id).select("*").maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(new NotFoundError("category"));
    });
  }

  /**
   * Sets the order of a budget's categories to that of `categoryIds`, all or nothing, and returns them in that order.
   *
   * @throws {ServiceError} `NOT_FOUND` for the budget; `PT409` (409) if the ids are not exactly its categories.
   */
  reorderCategories(budgetId: string, categoryIds: readonly string[]): Promise<Category[]> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.rpc("reorder_categories", {
        p_budget_id: budgetId,
        p_category_ids: [...categoryIds],
      });
      if (result.error?.code === NO_SUCH_BUDGET) this.handleError(new NotFoundError("budget"));
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /**
   * Deletes a category. A deletion that may have taken effect is not retried: the second attempt would find nothing and
   * throw.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  deleteCategory(id: string): Promise<void> {
    return this.withRetry(async (client) => {
      const result = await client.from("categories").delete().eq("id", id).select("id").maybeSingle();
      if (result.error) this.handleError(result);
      if (result.data === null) this.handleError(new NotFoundError("category"));
    });
  }
}
