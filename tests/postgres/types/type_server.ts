/**
 * A server that encodes and decodes values independently of the codecs: through `pg` with the text of each value, and
 * through the server's own binary output functions.
 *
 * @module
 */
import { Buffer } from "node:buffer";
// @ts-types="../../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import { type LocalPostgres, startPostgres } from "../../../local/postgres/mod.ts";
import { CATALOG_QUERY, type TypeRow } from "../../../shared/postgres/types/catalog.ts";
import type { Codec, EncodedValue } from "../../../shared/postgres/types/codec.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import { templateOptions } from "../template.ts";

/** Types of the tests' own. */
export const SCHEMA = `
  CREATE TYPE mood AS ENUM ('sad', 'so so', 'NULL', 'a"b\\c', 'ha,ppy');
  CREATE DOMAIN positive AS integer CHECK (value > 0);
  CREATE DOMAIN cents AS numeric(10,2);
  CREATE DOMAIN positives AS positive[];
  CREATE TYPE pair AS (a integer, "B b" text);
  CREATE TYPE everything AS (
    i integer, b bigint, t text, n numeric, d date, ts timestamptz, m mood, p pair, ps pair[], j jsonb, x bytea,
    dom positive, doms positives, r int4range, iv interval, f double precision, u uuid, flag boolean
  );
  CREATE TYPE nothing AS ();
  CREATE DOMAIN pair_domain AS pair;
  CREATE TABLE item (id integer, gone text, "__proto__" text, price numeric, moods mood[]);
  ALTER TABLE item DROP COLUMN gone;
  CREATE TYPE float_range AS RANGE (subtype = double precision, multirange_type_name = float_multirange);
  CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
  CREATE SCHEMA "Other";
  CREATE TYPE "Other"."Mood" AS ENUM ('x');
`;

/** A value as the server describes it. */
export interface Described {
  readonly codec: Codec;
  readonly text: string | null;
  /** The binary form, between bytes of other values; `undefined` where the type has none that is read. */
  readonly bytes: Buffer | undefined;
  /** The result of text and, where there is one, of the binary form. */
  readonly value: unknown;
  readonly binaryValue: unknown;
}

type RawResult = { fields: { name: string; dataTypeID: number }[]; rows: Record<string, string | null>[] };

const MARGIN = 3;

/** A server, a session in it, and the registry of its types. */
export class TypeServer implements AsyncDisposable {
  readonly registry: TypeRegistry = new TypeRegistry();
  readonly url: string;
  readonly #server: LocalPostgres | undefined;
  readonly #client: pg.Client;
  readonly #send = new Map<number, string>();

  private constructor(server: LocalPostgres | undefined, url: string) {
    this.#server = server;
    this.url = url;
    const types = { getTypeParser: () => (text: string) => text };
    this.#client = new pg.Client({ connectionString: url, ...{ types } });
  }

  /** Starts a server with {@linkcode SCHEMA}. */
  static async start(): Promise<TypeServer> {
    const server = await startPostgres(templateOptions());
    const started = new TypeServer(server, server.url);
    await started.#client.connect();
    await started.query("SET timezone = 'UTC'");
    await started.query(SCHEMA);
    return started;
  }

  /** Returns the major version of the server. */
  async version(): Promise<number> {
    const { rows } = await this.query("SHOW server_version_num");
    return Math.floor(Number(rows[0]?.server_version_num) / 10_000);
  }

  /** Opens a session on a server that runs. */
  static async connect(url: string): Promise<TypeServer> {
    const connected = new TypeServer(undefined, url);
    await connected.#client.connect();
    await connected.query("SET timezone = 'UTC'");
    return connected;
  }

  /** Runs a statement; values are sent as they are, results are the server's text. */
  async query(text: string, values?: readonly EncodedValue[]): Promise<RawResult> {
    const sent = values?.map((value) => value instanceof Uint8Array ? Buffer.from(value) : value);
    return await this.#client.query(text, sent) as unknown as RawResult;
  }

  /** Returns the codec of a type, and loads it if needed. */
  async load(oid: number): Promise<Codec> {
    if (!this.registry.codecOf(oid)) this.registry.register(await this.rowsOf([oid]));
    const codec = this.registry.codecOf(oid);
    if (!codec) throw new Error(`the server has no type ${oid}`);
    return codec;
  }

