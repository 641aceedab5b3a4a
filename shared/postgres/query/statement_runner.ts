/**
 * Statements with an end: each is bounded in time, and cancelled at the server
 * when its caller gives up.
 *
 * @module
 */
import type { Clock } from "../../resilience/mod.ts";
import { CANCELED } from "../wire/batch.ts";
import type { Backend, CancelRequest } from "../connection/cancel.ts";
import type { Deadlines } from "./deadlines.ts";
import { ConnectionLostError, PostgresError, QueryTimeoutError } from "../errors/errors.ts";
import type { Running } from "../wire/flight.ts";
import type { QueryResult } from "../wire/query_result.ts";
import type { Session } from "../connection/session.ts";

/** What bounds a statement. */
export interface Bounds {
  /** Cancels it, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long it may take, in ms; `Infinity` for as long as it needs. */
  readonly timeoutMs: number;
  /** What was allowed in all, in ms, where some of it is used up. Default: `timeoutMs`. */
  readonly allowedMs?: number | undefined;
}

/** What a runner needs of its surroundings. */
export interface RunnerSettings {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** How long a statement that was cancelled may go on before its connection is cut, in ms. */
  readonly cancelTimeoutMs: number;
  /** Asks the server to cancel what a backend runs. */
  readonly requestCancel: (backend: Backend) => CancelRequest;
}

/** A statement that goes on for so long after a cancel request is sent another one, in ms. */
const REPEAT_MS = 50;

/**
 * Runs statements on one session.
 *
 * A cancel request can come late and hit what runs next. So a statement that
 * was cancelled is over only when the request has been passed on and the
 * backend has answered once more after that; where either cannot be known in
 * time, the connection is cut.
 */
export class StatementRunner {
  readonly session: Session;
  readonly settings: RunnerSettings;
  /** What ends each of the statements that are waited for. */
  readonly #cancels = new Set<(reason: unknown) => void>();
  /** What is not over yet of those that were given up. */
  #ending: Set<Promise<void>> | undefined = undefined;

  constructor(session: Session, settings: RunnerSettings) {
    this.session = session;
    this.settings = settings;
  }

  /** Whether something that was given up can still reach the session. */
  get ending(): boolean {
    return this.#ending !== undefined;
  }

  /** Resolves when nothing that was given up can reach the session any more. */
  async ended(): Promise<void> {
    while (this.#ending) await Promise.all(this.#ending);
  }

  /**
   * Waits for what was sent, within bounds.
   *
   * @param leave Whether to wait no longer for what is given up while others are before it: it
   * is `ending`, then. Only for what has no effect.
   * @throws {QueryTimeoutError} when it took too long; it was cancelled.
   * @throws the reason of `signal`; it was cancelled. Where it had finished
   * before the request came, its results are returned.
   * @throws what `running` rejects with.
   */
  async follow(
    running: Running,
    { signal, timeoutMs, allowedMs = timeoutMs }: Bounds,
    leave = false,
  ): Promise<QueryResult[]> {
    const { clock, deadlines } = this.settings;
    let given: { readonly reason: unknown } | undefined;
    let left = false;
    let ending: Promise<void> | undefined;
    const cancel = (reason: unknown) => {
      if (given) return;
      given = { reason };
      left = leave && running.sent && !running.runs && !running.over;
      ending = this.#end(this.#cancel(running, reason, left));
      if (left) running.leave(reason);
    };
    const deadline = timeoutMs === Infinity ? undefined : {
      at: clock.now() + timeoutMs,
      expired: () => cancel(new QueryTimeoutError(allowedMs)),
    };
    const aborted = () => cancel(signal?.reason);
    if (deadline) deadlines.add(deadline);
    signal?.addEventListener("abort", aborted, { once: true });
    this.#cancels.add(cancel);
    if (signal?.aborted) aborted();
    try {
      return await running.results;
    } catch (error) {
      throw given && !left ? this.#outcome(given.reason, error) : error;
    } finally {
      this.#cancels.delete(cancel);
      if (deadline) deadlines.drop(deadline);
      signal?.removeEventListener("abort", aborted);
      // Nobody else may have the session before that.
      if (ending && !left) await ending;
    }
  }

  /** Keeps in mind that something is not over yet. Most runners never have anything of the kind. */
  #end(end: Promise<void>): Promise<void> {
    const all = this.#ending ??= new Set();
    all.add(end);
    return end.finally(() => {
      all.delete(end);
      if (all.size === 0) this.#ending = undefined;
    });
  }

