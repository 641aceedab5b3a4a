/**
 * Faults to put into the pool core, each to see a property fail.
 *
 * @module
 */
import { ENDING } from "./ending.ts";
import { FAIRNESS } from "./fairness.ts";
import type { Mutation } from "./mutation.ts";
import { PROBES } from "./probes.ts";
import { RESOURCES } from "./resources.ts";
import { WAITING } from "./waiting.ts";

export { FOLDER, mutate, type Mutation } from "./mutation.ts";

/** All mutations, in the order of the invariants they were made for. */
export const MUTATIONS: readonly Mutation[] = [...WAITING, ...FAIRNESS, ...RESOURCES, ...PROBES, ...ENDING]
  .sort((a, b) => a.caughtBy[0] - b.caughtBy[0]);
