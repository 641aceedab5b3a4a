/**
 * The targets of a group and their pools, as they are created.
 *
 * @module
 */
import { ConfigError, type ConfigIssue, type PoolRuntime } from "../../pool/mod.ts";
import { PostgresConnectionManager, type PostgresPool } from "../../postgres/mod.ts";
import { TargetUnknownError } from "./errors.ts";
import { namedTargets, type ReplicasOptions } from "./replica_options.ts";
import { ReplicaTarget } from "./replica_target.ts";

/**
 * Creates the targets of a group, with their managers.
 *
 * @param runtime Clock and random numbers; for tests.
 * @throws {ConfigError} listing every bad option of every target, without secrets. No manager is left behind.
 */
export function createTargets(options: ReplicasOptions, runtime: PoolRuntime): ReplicaTarget[] {
  const targets: ReplicaTarget[] = [];
  const issues: ConfigIssue[] = [];
  try {
    for (const { name, config } of namedTargets(options)) {
      try {
        targets.push(new ReplicaTarget(name, new PostgresConnectionManager(config, runtime)));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        issues.push(...error.issues.map(({ path, message }) => ({ path: `${name}.${path}`, message })));
      }
    }
    if (issues.length > 0) throw new ConfigError(issues, "replicas configuration");
    return targets;
  } catch (error) {
    for (const { manager } of targets) void manager.shutdown(0);
    throw error;
  }
}

/**
 * Creates the pool of each target for one identity.
 *
 * @returns The pool of a target. It throws a {@linkcode TargetUnknownError} for any other: nothing must run as another
 * identity, such as the login role.
 */
export function poolsOf(
  targets: readonly ReplicaTarget[],
  create: (target: ReplicaTarget) => PostgresPool,
): (target: ReplicaTarget) => PostgresPool {
  const pools = new Map(targets.map((target) => [target, create(target)]));
  return (target) => {
    const pool = pools.get(target);
    if (!pool) throw new TargetUnknownError(target.name);
    return pool;
  };
}
