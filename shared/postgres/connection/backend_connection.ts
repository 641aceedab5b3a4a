/**
 * One physical connection to a backend.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { Batch } from "../wire/batch.ts";
import { createClient, type DriverClient, type DriverOptions, type ReadyMessage } from "../wire/driver.ts";
import { abortable } from "@std/async/abortable";
import type { Clock } from "../../resilience/mod.ts";
import { ConnectionBrokenError, ConnectionLostError, redacted, TransactionOpenError } from "../errors/errors.ts";
import type { BackendKey } from "./cancel.ts";
import { type PendingResult, type SessionStatus, unsent, type WireRequest } from "../wire/wire_request.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import { Reset } from "./reset.ts";
import { StatementCache } from "../wire/statement_cache.ts";

const STATUS: Readonly<Record<string, SessionStatus>> = { I: "idle", T: "transaction", E: "failed" };

/**
 * One connection to Postgres.
 *
 * What it runs is sent at once and answered in order: a second {@linkcode run} does not wait for the first one's
 * answer. Errors reach callers without values of rows.
 */
export class BackendConnection {
  /** Its prepared statements. */
  readonly statements = new StatementCache();
  /** True once its login role was found weak enough to run as a caller, or is trusted. */
  loginRoleChecked = false;
  /** True if something may be left on it that outlives a transaction. */
  mayHoldState = false;
  /** True if a statement ran on it as the login role since the latest reset. */
  ranAsLoginRole = false;
  /** The number of statements in flight whose lease has ended; see `PipelineSharing`. */
  detachedStatements = 0;

  readonly #client: DriverClient;
  readonly #clock: Clock;
  readonly #onDeath: (reason: Error) => void;
  /** Sent and not answered yet; the server is running the first one. */
  readonly #inFlight: WireRequest[] = [];
  /** Encoded and not written yet. */
  readonly #out: Uint8Array[] = [];
  #flushing = false;
  /** The time at which the server began the first request in flight, in ms of the clock. */
  #headSince = 0;
  #response: PromiseWithResolvers<void> | undefined = undefined;
  #status: SessionStatus = "idle";
  #death: Error | undefined = undefined;
  #closed = false;
  #ownsSession = false;
  #inTransaction = false;
  #cancelRequests = 0;

