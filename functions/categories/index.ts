/**
 * What the runtime loads; see `handler.ts`.
 *
 * @module
 */
import { createCategoriesHandler } from "./handler.ts";

/** The function. */
export default { fetch: createCategoriesHandler() };
