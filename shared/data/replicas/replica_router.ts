/**
 * Runs calls on the targets of a group: reads on the least loaded one, writes on the primary.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { chooseTarget } from "../../resilience/load_balancer.ts";
import { anySignal, type Clock } from "../../resilience/mod.ts";
import type {
  LeasedSession,
  LeaseOptions,
  ListedStatement,
  PostgresPool,
  QueryResult,
  TransactionOptions,
  WriteOptions,
} from "../../postgres/mod.ts";
import { TargetRoleError } from "./errors.ts";
import { isAnswer, isAway, isBusy, isElsewhere, isReadOnlyRejection, isUnsent, needsPrimary } from "./failures.ts";
import type { ReplicaTarget } from "./replica_target.ts";
import { NOT_REPLAYED, type ReadMark, ScopeMarks } from "./scope_marks.ts";
import { type TargetChecks, waitForChecks } from "./target_checks.ts";
import { TargetFreshness } from "./target_freshness.ts";
import type { TargetWait, Topology } from "./topology.ts";
import type { WrittenPosition } from "./wal_position.ts";
import { both, WriteAttempt } from "./write_attempt.ts";

/** The time for which a standby that lacks a write is not asked again, in ms. */
const LACKS_MS = 10;

/** The pause before a call is sent to the same target again, in ms. */
const REPEAT_PAUSE_MS = 20;

/** A scope, as the router sees it. */
export interface RoutedScope {
  /** Returns the pool of a target, as the identity of the scope. */
  readonly poolOf: (target: ReplicaTarget) => PostgresPool;
  readonly written: WrittenPosition;
  /** Aborts the waits of its calls. Default: nothing does. */
  readonly signal?: AbortSignal | undefined;
}

/** Options that the router adds to those of a call. */
export interface CallHooks {
  readonly admit?: ((session: LeasedSession) => void) | undefined;
  readonly onWalPosition?: ((position: Promise<string | undefined>) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A read. */
export interface RoutedRead {
  readonly scope: RoutedScope;
  /** Runs it on a target of which nothing has to be checked in the same transaction. */
  readonly plain: (pool: PostgresPool, target: ReplicaTarget, hooks: CallHooks) => Promise<QueryResult[]>;
}

/** Options of a {@linkcode ReplicaRouter}. */
export interface RouterOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly topology: Topology;
  readonly checks: TargetChecks;
  /** The longest wait for a primary, in ms. */
  readonly failoverTimeoutMs: number;
  /** The longest wait of a read for its standby to replay what the scope has written, in ms. */
  readonly replayWaitMs: number;
  /** True if a scope reads what it has written. */
  readonly readYourWrites: boolean;
  /** The age from which what is known is checked before a call uses it, in ms. */
  readonly staleMs: number;
}

/** Chooses the target of each call, and repeats what may be repeated on another one. */
export class ReplicaRouter {
  readonly #options: RouterOptions;
  readonly #marks: ScopeMarks;
  readonly #freshness: TargetFreshness;

  /** True if it matters what a scope has written: the only target of a group has it. */
  readonly #readsOwn: boolean;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#readsOwn = options.readYourWrites && options.topology.targets.length > 1;
    this.#marks = new ScopeMarks(options);
    this.#freshness = new TargetFreshness(options);
  }

  /** All targets, as in the options. */
  get targets(): readonly ReplicaTarget[] {
    return this.#options.topology.targets;
  }

  /** The primary, or the first target while there is none. */
  get main(): ReplicaTarget {
    const { topology: { primary, targets: [first] } } = this.#options;
    const main = primary ?? first;
    if (!main) throw new Error("A group has at least one target");
    return main;
  }

  /** Returns whether a statement is known to only read; see `PostgresConnectionManager.onlyReads`. */
  onlyReads(text: string): boolean {
    return this.main.manager.onlyReads(text);
  }

