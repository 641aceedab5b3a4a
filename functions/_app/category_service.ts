/**
 * Categories on one client: where the migration guide begins. The same on a
 * pool is `PooledCategoryService`.
 *
 * @module
 */
import type { SupabaseClient } from "@supabase/supabase-js";
import { BaseService } from "../../shared/mod.ts";
import type { Category, Database } from "./database.ts";

/** The categories of the budgets that its client may see. */
export class CategoryService extends BaseService<Database> {
  constructor(client: SupabaseClient<Database>) {
    super(client); // Each service gets its own client
  }

  /** The categories of a budget, in their order. */
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
