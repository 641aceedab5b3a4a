/**
 * The entry point of this function; see `handler.ts`.
 *
 * @module
 */
import { createReportsHandler } from "./handler.ts";

/** Serves the requests of this function. */
export default { fetch: createReportsHandler() };
