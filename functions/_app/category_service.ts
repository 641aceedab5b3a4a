/**
 * Categories with a client of the service's own: the starting point of the migration guide. `PooledCategoryService` is
 * the same on a pool.
 *
 * @module
 */
import { BaseService } from "../../shared/mod.ts";
import type { Category, Database } from "./database.ts";

/** The categories of the budgets that the client can read. */
export class CategoryService extends BaseService<Database> {
  /** Returns the categories of a budget, in order. */
  async listCategories(budgetId: string): Promise<Category[]> {
    const { data, error } = await this.client
      .from("categories")
      .select("*")
      .eq("budget_id", budgetId)
      .order("position");

    if (error) this.handleError(error);
    return data;
  }

  /** Adds a category at the end of a budget. */
  async createCategory(budgetId: string, name: string): Promise<Category> {
    const { data, error } = await this.client
      .from("categories")
      .insert({ budget_id: budgetId, name })
      .select("*")
      .single();

    if (error) this.handleError(error);
    return data;
  }
}