  /**
   * Runs a write on the primary. It is repeated only if it was certainly not sent, or rejected because its server accepts
   * no writes.
   *
   * @param begun Returns whether it must not be repeated, since its function has begun. Default: it has none.
   */
  async write<T>(
    { signal: own, admit, onWalPosition }: LeaseOptions & WriteOptions,
    { poolOf, written, signal: ofScope }: RoutedScope,
    run: (pool: PostgresPool, hooks: CallHooks) => Promise<T>,
    begun?: (() => boolean) | undefined,
  ): Promise<T> {
    const { clock, topology, failoverTimeoutMs } = this.#options;
    const isNoted = this.#readsOwn;
    const isFunction = begun !== undefined;
    const signal = anySignal(ofScope, own);
    const since = clock.now();
    const checking = this.#freshness.use("primary", signal);
    if (checking) await checking;
    const until = clock.now() + failoverTimeoutMs;
    let cause: unknown;
    for (;;) {
      const primary = topology.primary ?? await topology.waitForPrimary({ since, until, signal, cause });
      const attempt = new WriteAttempt(primary, { written, isNoted, isFunction, onWalPosition, now: clock.now() });
      primary.writes++;
      try {
        const send = (check: (session: LeasedSession) => void) => {
          const checkBoth = (session: LeasedSession) => {
            // It may have waited for its connection while another target was promoted.
            if (topology.isSuperseded(primary)) throw new TargetRoleError(primary.name, "not the primary of the group");
            check(session);
          };
          return run(poolOf(primary), attempt.hooks(admit, checkBoth));
        };
        return await this.#counted(primary, signal, () => primary.guardUnsent(send));
      } catch (error) {
        const isUnusable = error instanceof TargetRoleError || isReadOnlyRejection(error) || isAway(error);
        if (isUnusable && !topology.isSuperseded(primary)) await this.#reconsider(primary, error, signal);
        const mayRepeat = !begun?.() && (isUnsent(error) || isReadOnlyRejection(error));
        // Where the same target is the primary still, its rejection is final, and a connection that was lost is replaced.
        const isFinal = isReadOnlyRejection(error) && topology.primary === primary;
        if (!mayRepeat || isFinal || signal?.aborted || (topology.primary && clock.now() >= until)) throw error;
        if (topology.primary === primary) await this.#pause(REPEAT_PAUSE_MS);
        cause = error;
      } finally {
        attempt.end();
      }
    }
  }

