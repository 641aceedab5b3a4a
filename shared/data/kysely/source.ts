/**
 * The sources that Kysely runs statements on, and the translation of results.
 *
 * @module
 */
import type { CompiledQuery, QueryResult as KyselyResult } from "kysely";
import type {
  LeaseOptions,
  PostgresConnection,
  PostgresQueries,
  QueryOptions,
  QueryResult,
  Row,
  StatementOptions,
  Transaction,
  TransactionOptions,
  TransactionWork,
} from "../../postgres/mod.ts";

/**
 * A source of statements for Kysely: a manager, `manager.as(caller)`, a leased connection, a transaction, or an object that has
 * `query` and `transaction` of its own.
 */
export type KyselySource = PostgresQueries | PostgresConnection | Transaction;

/** Options of every statement. */
export interface KyselyStatementOptions extends StatementOptions, Pick<QueryOptions, "lane" | "acquireTimeoutMs"> {
  /** The time limit of each statement, in ms. Default: the manager's `queryTimeoutMs`. */
  readonly timeoutMs?: number | undefined;
}

/** Options of every transaction. Isolation level and access mode of Kysely's builders win over them. */
export type KyselyTransactionOptions = Omit<TransactionOptions, "signal" | "retries">;

/** The parts of a source, whatever it is. */
export interface Statements {
  query(
    text: string,
    values: readonly unknown[],
    options?: KyselyStatementOptions & { readonly signal?: AbortSignal | undefined },
  ): Promise<QueryResult>;
  transaction<T>(work: TransactionWork<T>, options?: KyselyTransactionOptions): Promise<T>;
  lease?(options?: LeaseOptions): Promise<PostgresConnection>;
}

/** Commands whose number of rows Kysely reports as affected. */
const CHANGES: ReadonlySet<string> = new Set(["INSERT", "UPDATE", "DELETE", "MERGE"]);

/** Returns a result as Kysely has it. */
export function toKyselyResult<R>({ command, rowCount, rows }: QueryResult<Row>): KyselyResult<R> {
  if (!CHANGES.has(command)) return { rows: rows as R[] };
  return { numAffectedRows: BigInt(rowCount ?? 0), rows: rows as R[] };
}

/**
 * Adds the stack of the caller to an error that arrived over the connection, as Kysely does. Called where an await has
 * thrown, the engine still knows who awaits.
 */
export function withCallersStack(error: unknown): unknown {
  if (!(error instanceof Error) || typeof error.stack !== "string") return error;
  const { stack } = new Error();
  const own = stack?.slice(stack.indexOf("\n"));
  if (own !== undefined && !error.stack.endsWith(own)) error.stack += own;
  return error;
}

/** Returns whether a statement can be read by a cursor: one that changes rows cannot. */
export function isReadByCursor({ query, sql }: CompiledQuery): boolean {
  if (query.kind !== "SelectQueryNode" && query.kind !== "RawNode") return false;
  return /^\s*(?:select|with|values|table)\b/i.test(sql) && !/\b(?:insert|update|delete|merge|into)\b/i.test(sql);
}

/** Adds to a reason where it took effect, under the name that Kysely uses, for debugging. */
export function reasonOf({ reason }: AbortSignal, timing: string): unknown {
  if (typeof reason === "object" && reason !== null && Object.isExtensible(reason)) {
    Object.defineProperty(reason, "__kysely_timing__", { value: timing, configurable: true });
  }
  return reason;
}
