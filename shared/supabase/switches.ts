/**
 * The parts of a client pool that a variable can switch off.
 *
 * @module
 */
import type { SupabasePoolConfig } from "./config.ts";

/** The options that switch a part off with `false`. */
export type PoolSwitch = "enabled" | "retries" | "priorities" | "circuitBreaker" | "healthChecks";

const VARIABLES: Readonly<Record<PoolSwitch, string>> = {
  enabled: "POOL_ENABLED",
  retries: "POOL_RETRIES",
  priorities: "POOL_PRIORITIES",
  circuitBreaker: "POOL_CIRCUIT_BREAKER",
  healthChecks: "POOL_HEALTH_CHECKS",
};

/** Returns the parts that are switched off, as the variables that do it: `POOL_RETRIES=off` for example. */
export function switchedOff(
  config: Readonly<Pick<SupabasePoolConfig, PoolSwitch | "maxConnections" | "adaptiveLimit">>,
): readonly string[] {
  const { maxConnections, adaptiveLimit } = config;
  const off = Object.entries(VARIABLES)
    .filter(([option]) => config[option as PoolSwitch] === false)
    .map(([, variable]) => `${variable}=off`);
  // With a fixed number of connections there is nothing to adapt.
  if (maxConnections === "auto" && adaptiveLimit !== "on") off.push(`POOL_ADAPTIVE_LIMIT=${adaptiveLimit}`);
  return off;
}
