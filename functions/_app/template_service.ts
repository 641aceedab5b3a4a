/**
 * Budget templates.
 *
 * @module
 */
import { NotFoundError, type Page, type PageRequest, PooledBaseService, readPage } from "../../shared/mod.ts";
import type { Database, Template } from "./database.ts";

/** The templates that the caller can read: the published ones, or all for staff. */
export class TemplateService extends PooledBaseService<Database> {
  /** Returns one page of the templates, by name. */
  listTemplates(page: PageRequest): Promise<Page<Template>> {
    return this.withIdempotentRetry((client) =>
      readPage(
        page,
        (from, to) =>
          client.from("templates").select("*", { count: "exact" }).order("name").order("id").range(from, to),
      )
    );
  }

  /**
   * Returns a template.
   *
   * @throws {ServiceError} `NOT_FOUND`
   */
  getTemplate(id: string): Promise<Template> {
    return this.withIdempotentRetry(async (client) => {
      const result = await client.from("templates").select("*").eq("id", id).maybeSingle();
      if (result.error) this.handleError(result);
      return result.data ?? this.handleError(new NotFoundError("template"));
    });
  }
}
