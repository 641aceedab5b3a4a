/**
 * The parts of direct Postgres that a variable can switch off.
 *
 * @module
 */
import type { PostgresConfig } from "./config.ts";

/** The options that switch a part off with `false`. */
export type PostgresSwitch = "enabled" | "retries" | "priorities" | "healthChecks";

const VARIABLES: Readonly<Record<PostgresSwitch, string>> = {
  enabled: "DB_POOL_ENABLED",
  retries: "DB_RETRIES",
  priorities: "DB_PRIORITIES",
  healthChecks: "DB_HEALTH_CHECKS",
};

/** Returns the parts that are switched off, as the variables that do it: `DB_RETRIES=off` for example. */
export function switchedOffPostgres(config: Readonly<Pick<PostgresConfig, PostgresSwitch>>): readonly string[] {
  return Object.entries(VARIABLES)
    .filter(([option]) => config[option as PostgresSwitch] === false)
    .map(([, variable]) => `${variable}=off`);
}
