/**
 * The parts of direct Postgres that a variable can switch off.
 *
 * @module
 */
import type { PostgresConfig } from "./options.ts";

/** The options that switch a part off with `false`. */
export type PostgresSwitch = "enabled" | "retries" | "priorities" | "circuitBreaker" | "healthChecks";

const VARIABLES: Readonly<Record<PostgresSwitch, string>> = {
  enabled: "DB_POOL_ENABLED",
  retries: "DB_RETRIES",
  priorities: "DB_PRIORITIES",
  circuitBreaker: "DB_CIRCUIT_BREAKER",
  healthChecks: "DB_HEALTH_CHECKS",
};

/** Returns the parts that are switched off, as the variables that do it: `DB_RETRIES=off` for example. */
export function switchedOffPostgres(
  config: Readonly<Pick<PostgresConfig, PostgresSwitch | "adaptiveLimit">>,
): readonly string[] {
  const off = Object.entries(VARIABLES)
    .filter(([option]) => config[option as PostgresSwitch] === false)
    .map(([, variable]) => `${variable}=off`);
  if (config.adaptiveLimit !== "on") off.push(`DB_ADAPTIVE_LIMIT=${config.adaptiveLimit}`);
  return off;
}
