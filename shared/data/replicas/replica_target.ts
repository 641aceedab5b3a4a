/**
 * One target of a group.
 *
 * @module
 */
import { TargetLoad } from "../../resilience/load_balancer.ts";
import { anySignal } from "../../resilience/mod.ts";
import { type LeasedSession, type PostgresConnectionManager, serverStateOf } from "../../postgres/mod.ts";
import { TargetDownError, TargetRoleError } from "./errors.ts";
import type { Replayed, ServerReport, ServerRole } from "./server_report.ts";
import type { WriteMark } from "./wal_position.ts";

/**
 * The state of a target. `unknown`: it was not checked. `up`: it has answered its latest check. `suspect`: a call has
 * failed, and a check is under way. `down`: it has not answered.
 */
export type TargetState = "unknown" | "up" | "suspect" | "down";

/** The state of a target, for statistics. */
export interface TargetStatus {
  /** Its name, as in the options. */
  readonly name: string;
  /** The result of its checks. */
  readonly state: TargetState;
  /** The role of its server, as of its latest report; `undefined` before that. */
  readonly role: ServerRole | undefined;
  /** True if writes go to it. */
  readonly isPrimary: boolean;
  /** The timeline of its server. */
  readonly timeline: number | undefined;
  /** The time by which a standby lags, in ms, as of its latest check. */
  readonly lagMs: number;
  /** The calls of the group that are in flight on it. */
  readonly inFlight: number;
  /** The latency of calls, in ms: a slower one counts at once, a faster one with time. */
  readonly latencyMs: number;
  /** The number of reads that were sent to it. */
  readonly reads: number;
  /** The number of other calls that were sent to it. */
  readonly writes: number;
}

/** The progress of a standby, as it was found out. */
interface KnownReplay extends Replayed {
  /** The start of the request that has found it out, in ms of the clock. */
  readonly at: number;
}

/** A position of the primary. */
interface Expected {
  readonly position: bigint;
  /** The time at which the primary had it, in ms of the clock. */
  readonly at: number;
}

/** The most bytes by which the position for the next record may be behind the end of the last one: the header of a page. */
const PAGE_HEADER = 40n;

/** A target, and what is known about it. */
export class ReplicaTarget {
  readonly name: string;
  readonly manager: PostgresConnectionManager;
  readonly load: TargetLoad = new TargetLoad();
  state: TargetState = "unknown";
  /** The role of its server: what a session has reported last. */
  role: ServerRole | undefined = undefined;
  /** The latest report. */
  report: ServerReport | undefined = undefined;
  /** The start of the check that it answers, in ms of the clock. */
  reportedAt = -Infinity;
  /** The start of its latest outage, in ms of the clock. */
  downSince: number | undefined = undefined;
  /** The failures of checks in a row. */
  failures = 0;
  reads = 0;
  writes = 0;
  /** The statements in flight that write, until the positions behind them have arrived; see `WriteAttempt`. */
  statements = 0;
  /** The time at which one of them asked for its position last, in ms of the clock. */
  askedAt = -Infinity;

  #replayed: KnownReplay | undefined = undefined;
  /** The first position of the primary that it has not replayed, and the time of the primary's latest report. */
  #expected: Expected | undefined = undefined;
  #expectedAt = 0;
  /** Rejects the reads in flight. */
  readonly #guarded = new Set<(error: unknown) => void>();

  constructor(name: string, manager: PostgresConnectionManager) {
    this.name = name;
    this.manager = manager;
  }

  /**
   * The time by which a standby lags, in ms: what it says itself, or the time for which it has not replayed what the
   * primary had. One that receives nothing says that it has replayed everything.
   */
  get lagMs(): number {
    const expectedMs = this.#expected ? this.#expectedAt - this.#expected.at : 0;
    return Math.max(this.report?.lagMs ?? 0, expectedMs);
  }

  /** Notes a position that the primary has. */
  expect(position: bigint, at: number): void {
    this.#expectedAt = at;
    const { position: reported } = this.report ?? {};
    if (reported !== undefined && reported + PAGE_HEADER < position) this.#expected ??= { position, at };
  }

  /** Notes a report: of a standby, what it has replayed. */
  noteReport(report: ServerReport, at: number): void {
    this.report = report;
    this.reportedAt = at;
    const { role, position } = report;
    if (role === "standby") this.noteReplayed(report, at);
    const hasReplayed = this.#expected && position !== undefined && position + PAGE_HEADER >= this.#expected.position;
    if (role !== "standby" || hasReplayed) this.expectNothing();
  }

