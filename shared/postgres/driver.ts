/**
 * The part of `pg` that is used here: the socket, TLS, authentication and the
 * parser of the wire protocol. Queries are {@linkcode Batch}es of our own.
 *
 * @module
 */
// @ts-types="@types/pg"
import pg from "pg";
import utils from "pg/lib/utils";

/** What describes a column (PostgreSQL, "Message Formats", RowDescription). */
export interface ColumnMessage {
  readonly name: string;
  readonly dataTypeID: number;
}

/** RowDescription. */
export interface RowDescriptionMessage {
  readonly fields: readonly ColumnMessage[];
}

/** DataRow; each value as text. */
export interface DataRowMessage {
  readonly fields: readonly (string | null)[];
}

/** CommandComplete, e.g. `INSERT 0 1`. */
export interface CommandCompleteMessage {
  readonly text: string;
}

/** ReadyForQuery: `I` idle, `T` in a transaction, `E` in one that failed. */
export interface ReadyMessage {
  readonly status: string;
}

/** The connection of a `pg.Client`: one method to each message. */
export interface Wire {
  readonly stream: { cork(): void; uncork(): void; destroy(): void; readonly writable: boolean };
  parse(message: { text: string; name: string }): void;
  bind(message: { statement: string; values: readonly unknown[] }): void;
  describe(message: { type: "S" | "P"; name: string }): void;
  execute(): void;
  close(message: { type: "S"; name: string }): void;
  sync(): void;
  query(text: string): void;
  sendCopyFail(reason: string): void;
  on(event: "readyForQuery", listener: (message: ReadyMessage) => void): void;
}

/** What a `pg.Client` runs and tells of its messages: pg's own extension point, as `pg-cursor` uses it. */
export interface Submittable {
  submit(wire: Wire): void;
  handleParseComplete?(): void;
  handleRowDescription(message: RowDescriptionMessage): void;
  handleDataRow(message: DataRowMessage): void;
  handleCommandComplete(message: CommandCompleteMessage): void;
  handleEmptyQuery(): void;
  handlePortalSuspended(): void;
  handleCopyInResponse(wire: Wire): void;
  handleCopyData(): void;
  handleError(error: unknown): void;
  handleReadyForQuery(): void;
}

/** A `pg.Client` as far as we use it. */
export interface DriverClient {
  readonly connection: Wire;
  /** Process id of the backend; with {@linkcode secretKey} it identifies a cancel request. */
  readonly processID: number | null;
  readonly secretKey: number | null;
  connect(): Promise<unknown>;
  query(batch: Submittable): unknown;
  end(): Promise<void>;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "end", listener: () => void): void;
}

/** Options of a connection, as `pg` takes them. */
export type DriverOptions = pg.ClientConfig;

/** Makes a client that is not connected yet. */
export function createClient(options: DriverOptions): DriverClient {
  return new pg.Client(options) as unknown as DriverClient;
}

/** Turns the text of a value into what JavaScript has for it. */
export type ValueParser = (text: string) => unknown;

const TIMESTAMPTZ = 1184;
const ISO_INSTANT = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:?\d\d)?$/;
const slowInstant = pg.types.getTypeParser(TIMESTAMPTZ, "text") as ValueParser;

/** An instant in the usual form; what the engine does not read goes to `pg`: infinity, years before Christ. */
function parseInstant(text: string): unknown {
  if (!ISO_INSTANT.test(text)) return slowInstant(text);
  const time = Date.parse(text);
  return Number.isNaN(time) ? slowInstant(text) : new Date(time);
}

/**
 * The parser of a type by its oid: `pg`'s own, so that an `int8` or `numeric`
 * stays a string, `json` is parsed and `timestamptz` is a `Date`.
 */
export function parserOf(dataTypeID: number): ValueParser {
  return dataTypeID === TIMESTAMPTZ ? parseInstant : pg.types.getTypeParser(dataTypeID, "text") as ValueParser;
}

/** Turns a value into what is sent for it: text, bytes or null; objects become JSON, arrays array literals. */
export const prepareValue: (value: unknown) => unknown = utils.prepareValue;

/** A name as SQL, quoted. */
export function quoteIdentifier(name: string): string {
  return pg.escapeIdentifier(name);
}

/** A `pg.Connection` that no client owns, for a cancel request. */
export interface LooseWire {
  readonly stream: { destroy(): void };
  connect(port: number, host: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: number): void;
  on(event: "connect" | "sslconnect" | "error" | "end", listener: () => void): void;
}

/** Makes a connection that is not connected yet, and speaks only what it is told to. */
export function createWire({ ssl }: DriverOptions): LooseWire {
  return new pg.Connection({ ssl: ssl ?? false } as pg.ConnectionConfig) as unknown as LooseWire;
}