  /** Runs statements that only read, in one transaction, on the least loaded target. */
  async read(
    statements: readonly ListedStatement[],
    options: TransactionOptions,
    { scope, plain }: RoutedRead,
  ): Promise<QueryResult[]> {
    const signal = anySignal(scope.signal, options.signal);
    const marking = this.#markOf(scope, signal);
    const mark = marking instanceof Promise ? await marking : marking;
    return await this.#readOn(signal, mark, async (target) => {
      const pool = scope.poolOf(target);
      if (mark === undefined) return await target.guard(plain(pool, target, {}));
      if (mark === "primary" || target.role === "primary") {
        return await target.guard(plain(pool, target, { admit: both(options.admit, target.admitPrimary) }));
      }
      if (target.hasReplayed(mark)) {
        try {
          return await target.guard(plain(pool, target, { admit: both(options.admit, target.admitBefore()) }));
        } catch (error) {
          // The connection is newer than what is known.
          if (!(error instanceof TargetRoleError)) throw error;
        }
      }
      return await target.guard(this.#marks.checkedRead(statements, options, pool, target, mark));
    });
  }

  /**
   * Runs a function in a read-only transaction on the least loaded target.
   *
   * @param isFinal Returns whether it must not run again.
   */
  async readFunction<T>(
    { signal: own, admit }: LeaseOptions,
    scope: RoutedScope,
    run: (pool: PostgresPool, hooks: CallHooks) => Promise<T>,
    isFinal: () => boolean,
  ): Promise<T> {
    const signal = anySignal(scope.signal, own);
    const marking = this.#markOf(scope, signal);
    const mark = marking instanceof Promise ? await marking : marking;
    return await this.#readOn(signal, mark, async (target) => {
      const pool = scope.poolOf(target);
      const send = (hooks: CallHooks) => target.guardFunction(own, (ending) => run(pool, { ...hooks, signal: ending }));
      if (mark === undefined) return await send({});
      if (mark === "primary" || target.role === "primary") {
        return await send({ admit: both(admit, target.admitPrimary) });
      }
      if (!target.hasReplayed(mark)) await this.#marks.look(target, mark, signal);
      return target.hasReplayed(mark) ? await send({ admit: both(admit, target.admitBefore()) }) : NOT_REPLAYED;
    }, isFinal);
  }

  /** Runs a read on a target, and after a failure of the target on another one. */
  async #readOn<T>(
    signal: AbortSignal | undefined,
    mark: ReadMark,
    run: (target: ReplicaTarget) => Promise<T | typeof NOT_REPLAYED>,
    isFinal: () => boolean = () => false,
  ): Promise<T> {
    const { clock, failoverTimeoutMs, topology } = this.#options;
    const since = clock.now();
    const until = since + failoverTimeoutMs;
    const tried = new Set<ReplicaTarget>();
    let onPrimary = mark === "primary";
    for (;;) {
      const target = (!onPrimary && this.#choose(tried, mark)) ||
        await this.#fallback(onPrimary, tried, { since, until, signal });
      const onStandby = target.role === "standby";
      target.reads++;
      try {
        const result = await this.#counted(target, signal, () => run(target));
        if (result !== NOT_REPLAYED) return result;
        onPrimary = true;
      } catch (error) {
        if (signal?.aborted || isFinal() || !isElsewhere(error, onStandby) || clock.now() >= until) throw error;
        // The primary itself is busy: there is no better place.
        if (isBusy(error) && (onPrimary || topology.readable.length < 2)) throw error;
        if (onStandby && needsPrimary(error)) onPrimary = true;
        tried.add(target);
        const isUnusable = isAway(error) || error instanceof TargetRoleError;
        const checked = isUnusable ? topology.suspect(target) : undefined;
        // Where no other target is left, it is tried again if it answers.
        if (!onPrimary && tried.size < topology.targets.length) continue;
        if (checked) await this.#within(checked, signal);
        if (tried.size > 1 || !needsPrimary(error)) await this.#pause(REPEAT_PAUSE_MS);
        tried.clear();
      }
    }
  }

  /** Chooses among the targets that may be read from, and may have what the scope has written. */
  #choose(tried: ReadonlySet<ReplicaTarget>, mark: ReadMark): ReplicaTarget | undefined {
    const { clock, random, topology: { readable }, replayWaitMs } = this.#options;
    const now = clock.now();
    const freshness = this.#freshness;
    if (tried.size === 0 && typeof mark !== "object" && !freshness.isChecking) {
      return chooseTarget(readable, now, random);
    }
    const fitting = readable.filter((target) => {
      if (tried.has(target) || !freshness.isFresh(target)) return false;
      const lacks = typeof mark === "object" && target.role === "standby" && target.lacks(mark, now, LACKS_MS);
      return !lacks || replayWaitMs > 0;
    });
    return chooseTarget(fitting, now, random);
  }

  /** Returns the primary, or waits for a target that may be read from. */
  async #fallback(
    onPrimary: boolean,
    tried: ReadonlySet<ReplicaTarget>,
    wait: TargetWait,
  ): Promise<ReplicaTarget> {
    const { clock, random, topology } = this.#options;
    if (onPrimary || (topology.primary && !tried.has(topology.primary))) {
      return topology.primary ?? await topology.waitForPrimary(wait);
    }
    const readable = await topology.waitForReadable(wait);
    return chooseTarget(readable, clock.now(), random) ?? this.main;
  }

  /** Returns what a read of a scope must show: mostly at once, since a promise takes as long as the choice of a target. */
  #markOf(scope: RoutedScope, signal: AbortSignal | undefined): ReadMark | Promise<ReadMark> {
    const checking = this.#freshness.use("readable", signal);
    if (checking) return checking.then(() => this.#knownMark(scope, signal));
    return this.#knownMark(scope, signal);
  }

  #knownMark({ written }: RoutedScope, signal: AbortSignal | undefined): ReadMark | Promise<ReadMark> {
    return this.#readsOwn ? this.#marks.of(written, signal) : undefined;
  }

  /** Counts a call as load of its target while it runs. */
  async #counted<T>(target: ReplicaTarget, signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    const { clock } = this.#options;
    const { load } = target;
    const call = load.begin(clock.now());
    try {
      const result = await run();
      load.end(call, clock.now());
      return result;
    } catch (error) {
      // A check decides about a target that is away.
      if (isAway(error)) load.drop(call);
      else if (signal?.aborted || !isAnswer(error)) load.abort(call, clock.now());
      else load.end(call, clock.now());
      throw error;
    }
  }

  /** Checks the primary after a failure. Where it is not the primary any more, or is away, another one is found meanwhile. */
  async #reconsider(primary: ReplicaTarget, error: unknown, signal: AbortSignal | undefined): Promise<void> {
    const checked = this.#options.topology.suspect(primary);
    // What was lost says enough; what was not sent can wait for the result.
    if (isUnsent(error) || isReadOnlyRejection(error)) await this.#within(checked, signal);
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.setTimer(resolve, ms, { keepAlive: true }));
  }

  async #within(checked: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const { clock } = this.#options;
    await waitForChecks(clock, signal ? abortable(checked, signal) : checked);
  }
}
