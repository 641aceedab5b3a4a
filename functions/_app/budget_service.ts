/**
 * Budgets.
 *
 * @module
 */
import { NotFoundError, type Page, type PageRequest, PooledBaseService, readPage } from "../../shared/mod.ts";
import type { Budget, Database, TablesInsert } from "./database.ts";

/** The fields of a new budget. */
export interface NewBudget {
  /** 1 to 120 characters. */
  readonly name: string;
  /** ISO 4217, such as `EUR`. Default: `USD`. */
  readonly currency?: string | undefined;
}

/** The fields of a budget that can be changed. Fields that are left out keep their value. */
export interface BudgetChanges {
  /** 1 to 120 characters. */
  readonly name?: string | undefined;
  /** ISO 4217, such as `EUR`. */
  readonly currency?: string | undefined;
}

/**
 * The budgets of a caller. The pool decides who the caller is: row-level security hides the budgets of others, so that
 * they are not found.
 */
export class BudgetService extends PooledBaseService<Database> {
  /** Returns one page of the budgets, oldest first. */
  listBudgets(page: PageRequest): Promise<Page<Budget>> {
    return this.withIdempotentRetry((client) =>
      readPage(
        page,
        (from, to) =>
          client.from("budgets").select("*", { count: "exact" }).order("created_at").order("id").range(from, to),
      )
    );
  }

  /**
   * Returns a budget.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  getBudget(id: string): Promise<Budget> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("budgets").select("*").eq("id", id).maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(new NotFoundError("budget"));
    });
  }

  /** Creates a budget that belongs to the caller. */
  createBudget({ name, currency }: NewBudget): Promise<Budget> {
    return this.withRetry(async (client) => {
      const row: TablesInsert<"budgets"> = currency === undefined ? { name } : { name, currency };
      const result = await client.from("budgets").insert(row).select("*").single();
      if (result.error) this.handleError(result);
      return result.data;
    });
  }

  /**
   * Changes the given fields of a budget.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  updateBudget(id: string, { name, currency }: BudgetChanges): Promise<Budget> {
    const changes = { ...(name === undefined ? {} : { name }), ...(currency === undefined ? {} : { currency }) };
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("budgets").update(changes).eq("id", id).select("*").maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(new NotFoundError("budget"));
    });
  }

  /**
   * Renames a budget.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  renameBudget(id: string, name: string): Promise<Budget> {
    return this.updateBudget(id, { name });
  }

  /**
   * Deletes a budget and its categories. A deletion that may have taken effect is not retried: the second attempt would
   * find nothing and throw.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  deleteBudget(id: string): Promise<void> {
    return this.withRetry(async (client) => {
      const result = await client.from("budgets").delete().eq("id", id).select("id").maybeSingle();
      if (result.error) this.handleError(result);
      if (result.data === null) this.handleError(new NotFoundError("budget"));
    });
  }
}
