/**
 * One statement of a batch: how it is sent, and how its rows are read.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { StatementError } from "../errors/statement_error.ts";
import type { EncodedValue } from "../types/codec.ts";
import { TypeRegistry } from "../types/registry.ts";
import { unsendable } from "../types/text.ts";
import type { MessageWriter } from "./message_writer.ts";
import { type ColumnMessage, protocolError } from "./messages.ts";
import type { NameResolution, Names } from "./name_resolution.ts";
import {
  areEncodable,
  encodeValues,
  INFERRED,
  needsType,
  oidsOf,
  surviveRetyping,
  typesToDeclare,
} from "./parameters.ts";
import { type QueryResult, resultOf, type Row, type Statement } from "./query_result.ts";
import { RowReader } from "./row_reader.ts";
import { sameTypes, type SchemaCache } from "./schema_cache.ts";
import type { StaleKind } from "./stale_statement.ts";
import type { Prepared, StatementCache } from "./statement_cache.ts";
import { type StatementTraits, traitsOf } from "./statement_traits.ts";

/** The most values of one statement: the protocol counts them in 16 bits. */
const MAX_VALUES = 65_535;

/** The session that a batch runs in. */
export interface StatementSession {
  readonly statements: StatementCache;
  readonly names: NameResolution;
  readonly schema: SchemaCache;
  /** True if the server writes dates in ISO form: text of another form is ambiguous. */
  readonly hasIsoDates: boolean;
}

/** Called with the prepared statement of a Parse that was encoded; `undefined` for the unnamed one. */
export type OnParse = (prepared: Prepared | undefined) => void;

const NO_TYPES: readonly number[] = Object.freeze([]);
const NO_ROWS: readonly ColumnMessage[] = Object.freeze([]);

const ROLLBACK = "ROLLBACK";

/**
 * Statements that are sent again because of what is remembered of them: they are described first, whatever other callers
 * learn meanwhile. Otherwise a wrong value could fail again and again.
 */
const doubtful = new WeakSet<Statement>();

/** The reader of a statement without columns. */
const WITHOUT_COLUMNS = new RowReader(NO_ROWS, new TypeRegistry());

/** One statement of a batch. */
export class Step {
  readonly statement: Statement;
  readonly traits: StatementTraits;
  /** The prepared statement that it uses; `undefined` for the unnamed one. */
  prepared: Prepared | undefined = undefined;
  /** True if its batch prepares it. */
  isNew = false;
  /** A prepared statement that it replaces, because a change of the schema may have made it wrong. */
  doubts: Prepared | undefined = undefined;
  /** The types of its parameters, as far as they are known. */
  paramTypes: readonly number[] | undefined = undefined;
  /** True once the server is to describe it, and has not yet. */
  isDescribing = false;
  /** True once the server has described it, and nothing was bound yet. */
  isDescribed = false;
  /** True once its types were loaded. */
  hasLoaded = false;
  reader: RowReader | undefined = undefined;
  readonly rows: Row[] = [];
  /** Rows that cannot be read before types were loaded. */
  raw: Buffer[] | undefined = undefined;
  tag = "";

  readonly #values: readonly unknown[];
  #codecs: TypeRegistry | undefined = undefined;
  #names: Names | undefined = undefined;
  #declared: readonly number[] = NO_TYPES;
  #columns: readonly Pick<ColumnMessage, "name" | "dataTypeID">[] = NO_ROWS;
  /** The text to send in its place. */
  #replacement: string | undefined = undefined;
  #binary = false;
  /** The format codes that were requested. */
  #formats: readonly number[] = NO_TYPES;
  /** True if only its description was sent. */
  #isPartial = false;
  #parsed = false;
  /** The remembered types that are declared. */
  #guess: readonly number[] | undefined = undefined;
  /** The types that its values were encoded as before the server described it. */
  #assumed: readonly number[] | undefined = undefined;

