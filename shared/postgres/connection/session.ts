/**
 * One physical connection.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { setImmediate } from "node:timers";
import { Batch } from "../wire/batch.ts";
import { createClient, type DriverClient, type DriverOptions, type ReadyMessage } from "../wire/driver.ts";
import { ConnectionBrokenError, ConnectionLostError, redacted } from "../errors/errors.ts";
import { type Flight, type Running, type SessionStatus, unsent } from "../wire/flight.ts";
import type { QueryResult, Statement } from "../wire/query_result.ts";
import { Reset } from "./reset.ts";
import { StatementCache } from "../wire/statement_cache.ts";

const STATUS: Readonly<Record<string, SessionStatus>> = { I: "idle", T: "transaction", E: "failed" };

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
  /** Whether a transaction of the library's is open on it. */
  inTransaction = false;
  /** How many statements run on it whose lease has ended: see `Sharing`. */
  unattended = 0;
  /**
   * Whether the session at the server is ours for as long as the connection
   * lasts. Until it is {@linkcode own}ed, nothing is prepared or set for longer than a transaction.
   */
  owned = false;

  readonly #client: DriverClient;
  readonly #onDeath: (reason: Error) => void;
  /** Written, and not answered yet: the first one is being answered. */
  readonly #flights: Flight[] = [];
  /** Encoded, and not written yet. */
  readonly #out: Uint8Array[] = [];
  #flushing = false;
  /** Since when the server is at the first of the flights, by the wall clock. */
  #headSince = 0;
  #landing: PromiseWithResolvers<void> | undefined = undefined;
  #cancelling = 0;
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
    client.connection.on("readyForQuery", (message) => session.#landed(message));
    client.connection.on("parseComplete", () => session.#flights[0]?.parsed?.());
    client.connection.on("bindComplete", () => session.#flights[0]?.bound?.());
    return session;
  }

  /**
   * Notes that no pooler lends the server's side of it to others.
   *
   * @param maxPreparedStatements How many statements it may keep prepared.
   * @param maxStatementsInFlight How many of several callers may be under way on it at once.
   */
  own(maxPreparedStatements: number, maxStatementsInFlight: number): void {
    this.owned = true;
    this.statements.allow(maxPreparedStatements, maxStatementsInFlight);
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

  /** How many times something that was sent is not answered yet. */
  get inFlight(): number {
    return this.#flights.length;
  }

  /** What identifies the backend to a cancel request. */
  get backend(): { readonly processId: number; readonly secretKey: number } | undefined {
    const { processID, secretKey } = this.#client;
    return processID === null || secretKey === null ? undefined : { processId: processID, secretKey };
  }

  /**
   * Sends statements under one Sync: the first that fails ends them all.
   *
   * @param soon Whether more may follow in this turn: they share one write then, which costs more than all the rest.
   */
  start(statements: readonly Statement[], soon = false): Running {
    if (this.#death) return unsent(new ConnectionBrokenError(this.#death));
    let batch: Batch;
    try {
      batch = new Batch(statements, this.statements);
    } catch (error) {
      return unsent(error);
    }
    this.#send(batch, soon);
    return batch;
  }

  /**
   * {@linkcode start}, and waits for the results. Outside a transaction, what
   * failed through no fault of its own is sent again.
   *
   * @throws what the results reject with.
   */
  async run(statements: readonly Statement[]): Promise<QueryResult[]> {
    for (;;) {
      const running = this.start(statements);
      try {
        return await running.results;
      } catch (error) {
        if (!running.mayRepeat(error) || this.#status !== "idle") throw error;
      }
    }
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
    const reset = new Reset(this.owned ? this.statements : undefined);
    this.#send(reset, false);
    return reset.promise.catch((error) => reset.mayRepeat ? this.reset() : this.destroy(redacted(error)));
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

  /**
   * Sends a flight behind those before it. The first one is the driver's; the others are shown to it one after the other.
   */
  #send(flight: Flight, soon: boolean): void {
    if (this.#flights.push(flight) === 1) {
      this.#headSince = Date.now();
      flight.begun();
    }
    flight.encode(this.#out);
    if (!soon) this.#flush();
    else if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    if (this.#flights.length === 1) this.#client.query(flight);
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#out.length === 0 || this.#death) return;
    this.#client.connection.stream.write(Buffer.concat(this.#out));
    this.#out.length = 0;
  }

  #landed({ status }: ReadyMessage): void {
    this.#status = STATUS[status] ?? "failed";
    const landed = this.#flights.shift();
    const next = this.#flights[0];
    const now = Date.now();
    if (landed instanceof Batch) landed.took(now - this.#headSince);
    this.#headSince = now;
    if (next) {
      next.begun();
      this.#client.query(next);
    }
    landed?.done(this.#status, this.cancelling > 0);
    this.#tellLanding();
  }

  /** Resolves when the next answer is complete, or the connection broke. */
  nextLanding(): Promise<void> {
    return (this.#landing ??= Promise.withResolvers<void>()).promise;
  }

  /** How many cancel requests are under way, each of which may hit another statement than the one it is for. */
  get cancelling(): number {
    return this.#cancelling;
  }

  set cancelling(underWay: number) {
    this.#cancelling = underWay;
    if (underWay === 0) this.#tellLanding();
  }

  /** Whether nothing that was sent for others, a cancel request included, can meet what is sent now. */
  get quiet(): boolean {
    return this.#flights.length === 0 && this.#cancelling === 0;
  }

  /** Resolves when it is {@linkcode quiet}, or dead. */
  async drained(): Promise<void> {
    while (!this.quiet && !this.#death) await this.nextLanding();
  }

  #tellLanding(): void {
    const landing = this.#landing;
    this.#landing = undefined;
    landing?.resolve();
  }

  #die(reason: Error): void {
    if (this.#death) return;
    this.#death = reason;
    for (const flight of this.#flights.splice(0)) {
      // The server's last words say more than that it hung up.
      flight.lost(flight.failure ? redacted(flight.failure) : new ConnectionLostError(reason));
    }
    this.#tellLanding();
    this.#onDeath(reason);
  }
}
