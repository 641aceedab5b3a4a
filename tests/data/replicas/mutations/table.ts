/**
 * Faults that are put into groups of targets on purpose, to see a test fail.
 *
 * @module
 */
import type { Mutation } from "../../../support/mutations.ts";

const FAILURES = "data/replicas/failures.ts";
const ROUTER = "data/replicas/replica_router.ts";
const TARGET = "data/replicas/replica_target.ts";
const TOPOLOGY = "data/replicas/topology.ts";

/** Each fault that the tests catch. */
export const MUTATIONS: readonly Mutation[] = [
  {
    file: FAILURES,
    find: 'return isAway(error) && classifyPostgresFailure(error) === "transient";',
    replace: "return isAway(error);",
    what: "a write whose outcome is unknown is repeated",
  },
  {
    file: ROUTER,
    find: "!begun?.() && (",
    replace: "(",
    what: "a function that has begun is repeated",
  },
  {
    file: ROUTER,
    find: "if (onStandby && needsPrimary(error)) onPrimary = true;",
    replace: "",
    what: "a read that a standby canceled runs on another standby",
  },
  {
    file: ROUTER,
    find: "if (topology.isSuperseded(primary)) throw",
    replace: "if (false) throw",
    what: "a write that waited for its connection is sent to a primary that was replaced",
  },
  {
    file: TARGET,
    find: 'throw new TargetRoleError(this.name, "a standby");',
    replace: "return;",
    what: "a write is sent to a standby",
  },
  {
    file: TARGET,
    find: "if (abandoned !== undefined) throw abandoned;",
    replace: "",
    what: "a write that was rejected is sent later",
  },
  {
    file: TARGET,
    find: "replayed.timeline >= timeline &&",
    replace: "",
    what: "a standby of an old primary counts as one of the new",
  },
  {
    file: TARGET,
    find: "if (establishedAt > at)",
    replace: "if (false)",
    what: "what is known of a server counts for one that took its place",
  },
  {
    file: TOPOLOGY,
    find: "report?.timeline === this.#timeline",
    replace: "report !== undefined",
    what: "a stale primary is used",
  },
  {
    file: TOPOLOGY,
    find: 'if (role === "standby" && target.role === "primary") {',
    replace: "if (false) {",
    what: "a demoted primary is used until its check",
  },
];
