/**
 * Clears the session of a connection before its next lease.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { codeOf } from "../../resilience/mod.ts";
import { CANCELED } from "../wire/batch.ts";
import type { MessageWriter } from "../wire/message_writer.ts";
import { decodeTexts } from "../wire/messages.ts";
import type { SessionStatus, WireRequest } from "../wire/wire_request.ts";
import type { NameResolution } from "../wire/name_resolution.ts";
import type { StatementCache } from "../wire/statement_cache.ts";

/**
 * The commands of `DISCARD ALL` (PostgreSQL, "DISCARD"), except that prepared statements and plans stay: they are ours and
 * expensive to re-prepare. Each command succeeds where there is nothing to clear.
 */
const CLEAR = [
  "SET SESSION AUTHORIZATION DEFAULT",
  "RESET ALL",
  "CLOSE ALL",
  "UNLISTEN *",
  "DISCARD TEMP",
  "DISCARD SEQUENCES",
  "SELECT pg_advisory_unlock_all()",
  // Counts statements prepared by SQL, and ours, which SQL may have dropped.
  "SELECT count(*) FILTER (WHERE from_sql), count(*) FILTER (WHERE NOT from_sql) FROM pg_prepared_statements",
].join(";");

/** SQLSTATE `in_failed_sql_transaction`. */
const IN_FAILED_TRANSACTION = "25P02";

/** The work of a {@linkcode Reset}. */
export interface ResetWork {
  /** True to end a transaction first. Without one, the server would log a warning. */
  readonly rollback: boolean;
  /** The prepared statements to keep; `undefined` to clear nothing, as behind a pooler in transaction mode. */
  readonly clear: StatementCache | undefined;
}

/** Clears a session. Rejects when that fails, or when something is left. */
export class Reset implements WireRequest {
  readonly promise: Promise<void>;
  failure: Error | undefined = undefined;
  boundStatements = 0;
  /** True if a cancel request for another statement hit it. */
  isSafeToResend = false;
  /** True if it failed because a transaction has to be ended first. */
  needsRollback = false;

  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #names: NameResolution;
  readonly #rollback: boolean;
  readonly #statements: StatementCache | undefined;
  #last: readonly (string | null)[] = [];

  /** @param names The names of the connection, which the reset changes. */
  constructor(names: NameResolution, { rollback, clear }: ResetWork) {
    this.#names = names;
    this.#rollback = rollback;
    this.#statements = clear;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  send(out: MessageWriter): boolean {
    const commands = this.#statements ? CLEAR : "";
    out.query(this.#rollback ? `ROLLBACK;${commands}` : commands);
    if (this.#rollback) this.#names.rollBack();
    if (this.#statements) this.#names.reset();
    return true;
  }

  handleRowDescription(): void {}

  handleDataRow(bytes: Buffer, start: number, end: number): void {
    this.#last = decodeTexts(bytes, start, end);
  }

  handleCommandComplete(): void {}

  handleError(error: Error): void {
    this.failure ??= error;
  }

  onComplete(_status: SessionStatus, canceling: boolean): void {
    this.isSafeToResend = canceling && codeOf(this.failure) === CANCELED;
    this.needsRollback = codeOf(this.failure) === IN_FAILED_TRANSACTION;
    if (this.failure) this.#reject(this.failure);
    else if (this.#statements && !this.#untouched(this.#statements)) {
      this.#reject(new Error("Statements were prepared or dropped by SQL"));
    } else this.#resolve();
  }

  /** Returns whether the server has exactly the statements that we prepared. */
  #untouched({ kept }: StatementCache): boolean {
    const [foreign, own] = this.#last;
    return foreign === "0" && own === String(kept);
  }

  onLost(error: Error): void {
    this.#reject(error);
  }
}
