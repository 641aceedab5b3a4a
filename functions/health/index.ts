import { createHealthHandler } from "./handler.ts";

export default { fetch: createHealthHandler() };
