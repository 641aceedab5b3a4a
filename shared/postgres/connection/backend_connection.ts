/**
 * One physical connection to a backend.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { Batch, type BatchSession } from "../wire/batch.ts";
import { createClient, type DriverClient, type DriverOptions } from "../wire/driver.ts";
import { MAX_RESULT_BYTES } from "../config/options.ts";
import { Reply } from "../wire/messages.ts";
import { type QueueOwner, RequestQueue } from "../wire/request_queue.ts";
import type { WireReceiver } from "../wire/wire_connection.ts";
import { abortable } from "@std/async/abortable";
import type { Clock } from "../../resilience/mod.ts";
import { ConnectionBrokenError } from "../errors/connection_error.ts";
import { redacted } from "../errors/server_error.ts";
import type { ResultTooLargeError } from "../errors/statement_error.ts";
import { TransactionOpenError } from "../errors/transaction_error.ts";
import type { BackendKey } from "./cancel.ts";
import { type PendingResult, type SessionStatus, unsent, type WireRequest } from "../wire/wire_request.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import { Reset, type ResetWork } from "./reset.ts";
import { NameResolution } from "../wire/name_resolution.ts";
import { SchemaCache } from "../wire/schema_cache.ts";
import { StatementCache } from "../wire/statement_cache.ts";
import { catalogStatement, registerTypes } from "../wire/type_load.ts";

/** The listeners of a connection. */
export interface ConnectionListeners {
  /** Called when the server was reached, before the login. */
  readonly onReached?: (() => void) | undefined;
  /** Called when the server has reported another {@linkcode ServerState}, while a request is answered. */
  readonly onServerState?: (() => void) | undefined;
  /**
   * Called once, when the connection has become unusable.
   *
   * @param lost The error of the statement that was in flight, if the server or the network ended the connection under it.
   */
  readonly onDeath: (reason: Error, lost: Error | undefined) => void;
}

/**
 * One connection to Postgres.
 *
 * What it runs is sent at once and answered in order: a second {@linkcode run} does not wait for the first one's
 * answer. Errors reach callers without values of rows.
 */
export class BackendConnection implements BatchSession, WireReceiver, QueueOwner {
  /** Its prepared statements. */
  readonly statements = new StatementCache();
  readonly names = new NameResolution();
  readonly schema: SchemaCache;
  definesSchema = false;
  /** True once its login role was found weak enough to run as a caller, or is trusted. */
  loginRoleChecked = false;
  /** True if something may be left on it that outlives a transaction. */
  mayHoldState = false;
  /** True if a statement ran on it as the login role since the latest reset. */
  ranAsLoginRole = false;
  /** The instant at which it was established, in ms of the clock. */
  establishedAt = Infinity;
  /** The time that establishing it took, in ms. */
  connectMs = 0;
  /** The number of requests that the server has answered. */
  answered = 0;
  /** The number of statements in flight whose lease has ended; see `PipelineSharing`. */
  detachedStatements = 0;

  readonly #client: DriverClient;
  readonly #onDeath: ConnectionListeners["onDeath"];
  readonly #onServerState: ConnectionListeners["onServerState"];
  #inHotStandby: string | undefined = undefined;
  #readOnly: string | undefined = undefined;
  /** The reason to close it once nothing is in flight. */
  #retired: Error | undefined = undefined;
  readonly #requests: RequestQueue;
  #response: PromiseWithResolvers<void> | undefined = undefined;
  #status: SessionStatus = "idle";
  #death: Error | undefined = undefined;
  #closed = false;
  #ownsSession = false;
  #inTransaction = false;
  #cancelRequests = 0;

