/**
 * p-limit: bounds how much runs at once and lends nothing, so it is no pool;
 * people use it where they have none.
 *
 * @module
 */
import pLimit from "p-limit";
import type { Contender, RunSession, SessionOptions } from "./contender.ts";

/** p-limit; it has no bound on waiting. */
export const pLimiter: Contender = {
  id: "p_limit",
  title: "p-limit (lends nothing)",
  role: "limiter",
  timeout: "none",
  open({ slots }: SessionOptions): RunSession {
    const limit = pLimit(slots);
    return { kind: "run", run: (task) => limit(task), close: () => Promise.resolve() };
  },
};
