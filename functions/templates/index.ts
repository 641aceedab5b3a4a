/**
 * What the runtime loads; see `handler.ts`.
 *
 * @module
 */
import { createTemplatesHandler } from "./handler.ts";

/** The function. */
export default { fetch: createTemplatesHandler() };
