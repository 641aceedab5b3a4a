/**
 * One physical connection.
 *
 * @module
 */
import { messageOf } from "../pool/mod.ts";
import { Batch, type Flight } from "./batch.ts";
import { createClient, type DriverClient, type DriverOptions, type ReadyMessage, type Submittable } from "./driver.ts";
import { ConnectionBrokenError, ConnectionLostError, redacted } from "./errors.ts";
import type { QueryResult, Statement } from "./query_result.ts";
import { Reset } from "./reset.ts";
import { StatementCache } from "./statement_cache.ts";

/** What a backend is doing between statements (PostgreSQL, ReadyForQuery). */
export type SessionStatus = "idle" | "transaction" | "failed";

const STATUS: Readonly<Record<string, SessionStatus>> = { I: "idle", T: "transaction", E: "failed" };

/** Statements on their way. */
export interface Running {
  /** One result for each. */
  readonly results: Promise<QueryResult[]>;
  /** The index of the one that failed, once one has; -1 before, and when the connection broke. */
  readonly failedAt: number;
  /** Whether they failed because a prepared statement is no longer what it was. */
  readonly stale: boolean;
}

/**
 * One connection to Postgres.
 *
 * What it runs goes out at once and is answered in order: a second
 * {@linkcode run} does not wait for the answer to the first. Errors reach
 * callers without values of rows.
 */
export class Session {
  /** Its prepared statements. */
  readonly statements = new StatementCache();
  /** Whether it was found that callers may be acted for on it. */
  fitForCallers = false;
  /** Whether something may have been left on it that outlives a transaction. */
  dirty = false;
  /** Whether anything ran on it, since it was reset, that was not for a caller. */
  used = false;
  /**
   * Whether the session at the server is ours for as long as the connection
   * lasts. Until it is {@linkcode own}ed, nothing is prepared or set for longer than a transaction.
   */
  owned = false;

  readonly #client: DriverClient;
  readonly #onDeath: (reason: Error) => void;
  /** Written, and not answered yet: the first one is being answered. */
  readonly #flights: Flight[] = [];
  #status: SessionStatus = "idle";
  #death: Error | undefined = undefined;
  #closed = false;

  private constructor(client: DriverClient, onDeath: (reason: Error) => void) {
    this.#client = client;
    this.#onDeath = onDeath;
    client.on("error", (error) => this.#die(redacted(error)));
    client.on("end", () => this.#die(redacted(new Error("Connection terminated unexpectedly"))));
  }

  /**
   * Connects and authenticates.
   *
   * @param onDeath Told once, when the connection is no good any more.
   * @throws {PostgresError} when the server refuses.
   * @throws {ConnectionError} when it cannot be reached.
   */
  static async open(options: DriverOptions, signal: AbortSignal, onDeath: (reason: Error) => void): Promise<Session> {
    signal.throwIfAborted();
    const client = createClient(options);
    const session = new Session(client, onDeath);
    const giveUp = () => client.connection.stream.destroy();
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await client.connect();
      signal.throwIfAborted();
    } catch (error) {
      session.#closed = true;
      client.connection.stream.destroy();
      throw signal.aborted ? signal.reason : redacted(error);
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
    // Behind the driver's own listener: it is ready for the next one then.
    client.connection.on("readyForQuery", (message) => this.#ready(session, message));
    return session;
  }

  static #ready(session: Session, message: ReadyMessage): void {
    session.#landed(message);
  }

  /**
   * Notes that no pooler lends the server's side of it to others.
   *
   * @param maxPreparedStatements How many statements it may keep prepared.
   */
  own(maxPreparedStatements: number): void {
    this.owned = true;
    this.statements.allow(maxPreparedStatements);
  }

  /** Between which statements the server is; as of the latest answer. */
  get status(): SessionStatus {
    return this.#status;
  }

  /** Why it is no good any more, once it is not. */
  get death(): Error | undefined {
    return this.#death;
  }

  /** Whether something that was sent is not answered yet. */
  get busy(): boolean {
    return this.#flights.length > 0;
  }

  /** What identifies the backend to a cancel request. */
  get backend(): { readonly processId: number; readonly secretKey: number } | undefined {
    const { processID, secretKey } = this.#client;
    return processID === null || secretKey === null ? undefined : { processId: processID, secretKey };
  }

  /**
   * Sends statements under one Sync: the first that fails ends them all. The
   * results reject with a `PostgresError` for what the server reported, a
   * `ConnectionLostError` when the connection broke before it answered, a
   * `ConnectionBrokenError` when it had broken before, or a `StatementError` when
   * one of them could not be sent, and so none was.
   */
  start(statements: readonly Statement[]): Running {
    if (this.#death) {
      return { results: Promise.reject(new ConnectionBrokenError(this.#death)), failedAt: 0, stale: false };
    }
    let batch: Batch;
    try {
      batch = new Batch(statements, this.statements);
    } catch (error) {
      return { results: Promise.reject(error), failedAt: 0, stale: false };
    }
    this.#send(batch);
    const results = batch.promise.catch((error) => {
      throw batch.failure === error ? redacted(error) : error;
    });
    return {
      results,
      get failedAt() {
        return batch.failedAt;
      },
      get stale() {
        return batch.stale;
      },
    };
  }

  /**
   * {@linkcode start}, and waits for the results. Outside a transaction, what
   * fails because a table has changed since its statement was prepared is sent
   * once more: nothing of it ran.
   *
   * @throws what the results of {@linkcode start} reject with.
   */
  async run(statements: readonly Statement[]): Promise<QueryResult[]> {
    const running = this.start(statements);
    try {
      return await running.results;
    } catch (error) {
      if (!running.stale || this.#status !== "idle" || this.busy || this.#death) throw error;
    }
    return await this.start(statements).results;
  }

  /**
   * Clears what may outlive a transaction: an unfinished one is rolled back;
   * settings, role, advisory locks, channels, cursors and temporary tables go. What
   * runs next waits for it. Where it fails, or finds what it cannot clear, the
   * connection is given up.
   */
  reset(): Promise<void> {
    this.dirty = this.used = false;
    if (this.#death) return Promise.resolve();
    const reset = new Reset(this.owned);
    this.#send(reset);
    return reset.promise.catch((error) => this.destroy(redacted(error)));
  }

  /** Closes it in order. */
  async close(): Promise<void> {
    if (this.#closed || this.#death) return this.destroy(new Error("it was closed"));
    this.#closed = true;
    await this.#client.end();
  }

  /** Cuts it. What was sent and not answered fails. */
  destroy(reason: Error): void {
    this.#closed = true;
    this.#die(reason);
    this.#client.connection.stream.destroy();
  }

  #send(flight: Flight): void {
    this.#flights.push(flight);
    if (this.#flights.length === 1) this.#client.query(flight as Submittable);
    else flight.write(this.#client.connection);
  }

  #landed({ status }: ReadyMessage): void {
    this.#status = STATUS[status] ?? "failed";
    const landed = this.#flights.shift();
    const next = this.#flights[0];
    if (next) this.#client.query(next);
    landed?.done();
  }

  #die(reason: Error): void {
    if (this.#death) return;
    this.#death = reason;
    for (const flight of this.#flights.splice(0)) {
      // The server's last words say more than that it hung up.
      flight.lost(flight.failure ? redacted(flight.failure) : new ConnectionLostError(reason));
    }
    this.#onDeath(reason);
  }

  /** For messages: nothing of where it leads to. */
  toString(): string {
    return `Session(${this.#death ? messageOf(this.#death) : this.#status})`;
  }
}
