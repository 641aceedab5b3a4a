/**
 * Those who are compared.
 *
 * @module
 */
import type { Contender } from "./contender.ts";
import { floor } from "./floor.ts";
import { floorWithTimer } from "./floor_with_timer.ts";
import { genericPool, genericPoolWithTimeout } from "./generic_pool.ts";
import { lightningPool, lightningPoolWithTimeout } from "./lightning_pool.ts";
import { ours, oursWithListener, oursWithSubscriber } from "./ours.ts";
import { pLimiter } from "./p_limit.ts";
import { tarn } from "./tarn.ts";

export type {
  Contender,
  LendSession,
  Role,
  RunSession,
  Session,
  SessionOptions,
  Thing,
  TimeoutKind,
} from "./contender.ts";
export { openPool } from "./ours.ts";

/** All contenders, in the order of the tables. */
export const CONTENDERS: readonly Contender[] = [
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
