/**
 * What a connection's session is rid of before somebody else has it.
 *
 * @module
 */
import type { Flight } from "./batch.ts";
import { type DataRowMessage, message } from "./driver.ts";

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
  // Statements that somebody prepared by SQL.
  "SELECT count(*) FROM pg_prepared_statements WHERE from_sql",
].join(";");

/** Behind a pooler in transaction mode there is no session to clear, only a transaction to end. */
const END = "ROLLBACK";

/** Clears a session. Rejects when that failed, or when something is left. */
export class Reset implements Flight {
  readonly promise: Promise<void>;
  failure: object | undefined = undefined;

  readonly #text: string;
  readonly #resolve: () => void;
  readonly #reject: (error: unknown) => void;
  #last: string | null | undefined = undefined;

  /** @param ownSession Whether there is a session of ours to clear. */
  constructor(ownSession: boolean) {
    this.#text = ownSession ? CLEAR : END;
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
    this.#last = fields[0];
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

  done(): void {
    if (this.failure) this.#reject(this.failure);
    else if (this.#text === CLEAR && this.#last !== "0") {
      this.#reject(new Error("A statement that was prepared by SQL outlived its transaction"));
    } else this.#resolve();
  }

  lost(error: Error): void {
    this.#reject(error);
  }
}