  /** Forgets the positions of a primary that is not the primary any more. */
  expectNothing(): void {
    this.#expected = undefined;
  }

  /** Notes what its server has replayed. */
  noteReplayed(replayed: Replayed, at: number): void {
    this.#replayed = { ...replayed, at };
  }

  /**
   * Returns whether its server is known to have replayed a write. It never goes back, unless another server takes its
   * place: what was found out holds for connections that were established before that; see {@linkcode admitBefore}.
   */
  hasReplayed(mark: WriteMark): boolean {
    return covers(this.#replayed, mark);
  }

  /** Returns whether its server is known not to have replayed a write, as of the last `withinMs`. */
  lacks(mark: WriteMark, now: number, withinMs: number): boolean {
    const known = this.#replayed;
    return known !== undefined && now - known.at < withinMs && !covers(known, mark);
  }

  /** Returns a check of sessions: what is known about what was replayed must hold for them. */
  admitBefore(): (session: LeasedSession) => void {
    const at = this.#replayed?.at ?? -Infinity;
    return ({ establishedAt }) => {
      if (establishedAt > at) throw new TargetRoleError(this.name, "newly connected");
    };
  }

  /**
   * Checks that a session is not on a standby. A session that was idle during a promotion has not reported it yet: since a
   * demotion ends all sessions, one that is older than the report of a primary is on a primary.
   */
  readonly admitPrimary = ({ settings, establishedAt }: LeasedSession): void => {
    const isStandby = serverStateOf(settings).inHotStandby ?? this.role === "standby";
    if (!isStandby || (this.role === "primary" && establishedAt <= this.reportedAt)) return;
    throw new TargetRoleError(this.name, "a standby");
  };

  /** Returns `work`, which is rejected if the target goes down first. The work may go on then. */
  guard<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => this.#guard(work, resolve, reject, reject));
  }

  /**
   * Runs a read-only transaction, which is aborted and rejected if the target goes down first.
   *
   * @param signal The signal of its caller.
   * @param run Runs it with a signal that aborts with that one, and when the target goes down.
   */
  guardFunction<T>(signal: AbortSignal | undefined, run: (signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const ending = new AbortController();
    return new Promise((resolve, reject) => {
      const work = run(anySignal(signal, ending.signal));
      this.#guard(work, resolve, reject, (error) => {
        // First: what it sends after that fails with the reason.
        reject(error);
        ending.abort(error);
      });
    });
  }

  /**
   * Runs a write, which is rejected if the target goes down before anything was sent: the write is not sent later either.
   *
   * @param run Runs it; its argument checks the session of its connection, which is the last step before it is sent.
   */
  guardUnsent<T>(run: (admit: (session: LeasedSession) => void) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      let isSent = false;
      let abandoned: unknown;
      const admit = (session: LeasedSession) => {
        if (abandoned !== undefined) throw abandoned;
        this.admitPrimary(session);
        isSent = true;
      };
      this.#guard(run(admit), resolve, reject, (error) => {
        if (isSent) return;
        abandoned = error;
        reject(error);
      });
    });
  }

  /** Settles as `work` does, and calls `onDown` if the target goes down first. */
  #guard<T>(
    work: Promise<T>,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
    onDown: (error: unknown) => void,
  ): void {
    this.#guarded.add(onDown);
    // One reaction: it runs for every call.
    work.then((value) => {
      this.#guarded.delete(onDown);
      resolve(value);
    }, (error) => {
      this.#guarded.delete(onDown);
      reject(error);
    });
  }

  /** Rejects the reads in flight, and writes that were not sent: nothing is known about when they would end. */
  rejectPending(cause: unknown): void {
    const all = [...this.#guarded];
    this.#guarded.clear();
    for (const reject of all) reject(new TargetDownError(this.name, cause));
  }

  /** Returns its status. */
  status(now: number, isPrimary: boolean): TargetStatus {
    const { name, state, role, report, load, lagMs, reads, writes } = this;
    const { timeline } = report ?? {};
    const { inFlight } = load;
    const latencyMs = load.latencyMs(now);
    return Object.freeze({ name, state, role, isPrimary, timeline, lagMs, inFlight, latencyMs, reads, writes });
  }
}

/** Returns whether what was replayed holds a write. */
export function covers(replayed: Replayed | undefined, { position, timeline }: WriteMark): boolean {
  return replayed?.position !== undefined && replayed.timeline >= timeline && replayed.position >= position;
}
