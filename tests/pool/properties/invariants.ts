/**
 * The numbered invariants of a pool, and the record of whether they held.
 *
 * @module
 */

/** The numbered invariants of the pool core. */
export const INVARIANTS = {
  1: "live + creating + closing never grows while at or over the maximum",
  2: "total = idle + leased + creating + validating + resetting + closing",
  3: "no resource is leased twice at once",
  4: "every acquire settles exactly once, by its deadline",
  5: "at rest, no eligible waiter while a resource is idle or creatable",
  6: "first come, first served within a lane, or within a flow of it where flows share it",
  7: "no newcomer passes an eligible waiter of its own or a higher lane, but to share its lane with another flow",
  8: "between lanes, arrival plus handicap decides: low is served within the aging bound",
  9: "abort or expiry removes the waiter at once and frees its place",
  10: "an aborted acquire loses no resource",
  11: "failed creations leave the capacity unchanged",
  12: "a permanent failure reaches its caller, with cause, unretried",
  13: "retry gaps are at least the backoff, capped",
  14: "created = destroyed + abandoned + live",
  15: "destroy is called once per resource, even if it throws or hangs",
  16: "double, foreign and late release change nothing for the next holder",
  17: "a lease that has ended reaches nothing",
  18: "expired or invalid resources are never leased",
  19: "eviction stops at the floor, except for lifetime and invalidity; the floor refills",
  20: "the jitter of a lifetime is fixed at birth, within bounds",
  21: "any sequence of resizes converges",
  22: "close rejects waiters promptly, settles by its deadline, is idempotent",
  23: "after close: no timer, no listener left",
  24: "a throwing listener changes nothing",
  26: "with any number of dead idle resources, a waiter is served within one validation and one creation",
  27: "the probe slot serves one probe at a time, whatever the pool does, and counts nowhere",
  28: "a lease goes to the flow that holds the fewest per weight; of equal ones, none passes another out of its turn",
  29: "a full queue rejects the latest waiter of the flow that has the most",
} as const;

/** The number of an invariant. */
export type Invariant = keyof typeof INVARIANTS;

/** A broken invariant. */
export class InvariantError extends Error {
  /** Its number. */
  readonly invariant: Invariant;

  constructor(invariant: Invariant, detail: string) {
    super(`invariant ${invariant} (${INVARIANTS[invariant]}): ${detail}`);
    this.name = "InvariantError";
    this.invariant = invariant;
  }
}

/** Counts the checks of each invariant, so that an invariant without a check is noticed. */
export class Tally {
  readonly #counts = new Map<Invariant, number>();

  /** Counts a check of an invariant that could have failed. */
  add(invariant: Invariant): void {
    this.#counts.set(invariant, this.of(invariant) + 1);
  }

  /** Returns the number of checks of an invariant. */
  of(invariant: Invariant): number {
    return this.#counts.get(invariant) ?? 0;
  }
}

/**
 * The verdict on one run. Most checks run inside hooks and listeners, whose errors
 * the pool handles: the first failure is kept until {@linkcode Verdict.pass} is
 * called.
 */
export class Verdict {
  readonly #tally: Tally;
  #first: InvariantError | undefined = undefined;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** Records whether an invariant held. */
  hold(invariant: Invariant, held: boolean, detail: () => string): void {
    this.#tally.add(invariant);
    if (!held) this.#first ??= new InvariantError(invariant, detail());
  }

  /** Throws the first {@linkcode InvariantError}, if any. */
  pass(): void {
    if (this.#first) throw this.#first;
  }
}