  private constructor(client: DriverClient, clock: Clock, onDeath: (reason: Error) => void) {
    this.#client = client;
    this.#clock = clock;
    this.#onDeath = onDeath;
    client.on("error", (error) => this.#die(redacted(error)));
    client.on("end", () => this.#die(redacted(new Error("Connection terminated unexpectedly"))));
  }

  /**
   * Connects and authenticates.
   *
   * @param onDeath Called once, when the connection has become unusable.
   * @throws {PostgresError} when the server refuses.
   * @throws {ConnectionError} when the server cannot be reached.
   */
  static async open(
    options: DriverOptions,
    clock: Clock,
    signal: AbortSignal,
    onDeath: (reason: Error) => void,
  ): Promise<BackendConnection> {
    signal.throwIfAborted();
    const client = createClient(options);
    const connection = new BackendConnection(client, clock, onDeath);
    try {
      await abortable(client.connect(), signal);
    } catch (error) {
      connection.#closed = true;
      client.connection.stream.destroy();
      throw signal.aborted ? signal.reason : redacted(error);
    }
    // Behind the driver's own listener, which makes it ready for the next request first.
    client.connection.on("readyForQuery", (message) => connection.#onReadyForQuery(message));
    client.connection.on("parseComplete", () => connection.#inFlight[0]?.onParsed?.());
    client.connection.on("bindComplete", () => {
      const [head] = connection.#inFlight;
      if (head) head.boundStatements++;
    });
    return connection;
  }

  /**
   * True if the session at the server belongs to this connection for as long as it lasts. Until
   * {@linkcode enableSessionState}, nothing is prepared or set for longer than a transaction.
   */
  get ownsSession(): boolean {
    return this.#ownsSession;
  }

  /**
   * Notes that no pooler shares the server's side with other clients.
   *
   * @param maxPreparedStatements How many statements it may keep prepared.
   * @param maxStatementsInFlight How many statements of several callers may be in flight on it at once.
   */
  enableSessionState(maxPreparedStatements: number, maxStatementsInFlight: number): void {
    this.#ownsSession = true;
    this.statements.enable(maxPreparedStatements, maxStatementsInFlight);
  }

  /** True while a transaction of the library is open on it. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /**
   * Opens a transaction of the library, which its result ends.
   *
   * @throws {TransactionOpenError} while another one is open.
   */
  enterTransaction(): Disposable {
    if (this.#inTransaction || this.#status !== "idle") throw new TransactionOpenError();
    this.#inTransaction = true;
    return { [Symbol.dispose]: () => void (this.#inTransaction = false) };
  }

  /** The status of the server between statements, as of its latest response. */
  get status(): SessionStatus {
    return this.#status;
  }

  /** The reason why it is unusable, once it is. */
  get death(): Error | undefined {
    return this.#death;
  }

  /** Returns whether everything before `pending` has been answered: then the server runs it. */
  isRunning(pending: PendingResult): boolean {
    return (this.#inFlight[0] as unknown) === pending;
  }

  /** The number of requests that are not answered. */
  get inFlight(): number {
    return this.#inFlight.length;
  }

  /** The key that a cancel request for its backend needs. */
  get backendKey(): BackendKey | undefined {
    const { processID, secretKey } = this.#client;
    return processID === null || secretKey === null ? undefined : { processId: processID, secretKey };
  }

  /**
   * Sends statements under one Sync: the first that fails ends them all.
   *
   * @param deferWrite True if more may follow in this turn: they share one write, which costs more than all the rest.
   */
  start(statements: readonly Statement[], deferWrite = false): PendingResult {
    if (this.#death) return unsent(new ConnectionBrokenError(this.#death));
    let batch: Batch;
    try {
      batch = new Batch(statements, this.statements, this.#out);
    } catch (error) {
      return unsent(error);
    }
    this.#send(batch, deferWrite);
    return batch;
  }

  /** {@linkcode start}s one statement as the login role, and notes whether it may leave state. */
  startAsLoginRole(statement: Statement, mayLeaveState: boolean, deferWrite = false): PendingResult {
    this.ranAsLoginRole = true;
    if (mayLeaveState) this.mayHoldState = true;
    return this.start([statement], deferWrite);
  }

  /**
   * {@linkcode start}s statements and waits for the results. Outside a transaction, what is safe to resend is sent
   * again.
   *
   * @throws what the results reject with.
   */
  async run(statements: readonly Statement[]): Promise<QueryResult[]> {
    for (;;) {
      const running = this.start(statements);
      try {
        return await running.results;
      } catch (error) {
        if (!running.isSafeToResend(error) || this.#status !== "idle") throw error;
      }
    }
  }

  /**
   * Clears what may outlive a transaction: rolls an unfinished one back, and removes settings, role, advisory locks,
   * channels, cursors and temporary tables. What runs next waits for it. Where it fails, or finds what it cannot clear,
   * it destroys the connection.
   */
  reset(): Promise<void> {
    this.mayHoldState = this.ranAsLoginRole = false;
    return this.#clear(this.#ownsSession ? this.statements : undefined);
  }

  /** Rolls an unfinished transaction back; without one, does nothing. Where it fails, it destroys the connection. */
  rollback(): Promise<void> {
    return this.#clear(undefined);
  }

  async #clear(statements: StatementCache | undefined): Promise<void> {
    while (!this.#death) {
      const reset = new Reset(statements, this.#out);
      this.#send(reset, false);
      try {
        return await reset.promise;
      } catch (error) {
        // A cancel request for another statement may have hit it.
        if (!reset.isSafeToResend) this.destroy(redacted(error));
      }
    }
  }

  /** Closes it in an orderly way. */
  async close(): Promise<void> {
    if (this.#closed || this.#death) return this.destroy(new Error("The connection was closed"));
    this.#closed = true;
    await this.#client.end();
  }

  /** Closes it at once. Requests that are not answered fail. */
  destroy(reason: Error): void {
    this.#closed = true;
    this.#die(reason);
    this.#client.connection.stream.destroy();
  }

  /** Sends an encoded request behind those in flight. The driver runs the first one, and gets the others one by one. */
  #send(request: WireRequest, deferWrite: boolean): void {
    if (this.#inFlight.push(request) === 1) this.#headSince = this.#clock.now();
    if (!deferWrite) this.#flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    if (this.#inFlight.length === 1) this.#client.query(request);
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#out.length === 0 || this.#death) return;
    this.#client.connection.stream.write(Buffer.concat(this.#out));
    this.#out.length = 0;
  }

  #onReadyForQuery({ status }: ReadyMessage): void {
    this.#status = STATUS[status] ?? "failed";
    const answered = this.#inFlight.shift();
    const next = this.#inFlight[0];
    const now = this.#clock.now();
    const durationMs = now - this.#headSince;
    this.#headSince = now;
    if (next) this.#client.query(next);
    answered?.onComplete(this.#status, this.isCanceling, durationMs);
    if (this.#response) this.#notifyResponse();
  }

  /** Resolves when the next answer is complete, no cancel request is in flight any more, or the connection broke. */
  nextResponse(): Promise<void> {
    return (this.#response ??= Promise.withResolvers<void>()).promise;
  }

  /** True while a cancel request is in flight, which may hit another statement than its own. */
  get isCanceling(): boolean {
    return this.#cancelRequests > 0;
  }

  /** Notes that a cancel request is about to be sent. */
  beginCancel(): void {
    this.#cancelRequests++;
  }

  /** Notes that a cancel request can reach the connection no more. */
  endCancel(): void {
    if (--this.#cancelRequests === 0) this.#notifyResponse();
  }

  /** True if nothing of other callers, a cancel request included, can meet what is sent now. */
  get isWireIdle(): boolean {
    return this.#inFlight.length === 0 && this.#cancelRequests === 0;
  }

  /** Resolves when the wire {@linkcode isWireIdle}, or the connection is dead. */
  async drained(): Promise<void> {
    while (!this.isWireIdle && !this.#death) await this.nextResponse();
  }

  #notifyResponse(): void {
    const response = this.#response;
    this.#response = undefined;
    response?.resolve();
  }

  #die(reason: Error): void {
    if (this.#death) return;
    this.#death = reason;
    for (const request of this.#inFlight.splice(0)) {
      // The server's last message says more than that it closed the connection.
      request.onLost(request.failure ? redacted(request.failure) : new ConnectionLostError(reason));
    }
    this.#notifyResponse();
    this.#onDeath(reason);
  }
}
