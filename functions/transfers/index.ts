/**
 * What the runtime loads; see `handler.ts`.
 *
 * @module
 */
import { createTransfersHandler } from "./handler.ts";

/** The function. */
export default { fetch: createTransfersHandler() };