  /** Runs the catalog query. */
  async rowsOf(oids: readonly number[]): Promise<TypeRow[]> {
    const { fields, rows } = await this.query(CATALOG_QUERY, [`{${oids.join(",")}}`]);
    return rows.map((row) => {
      const read = fields.map(({ name, dataTypeID }) => {
        const text = row[name];
        return [name, typeof text === "string" ? this.registry.codecOf(dataTypeID)?.decodeText(text) : null];
      });
      return Object.fromEntries(read) as TypeRow;
    });
  }

  /** Returns the codec of a type by name. */
  async codec(name: string): Promise<Codec> {
    const { rows } = await this.query("SELECT $1::regtype::oid::text AS oid", [name]);
    return this.load(Number(rows[0]?.oid));
  }

  /** Returns an expression for the binary form of `expression` in hexadecimal. */
  async binaryOf(codec: Codec, expression: string): Promise<string> {
    let send = this.#send.get(codec.oid);
    if (send === undefined) {
      const { rows } = await this.query("SELECT typsend::regproc::text AS send FROM pg_type WHERE oid = $1", [
        String(codec.oid),
      ]);
      send = rows[0]?.send ?? "";
      this.#send.set(codec.oid, send);
    }
    return `encode(${send}(${expression}), 'hex')`;
  }

  /** Reads a value in both forms. */
  read(codec: Codec, text: string | null, hex: string | null | undefined): Described {
    const value = text === null ? null : codec.decodeText(text);
    if (!codec.binary || !codec.decodeBinary || typeof hex !== "string") {
      return { codec, text, value, bytes: undefined, binaryValue: value };
    }
    const bytes = Buffer.from(`${"a5".repeat(MARGIN)}${hex}${"a5".repeat(MARGIN)}`, "hex");
    const binaryValue = codec.decodeBinary(bytes, MARGIN, bytes.length - MARGIN);
    return { codec, text, value, bytes, binaryValue };
  }

  /** Evaluates an expression. */
  async evaluate(expression: string): Promise<Described> {
    const { fields: [field], rows: [row] } = await this.query(`SELECT ${expression} AS value`);
    if (!field || !row) throw new Error("no row");
    const codec = await this.load(field.dataTypeID);
    let hex: string | null | undefined;
    if (codec.binary) {
      hex = (await this.query(`SELECT ${await this.binaryOf(codec, expression)} AS hex`)).rows[0]?.hex;
    }
    return this.read(codec, row.value ?? null, hex);
  }

  /** Sends values as parameters of a type, and reads what the server has understood. */
  async roundTrip(codec: Codec, values: readonly unknown[]): Promise<Described[]> {
    // In SQL these names stand for one bit and one character.
    const type = codec.name.replace(/^bit(?=$|\[)/, 'pg_catalog."bit"').replace(/^character(?=$|\[)/, "bpchar");
    const sent = values.map((value) => value === null || value === undefined ? null : codec.encode(value));
    const rows = sent.map((_, index) => `(${index}, $${index + 1}::${type})`).join(", ");
    const hex = codec.binary ? await this.binaryOf(codec, "value") : "NULL";
    const result = await this.query(
      `SELECT value AS text, ${hex} AS hex FROM (VALUES ${rows}) AS sent (at, value) ORDER BY at`,
      sent,
    );
    return result.rows.map(({ text, hex }) => this.read(codec, text ?? null, hex));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
    await this.#server?.[Symbol.asyncDispose]();
  }
}

/** Describes a value so that only equal ones have one description: -0, NaN, bytes and classes included. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return "null";
  if (value instanceof Date) return `Date(${value.getTime()})`;
  if (value instanceof Uint8Array) return `bytes(${Buffer.from(value).toString("hex")})`;
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (typeof value === "object") {
    const name = value.constructor?.name ?? "";
    const parts = Object.entries(value).map(([key, part]) => `${JSON.stringify(key)}: ${show(part)}`);
    return `${name === "Object" ? "" : name}{${parts.join(", ")}}`;
  }
  if (typeof value === "string") return JSON.stringify(value);
  return Object.is(value, -0) ? "-0" : `${typeof value === "bigint" ? `${value}n` : value}`;
}
