/**
 * Sums of statistics.
 *
 * @module
 */
import { parseStats } from "./parse.ts";
import type { FleetPoolStats } from "./types.ts";

/** Adds up the statistics of pools. */
export function sumStats(all: readonly object[]): FleetPoolStats {
  const sum: Record<string, number> = { ...parseStats(undefined) };
  for (const stats of all) {
    for (const [name, value] of Object.entries(parseStats(stats))) sum[name] = (sum[name] ?? 0) + Number(value);
  }
  return parseStats(sum);
}
