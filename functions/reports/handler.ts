/**
 * Reports of a user's budgets, on direct Postgres, with connections of low priority:
 *
 *     GET /reports?budget_id&from&to      what was moved, by month and category
 *
 * @module
 */
import * as z from "zod";
import { uuidField } from "../../shared/http/fields.ts";
import { createRoutes, onlyMethods, serveRoutes } from "../../shared/http/hono.ts";
import {
  type PooledPostgresContext,
  type PooledPostgresOptions,
  withPooledPostgres,
} from "../../shared/http/postgres.ts";
import { jsonNoStore, readQuery } from "../../shared/mod.ts";
import type { Database } from "../_app/database.ts";
import { type MonthRange, ReportService } from "../_app/report_service.ts";

/** The longest range of a report, in months. */
const MAX_MONTHS = 24;

/** The range without `from`, in months. */
const DEFAULT_MONTHS = 12;

const monthError = "must be a month from 2000-01 to 2999-12, such as 2026-01";

const monthField = z.string({ error: monthError }).regex(/^2\d{3}-(?:0[1-9]|1[0-2])$/, { error: monthError });

/** Returns the number of a month, counted from year 0. */
function numberOf(month: string): number {
  return Number(month.slice(0, 4)) * 12 + Number(month.slice(5)) - 1;
}

/** Returns the month of a number. */
function monthOf(number: number): string {
  return `${Math.floor(number / 12)}-${`${number % 12 + 1}`.padStart(2, "0")}`;
}

/** Returns the range that a query asks for: by default the twelve months until `to`, and until now in UTC. */
function rangeOf({ from, to = new Date().toISOString().slice(0, 7) }: Partial<MonthRange>): MonthRange {
  return { from: from ?? monthOf(numberOf(to) - DEFAULT_MONTHS + 1), to };
}

const monthlyQuery = z.strictObject({
  budget_id: uuidField,
  from: monthField.optional(),
  to: monthField.optional(),
}).transform(({ budget_id, from, to }) => ({ budget_id, range: rangeOf({ ...(from && { from }), ...(to && { to }) }) }))
  .refine(({ range }) => range.from <= range.to, { path: ["from"], error: "must not be after to" })
  .refine(({ range }) => numberOf(range.to) - numberOf(range.from) < MAX_MONTHS, {
    path: ["from"],
    error: `must be at most ${MAX_MONTHS} months before the end of the report`,
  });

const routes = createRoutes<Database, PooledPostgresContext<Database>>("reports");

routes.get("/", async (c) => {
  const { budget_id, range } = readQuery(c.req.raw, monthlyQuery);
  const reports = new ReportService(c.var.supabaseContext.postgres);
  return jsonNoStore({ ...range, items: await reports.listMonthlyTotals(budget_id, range) });
});

routes.all("/", onlyMethods("GET"));

/**
 * Creates the handler of this function.
 *
 * @param options The source of the environment and the pools. Default: this isolate.
 */
export function createReportsHandler(
  options: Omit<PooledPostgresOptions<Database>, "auth"> = {},
): (request: Request) => Promise<Response> {
  return withPooledPostgres<Database>({ priority: "lowPriority", ...options, auth: "user" }, serveRoutes(routes));
}
