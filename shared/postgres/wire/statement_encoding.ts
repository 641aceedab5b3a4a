/**
 * Checks statements and encodes their values.
 *
 * @module
 */
import { messageOf } from "../../resilience/mod.ts";
import { prepareValue } from "./driver.ts";
import { StatementError } from "../errors/errors.ts";
import type { ListedStatement } from "../query/query_options.ts";
import type { Statement } from "./query_result.ts";
import { type StatementTraits, traitsOf } from "./statement_traits.ts";

/** A statement whose values are ready to be sent. */
export interface Encoded {
  readonly text: string;
  readonly values: unknown[];
  readonly unprepared: boolean;
}

/** The most values of one statement: the protocol counts them in 16 bits. */
const MAX_VALUES = 65_535;

/**
 * Checks a statement and encodes its values.
 *
 * @throws {StatementError} when the protocol cannot carry the statement as what it is.
 */
export function encodeStatement({ text, values = [], unprepared = false }: Statement): Encoded {
  const { copies } = traitsOf(text);
  if (!Array.isArray(values) || values.length > MAX_VALUES) {
    throw new StatementError(`The values of a statement must be an array of at most ${MAX_VALUES} elements`);
  }
  // The server would take what follows in the same write for the data of the COPY.
  if (copies) {
    throw new StatementError(
      "COPY FROM STDIN and COPY TO STDOUT are not supported: insert from arrays (unnest), or select in pages",
    );
  }
  try {
    return { text, values: values.map(prepareValue), unprepared };
  } catch (error) {
    throw new StatementError(`Cannot encode a value of the statement: ${messageOf(error)}`);
  }
}

/**
 * Rejects a statement that controls transactions, where it runs in a transaction of the library or as one of its own:
 * what follows a transaction's end would run outside it, and not as its caller.
 *
 * @throws {StatementError} for BEGIN, COMMIT, ROLLBACK and the like.
 */
export function checkTransactionControl({ controlsTransaction }: StatementTraits): void {
  if (!controlsTransaction) return;
  throw new StatementError(
    "Transaction control is not allowed here: use transaction() and its tx, or lease() a connection",
  );
}

/**
 * Rejects a statement that outlives its transaction, where it runs behind a pooler in transaction mode: the next client
 * of the server's connection would meet what it left.
 *
 * @throws {StatementError} for what outlives its transaction, as far as the text shows.
 */
export function checkOutlivesTransaction({ outlivesTransaction }: StatementTraits): void {
  if (!outlivesTransaction) return;
  throw new StatementError(
    "Cannot change the session behind a pooler in transaction mode: use SET LOCAL, set_config(…, true), " +
      "pg_advisory_xact_lock and ON COMMIT DROP, or connect without the pooler",
  );
}

/**
 * Reads a list of statements.
 *
 * @throws {StatementError} when `list` is not an array of `{ query, values? }`.
 */
export function parseStatementList(list: readonly ListedStatement[]): Statement[] {
  if (!Array.isArray(list)) {
    throw new StatementError("A transaction takes a function, or a list of statements: [{ query, values }, …]");
  }
  return Array.from(list, (entry: ListedStatement | null | undefined, index) => {
    if (typeof entry?.query === "string") return { text: entry.query, values: entry.values ?? [] };
    throw new StatementError(`Statement ${index} of the list must be { query, values? } with a string as query`);
  });
}
