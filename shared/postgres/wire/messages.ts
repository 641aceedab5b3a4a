/**
 * Decodes the messages of a server (PostgreSQL, "Message Formats"). Each function reads the body of one message, from
 * `start` to `end`, and throws a `ConnectionError` (`PROTOCOL_ERROR`) when the body is not exactly that.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { ConnectionError } from "../errors/connection_error.ts";
import { utf8At } from "./bytes.ts";

/** Names of the messages, by type. */
const NAMES: Readonly<Record<string, string>> = {
  "1": "ParseComplete",
  "2": "BindComplete",
  "3": "CloseComplete",
  A: "NotificationResponse",
  C: "CommandComplete",
  D: "DataRow",
  E: "ErrorResponse",
  G: "CopyInResponse",
  H: "CopyOutResponse",
  I: "EmptyQueryResponse",
  K: "BackendKeyData",
  N: "NoticeResponse",
  R: "Authentication",
  S: "ParameterStatus",
  T: "RowDescription",
  V: "FunctionCallResponse",
  W: "CopyBothResponse",
  Z: "ReadyForQuery",
  c: "CopyDone",
  d: "CopyData",
  n: "NoData",
  s: "PortalSuspended",
  t: "ParameterDescription",
  v: "NegotiateProtocolVersion",
};

/** The types of messages that exist: true at the number of each. */
const KNOWN: readonly boolean[] = Array.from(
  { length: 256 },
  (_, type) => Object.hasOwn(NAMES, String.fromCharCode(type)),
);

/** The types of messages of a server. */
export const Reply = {
  parseComplete: 0x31,
  bindComplete: 0x32,
  closeComplete: 0x33,
  notification: 0x41,
  commandComplete: 0x43,
  dataRow: 0x44,
  error: 0x45,
  copyIn: 0x47,
  copyOut: 0x48,
  emptyQuery: 0x49,
  backendKey: 0x4b,
  notice: 0x4e,
  authentication: 0x52,
  parameterStatus: 0x53,
  rowDescription: 0x54,
  copyBoth: 0x57,
  readyForQuery: 0x5a,
  copyData: 0x64,
  noData: 0x6e,
  parameterDescription: 0x74,
  negotiateVersion: 0x76,
  /** Returns whether a message of that type exists. */
  isKnown: (type: number): boolean => KNOWN[type] === true,
  /** Names a message for an error message, by its type. */
  describe(type: number): string {
    const code = String.fromCharCode(type);
    return Object.hasOwn(NAMES, code) ? `the message ${NAMES[code]}` : `a message of the unknown type ${type}`;
  },
} as const;

/** Returns the error of a server that breaks the protocol; its connection cannot be used any more. */
export function protocolError(reason: string): ConnectionError {
  return new ConnectionError(
    "PROTOCOL_ERROR",
    `The server does not speak Postgres's protocol: ${reason}. Check that host and port are those of Postgres or a pooler`,
  );
}

/** Returns the error of a message whose body is not what its type requires. */
export function malformed(type: number): ConnectionError {
  return protocolError(`${Reply.describe(type)} is malformed`);
}

/** Returns the error of a message that may not come now. */
export function unexpectedMessage(type: number): ConnectionError {
  return protocolError(`it sent ${Reply.describe(type)}, which answers no request`);
}

/** An error as the server reports it. Fields that it left out are `undefined`. */
export interface ErrorReport extends Error {
  readonly severity: string;
  readonly code: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
  readonly position: string | undefined;
  readonly schema: string | undefined;
  readonly table: string | undefined;
  readonly column: string | undefined;
  readonly dataType: string | undefined;
  readonly constraint: string | undefined;
  readonly routine: string | undefined;
}

/** Reads the fields of a message one after another. */
export class Fields {
  readonly #bytes: Buffer;
  readonly #end: number;
  readonly #type: number;
  #at: number;

  /** @param type The type of the message, for errors. */
  constructor(type: number, bytes: Buffer, start: number, end: number) {
    this.#type = type;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get left(): number {
    return this.#end - this.#at;
  }

  #skip(count: number): number {
    const at = this.#at;
    if (count > this.#end - at) throw malformed(this.#type);
    this.#at = at + count;
    return at;
  }

  byte(): number {
    return this.#bytes.readUInt8(this.#skip(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#skip(2));
  }

  count(): number {
    return this.#bytes.readUInt16BE(this.#skip(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#skip(4));
  }

