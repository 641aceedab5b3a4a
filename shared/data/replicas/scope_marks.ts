/**
 * The position that a read of a scope must show: that of its latest write, as far as it is known.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type Clock, timeoutSignal } from "../../resilience/mod.ts";
import type { ListedStatement, PostgresPool, QueryResult, TransactionOptions } from "../../postgres/mod.ts";
import { PrimaryPosition } from "./primary_position.ts";
import { covers, type ReplicaTarget } from "./replica_target.ts";
import { readReplayed, REPLAYED, type Replayed } from "./server_report.ts";
import type { Topology } from "./topology.ts";
import type { WriteMark, WrittenPosition } from "./wal_position.ts";

/** The pause between two looks at a standby while a read waits for it, in ms. */
const REPLAY_PAUSE_MS = 5;

/** The longest wait for the position of a write, in ms: its server may hang. Then the primary serves the read. */
const POSITION_WAIT_MS = 1_000;

/** Marks a read that its standby cannot serve yet. */
export const NOT_REPLAYED: unique symbol = Symbol("not replayed");

/** The position that a read must show; `primary` where only the primary is certain to, `undefined` for any. */
export type ReadMark = WriteMark | "primary" | undefined;

/** Options of {@linkcode ScopeMarks}. */
export interface MarksOptions {
  readonly clock: Clock;
  readonly topology: Topology;
  /** The longest wait of a read for its standby to replay what the scope has written, in ms. */
  readonly replayWaitMs: number;
}

/** Finds out what reads must show, and whether a standby does. */
export class ScopeMarks {
  readonly #options: MarksOptions;
  readonly #position: PrimaryPosition;

  constructor(options: MarksOptions) {
    this.#options = options;
    this.#position = new PrimaryPosition(options.topology);
  }

  /** Returns what a read of a scope must show. */
  of(written: WrittenPosition, signal: AbortSignal | undefined): ReadMark | Promise<ReadMark> {
    if (written.isLeased) return "primary";
    return written.pending ? this.#arrived(written, written.pending, signal) : this.#known(written);
  }

  #known(written: WrittenPosition): ReadMark {
    if (written.isLeased) return "primary";
    if (!written.isUnknown) return written.mark;
    void this.#find(written);
    return "primary";
  }

  async #arrived(
    written: WrittenPosition,
    pending: Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<ReadMark> {
    // Of writes that have ended since, nothing has to be shown: under load, there would always be one to wait for.
    return await this.#arrives(pending, signal) ? this.#known(written) : "primary";
  }

  /** Finds out whether a standby has replayed what a read must show, and waits for that as long as the read may. */
  async look(target: ReplicaTarget, mark: WriteMark, signal: AbortSignal | undefined): Promise<void> {
    const { clock, replayWaitMs } = this.#options;
    const until = clock.now() + replayWaitMs;
    for (;;) {
      const at = clock.now();
      const { rows } = await target.guard(target.manager.query(REPLAYED, [], { signal, outsideTransaction: true }));
      target.noteReplayed(readReplayed(rows[0]), at);
      if (target.hasReplayed(mark) || clock.now() + REPLAY_PAUSE_MS > until || signal?.aborted) return;
      await this.#pause();
    }
  }

  /** Runs a read behind a look at what its standby has replayed, in one transaction and one round trip. */
  async checkedRead(
    statements: readonly ListedStatement[],
    options: TransactionOptions,
    pool: PostgresPool,
    target: ReplicaTarget,
    mark: WriteMark,
  ): Promise<QueryResult[] | typeof NOT_REPLAYED> {
    const { clock, replayWaitMs } = this.#options;
    const until = clock.now() + replayWaitMs;
    let before: Replayed | undefined;
    for (;;) {
      const startedAt = clock.now();
      const [first, ...results] = await pool.transaction([{ query: REPLAYED }, ...statements], {
        ...options,
        readOnly: true,
      });
      const replayed = readReplayed(first?.rows[0]);
      target.noteReplayed(replayed, startedAt);
      // Above read committed, the snapshot is older than the look: it is certain to show what an earlier look has found.
      const shown = first?.rows[0]?.["isolation"] === "read committed" ? replayed : before;
      before = replayed;
      if (covers(shown, mark)) return results;
      if (covers(replayed, mark)) continue;
      if (clock.now() + REPLAY_PAUSE_MS > until || options.signal?.aborted) return NOT_REPLAYED;
      await this.#pause();
    }
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => this.#options.clock.setTimer(resolve, REPLAY_PAUSE_MS, { keepAlive: true }));
  }

  /** Returns whether positions that are on their way arrive in time. */
  async #arrives(pending: Promise<void>, signal: AbortSignal | undefined): Promise<boolean> {
    const late = () => new Error(`The position did not arrive within ${POSITION_WAIT_MS} ms`);
    using timeout = timeoutSignal(POSITION_WAIT_MS, this.#options.clock, late, { keepAlive: true });
    try {
      await abortable(pending, signal ? AbortSignal.any([timeout.signal, signal]) : timeout.signal);
      return true;
    } catch {
      signal?.throwIfAborted();
      return false;
    }
  }

  /** Asks for a position that covers the writes of a scope, in the background: reads run on the primary meanwhile. */
  async #find(written: WrittenPosition): Promise<void> {
    if (written.isAsking) return;
    const { unknown } = written;
    written.isAsking = true;
    const mark = await this.#position.ask();
    written.isAsking = false;
    if (mark) written.reach(mark, unknown);
  }
}
