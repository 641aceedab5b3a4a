/**
 * The limit of a pool whose server has no more connections for it.
 *
 * @module
 */
import type { Clock, Timer } from "../../resilience/mod.ts";

/** The share of its connections that a pool keeps when it is refused another one. */
const DECREASE = 0.8;

/** The mean time between two raises, in ms. It varies by up to a half: pools must not stay in step. */
const RAISE_MS = 1_000;

/** The share of `maxConnections` that one raise adds, at least 1. */
const RAISE = 0.05;

/** The number of raises in a row without a refusal after which each adds twice as much as the one before. */
const STEADY_RAISES = 3;

/** The time without a refusal after which the limit is lifted, in ms. */
const LIFT_MS = 30_000;

/** The state of a pool that bears on its limit. */
export interface ConnectionDemand {
  /** The number of open connections. */
  readonly open: number;
  /** True if the pool would open another one. */
  readonly wantsMore: boolean;
  /** The number that it may open at most, as configured. */
  readonly maxConnections: number;
}

/** The pool, as its {@linkcode ConnectionLimit} sees it. */
export interface LimitedPool {
  /** Returns what the pool has and needs. */
  demand(): ConnectionDemand;
  /** Applies a limit, and closes what is above it and idle; `Infinity` for none. */
  apply(limit: number): void;
}

/**
 * Shares the connections of a server with the pools of other isolates. A pool that is refused another connection (`53300`,
 * `EMAXCONN...`) lowers its limit to four fifths of those that it has, rounded up, and raises it again by one each second while
 * acquires wait, faster when that is not refused for some time. So those with many connections leave some to those with
 * few: additive increase and multiplicative decrease is fair between pools that do not know of each other (Chiu and
 * Jain, 1989).
 *
 * There is no limit before the first refusal, and none 30 s after the latest.
 */
export class ConnectionLimit {
  readonly #pool: LimitedPool;
  readonly #clock: Clock;
  readonly #random: () => number;
  #limit = Infinity;
  #loweredAt = -Infinity;
  /** From this instant on, the limit may be raised; in ms of the clock. */
  #raiseAt = Infinity;
  #refusedAt = -Infinity;
  /** The raises since then. */
  #raises = 0;
  #timer: Timer | undefined = undefined;
  #stopped = false;

  constructor(pool: LimitedPool, clock: Clock, random: () => number = Math.random) {
    this.#pool = pool;
    this.#clock = clock;
    this.#random = random;
  }

  /** The limit; `Infinity` for none. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * Notes that the server had no connection for the pool.
   *
   * @param startedAt The start of the attempt, in ms of the clock: attempts under way together are refused together, and
   * lower the limit once.
   */
  refused(startedAt: number): void {
    const now = this.#clock.now();
    this.#refusedAt = now;
    this.#raises = 0;
    if (startedAt <= this.#loweredAt || this.#stopped) return;
    const { open, wantsMore } = this.#pool.demand();
    // A health check connects beside the pool, which may need no connection.
    if (!wantsMore) return;
    this.#loweredAt = now;
    // A pool with a few keeps them: one less would be a large part of it, and help others little.
    this.#set(Math.max(1, Math.ceil(open * DECREASE)), now);
    this.#arm();
  }

  /** Raises the limit if that is due. Called before an acquire as well: the timer of a frozen isolate is late. */
  update(): void {
    if (this.#limit === Infinity) return;
    const now = this.#clock.now();
    if (now - this.#refusedAt >= LIFT_MS) return this.#set(Infinity, now);
    if (now < this.#raiseAt) return;
    const { maxConnections, wantsMore } = this.#pool.demand();
    if (!wantsMore) return;
    const step = Math.max(1, Math.floor(maxConnections * RAISE));
    const raised = this.#limit + step * 2 ** Math.max(0, ++this.#raises - STEADY_RAISES);
    this.#set(raised >= maxConnections ? Infinity : raised, now);
  }

  /** Forgets the limit, without applying that. */
  lift(): void {
    this.#limit = Infinity;
    this.#timer?.cancel();
  }

  /** Ends every change of the limit. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #set(limit: number, now: number): void {
    this.#raiseAt = now + RAISE_MS * (0.5 + this.#random());
    this.#limit = limit;
    this.#pool.apply(limit);
  }

  #arm(): void {
    this.#timer?.cancel();
    if (this.#limit === Infinity || this.#stopped) return;
    this.#timer = this.#clock.setTimer(() => {
      this.update();
      this.#arm();
    }, Math.max(this.#raiseAt - this.#clock.now(), RAISE_MS / 2));
  }
}
