/**
 * The roles of a group's targets: the primary, and those that may be read from.
 *
 * @module
 */
import { type Clock, codeOf, type EventHub, timeoutSignal, toError } from "../../resilience/mod.ts";
import { abortable } from "@std/async/abortable";
import { PoolClosedError } from "../../pool/mod.ts";
import { NoPrimaryError } from "./errors.ts";
import type { ReplicaEvents } from "./replica_events.ts";
import type { ReplicaTarget } from "./replica_target.ts";
import type { ServerReport, ServerRole } from "./server_report.ts";

/** Options of a {@linkcode Topology}. */
export interface TopologyOptions {
  readonly clock: Clock;
  readonly hub: EventHub<ReplicaEvents>;
  /** True if the primary is read from only where no standby can be. */
  readonly readsAvoidPrimary: boolean;
  /** The lag from which a standby is not read from, in ms. */
  readonly maxLagMs: number;
  /** Checks a target now. */
  readonly check: (target: ReplicaTarget) => Promise<void>;
}

/** A wait for a target. Times are in ms of the clock. */
export interface TargetWait {
  /** The start of the call that waits. */
  readonly since: number;
  /** The end of the wait. */
  readonly until: number;
  readonly signal: AbortSignal | undefined;
  /** The failure that made it necessary. Default: none. */
  readonly cause?: unknown;
}

/**
 * Knows which target is the primary, and which may be read from.
 *
 * Of several that accept writes, the one with the highest timeline is the primary: a promotion begins a new one. A timeline
 * that was seen once, also as that of a standby, is remembered, so that a stale primary is not used even if it is the only
 * one that can be reached.
 */
export class Topology {
  readonly targets: readonly ReplicaTarget[];
  readonly #options: TopologyOptions;
  #primary: ReplicaTarget | undefined = undefined;
  #readable: readonly ReplicaTarget[] = [];
  /** The highest timeline that a target has reported: a standby follows one only after a promotion has begun it. */
  #timeline = 0;
  /** The identifier of the cluster. */
  #system: string | undefined = undefined;
  #ignored = "";
  #changed: PromiseWithResolvers<void> | undefined = undefined;
  #isClosed = false;

  constructor(targets: readonly ReplicaTarget[], options: TopologyOptions) {
    this.targets = targets;
    this.#options = options;
  }

  /** The target that writes go to. */
  get primary(): ReplicaTarget | undefined {
    return this.#primary;
  }

  /** The targets that may be read from. */
  get readable(): readonly ReplicaTarget[] {
    return this.#readable;
  }