  /** @throws {StatementError} when the protocol cannot carry the statement as what it is. */
  constructor(statement: Statement) {
    const { text, values = [] } = statement;
    this.statement = statement;
    this.traits = traitsOf(text);
    this.#values = values;
    if (!Array.isArray(values) || values.length > MAX_VALUES) {
      throw new StatementError(`The values of a statement must be an array of at most ${MAX_VALUES} elements`);
    }
    if (this.traits.listens) {
      throw new StatementError(
        "LISTEN is not supported, since notifications are not delivered: use Supabase Realtime, or a client that is " +
          "not pooled",
      );
    }
    // The server would take what follows in the same write for the data of the COPY.
    if (this.traits.copies) {
      throw new StatementError(
        "COPY FROM STDIN and COPY TO STDOUT are not supported: insert from arrays (unnest), or select in pages",
      );
    }
  }

  /** The number of values. */
  get valueCount(): number {
    return this.#values.length;
  }

  /**
   * Decides how it is sent.
   *
   * @param inUse The prepared statements that its batch uses.
   */
  plan({ statements, names, schema }: StatementSession, inUse: Set<Prepared>): void {
    const { text, types, paramTypes, unprepared } = this.statement;
    const current = this.#names = names.current;
    this.#codecs = schema.types.with(types);
    if (paramTypes && paramTypes.length > 0) this.#declared = oidsOf(paramTypes);
    const { columns, boundary } = this.traits;
    if (columns === "none") this.reader = WITHOUT_COLUMNS;
    if (names.hasFailed && boundary === "end") this.#replacement = ROLLBACK;
    else if (!unprepared && current.lasting && columns !== "vary" && statements.accepts(text)) {
      this.#prepare(statements, current, inUse);
    }
    if (this.prepared) inUse.add(this.prepared);
    if (this.prepared?.reader) this.#useReader(this.prepared.reader);
    this.paramTypes ??= this.prepared?.paramTypes ?? this.#declaredTypes() ?? this.#rememberedTypes(schema, current);
    names.note(this.statement);
  }

  #prepare(statements: StatementCache, { key }: Names, inUse: ReadonlySet<Prepared>): void {
    const { text } = this.statement;
    const id = this.#declared.length > 0 ? `${key}|${this.#declared}` : key;
    const known = statements.find(id, text);
    if (!known) {
      this.prepared = statements.add(id, text, inUse);
      this.isNew = this.prepared !== undefined;
    } else if (known.doubted || doubtful.has(this.statement)) this.doubts = known;
    else if (inUse.has(known) && !known.parsed) this.prepared = known;
    // Where another batch has just sent it, its parsing may still fail.
    else if (known.parsed) {
      const { paramTypes } = known;
      if (paramTypes === undefined || surviveRetyping(this.#values, paramTypes, this.#types)) this.prepared = known;
      else {
        this.doubts = known;
        this.paramTypes = paramTypes;
      }
    }
  }

  /** The types that were described earlier, unless an error has put them in doubt. */
  #rememberedTypes(schema: SchemaCache, names: Names): readonly number[] | undefined {
    return this.doubts || doubtful.has(this.statement) ? undefined : schema.find(names, this.statement.text);
  }

