/**
 * Statements with an end: each is bounded in time, and cancelled at the server
 * when its caller gives up.
 *
 * @module
 */
import type { Clock } from "../resilience/mod.ts";
import { CANCELED, type Running } from "./batch.ts";
import type { Backend } from "./cancel.ts";
import type { Deadlines } from "./deadlines.ts";
import { PostgresError, QueryTimeoutError } from "./errors.ts";
import type { QueryResult } from "./query_result.ts";
import type { Session } from "./session.ts";

/** What bounds a statement. */
export interface Bounds {
  /** Cancels it, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** How long it may take, in ms; `Infinity` for as long as it needs. */
  readonly timeoutMs: number;
}

/** What a runner needs of its surroundings. */
export interface RunnerSettings {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** How long a statement that was cancelled may go on before its connection is cut, in ms. */
  readonly cancelTimeoutMs: number;
  /** Asks the server to cancel what a backend runs. */
  readonly requestCancel: (backend: Backend) => { readonly passedOn: Promise<boolean>; readonly giveUp: () => void };
}

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
  #cancelling: Promise<void> | undefined = undefined;

  constructor(session: Session, settings: RunnerSettings) {
    this.session = session;
    this.settings = settings;
  }

  /**
   * Waits for what was sent, within bounds.
   *
   * @throws {QueryTimeoutError} when it took too long; it was cancelled.
   * @throws the reason of `signal`; it was cancelled. Where it had finished
   * before the request came, its results are returned.
   * @throws what `running` rejects with.
   */
  async follow(running: Running, { signal, timeoutMs }: Bounds): Promise<QueryResult[]> {
    const { clock, deadlines } = this.settings;
    let given: { readonly reason: unknown } | undefined;
    const cancel = (reason: unknown) => {
      given ??= { reason };
      this.#cancelling ??= this.#cancel(running, reason).finally(() => this.#cancelling = undefined);
    };
    const deadline = timeoutMs === Infinity
      ? undefined
      : { at: clock.now() + timeoutMs, expired: () => cancel(new QueryTimeoutError(timeoutMs)) };
    const aborted = () => cancel(signal?.reason);
    if (deadline) deadlines.add(deadline);
    signal?.addEventListener("abort", aborted, { once: true });
    this.#cancels.add(cancel);
    try {
      return await running.results;
    } catch (error) {
      if (!given) throw error;
      const ended = this.session.death !== undefined || (error instanceof PostgresError && error.code === CANCELED);
      throw ended ? given.reason : error;
    } finally {
      this.#cancels.delete(cancel);
      if (deadline) deadlines.drop(deadline);
      signal?.removeEventListener("abort", aborted);
      // Nobody else may have the session before that.
      if (this.#cancelling) await this.#cancelling;
    }
  }

  /**
   * Waits for what must not be cancelled: where it is not answered in time, the connection is cut.
   *
   * @throws what `running` rejects with.
   */
  async withinOrCut<T>(running: Promise<T>, timeoutMs: number): Promise<T> {
    const { clock, deadlines } = this.settings;
    const expired = () => this.session.destroy(new QueryTimeoutError(timeoutMs));
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
    if (this.#cancelling) await this.#cancelling;
  }

  /** Resolves when nothing of it can reach the session any more. */
  async #cancel(running: Running, reason: unknown): Promise<void> {
    const { clock, cancelTimeoutMs, requestCancel } = this.settings;
    const { session } = this;
    let over = false;
    const settled = running.results.then(() => undefined, (error: unknown) => error).finally(() => over = true);
    // A request hits whatever the server is at.
    while (!over && !running.runs && !session.death) await Promise.race([settled, session.nextLanding()]);
    if (over || session.death) return;

    const cut = () => session.destroy(reason instanceof Error ? reason : new Error("its statement was given up"));
    const { backend } = session;
    if (!backend) return cut();
    session.cancelling = true;
    const request = requestCancel(backend);
    const timer = clock.setTimer(() => {
      request.giveUp();
      cut();
    }, cancelTimeoutMs);
    try {
      // A statement that says it was cancelled on request is the surest sign that the request has come through.
      const passedOn = isCanceledOnRequest(await settled) || await request.passedOn;
      if (session.death) return;
      // Behind a pooler it may be another one's statement that a late request hits, and nobody can tell.
      if (!passedOn || !session.owned) return cut();
      // Whatever the answer is: a request that was still on its way has hit this, what was before it, or nothing.
      await session.start([{ text: "SELECT 1" }]).results.catch(() => {});
    } finally {
      timer.cancel();
      request.giveUp();
      session.cancelling = false;
    }
  }
}

/** Where the server speaks another language, the request itself has to tell. */
function isCanceledOnRequest(error: unknown): boolean {
  return error instanceof PostgresError && error.code === CANCELED && error.message.includes("user request");
}
