/**
 * Faults that are put into the adaptive limit and the pools that it drives on purpose, to see a test fail.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

/** Each fault that the tests catch. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: "resilience/adaptive_limit.ts",
    find: "inFlight < this.#limit * 0.95",
    replace: "inFlight < 0",
    what: "calls below the limit count",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "const isNews = call.at > this.#decreasedAt &&",
    replace: "const isNews =",
    what: "calls that began before the last decrease decrease the limit again",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "now - this.#decreasedAt >= roundMs",
    replace: "true",
    what: "the limit decreases more than once per round",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "call.inFlight < this.#limit / 2",
    replace: "false",
    what: "an overload far below the limit decreases it",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: '(outcome === "ignored" && latency < usual)',
    replace: "(false)",
    what: "aborted calls count with the time they took",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "isUp ? below > 0.8 : below < 0.2",
    replace: "false",
    what: "a step that has no effect does not lead to the next one",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "cohort.isFull && now - cohort.lastStartAt >=",
    replace: "false && now - cohort.lastStartAt >=",
    what: "a call that never ends stops the limit",
  },
  {
    file: "resilience/adaptive_limit.ts",
    find: "this.#min, Math.min(this.#max, limit)",
    replace: "this.#min, limit",
    what: "the limit exceeds its maximum",
  },
  {
    file: "pool/capacity.ts",
    find: "Math.min(unreserved, Math.max(1, this.#adapted))",
    replace: "Math.min(unreserved, Math.max(0, this.#adapted))",
    what: "the limit falls to 0",
  },
  {
    file: "pool/capacity.ts",
    find: "return this.#reserved + this.#unreserved;",
    replace: "return this.#unreserved;",
    what: "the limit does not show the reserved connections",
  },
  {
    file: "pool/dispatcher.ts",
    find: "if (after > before && this.#queue.size > 0) this.schedule();",
    replace: "",
    what: "waiters are not served when the limit rises",
  },
  {
    file: "supabase/auto_limit.ts",
    find: "if (this.#options.isDryRun) this.#report(limit.limit);\n    else this.#pool",
    replace: "this.#pool",
    what: "a dry run applies the limit",
  },
  {
    file: "supabase/auto_limit.ts",
    find: "if (!options.isDryRun) pool.adapt(INITIAL_LIMIT);",
    replace: "",
    what: "the limit begins at its ceiling",
  },
];
