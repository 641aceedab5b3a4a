/**
 * Budget templates, for every caller with a publishable key:
 *
 *     GET /templates?limit&offset
 *     GET /templates/:id
 *
 * @module
 */
import * as z from "zod";
import { pageFields, uuidField } from "../../shared/http/fields.ts";
import { createRoutes, onlyMethods, serveRoutes } from "../../shared/http/hono.ts";
import { readParam, readQuery, type RuntimeOptions, withPooledSupabase } from "../../shared/mod.ts";
import type { Database } from "../_app/database.ts";
import { TemplateService } from "../_app/template_service.ts";

const pageQuery = z.strictObject(pageFields);

const routes = createRoutes<Database>("templates");

routes.get("/", async (c) => {
  const page = readQuery(c.req.raw, pageQuery);
  const templates = new TemplateService(c.var.supabaseContext.pool);
  return c.json(await templates.listTemplates(page));
});

routes.all("/", onlyMethods("GET"));

routes.get("/:id", async (c) => {
  const id = readParam("id", c.req.param("id"), uuidField);
  const templates = new TemplateService(c.var.supabaseContext.pool);
  return c.json(await templates.getTemplate(id));
});

routes.all("/:id", onlyMethods("GET"));

/**
 * Creates the handler of this function.
 *
 * @param options The source of the environment and the pools. Default: this isolate.
 */
export function createTemplatesHandler(
  options: RuntimeOptions<Database> = {},
): (request: Request) => Promise<Response> {
  return withPooledSupabase<Database>({ ...options, auth: "publishable" }, serveRoutes(routes));
}
