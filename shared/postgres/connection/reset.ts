/**
 * What a connection's session is rid of before somebody else has it.
 *
 * @module
 */
import { CANCELED } from "../wire/batch.ts";
import { type DataRowMessage, message } from "../wire/driver.ts";
import type { Flight, SessionStatus } from "../wire/flight.ts";
import type { StatementCache } from "../wire/statement_cache.ts";

/**
 * What `DISCARD ALL` does (PostgreSQL, "DISCARD"), save that statements and
 * plans stay: they are ours, and dear. Each of them works where there is nothing to clear.
 */
const CLEAR = [
  "ROLLBACK",
  "SET SESSION AUTHORIZATION DEFAULT",
  "RESET ALL",
  "CLOSE ALL",
  "UNLISTEN *",
  "DISCARD TEMP",
  "DISCARD SEQUENCES",
  "SELECT pg_advisory_unlock_all()",
  // Statements that somebody prepared by SQL, and ours, which somebody may have dropped.
  "SELECT count(*) FILTER (WHERE from_sql), count(*) FILTER (WHERE NOT from_sql) FROM pg_prepared_statements",
].join(";");

/** Behind a pooler in transaction mode there is no session to clear, only a transaction to end. */
const END = "ROLLBACK";

/** Clears a session. Rejects when that failed, or when something is left. */
export class Reset implements Flight {
  readonly promise: Promise<void>;
  failure: object | undefined = undefined;
  /** Whether it failed since a cancel request for something else hit it. */
  mayRepeat = false;

  readonly #text: string;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  readonly #statements: StatementCache | undefined;
  #last: readonly (string | null)[] = [];

  /** @param statements Those prepared in the session; `undefined` where it is not ours to clear. */
  constructor(statements: StatementCache | undefined) {
    this.#statements = statements;
    this.#text = statements ? CLEAR : END;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  encode(out: Uint8Array[]): void {
    out.push(message.query(this.#text));
  }

  submit(): void {}

  handleRowDescription(): void {}

  handleDataRow({ fields }: DataRowMessage): void {
    this.#last = fields;
  }

  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyInResponse(): void {}
  handleCopyData(): void {}

  handleError(error: unknown): void {
    this.failure ??= typeof error === "object" && error !== null ? error : new Error(String(error));
  }

  handleReadyForQuery(): void {}

  begun(): void {}

  done(_status: SessionStatus, cancelling: boolean): void {
    this.mayRepeat = cancelling && this.failure !== undefined && Reflect.get(this.failure, "code") === CANCELED;
    if (this.failure) this.#reject(this.failure);
    else if (this.#statements && !this.#untouched(this.#statements)) {
      this.#reject(new Error("Statements were prepared or dropped by SQL"));
    } else this.#resolve();
  }

  /** Whether the server has the statements that we prepared, and no other ones. */
  #untouched({ kept }: StatementCache): boolean {
    const [foreign, own] = this.#last;
    return foreign === "0" && own === String(kept);
  }

  lost(error: Error): void {
    this.#reject(error);
  }
}
