/**
 * The comparison of options with those of an existing manager.
 *
 * @module
 */
import type { ConfigIssue } from "../../pool/mod.ts";
import type { PostgresConfig } from "./options.ts";

const MESSAGE = "differs from the existing manager: shut that manager down first, or omit the config";

/** Returns an issue for each option that differs from the one of an existing manager. */
export function differingOptions(
  options: Readonly<PostgresConfig>,
  existing: Readonly<PostgresConfig>,
): ConfigIssue[] {
  return (Object.keys(options) as (keyof PostgresConfig)[])
    .filter((path) => !isSame(options[path], existing[path]))
    .map((path) => ({ path, message: MESSAGE }));
}

/** Returns whether two values of an option are the same: what holds functions is compared by identity. */
function isSame(one: unknown, other: unknown): boolean {
  const functions = (value: unknown) =>
    typeof value === "function" ||
    typeof value === "object" && value !== null &&
      Object.values(value).some((inner) => typeof inner === "object" && inner !== null);
  return functions(one) || functions(other) ? one === other : JSON.stringify(one) === JSON.stringify(other);
}