  /**
   * Returns whether another target is known to have taken the place of a primary: nothing more is to be written to it, even
   * if its server accepts that.
   */
  isSuperseded(target: ReplicaTarget): boolean {
    if (this.#primary) return this.#primary !== target;
    return target.report !== undefined && target.report.timeline < this.#timeline;
  }

  /** Notes the report of a target, which has answered a check. */
  reported(target: ReplicaTarget, report: ServerReport, checkedAt: number): void {
    const { hub } = this.#options;
    const { downSince } = target;
    if (!this.#isOfCluster(target, report)) return;
    target.noteReport(report, checkedAt);
    target.failures = 0;
    this.#setRole(target, report.role);
    target.state = "up";
    target.downSince = undefined;
    if (downSince !== undefined) {
      hub.emit("targetUp", { target: target.name, downMs: this.#options.clock.now() - downSince });
    }
    this.#update();
    if (target !== this.#primary || report.position === undefined) return;
    for (const other of this.targets) other.expect(report.position, checkedAt);
  }

  /** Notes that a target has not answered a check. */
  failed(target: ReplicaTarget, error: unknown): void {
    target.failures++;
    if (target.state !== "down") {
      target.state = "down";
      target.downSince = this.#options.clock.now();
      this.#options.hub.emit("targetDown", { target: target.name, reason: toError(error) });
    }
    this.#update();
    target.rejectPending(error);
  }

  /** Notes that connecting to a target has failed: where the connection is refused, no server listens. */
  unreachable(target: ReplicaTarget, error: unknown): void {
    if (target.state === "unknown" || target.state === "down") return;
    if (codeOf(error) === "ECONNREFUSED") this.failed(target, error);
    void this.suspect(target);
  }

  /** Notes that a call has failed as if the target were away: it is checked, and not used meanwhile. */
  suspect(target: ReplicaTarget): Promise<void> {
    if (target.state === "up") {
      target.state = "suspect";
      this.#update();
    }
    return this.#options.check(target);
  }

  /**
   * Notes the role that a session of a target has reported. A primary that is a standby now is left at once; a standby that
   * is a primary now is checked first, since its timeline decides.
   */
  sessionReported(target: ReplicaTarget, role: ServerRole, readOnly: boolean): void {
    if (role === target.role && readOnly === (target.report?.readOnly ?? readOnly)) return;
    if (role === "standby" && target.role === "primary") {
      this.#setRole(target, role);
      this.#update();
    }
    void this.#options.check(target);
  }

  /**
   * Waits until there is a primary.
   *
   * @throws {NoPrimaryError} when there was none in time.
   * @throws {PoolClosedError} after {@linkcode close}.
   * @throws the reason of `signal`.
   */
  async waitForPrimary(wait: TargetWait): Promise<ReplicaTarget> {
    return await this.#wait(() => this.#primary, wait);
  }

  /** Waits until a target may be read from; see {@linkcode waitForPrimary}. */
  async waitForReadable(wait: TargetWait): Promise<readonly ReplicaTarget[]> {
    return await this.#wait(() => this.#readable.length > 0 ? this.#readable : undefined, wait);
  }

  async #wait<T>(find: () => T | undefined, { since, until, signal, cause }: TargetWait): Promise<T> {
    const { clock } = this.#options;
    signal?.throwIfAborted();
    const late = () => new NoPrimaryError(Math.round(clock.now() - since), this.#describe(), { cause });
    using timeout = timeoutSignal(Math.max(0, until - clock.now()), clock, late, { keepAlive: true });
    const ending = signal ? AbortSignal.any([timeout.signal, signal]) : timeout.signal;
    for (;;) {
      if (this.#isClosed) throw new PoolClosedError();
      const found = find();
      if (found !== undefined) return found;
      await abortable((this.#changed ??= Promise.withResolvers<void>()).promise, ending);
    }
  }

  /** Ends all waits: no target is to be found any more. */
  close(): void {
    this.#isClosed = true;
    this.#notify();
  }

  #notify(): void {
    const changed = this.#changed;
    this.#changed = undefined;
    changed?.resolve();
  }

  #describe(): string[] {
    return this.targets.map(({ name, state, role }) => `${name} (${state === "up" ? role : state})`);
  }

  #isOfCluster(target: ReplicaTarget, { system }: ServerReport): boolean {
    this.#system ??= system;
    if (system === undefined || system === this.#system) return true;
    const message =
      `Target ${target.name} belongs to another cluster than the first target that was reached: remove it, ` +
      "or create it from a base backup of the primary";
    const error = new Error(message);
    if (target.state !== "down") this.#options.hub.emit("error", { error, target: target.name });
    this.failed(target, error);
    return false;
  }

  #setRole(target: ReplicaTarget, to: ServerRole): void {
    const from = target.role;
    if (from === to) return;
    target.role = to;
    this.#options.hub.emit("roleChanged", { target: target.name, from, to });
  }

  /** Decides again which target is the primary, and which may be read from. */
  #update(): void {
    const before = this.#primary;
    const { readsAvoidPrimary, maxLagMs, hub } = this.#options;
    const up = this.targets.filter(({ state }) => state === "up");
    const writable = up.filter(({ role }) => role === "primary");
    for (const { report } of up) this.#timeline = Math.max(this.#timeline, report?.timeline ?? 0);
    const current = writable.filter(({ report }) => report?.timeline === this.#timeline);
    // Where none is certain, the group stays with what it has; one that only reads is the last resort.
    const accepting = current.filter(({ report }) => report?.readOnly === false);
    const primary = accepting.find((target) => target === before) ?? accepting[0] ??
      current.find((target) => target === before) ?? current[0];
    this.#primary = primary;
    const standbys = up.filter(({ role, lagMs }) => role === "standby" && lagMs <= maxLagMs);
    const withPrimary = primary && (!readsAvoidPrimary || standbys.length === 0);
    this.#readable = withPrimary ? [...standbys, primary] : standbys;
    if (primary !== before) {
      for (const target of this.targets) target.expectNothing();
      const timeline = primary?.report?.timeline;
      hub.emit("primaryChanged", { from: before?.name, to: primary?.name, timeline });
      // One of the others may have been promoted.
      if (!primary) { for (const target of this.targets) void this.#options.check(target); }
    }
    this.#reportSplit(primary, writable);
    this.#notify();
  }

  #reportSplit(primary: ReplicaTarget | undefined, writable: readonly ReplicaTarget[]): void {
    const ignored = writable.filter((target) => target !== primary).map(({ name }) => name);
    const key = ignored.join();
    if (primary && ignored.length > 0 && key !== this.#ignored) {
      this.#options.hub.emit("splitBrain", { kept: primary.name, ignored });
    }
    this.#ignored = key;
  }
}
