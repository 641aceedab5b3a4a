/**
 * The candidates of the pool benchmark.
 *
 * @module
 */
import type { PoolCandidate } from "./candidate.ts";
import { floor } from "./floor.ts";
import { floorWithTimer } from "./floor_with_timer.ts";
import { genericPool, genericPoolWithTimeout } from "./generic_pool.ts";
import { lightningPool, lightningPoolWithTimeout } from "./lightning_pool.ts";
import { ours, oursWithListener, oursWithSubscriber } from "./ours.ts";
import { pLimiter } from "./p_limit.ts";
import { tarn } from "./tarn.ts";

export type {
  OpenCandidate,
  OpenLimiter,
  OpenOptions,
  OpenPool,
  PoolCandidate,
  Role,
  Thing,
  TimeoutKind,
} from "./candidate.ts";
export { openPool } from "./ours.ts";

/** All candidates, in table order. */
export const CANDIDATES: readonly PoolCandidate[] = [
  floor,
  floorWithTimer,
  ours,
  oursWithSubscriber,
  oursWithListener,
  genericPool,
  genericPoolWithTimeout,
  lightningPool,
  lightningPoolWithTimeout,
  tarn,
  pLimiter,
];
