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
  created,
  privateJson,
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
  .refine((fields) => Object.keys(fields).length > 0, { error: "must hold name or currency" });

const routes = createRoutes<Database>("budgets");

routes.get("/", async (c) => {
  const page = readQuery(c.req.raw, pageQuery);
  return privateJson(await new BudgetService(c.env.pooled.pool).listBudgets(page));
});

routes.post("/", async (c) => {
  const budget = await readJson(c.req.raw, newBudget);
  return created(c.req.raw, await new BudgetService(c.env.pooled.pool).createBudget(budget));
});

routes.all("/", onlyMethods("GET", "POST"));

routes.get("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  return privateJson(await new BudgetService(c.env.pooled.pool).getBudget(id));
});

routes.patch("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const fields = await readJson(c.req.raw, changes);
  return privateJson(await new BudgetService(c.env.pooled.pool).updateBudget(id, fields));
});

routes.delete("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  await new BudgetService(c.env.pooled.pool).deleteBudget(id);
  return c.body(null, 204);
});

routes.all("/:id", onlyMethods("GET", "PATCH", "DELETE"));

/**
 * The handler of this function.
 *
 * @param options Where the environment and the pools come from. Default: this isolate's.
 */
export function createBudgetsHandler(options: RuntimeOptions<Database> = {}): (request: Request) => Promise<Response> {
  return withPooledSupabase<Database>({ ...options, auth: "user" }, serveRoutes(routes));
}