  /** What to say of a statement that was given up, and has failed with `error` since. */
  #outcome(reason: unknown, error: unknown): unknown {
    if (error instanceof PostgresError && error.code === CANCELED) return reason;
    if (this.session.death === undefined) return error;
    return reason instanceof QueryTimeoutError && error instanceof ConnectionLostError ? reason.cut() : reason;
  }

  /**
   * Waits for what must not be cancelled: where it is not answered in time, the connection is cut.
   *
   * @throws what `running` rejects with.
   */
  async withinOrCut<T>(running: Promise<T>, timeoutMs: number): Promise<T> {
    const { clock, deadlines } = this.settings;
    const expired = () => this.session.destroy(new Error(`there was no answer within ${timeoutMs} ms`));
    const deadline = { at: clock.now() + timeoutMs, expired };
    if (timeoutMs !== Infinity) deadlines.add(deadline);
    try {
      return await running;
    } finally {
      deadlines.drop(deadline);
    }
  }

  /** Cancels whatever runs, and resolves once nothing does. */
  async giveUp(reason: unknown): Promise<void> {
    for (const cancel of [...this.#cancels]) cancel(reason);
    await this.ended();
  }

  /** Resolves when nothing of it can reach the session any more. */
  async #cancel(running: Running, reason: unknown, left: boolean): Promise<void> {
    const { clock, cancelTimeoutMs, requestCancel } = this.settings;
    const { session } = this;
    // A request hits whatever the server is at.
    while (!running.over && !running.runs) await session.nextLanding();
    // Nobody waits for it any more, and mostly it is quick: a request costs more.
    if (left && !running.over) await this.#pause(cancelTimeoutMs, running);
    if (running.over) return;

    const cut = () => session.destroy(reason instanceof Error ? reason : new Error("its statement was given up"));
    const { backend } = session;
    if (!backend) return cut();
    session.cancelling++;
    const requests: CancelRequest[] = [];
    const timer = clock.setTimer(() => {
      for (const request of requests) request.giveUp();
      cut();
    }, cancelTimeoutMs);
    try {
      let passedOn = true;
      // One that reaches the backend before the statement does is lost.
      while (passedOn && !running.over) {
        const request = requestCancel(backend);
        requests.push(request);
        passedOn = await request.passedOn;
        if (passedOn && !running.over) await this.#pause(REPEAT_MS, running);
      }
      while (!running.over) await session.nextLanding();
      if (session.death) return;
      // Some servers end a request with a reset. A statement that was cancelled on request says then that it came through.
      // Behind a pooler it may be another one's statement that a late request hits, and nobody can tell.
      if (!(passedOn || running.canceled) || !session.owned) return cut();
      // Whatever the answer is: a request that was still on its way has hit this, what was before it, or nothing.
      await session.start([{ text: "SELECT 1" }]).results.catch(() => {});
    } finally {
      timer.cancel();
      for (const request of requests) request.giveUp();
      session.cancelling--;
    }
  }

  /** Waits for something to be over, but not for longer than that. */
  async #pause(ms: number, running: Running): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.settings.clock.setTimer(resolve, ms);
    let waiting = true;
    void promise.then(() => waiting = false);
    while (waiting && !running.over) await Promise.race([promise, this.session.nextLanding()]);
    timer.cancel();
  }
}
