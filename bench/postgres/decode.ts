/**
 * `deno run -A bench/postgres/decode.ts`: decodes the bytes of 20 rows of 5 columns, as they come from a socket: with the
 * parsers of `pg`, with ours as text (the first run of a statement), and with ours in binary (a prepared statement).
 * Prints the median time of each in interleaved rounds, and checks that all read the same.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { isDeepStrictEqual } from "node:util";
// @ts-types="../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import { TypeRegistry } from "../../shared/postgres/types/registry.ts";
import { MessageReader } from "../../shared/postgres/wire/message_reader.ts";
import type { Row } from "../../shared/postgres/wire/query_result.ts";
import { RowReader } from "../../shared/postgres/wire/row_reader.ts";
import { quantile } from "../support/statistics.ts";

const ROWS = 20;
const ROUNDS = 40;
const REPEATS = 500;

/** The columns of the benchmark's table, as `select id, name, price, made, ok from item` describes them. */
const COLUMNS = [
  { name: "id", dataTypeID: 23 },
  { name: "name", dataTypeID: 25 },
  { name: "price", dataTypeID: 1700 },
  { name: "made", dataTypeID: 1184 },
  { name: "ok", dataTypeID: 16 },
];

/** 2000-01-01, from which the server counts microseconds. */
const EPOCH_MS = 946_684_800_000;

const types = new TypeRegistry();
const reader = new RowReader(COLUMNS, types);

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function dataRow(values: readonly Buffer[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([0, values.length]),
    ...values.flatMap((each) => [int32(each.length), each]),
  ]);
  return Buffer.concat([Buffer.from("D"), int32(body.length + 4), body]);
}

/** Encodes a `numeric` below 10,000 with one decimal as the server does: digits to the base 10,000. */
function numeric(text: string): Buffer {
  const [whole = "", tenths = ""] = text.split(".");
  const digits = [Number(whole), Number(tenths) * 1_000];
  while (digits.at(-1) === 0) digits.pop();
  const words = [digits.length, 0, 0, 1, ...digits];
  const bytes = Buffer.alloc(2 * words.length);
  words.forEach((word, index) => bytes.writeInt16BE(word, 2 * index));
  return bytes;
}

/** Returns the rows as the server sends them. */
function rowsOf(binary: boolean): Buffer {
  return Buffer.concat(Array.from({ length: ROWS }, (_, row) => {
    const made = new Date(1_788_000_000_123 + row * 61_001);
    const price = (row * 1.5).toFixed(1);
    const micros = Buffer.alloc(8);
    micros.writeBigInt64BE(BigInt(made.getTime() - EPOCH_MS) * 1_000n);
    const asText = [String(row), `name ${row}`, price, made.toISOString().replace("T", " ").replace("Z", "+00"), "t"];
    const asBinary = [int32(row), Buffer.from(`name ${row}`), numeric(price), micros, Buffer.from([1])];
    return dataRow(COLUMNS.map(({ dataTypeID }, index) => {
      const inBinary = binary && types.codecOf(dataTypeID)?.binary;
      return inBinary ? asBinary[index] as Buffer : Buffer.from(asText[index] ?? "");
    }));
  }));
}

const TEXT = rowsOf(false);
const BINARY = rowsOf(true);

/** Decodes as `pg` does: all values of a row to strings first, and then a parser per value. */
function withPg(): Row[] {
  const rows: Row[] = [];
  const parsers = COLUMNS.map(({ dataTypeID }) => pg.types.getTypeParser(dataTypeID, "text"));
  const empty = Object.fromEntries(COLUMNS.map(({ name }) => [name, null]));
  for (let at = 0; at < TEXT.length; at += 1 + TEXT.readInt32BE(at + 1)) {
    const fields: (string | null)[] = [];
    let field = at + 7;
    for (let left = TEXT.readInt16BE(at + 5); left > 0; left--) {
      const length = TEXT.readInt32BE(field);
      fields.push(length === -1 ? null : TEXT.toString("utf8", field + 4, field + 4 + length));
      field += 4 + Math.max(length, 0);
    }
    const row: Row = { ...empty };
    for (let index = 0; index < fields.length; index++) {
      const text = fields[index];
      if (typeof text === "string") row[COLUMNS[index]?.name ?? ""] = parsers[index]?.(text);
    }
    rows.push(row);
  }
  return rows;
}

function withOurs(bytes: Buffer, inFormats: boolean): Row[] {
  const rows: Row[] = [];
  const messages = new MessageReader((_type, body, start, end) => rows.push(reader.read(body, start, end, inFormats)));
  messages.allowValues(1_000_000);
  messages.push(bytes);
  return rows;
}

const CANDIDATES: Readonly<Record<string, () => Row[]>> = {
  "pg": withPg,
  "ours, text": () => withOurs(TEXT, false),
  "ours, binary": () => withOurs(BINARY, true),
};

if (import.meta.main) {
  const expected = withPg();
  const times = new Map<string, number[]>();
  for (const [name, decode] of Object.entries(CANDIDATES)) {
    if (!isDeepStrictEqual(decode(), expected)) throw new Error(`${name} reads other values than pg`);
    times.set(name, []);
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, decode] of Object.entries(CANDIDATES)) {
      const start = performance.now();
      for (let repeat = 0; repeat < REPEATS; repeat++) decode();
      // The first rounds compile.
      if (round >= ROUNDS / 4) times.get(name)?.push((performance.now() - start) / REPEATS * 1_000);
    }
  }
  const base = quantile(times.get("pg") ?? [], 0.5);
  for (const [name, values] of times) {
    const median = quantile(values, 0.5);
    console.log(`${name.padEnd(14)} ${median.toFixed(1).padStart(6)} \u00b5s  ${(base / median).toFixed(2)} times pg`);
  }
}
