/**
 * Reports of budgets, on direct Postgres.
 *
 * @module
 */
import { PooledPostgresService } from "../../shared/http/postgres.ts";
import { NotFoundError, ServiceError } from "../../shared/mod.ts";

/** A range of months, such as `2026-01`, both included. Months begin and end in UTC. */
export interface MonthRange {
  /** The first month. */
  readonly from: string;
  /** The last month. */
  readonly to: string;
}

/** The transfers to and from a category in a month, in minor units of the budget's currency. */
export interface MonthlyTotal {
  /** The month, such as `2026-01`. */
  readonly month: string;
  readonly category_id: string;
  readonly category_name: string;
  /** The sum of the transfers to the category. */
  readonly received: number;
  /** The sum of the transfers from the category. */
  readonly spent: number;
  /** The number of transfers. */
  readonly transfers: number;
}

/** A total as it arrives: sums of `int8` are text. */
interface TotalRow extends Omit<MonthlyTotal, "received" | "spent"> {
  readonly received: string;
  readonly spent: string;
}

/** The time limit of a report at the server, in ms. */
const TIMEOUT_MS = 10_000;

/** Returns a sum as a number. */
function toAmount(sum: string): number {
  const amount = Number(sum);
  if (Number.isSafeInteger(amount)) return amount;
  throw new ServiceError({
    code: "TOTAL_TOO_LARGE",
    status: 409,
    message: "A total exceeds the largest whole number that JSON keeps exact",
    hint: "Ask for fewer months.",
  });
}

/**
 * Reports of one caller's budgets. The pool decides who the caller is (`ctx.postgres`, or `manager.as(caller)`):
 * row-level security applies. Reports only read.
 */
export class ReportService extends PooledPostgresService {
  /**
   * Returns the totals of a budget by month and category, in order. Months and categories without a transfer are left
   * out.
   *
   * @throws {ServiceError} `NOT_FOUND` if the caller has no such budget; `TOTAL_TOO_LARGE` if a sum exceeds 2^53.
   */
  async listMonthlyTotals(budgetId: string, { from, to }: MonthRange): Promise<MonthlyTotal[]> {
    const { sql } = this.pool;
    const statements = [
      sql`select from public.budgets where id = ${budgetId}`,
      sql`
        select to_char(moved.created_at at time zone 'UTC', 'YYYY-MM') as month,
          c.id as category_id, c.name as category_name,
          coalesce(sum(moved.amount) filter (where moved.is_received), 0) as received,
          coalesce(sum(moved.amount) filter (where not moved.is_received), 0) as spent,
          count(*)::int as transfers
        from public.transfers t
        cross join lateral (
          values (t.to_category_id, t.amount, t.created_at, true), (t.from_category_id, t.amount, t.created_at, false)
        ) as moved (category_id, amount, created_at, is_received)
        join public.categories c on c.id = moved.category_id
        where t.budget_id = ${budgetId}
          and t.created_at >= (${`${from}-01`}::date)::timestamp at time zone 'UTC'
          and t.created_at < (${`${to}-01`}::date + interval '1 month') at time zone 'UTC'
        group by month, c.id, c.name, c.position
        order by month, c.position, c.id`,
    ];
    const options = { readOnly: true, statementTimeoutMs: TIMEOUT_MS, timeoutMs: TIMEOUT_MS };
    // Both in one round trip.
    const [budget, totals] = await this.pool.transaction(statements, options);
    if (!budget?.rowCount) throw new NotFoundError("budget");
    const rows = (totals?.rows ?? []) as unknown as readonly TotalRow[];
    return rows.map((row) => ({ ...row, received: toAmount(row.received), spent: toAmount(row.spent) }));
  }
}
