import { createTemplatesHandler } from "./handler.ts";

export default { fetch: createTemplatesHandler() };
