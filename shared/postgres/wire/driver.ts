/**
 * The parts of `pg` in use: the socket, TLS, authentication and the parsers of values. The messages are our own, see
 * {@linkcode MessageReader} and {@linkcode MessageWriter}.
 *
 * @module
 */
// @ts-types="./pg.d.ts"
import pg from "pg";
import utils from "pg/lib/utils";
import { MAX_RESULT_BYTES } from "../config/config.ts";
import type { EncodedValue } from "./message_writer.ts";
// By name too: the CLI uploads files that imports name, and not those of comments.
import type types from "./pg.d.ts";
import { WireConnection } from "./wire_connection.ts";

/** The key of a backend, which a cancel request needs (PostgreSQL, BackendKeyData). */
export interface BackendKey {
  readonly processId: number;
  readonly secretKey: Uint8Array;
}

/** A `pg.Client`: the part we use. */
export interface DriverClient {
  readonly connection: WireConnection;
  connect(): Promise<unknown>;
  end(): Promise<void>;
  on(event: "error", listener: (error: unknown) => void): void;
  on(event: "end", listener: () => void): void;
}

/** Options of a connection, as `pg` takes them. */
export interface DriverOptions extends types.ClientConfig {
  /** The longest result of a request, in bytes; see `maxResultBytes`. Default: 128 MiB. */
  readonly maxResultBytes?: number | undefined;
}

/** Creates a client that is not connected. */
export function createClient(options: DriverOptions): DriverClient {
  const { maxResultBytes = MAX_RESULT_BYTES, ...own } = options;
  const { ssl = false, keepAlive = false, keepAliveInitialDelayMillis = 0, stream } = own;
  const connection = new WireConnection({ ssl, keepAlive, keepAliveInitialDelayMillis, stream }, maxResultBytes);
  const client = new pg.Client({ sslnegotiation: "postgres", ...own, connection });
  // For empty options the driver would use PGOPTIONS and PGREPLICATION.
  Object.assign(client.connectionParameters, { options: options.options, replication: undefined });
  const startup = client.getStartupConf.bind(client);
  // Whatever the role, the database and `options` set: dates in other styles are ambiguous.
  Object.assign(client, { getStartupConf: () => ({ ...startup(), DateStyle: "ISO" }) });
  return client as unknown as DriverClient;
}

/** Parses the text of a value. */
export type ValueParser = (text: string) => unknown;

const TIMESTAMPTZ = 1184;
const slowInstant = pg.types.getTypeParser(TIMESTAMPTZ, "text") as ValueParser;

const DASH = 45;
const DOT = 46;
const ZERO = 48;

function digits(text: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}

/**
 * Parses an instant of a four-digit year at whole hours from UTC, such as `2026-01-31 12:34:56.789012+00`, ten times as
 * fast as `Date.parse`. Nearly all instants have this form; `pg` parses the others.
 */
function parseInstant(text: string): unknown {
  const zone = text.length - 3;
  const sign = text.charCodeAt(zone);
  // With these characters in place the others are too: the server writes no other form.
  if (zone < 19 || (sign !== 43 && sign !== DASH) || text.charCodeAt(4) !== DASH || text.charCodeAt(10) !== 32) {
    return slowInstant(text);
  }
  let ms = 0;
  if (text.charCodeAt(19) === DOT) {
    const end = Math.min(zone, 23);
    ms = digits(text, 20, end) * 10 ** (23 - end);
  }
  const hours = digits(text, 11, 13) - (sign === DASH ? -1 : 1) * digits(text, zone + 1, text.length);
  const month = digits(text, 5, 7) - 1;
  const time = Date.UTC(
    digits(text, 0, 4),
    month,
    digits(text, 8, 10),
    hours,
    digits(text, 14, 16),
    digits(text, 17, 19),
    ms,
  );
  return digits(text, 0, 4) < 100 ? slowInstant(text) : new Date(time);
}

/**
 * Returns the parser of a type by its oid. It is that of `pg`: an `int8` or `numeric` stays a string, `json` is parsed,
 * and `timestamptz` is a `Date`.
 */
export function parserOf(dataTypeID: number): ValueParser {
  return dataTypeID === TIMESTAMPTZ ? parseInstant : pg.types.getTypeParser(dataTypeID, "text") as ValueParser;
}

/** Encodes a value as text, bytes or null: objects as JSON, arrays as array literals. */
export const prepareValue: (value: unknown) => EncodedValue = utils.prepareValue;

/** Creates a connection that is not connected, and sends nothing by itself. */
export function createWire({ ssl = false }: DriverOptions): WireConnection {
  return new WireConnection({ ssl }, MAX_RESULT_BYTES);
}
