import { createCategoriesHandler } from "./handler.ts";

export default { fetch: createCategoriesHandler() };
