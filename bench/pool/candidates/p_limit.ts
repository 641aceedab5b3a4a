/**
 * p-limit: limits concurrency and leases nothing. It is often used in place of
 * a pool.
 *
 * @module
 */
import pLimit from "p-limit";
import type { OpenLimiter, OpenOptions, PoolCandidate } from "./candidate.ts";

/** p-limit, which has no timeout. */
export const pLimiter: PoolCandidate = {
  id: "p_limit",
  title: "p-limit (leases nothing)",
  role: "limiter",
  timeout: "none",
  open({ slots }: OpenOptions): OpenLimiter {
    const limit = pLimit(slots);
    return { kind: "run", run: (task) => limit(task), close: () => Promise.resolve() };
  },
};
