/**
 * The age of what is known about targets: after a pause they are checked again, and calls wait only for what they need.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import type { Clock } from "../../resilience/mod.ts";
import type { ReplicaTarget } from "./replica_target.ts";
import { type TargetChecks, waitForChecks } from "./target_checks.ts";
import type { Topology } from "./topology.ts";

/**
 * The time in which every target may answer before a call relies on those that have, in ms: one that was promoted answers
 * about as fast as the old primary. A target that does not answer at all keeps no call waiting for longer.
 */
const GRACE_MS = 100;

/** The same before any target was known, in ms: the first connection to each is established then. */
const FIRST_GRACE_MS = 500;

/** Options of {@linkcode TargetFreshness}. */
export interface FreshnessOptions {
  readonly clock: Clock;
  readonly topology: Topology;
  readonly checks: TargetChecks;
  /** The age from which what is known is checked before a call uses it, in ms. */
  readonly staleMs: number;
}

/** A check of all targets at the same time. */
interface Round {
  /** The targets that have answered, or have failed to. */
  readonly settled: Set<ReplicaTarget>;
  /** Called when one settles, and at the end of the grace. */
  readonly waiting: Set<() => void>;
  /** True until any target was ever known. */
  readonly isFirst: boolean;
  /** The end of the grace, in ms of the clock. */
  readonly graceEnd: number;
}

/** Checks targets of which nothing was known for long. */
export class TargetFreshness {
  readonly #options: FreshnessOptions;
  /** The round under way. */
  #round: Round | undefined = undefined;

  constructor(options: FreshnessOptions) {
    this.#options = options;
  }

  /** True while targets are being checked whose states may be out of date. */
  get isChecking(): boolean {
    return this.#round !== undefined;
  }

  /** Returns whether the state of a target is not out of date. */
  isFresh(target: ReplicaTarget): boolean {
    return this.#round?.settled.has(target) !== false;
  }

  /**
   * Notes a use of the group. Where what is known is too old, since an isolate may have been frozen, the targets are
   * checked, and the call waits until what it needs is known again; `undefined` if it need not wait.
   *
   * @param need A primary, for a write, or any target that may be read from.
   */
  use(need: "primary" | "readable", signal: AbortSignal | undefined): Promise<void> | undefined {
    const { clock, checks, staleMs } = this.#options;
    const now = clock.now();
    checks.used(now);
    if (!this.#round && now - checks.checkedAt <= staleMs) return undefined;
    const round = this.#round ??= this.#begin(now);
    return this.#wait(round, need, signal);
  }

  #begin(now: number): Round {
    const { clock, topology: { targets }, checks } = this.#options;
    const isFirst = targets.every(({ state }) => state === "unknown");
    const graceMs = isFirst ? FIRST_GRACE_MS : GRACE_MS;
    const round: Round = { settled: new Set(), waiting: new Set(), isFirst, graceEnd: now + graceMs };
    const notify = () => {
      for (const look of [...round.waiting]) look();
    };
    const grace = clock.setTimer(notify, graceMs);
    const all = targets.map(async (target) => {
      await checks.check(target);
      round.settled.add(target);
      if (round.settled.size === targets.length) {
        grace.cancel();
        this.#round = undefined;
      }
      notify();
    });
    void waitForChecks(clock, Promise.all(all));
    return round;
  }

  async #wait(round: Round, need: "primary" | "readable", signal: AbortSignal | undefined): Promise<void> {
    const { clock, topology } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const isKnown = () => {
      if (this.#round !== round) return true;
      const { primary, readable } = topology;
      const isLate = clock.now() >= round.graceEnd;
      // The reads of a group that is known run on any target that has answered.
      if (need === "readable" && readable.some((target) => round.settled.has(target))) return isLate || !round.isFirst;
      return isLate && primary !== undefined && round.settled.has(primary);
    };
    const look = () => {
      if (!isKnown()) return;
      round.waiting.delete(look);
      resolve();
    };
    round.waiting.add(look);
    look();
    try {
      await (signal ? abortable(promise, signal) : promise);
    } finally {
      round.waiting.delete(look);
    }
  }
}
