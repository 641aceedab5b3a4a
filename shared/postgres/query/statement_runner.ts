/**
 * Bounds statements in time, and cancels them at the server when their callers abort.
 *
 * @module
 */
import { abortable } from "@std/async/abortable";
import { type BusyTime, type Clock, type Deadlines, timeoutSignal } from "../../resilience/mod.ts";
import type { BackendConnection } from "../connection/backend_connection.ts";
import type { BackendKey, CancelRequest } from "../connection/cancel.ts";
import { ConnectionLostError } from "../errors/connection_error.ts";
import { PostgresError } from "../errors/server_error.ts";
import { QueryTimeoutError } from "../errors/statement_error.ts";
import { CANCELED } from "../wire/batch.ts";
import type { QueryResult } from "../wire/query_result.ts";
import type { PendingResult } from "../wire/wire_request.ts";

/** The bounds of a statement. */
export interface Bounds {
  /** Cancels it, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** The time limit, in ms; `Infinity` for none. */
  readonly timeoutMs: number;
  /** The whole allowance, in ms, where earlier attempts used some of it. Default: `timeoutMs`. */
  readonly allowedMs?: number | undefined;
}

/** The dependencies of a runner. */
export interface RunnerSettings {
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  /** The time for which a canceled statement may run on before its connection is closed, in ms. */
  readonly cancelTimeoutMs: number;
  /** Asks the server to cancel what a backend runs. */
  readonly requestCancel: (key: BackendKey) => CancelRequest;
}

/** The interval of cancel requests while their statement runs on, in ms. */
const REPEAT_MS = 50;

/**
 * Runs statements on one connection.
 *
 * A cancel request can arrive late and hit the next statement. So a canceled statement ends only when the request has
 * been passed on and the backend has answered once more after that; where either cannot be known in time, the
 * connection is closed.
 */
export class StatementRunner {
  readonly connection: BackendConnection;
  readonly settings: RunnerSettings;
  readonly #upstream: BusyTime | undefined;
  /** Cancels each of the statements that are awaited. */
  readonly #cancels = new Set<(reason: unknown) => void>();
  /** The aborted statements that have not ended yet. */
  #ending: Set<Promise<void>> | undefined = undefined;

  /** @param upstream Sums the time in which statements are under way. Default: it is not summed. */
  constructor(connection: BackendConnection, settings: RunnerSettings, upstream?: BusyTime) {
    this.connection = connection;
    this.settings = settings;
    this.#upstream = upstream;
  }

  /** True while an aborted statement, or its cancel request, can reach the connection. */
  get ending(): boolean {
    return this.#ending !== undefined;
  }

  /** Resolves when nothing is {@linkcode ending} any more. */
  async ended(): Promise<void> {
    while (this.#ending) await Promise.all(this.#ending);
  }

  /**
   * Waits for a result, within bounds.
   *
   * @param detachable Whether an aborted statement that the server has not begun is detached, and still `ending` when
   * this returns. Only for statements without effects.
   * @throws {QueryTimeoutError} when it took too long; it was canceled.
   * @throws the reason of `signal`; it was canceled. Where it had finished before the request arrived, its results are
   * returned.
   * @throws {ResultTooLargeError} when its rows are too large; it was canceled.
   * @throws what `pending` rejects with.
   */
  async awaitResult(
    pending: PendingResult,
    { signal, timeoutMs, allowedMs = timeoutMs }: Bounds,
    detachable = false,
  ): Promise<QueryResult[]> {
    let aborted: { readonly reason: unknown } | undefined;
    let detached = false;
    let ending: Promise<void> | undefined;
    const cancel = (reason: unknown) => {
      if (aborted) return;
      aborted = { reason };
      // Its types are loaded, or it has resolved.
      if (pending.settled) return pending.detach(reason);
      detached = detachable && pending.sent && !pending.settled && !this.connection.isRunning(pending);
      ending = this.#trackEnd(this.#cancel(pending, reason, detached));
      if (detached) pending.detach(reason instanceof QueryTimeoutError ? reason.withEnd("left") : reason);
    };
    const { deadlines, clock } = this.settings;
    const now = clock.now();
    const deadline = deadlines.start(timeoutMs, () => cancel(new QueryTimeoutError(allowedMs)), now);
    this.#upstream?.begin(clock, now);
    const onAbort = () => cancel(signal?.reason);
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#cancels.add(cancel);
    pending.onTooLarge = cancel;
    if (signal?.aborted) onAbort();
    try {
      return await pending.results;
    } catch (error) {
      throw aborted && !detached ? this.#errorOfAborted(aborted.reason, error) : error;
    } finally {
      this.#upstream?.end();
      this.#cancels.delete(cancel);
      deadline.cancel();
      signal?.removeEventListener("abort", onAbort);
      // The connection must not serve another caller before that.
      if (ending && !detached) await ending;
    }
  }

  /** Tracks a statement until it has ended. The set is created on demand: most runners never cancel. */
  #trackEnd(end: Promise<void>): Promise<void> {
    const all = this.#ending ??= new Set();
    all.add(end);
    return end.finally(() => {
      all.delete(end);
      if (all.size === 0) this.#ending = undefined;
    });
  }

