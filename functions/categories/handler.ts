/**
 * The categories of a user's budgets:
 *
 *     GET    /categories?budget_id&limit&offset
 *     POST   /categories          { budget_id, name }
 *     PUT    /categories/order    { budget_id, category_ids }
 *     GET    /categories/:id
 *     PATCH  /categories/:id      { name }
 *     DELETE /categories/:id
 *
 * @module
 */
import * as z from "zod";
import { nameField, pageFields, uuidField } from "../../shared/http/fields.ts";
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
import type { Database } from "../_app/database.ts";
import { PooledCategoryService } from "../_app/pooled_category_service.ts";

/** The maximum number of categories in a budget. The database enforces it. */
const MAX_CATEGORIES = 500;

const listQuery = z.strictObject({ budget_id: uuidField, ...pageFields });
const newCategory = z.strictObject({ budget_id: uuidField, name: nameField });
const changes = z.strictObject({ name: nameField });
const order = z.strictObject({
  budget_id: uuidField,
  category_ids: z.array(uuidField, { error: "must be a list of UUIDs" })
    .max(MAX_CATEGORIES, { error: `must be a list of at most ${MAX_CATEGORIES} UUIDs` })
    .refine((ids) => new Set(ids).size === ids.length, { error: "must contain each id once" }),
});

const routes = createRoutes<Database>("categories");

routes.get("/", async (c) => {
  const { budget_id, ...page } = readQuery(c.req.raw, listQuery);
  const categories = new PooledCategoryService(c.var.supabaseContext.pool);
  return jsonNoStore(await categories.pageCategories(budget_id, page));
});

routes.post("/", async (c) => {
  const { budget_id, name } = await readJson(c.req.raw, newCategory);
  const categories = new PooledCategoryService(c.var.supabaseContext.pool);
  return createdResponse(c.req.raw, await categories.createCategory(budget_id, name));
});

routes.all("/", onlyMethods("GET", "POST"));

routes.put("/order", async (c) => {
  const { budget_id, category_ids } = await readJson(c.req.raw, order);
  const categories = new PooledCategoryService(c.var.supabaseContext.pool);
  return jsonNoStore({ items: await categories.reorderCategories(budget_id, category_ids) });
});

routes.all("/order", onlyMethods("PUT"));

routes.get("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const categories = new PooledCategoryService(c.var.supabaseContext.pool);
  return jsonNoStore(await categories.getCategory(id));
});

routes.patch("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const { name } = await readJson(c.req.raw, changes);
  const categories = new PooledCategoryService(c.var.supabaseContext.pool);
  return jsonNoStore(await categories.renameCategory(id, name));
});

routes.delete("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const categories = new PooledCategoryService(c.var.supabaseContext.pool);
  await categories.deleteCategory(id);
  return c.body(null, 204);
});

routes.all("/:id", onlyMethods("GET", "PATCH", "DELETE"));

/**
 * Creates the handler of this function.
 *
 * @param options The source of the environment and the pools. Default: this isolate.
 */
export function createCategoriesHandler(
  options: RuntimeOptions<Database> = {},
): (request: Request) => Promise<Response> {
  return withPooledSupabase<Database>({ ...options, auth: "user" }, serveRoutes(routes));
}
