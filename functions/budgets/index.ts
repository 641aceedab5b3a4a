import { createBudgetsHandler } from "./handler.ts";

export default { fetch: createBudgetsHandler() };