  /** Returns what to throw for an aborted statement that has failed with `error` since. */
  #errorOfAborted(reason: unknown, error: unknown): unknown {
    if (error instanceof PostgresError && error.code === CANCELED) return reason;
    if (this.connection.death === undefined) return error;
    return reason instanceof QueryTimeoutError && error instanceof ConnectionLostError
      ? reason.withEnd("closed")
      : reason;
  }

  /**
   * Waits for what must not be canceled: without an answer in time, the connection is closed.
   *
   * @param toReason Wraps the reason of closing. Default: the timeout as it is.
   * @throws what `result` rejects with.
   */
  async awaitOrDestroy<T>(
    result: Promise<T>,
    timeoutMs: number,
    toReason: (timeout: Error) => Error = (timeout) => timeout,
  ): Promise<T> {
    const deadline = this.settings.deadlines.start(timeoutMs, () => {
      this.connection.destroy(toReason(new Error(`The server did not answer within ${timeoutMs} ms`)));
    });
    try {
      return await result;
    } finally {
      deadline.cancel();
    }
  }

  /** Cancels every statement that is awaited, and resolves when all have ended. */
  async cancelAll(reason: unknown): Promise<void> {
    for (const cancel of [...this.#cancels]) cancel(reason);
    await this.ended();
  }

  /** Resolves when neither the statement nor a cancel request for it can reach the connection any more. */
  async #cancel(pending: PendingResult, reason: unknown, detached: boolean): Promise<void> {
    const { connection } = this;
    // A cancel request hits the statement that the server runs then.
    while (!pending.settled && !connection.isRunning(pending)) await connection.nextResponse();
    // No caller waits for a detached statement, and most are quick: a request costs more.
    if (detached && !pending.settled) await this.#pause(this.settings.cancelTimeoutMs, pending);
    if (pending.settled) return;
    const destroy = () =>
      connection.destroy(reason instanceof Error ? reason : new Error("The statement was aborted", { cause: reason }));
    const { backendKey } = connection;
    if (backendKey) await this.#requestCancel(pending, backendKey, destroy);
    else destroy();
  }

  /** Sends cancel requests until the statement has settled, then makes sure that none of them hits a later one. */
  async #requestCancel(pending: PendingResult, backendKey: BackendKey, destroy: () => void): Promise<void> {
    const { clock, cancelTimeoutMs, requestCancel } = this.settings;
    const { connection } = this;
    connection.beginCancel();
    const requests: CancelRequest[] = [];
    const abortRequests = () => requests.forEach((request) => request.abort());
    const timer = clock.setTimer(() => {
      abortRequests();
      destroy();
    }, cancelTimeoutMs);
    try {
      let passedOn = true;
      // A request that reaches the backend before the statement does is lost.
      while (passedOn && !pending.settled) {
        const request = requestCancel(backendKey);
        requests.push(request);
        passedOn = await request.passedOn;
        if (passedOn && !pending.settled) await this.#pause(REPEAT_MS, pending);
      }
      while (!pending.settled) await connection.nextResponse();
      if (connection.death) return;
      // Some servers reset the connection of a request; the statement's error then shows that it was passed on.
      // Behind a pooler a late request may hit another client's statement, which cannot be known.
      if (!(passedOn || pending.canceled) || !connection.ownsSession) return destroy();
      // After any outcome: a request that was still on its way has hit this, an earlier statement, or nothing.
      // A failed transaction would reject a statement, and log that. There, a Sync has to do: the server drops a cancel
      // request that has arrived before it reads the next message.
      const again = connection.status === "failed" ? [] : [{ text: "SELECT 1" }];
      await connection.start(again).results.catch(() => {});
    } finally {
      timer.cancel();
      abortRequests();
      connection.endCancel();
    }
  }

  /** Waits until a statement has settled, for at most `ms`. */
  async #pause(ms: number, pending: PendingResult): Promise<void> {
    using timeout = timeoutSignal(ms, this.settings.clock, () => "paused");
    while (!pending.settled && !timeout.signal.aborted) {
      await abortable(this.connection.nextResponse(), timeout.signal).catch(() => {});
    }
  }
}
