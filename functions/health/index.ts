/**
 * What the runtime loads; see `handler.ts`.
 *
 * @module
 */
import { createHealthHandler } from "./handler.ts";

/** The function. */
export default { fetch: createHealthHandler() };