  /** The declared types, if all are. */
  #declaredTypes(): readonly number[] | undefined {
    const declared = this.#declared;
    return declared.length > 0 && !declared.includes(INFERRED) ? declared : undefined;
  }

  get #types(): TypeRegistry {
    if (!this.#codecs) throw new Error("The statement was not planned");
    return this.#codecs;
  }

  #useReader(reader: RowReader): void {
    // Types may be sent and read in another way here than elsewhere.
    this.reader = this.statement.types ? new RowReader(reader.columns, this.#types) : reader;
    this.#columns = reader.columns;
    this.#binary = true;
  }

  /**
   * Encodes it, or only what describes it.
   *
   * @param onParse Called when a Parse was encoded.
   * @returns whether it was all encoded.
   * @throws {StatementError} when a value cannot be sent.
   */
  send(out: MessageWriter, session: StatementSession, onParse: OnParse): boolean {
    const isReadable = this.reader !== undefined || session.hasIsoDates;
    if (isReadable && areEncodable(this.#values, this.paramTypes, this.#types)) {
      if (this.paramTypes !== this.#declared) {
        this.#assumed = this.paramTypes;
        if (!this.prepared || this.isNew) {
          this.#guess = typesToDeclare(this.#values, this.paramTypes, this.#types);
        }
      }
      const values = this.#encode();
      if (values) {
        this.#bind(values, out, onParse);
        return true;
      }
      this.#leavePrepared();
    }
    this.#parse(out, onParse);
    out.describeStatement(this.#name);
    this.isDescribing = this.#isPartial = true;
    return false;
  }

  /**
   * Encodes its values; returns `undefined` where the types that are remembered may have changed, so that a value is
   * rejected for an old one.
   *
   * @throws {StatementError} when a value cannot be sent.
   */
  #encode(): EncodedValue[] | undefined {
    try {
      return encodeValues(this.#values, this.paramTypes, this.#types);
    } catch (error) {
      if (!(error instanceof StatementError) || this.paramTypes === this.#declared) throw error;
      return undefined;
    }
  }

  /** Uses the unnamed statement instead of one that was prepared earlier. */
  #leavePrepared(): void {
    this.#guess = undefined;
    if (!this.prepared || this.isNew) return;
    this.doubts = this.prepared;
    this.prepared = this.reader = undefined;
  }

  /**
   * Encodes the rest of a statement that was described, and whose types are loaded.
   *
   * @throws {StatementError} when a value cannot be sent.
   */
  sendDescribed(out: MessageWriter, onParse: OnParse): void {
    this.renewReader();
    this.#bind(encodeValues(this.#values, this.paramTypes, this.#types), out, onParse);
  }

  get #name(): string {
    return this.prepared?.name ?? "";
  }

  #bind(values: readonly EncodedValue[], out: MessageWriter, onParse: OnParse): void {
    this.#parse(out, onParse);
    if (!this.reader) {
      out.describeStatement(this.#name);
      this.isDescribing = true;
    }
    this.#formats = this.#binary && this.reader ? this.reader.formats : NO_TYPES;
    out.bind(this.#name, values, this.#formats);
    out.execute();
  }

  #parse(out: MessageWriter, onParse: OnParse): void {
    if (this.#parsed || (this.prepared && !this.isNew)) return;
    const text = this.#replacement ?? this.statement.text;
    const fault = unsendable(text);
    if (fault) throw new StatementError(`Cannot send the statement, ${fault.given}: ${fault.reason}`);
    onParse(this.prepared);
    out.parse(this.#name, text, this.#guess ?? this.#declared);
    this.#parsed = true;
  }

  /** Notes that its types are loaded before it continues, by a statement that takes the place of the unnamed one. */
  onLoad(): void {
    this.hasLoaded = true;
    if (!this.prepared) this.#parsed = false;
  }

  /** Doubts the statement that was prepared: a value does not fit the types of its parameters. */
  doubtPrepared(): void {
    if (this.prepared) this.prepared.doubted = true;
    doubtful.add(this.statement);
  }

  /**
   * Forgets the remembered types of its parameters, and returns whether they may have caused an error.
   *
   * @param kind The meaning of the error.
   */
  forgetTypes({ schema }: StatementSession, kind: StaleKind): boolean {
    const assumed = this.#assumed;
    const differ = assumed && this.paramTypes && !sameTypes(assumed, this.paramTypes);
    if (!differ && !this.#guess) return false;
    doubtful.add(this.statement);
    // What was prepared with other types is as wrong, on any connection. A value is mostly wrong by itself.
    if (differ || kind !== "value") schema.changed();
    else if (this.#names) schema.doubt(this.#names, this.statement.text);
    return true;
  }

  /** Notes the types of its parameters, as the server has just described them. */
  onParameters(oids: readonly number[], { schema }: StatementSession): void {
    this.paramTypes = oids;
    if (this.prepared) this.prepared.paramTypes = oids;
    if (this.doubts && !sameTypes(this.doubts.paramTypes, oids)) schema.changed();
    if (this.#names && this.#declared.length === 0) schema.describe(this.#names, this.statement.text, oids);
  }

  /** Notes its columns, as the server has just described them. */
  onColumns(columns: readonly ColumnMessage[], { schema }: StatementSession): void {
    this.isDescribing = false;
    this.isDescribed = this.#isPartial;
    this.#columns = columns;
    // What was bound already is returned as text.
    this.#binary = this.#isPartial;
    const reader = this.reader = new RowReader(columns, this.#types);
    const { doubts } = this;
    if (!doubts) return;
    if (sameColumns(doubts.reader, reader)) doubts.doubted = false;
    else schema.changed();
  }

  /** Returns the types that must be loaded before its values can be encoded and its rows read. */
  typesToLoad(): readonly number[] {
    const types = this.#types;
    const oids = new Set(this.reader ? [...this.reader.missing, ...this.reader.composites] : []);
    this.paramTypes?.forEach((oid, index) => {
      if (!needsType(this.#values[index])) return;
      const codec = types.codecOf(oid);
      if (!codec) oids.add(oid);
      else for (const composite of codec.composites) oids.add(composite);
    });
    return [...oids];
  }

  /** Uses codecs that were loaded since. */
  renewReader(): void {
    if (!this.reader || this.reader.immediate) return;
    this.reader = new RowReader(this.#columns, this.#types);
    if (this.prepared?.reader && !this.statement.types) this.prepared.reader = this.reader;
  }

  /**
   * Reads a row, or keeps it until its types are loaded.
   *
   * @throws {ConnectionError} when it is malformed.
   * @throws {DecodeError} when a value cannot be read.
   */
  onRow(bytes: Buffer, start: number, end: number): void {
    const { reader } = this;
    if (!reader) throw protocolError("it sent a row of a statement without columns");
    // What was loaded in this request, right before it ran, is up to date.
    if (reader.immediate || (this.hasLoaded && reader.missing.length === 0)) {
      this.rows.push(reader.read(bytes, start, end, this.#binary));
    } else (this.raw ??= []).push(Buffer.from(bytes.subarray(start, end)));
  }

  /** Forgets the rows. */
  dropRows(): void {
    this.rows.length = 0;
    this.raw = undefined;
  }

  /** Reads the rows that waited. */
  readRows(): void {
    this.renewReader();
    const { raw = [], reader } = this;
    this.raw = undefined;
    if (!reader) return;
    if (this.#binary && String(reader.formats) !== String(this.#formats)) {
      throw new StatementError("A type in the result was changed while the statement ran: run the statement again");
    }
    for (const bytes of raw) this.rows.push(reader.read(bytes, 0, bytes.length, this.#binary));
  }

  /** Notes that it has run. */
  onEnd(tag: string, { schema }: StatementSession): void {
    this.tag = tag;
    const { prepared, reader } = this;
    if (!prepared) return;
    prepared.parsed = true;
    if (!reader || prepared.reader) return;
    prepared.reader = this.statement.types ? new RowReader(this.#columns, schema.types) : reader;
  }

  /** Returns the result, from the command tag (PostgreSQL, CommandComplete): `INSERT 0 1`, `SELECT 5`, `CREATE TABLE`. */
  result(): QueryResult {
    return resultOf(this.tag, this.rows, this.reader?.columns ?? []);
  }
}

function sameColumns(one: RowReader | undefined, { columns }: RowReader): boolean {
  return one?.columns.length === columns.length &&
    one.columns.every(({ name, dataTypeID }, index) =>
      name === columns[index]?.name && dataTypeID === columns[index]?.dataTypeID
    );
}
