/**
 * What the runtime loads; see `handler.ts`.
 *
 * @module
 */
import { createBudgetsHandler } from "./handler.ts";

/** The function. */
export default { fetch: createBudgetsHandler() };
