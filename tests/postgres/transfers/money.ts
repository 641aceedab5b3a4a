/**
 * A database with this project's own tables, and people with money in it.
 *
 * @module
 */
import postgres from "postgres";
import { readMigrations } from "../../../local/postgres/migrations/files.ts";
import { migrate } from "../../../local/postgres/migrations/mod.ts";
import { projectAt } from "../../../local/project.ts";
import type { PostgresConnectionManager } from "../../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase } from "../support.ts";

/** A user with a budget. */
export interface Owner {
  readonly claims: { readonly claims: Record<string, unknown> };
  readonly budgetId: string;
  /** Its categories, each with the balance it was made with. */
  readonly categoryIds: readonly string[];
}

/** Money in a database. */
export class Money implements AsyncDisposable {
  readonly database: TestDatabase;
  /** Sees everything, past every proxy. */
  readonly auditor: PostgresConnectionManager;

  private constructor(database: TestDatabase) {
    this.database = database;
    this.auditor = database.manager();
  }

  /** Starts a server with the project's migrations. */
  static async start(): Promise<Money> {
    const database = await TestDatabase.start();
    try {
      const { host, port, user, password } = database.options("postgres");
      const options = { host, port, ...(user ? { user } : {}), password, database: "postgres" };
      const sql = postgres({ ...options, max: 1, onnotice: () => {} });
      await migrate(sql, { ...await readMigrations(projectAt().supabase), seeds: [] });
      await sql.end();
      return new Money(database);
    } catch (error) {
      await database[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A new user, whose budget has a category for each of the balances. */
  async owner(...balances: number[]): Promise<Owner> {
    const id = crypto.randomUUID();
    await this.auditor.query("insert into auth.users (id) values ($1)", [id]);
    const budget = await this.auditor.query<{ id: string }>(
      "insert into public.budgets (user_id, name) values ($1, 'Household') returning id",
      [id],
    );
    const budgetId = budget.rows[0]?.id ?? "";
    const categoryIds: string[] = [];
    for (const [index, balance] of balances.entries()) {
      const { rows } = await this.auditor.query<{ id: string }>(
        "insert into public.categories (budget_id, user_id, name, balance) values ($1, $2, $3, $4) returning id",
        [budgetId, id, `category ${index}`, balance],
      );
      categoryIds.push(rows[0]?.id ?? "");
    }
    return { claims: claimsOf(id), budgetId, categoryIds };
  }

  /** Returns the balances of categories. */
  async balances(ids: readonly string[]): Promise<number[]> {
    const { rows } = await this.auditor.query<{ id: string; balance: string }>(
      "select id, balance from public.categories where id = any($1::uuid[])",
      [ids],
    );
    return ids.map((id) => Number(rows.find((row) => row.id === id)?.balance));
  }

  /** Returns the number of transfers of a budget. */
  async transfers(budgetId: string): Promise<number> {
    const text = "select count(*)::int as n from public.transfers where budget_id = $1";
    const { rows } = await this.auditor.query<{ n: number }>(text, [budgetId]);
    return rows[0]?.n ?? -1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.database[Symbol.asyncDispose]();
  }
}