  private constructor(
    client: DriverClient,
    maxResultBytes: number,
    schema: SchemaCache,
    clock: Clock,
    { onDeath, onServerState }: ConnectionListeners,
  ) {
    this.#onServerState = onServerState;
    this.schema = schema;
    this.#client = client;
    client.connection.receiver = this;
    this.#requests = new RequestQueue(this, maxResultBytes, clock);
    this.#onDeath = onDeath;
    client.on("error", (error) => this.#lose(redacted(error)));
    client.on("end", () => this.#lose(redacted(new Error("Connection terminated unexpectedly"))));
  }

  /**
   * Connects and authenticates.
   *
   * @param schema Knowledge of the database. Default: none.
   * @throws {PostgresError} when the server refuses.
   * @throws {ConnectionError} when the server cannot be reached.
   */
  static async open(
    options: DriverOptions,
    clock: Clock,
    signal: AbortSignal,
    listeners: ConnectionListeners,
    schema: SchemaCache = new SchemaCache(),
  ): Promise<BackendConnection> {
    signal.throwIfAborted();
    const { onReached } = listeners;
    const startedAt = clock.now();
    const client = createClient(options);
    // With TLS, a server is reached when it has agreed to it.
    if (onReached) client.connection.on(options.ssl ? "sslconnect" : "connect", onReached);
    const { maxResultBytes = MAX_RESULT_BYTES } = options;
    const connection = new BackendConnection(client, maxResultBytes, schema, clock, listeners);
    try {
      // Some failures to authenticate reach only the event, and leave connect() pending.
      const failed = new Promise<never>((_resolve, reject) => client.on("error", reject));
      await abortable(Promise.race([client.connect(), failed]), signal);
    } catch (error) {
      connection.#closed = true;
      client.connection.stream.destroy();
      throw signal.aborted ? signal.reason : redacted(error);
    }
    connection.establishedAt = clock.now();
    connection.connectMs = connection.establishedAt - startedAt;
    connection.#notePath();
    connection.#noteServerState();
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
    // Connecting took two round trips at least: of TCP, and of the login.
    this.statements.enable(maxPreparedStatements, maxStatementsInFlight, this.connectMs / 2);
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
    return (this.#requests.first as unknown) === pending;
  }

  /** True while what was sent waits for the end of this turn: more may share its write. */
  get isWriteDeferred(): boolean {
    return this.#requests.isWriteDeferred;
  }

  /** The number of requests that are not answered. */
  get inFlight(): number {
    return this.#requests.length;
  }

  /** The key that a cancel request for its backend needs. */
  get backendKey(): BackendKey | undefined {
    return this.#client.connection.backendKey;
  }

  /**
   * The settings that the server reports, by name, as of its latest response: `server_version`, `DateStyle`,
   * `IntervalStyle`, `TimeZone`, `in_hot_standby`, and `search_path` since PostgreSQL 18.
   */
  get settings(): ReadonlyMap<string, string> {
    return this.#client.connection.settings;
  }

  get hasIsoDates(): boolean {
    return this.settings.get("DateStyle")?.startsWith("ISO") ?? false;
  }

  /**
   * Sends statements under one Sync: the first that fails ends them all.
   *
   * @param deferWrite True if more may follow in this turn: they share one write, which costs more than all the rest.
   * @param isTransaction True if a COMMIT follows in any case: where one of them cannot be sent, all are undone.
   */
  start(statements: readonly Statement[], deferWrite = false, isTransaction = false): PendingResult {
    if (this.#death) return unsent(new ConnectionBrokenError(this.#death));
    try {
      const batch = new Batch(statements, this, isTransaction);
      this.#requests.send(batch, deferWrite);
      batch.verifyComposites();
      return batch;
    } catch (error) {
      return unsent(error);
    }
  }

  /** {@linkcode schema}: loads types from the catalog, in the open transaction if there is one. */
  async loadTypes(oids: readonly number[]): Promise<void> {
    const [result] = await this.start([catalogStatement(oids)]).results;
    if (result) registerTypes(this.schema.types, result.rows);
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

  /** True if nothing is in flight and no transaction is open. */
  get isIdle(): boolean {
    return this.#requests.length === 0 && this.#status === "idle";
  }

  /**
   * Clears what may outlive a transaction: rolls an unfinished one back, and removes settings, role, advisory locks,
   * channels, cursors and temporary tables. What runs next waits for it. Where it fails, or finds what it cannot clear,
   * it destroys the connection.
   *
   * @param afterCommit Whether what is in flight ends with a COMMIT, behind which no transaction is open. Default: none
   * is open if nothing is in flight and the server said so.
   */
  async reset(afterCommit = this.isIdle): Promise<void> {
    this.mayHoldState = this.ranAsLoginRole = false;
    const clear = this.#ownsSession ? this.statements : undefined;
    if (clear || !afterCommit) await this.#clear({ rollback: !afterCommit, clear });
  }

  /** Rolls an unfinished transaction back; without one, does nothing. Where it fails, it destroys the connection. */
  async rollback(): Promise<void> {
    if (!this.isIdle) await this.#clear({ rollback: true, clear: undefined });
  }

  async #clear(work: ResetWork): Promise<void> {
    while (!this.#death) {
      const reset = new Reset(this.names, work);
      this.#requests.send(reset, false);
      try {
        return await reset.promise;
      } catch (error) {
        // A cancel request for another statement may have hit it, or the COMMIT before it.
        if (reset.needsRollback && !work.rollback) work = { ...work, rollback: true };
        else if (!reset.isSafeToResend) this.destroy(redacted(error));
      }
    }
  }

  /** Closes it in an orderly way. */
  async close(): Promise<void> {
    if (this.#closed || this.#death) return this.destroy(new Error("The connection was closed"));
    this.#closed = true;
    // Terminate would wait behind what runs.
    if (this.#requests.length > 0) this.#client.connection.stream.destroy();
    await this.#client.end();
  }

  /** Closes it at once. Requests that are not answered fail. */
  destroy(reason: Error): void {
    this.#closed = true;
    this.#die(reason);
    this.#client.connection.stream.destroy();
  }

  /** Continues with a request that is partly sent, and those behind it. */
  resume(): void {
    this.#requests.resume();
  }

  write(bytes: Uint8Array): void {
    this.#client.connection.stream.write(bytes);
  }

  onMessage(type: number, bytes: Buffer, start: number, end: number): void {
    if (type !== Reply.parameterStatus) return this.#requests.receive(type, bytes, start, end);
    this.#client.connection.onParameterStatus(bytes, start, end);
    this.#notePath();
    if (this.#noteServerState()) this.#onServerState?.();
  }

  onTooLong(type: number, error: ResultTooLargeError): void {
    this.#requests.receiveTooLong(type, error);
  }

  #notePath(): void {
    const path = this.settings.get("search_path");
    if (path !== undefined) this.names.report(path);
  }

  /** Returns whether the state of the server differs from what was known. */
  #noteServerState(): boolean {
    const inHotStandby = this.settings.get("in_hot_standby");
    const readOnly = this.settings.get("default_transaction_read_only");
    if (inHotStandby === this.#inHotStandby && readOnly === this.#readOnly) return false;
    this.#inHotStandby = inHotStandby;
    this.#readOnly = readOnly;
    return true;
  }

  /** True if it is closed as soon as it is idle: nothing more is to be sent on it behind what is in flight. */
  get isRetired(): boolean {
    return this.#retired !== undefined;
  }

  /** Closes it as soon as nothing is in flight and no transaction is open. */
  retire(reason: Error): void {
    this.#retired = reason;
    if (this.isIdle) this.destroy(reason);
  }

  onFailure(error: Error): void {
    this.#closed = true;
    this.#die(redacted(error));
  }

  onUnasked(error: Error): void {
    this.#die(redacted(error));
  }

  onReady(status: SessionStatus, answered: WireRequest, durationMs: number): void {
    this.#status = status;
    this.answered++;
    if (this.#requests.length === 0) this.names.settle(status !== "idle");
    answered.onComplete(status, this.isCanceling, durationMs);
    if (this.#response) this.#notifyResponse();
    if (this.#retired && this.isIdle) this.destroy(this.#retired);
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
    return this.#requests.length === 0 && this.#cancelRequests === 0;
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

  /** Notes that the server or the network ended the connection. */
  #lose(reason: Error): void {
    const { first } = this.#requests;
    this.#die(reason, first && !this.#closed ? first.failure ?? reason : undefined);
  }

  #die(reason: Error, lost?: Error): void {
    if (this.#death) return;
    this.#death = reason;
    this.#requests.close(reason);
    this.#notifyResponse();
    this.#onDeath(reason, lost);
  }
}