  oid(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  /** Copies bytes: a view would keep everything alive that arrived with them. */
  copy(count: number): Buffer {
    const at = this.#skip(count);
    return Buffer.from(this.#bytes.subarray(at, at + count));
  }

  text(count: number): string {
    const at = this.#skip(count);
    return utf8At(this.#bytes, at, at + count);
  }

  cstring(): string {
    const at = this.#at;
    const zero = this.#bytes.indexOf(0, at);
    if (zero === -1 || zero >= this.#end) throw malformed(this.#type);
    this.#at = zero + 1;
    return utf8At(this.#bytes, at, zero);
  }

  close(): void {
    if (this.#at !== this.#end) throw malformed(this.#type);
  }
}

/** The description of a column. */
export interface ColumnMessage {
  readonly name: string;
  /** The oid of its table; 0 if it is not a column of one. */
  readonly tableId: number;
  /** The number of the column in that table. */
  readonly columnId: number;
  /** The oid of its type. */
  readonly dataTypeID: number;
  /** The modifier of its type, e.g. of `numeric(10, 2)`; -1 for none. */
  readonly typeModifier: number;
  /** True if its values arrive in binary. A statement that is only described does not know yet, and says false. */
  readonly binary: boolean;
}

/** Decodes RowDescription. */
export function decodeRowDescription(bytes: Buffer, start: number, end: number): ColumnMessage[] {
  const fields = new Fields(Reply.rowDescription, bytes, start, end);
  const columns: ColumnMessage[] = [];
  for (let left = fields.count(); left > 0; left--) {
    const name = fields.cstring();
    const tableId = fields.oid();
    const columnId = fields.int16();
    const dataTypeID = fields.oid();
    fields.int16();
    columns.push({ name, tableId, columnId, dataTypeID, typeModifier: fields.int32(), binary: fields.int16() === 1 });
  }
  fields.close();
  return columns;
}

/** Decodes ParameterDescription: the oids of the types of `$1`, `$2` and so on. */
export function decodeParameterDescription(bytes: Buffer, start: number, end: number): number[] {
  const fields = new Fields(Reply.parameterDescription, bytes, start, end);
  const oids: number[] = [];
  for (let left = fields.count(); left > 0; left--) oids.push(fields.oid());
  fields.close();
  return oids;
}

/** Decodes CommandComplete: a tag such as `INSERT 0 1`. */
export function decodeCommandTag(bytes: Buffer, start: number, end: number): string {
  const fields = new Fields(Reply.commandComplete, bytes, start, end);
  const tag = fields.cstring();
  fields.close();
  return tag;
}

/** Decodes ReadyForQuery: `I` idle, `T` in a transaction, `E` in one that failed. */
export function decodeStatus(bytes: Buffer, start: number, end: number): "I" | "T" | "E" {
  switch (end - start === 1 ? bytes[start] : undefined) {
    case 0x49:
      return "I";
    case 0x54:
      return "T";
    case 0x45:
      return "E";
    default:
      throw malformed(Reply.readyForQuery);
  }
}

const SQLSTATE = /^[0-9A-Z]{5}$/;
/** SQLSTATE `internal_error`, for an error without one. */
const INTERNAL_ERROR = "XX000";

/** Decodes ErrorResponse. */
export function decodeError(bytes: Buffer, start: number, end: number): ErrorReport {
  const fields = new Fields(Reply.error, bytes, start, end);
  const byCode = new Map<string, string>();
  for (let code = fields.byte(); code !== 0; code = fields.byte()) {
    byCode.set(String.fromCharCode(code), fields.cstring());
  }
  fields.close();
  const code = byCode.get("C") ?? "";
  // Their codes: PostgreSQL, "Error and Notice Message Fields". Severity, code and message are always there.
  return Object.assign(new Error(byCode.get("M") ?? "The server gave no reason"), {
    severity: byCode.get("V") ?? byCode.get("S") ?? "ERROR",
    code: SQLSTATE.test(code) ? code : INTERNAL_ERROR,
    detail: byCode.get("D"),
    hint: byCode.get("H"),
    position: byCode.get("P"),
    schema: byCode.get("s"),
    table: byCode.get("t"),
    column: byCode.get("c"),
    dataType: byCode.get("d"),
    constraint: byCode.get("n"),
    routine: byCode.get("R"),
  });
}

/** Decodes ParameterStatus: a setting and its value. */
export function decodeParameterStatus(bytes: Buffer, start: number, end: number): [name: string, value: string] {
  const fields = new Fields(Reply.parameterStatus, bytes, start, end);
  const name = fields.cstring();
  const value = fields.cstring();
  fields.close();
  return [name, value];
}

/** The longest key of protocol 3.2, in bytes. That of 3.0 has 4. */
const MAX_KEY_BYTES = 256;

/** Decodes BackendKeyData: what a cancel request for the backend needs. */
export function decodeBackendKey(
  bytes: Buffer,
  start: number,
  end: number,
): { readonly processId: number; readonly secretKey: Uint8Array } {
  const fields = new Fields(Reply.backendKey, bytes, start, end);
  const processId = fields.int32();
  if (fields.left < 4 || fields.left > MAX_KEY_BYTES) throw malformed(Reply.backendKey);
  return { processId, secretKey: fields.copy(fields.left) };
}

/** Decodes DataRow as texts. */
export function decodeTexts(bytes: Buffer, start: number, end: number): (string | null)[] {
  const fields = new Fields(Reply.dataRow, bytes, start, end);
  const texts: (string | null)[] = [];
  for (let left = fields.count(); left > 0; left--) {
    const length = fields.int32();
    if (length < -1) throw malformed(Reply.dataRow);
    texts.push(length === -1 ? null : fields.text(length));
  }
  fields.close();
  return texts;
}
