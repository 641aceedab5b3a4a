/**
 * A user's budgets:
 *
 *     GET    /budgets?limit&offset
 *     POST   /budgets              { name, currency? }
 *     GET    /budgets/:id
 *     PATCH  /budgets/:id          { name?, currency? }
 *     DELETE /budgets/:id
 *
 * @module
 */
import * as z from "zod";
import { currencyField, nameField, pageFields, uuidField } from "../../shared/http/fields.ts";
import { createRoutes, onlyMethods, serveRoutes } from "../../shared/http/hono.ts";
import {
  createdResponse,
  jsonNoStore,
  readJson,
  readParam,
  readQuery,
  type RuntimeOptions,
  withPooledSupabase,
} from "../../shared/mod.ts";
import { BudgetService } from "../_app/budget_service.ts";
import type { Database } from "../_app/database.ts";

const pageQuery = z.strictObject(pageFields);
const newBudget = z.strictObject({ name: nameField, currency: currencyField.optional() });
const changes = z.strictObject({ name: nameField.optional(), currency: currencyField.optional() })
  .refine((fields) => Object.keys(fields).length > 0, { error: "must have name or currency" });

const routes = createRoutes<Database>("budgets");

routes.get("/", async (c) => {
  const page = readQuery(c.req.raw, pageQuery);
  const budgets = new BudgetService(c.var.supabaseContext.pool);
  return jsonNoStore(await budgets.listBudgets(page));
});

routes.post("/", async (c) => {
  const budget = await readJson(c.req.raw, newBudget);
  const budgets = new BudgetService(c.var.supabaseContext.pool);
  return createdResponse(c.req.raw, await budgets.createBudget(budget));
});

routes.all("/", onlyMethods("GET", "POST"));

routes.get("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const budgets = new BudgetService(c.var.supabaseContext.pool);
  return jsonNoStore(await budgets.getBudget(id));
});

routes.patch("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const fields = await readJson(c.req.raw, changes);
  const budgets = new BudgetService(c.var.supabaseContext.pool);
  return jsonNoStore(await budgets.updateBudget(id, fields));
});

routes.delete("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const budgets = new BudgetService(c.var.supabaseContext.pool);
  await budgets.deleteBudget(id);
  return c.body(null, 204);
});

routes.all("/:id", onlyMethods("GET", "PATCH", "DELETE"));

/**
 * Creates the handler of this function.
 *
 * @param options The source of the environment and the pools. Default: this isolate.
 */
export function createBudgetsHandler(options: RuntimeOptions<Database> = {}): (request: Request) => Promise<Response> {
  return withPooledSupabase<Database>({ ...options, auth: "user" }, serveRoutes(routes));
}
