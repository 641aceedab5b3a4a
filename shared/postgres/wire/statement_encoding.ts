/**
 * Statements in the form in which they are sent.
 *
 * @module
 */
import { messageOf } from "../../pool/mod.ts";
import { prepareValue } from "./driver.ts";
import { StatementError } from "../errors/errors.ts";
import type { ListedStatement } from "../query/query_options.ts";
import type { Statement } from "./query_result.ts";
import { controlsTransaction, copiesOverConnection, outlivesTransaction } from "./statement_text.ts";

/** A statement whose values are ready to be sent. */
export interface Encoded {
  readonly text: string;
  readonly values: unknown[];
  readonly unprepared: boolean;
}

/** The most values that a statement may have: the protocol counts them in 16 bits. */
const MAX_VALUES = 65_535;

/**
 * Checks that the text of a statement is one.
 *
 * @throws {StatementError} for what is none.
 */
export function checkText(text: unknown): asserts text is string {
  if (typeof text === "string" && !text.includes("\0")) return;
  throw new StatementError("A statement must be a string without NUL characters; its values go beside it, as an array");
}

/**
 * Checks a statement and encodes its values.
 *
 * @throws {StatementError} for what the protocol could not carry: it would be read as something else.
 */
export function encoded({ text, values = [], unprepared = false }: Statement): Encoded {
  checkText(text);
  if (!Array.isArray(values) || values.length > MAX_VALUES) {
    throw new StatementError(`The values of a statement must be an array of at most ${MAX_VALUES} elements`);
  }
  // What follows in the same write would be taken for its data.
  if (copiesOverConnection(text)) {
    throw new StatementError(
      "COPY FROM STDIN and COPY TO STDOUT are not supported: insert from arrays (unnest), or select in pages",
    );
  }
  try {
    return { text, values: values.map(prepareValue), unprepared };
  } catch (error) {
    throw new StatementError(`A value of a statement has no form that can be sent: ${messageOf(error)}`);
  }
}

/**
 * Checks the text of a statement that is to run in a transaction of ours, or to be one by itself: what it
 * ended would let what follows run outside, and not as its caller; what it began would be nobody's.
 *
 * @throws {StatementError} for BEGIN, COMMIT, ROLLBACK and their like, and for what is no text.
 */
export function checkInTransaction(text: unknown): void {
  checkText(text);
  if (!controlsTransaction(text)) return;
  throw new StatementError(
    "A statement must not begin or end a transaction by itself here: use transaction(), and commit(), rollback() and " +
      "transaction() of what that hands over; or lease() a connection",
  );
}

/**
 * The statements of a list.
 *
 * @throws {StatementError} for what is none.
 */
export function listed(list: readonly ListedStatement[]): Statement[] {
  if (!Array.isArray(list)) {
    throw new StatementError("A transaction takes a function, or a list of statements: [{ query, values }, …]");
  }
  return Array.from(list, (entry: ListedStatement | null | undefined, index) => {
    if (typeof entry?.query === "string") return { text: entry.query, values: entry.values ?? [] };
    throw new StatementError(`Statement ${index} of the list must be { query, values? } with a text as query`);
  });
}

/**
 * Checks the text of a statement that is to run behind a pooler in transaction mode: what it
 * left would be met by whomever the pooler lends the server's connection to next.
 *
 * @throws {StatementError} for what outlives its transaction, as far as the text shows it.
 */
export function checkWithoutSession(text: unknown): void {
  if (typeof text !== "string" || !outlivesTransaction(text)) return;
  throw new StatementError(
    "Behind a pooler in transaction mode a statement must leave nothing in its session: use SET LOCAL, " +
      "set_config(…, true), pg_advisory_xact_lock and ON COMMIT DROP, or connect without the pooler",
  );
}
