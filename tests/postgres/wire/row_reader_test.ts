import { assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { ConnectionError } from "../../../shared/postgres/mod.ts";
import { int32At, uint16At, utf8At } from "../../../shared/postgres/wire/bytes.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import { type ReadColumn, RowReader } from "../../../shared/postgres/wire/row_reader.ts";
import { int16, int32, reply } from "./fake_server.ts";

const column = (name: string, dataTypeID = 25): ReadColumn => ({ name, dataTypeID });

const types = new TypeRegistry();

/** The body of a row. */
const body = (...texts: (string | null)[]): Buffer => reply.row(...texts).subarray(5);

Deno.test("utf8At() reads texts of any length, with any character at any position", () => {
  for (let length = 0; length <= 40; length++) {
    for (const other of ["a", "\u00fc", "\u4e16", "\ud83d\udc4b", "\u007f", "\u0080"]) {
      for (let at = 0; at < Math.max(length, 1); at++) {
        const text = "abcdefghij".repeat(4).slice(0, at) + other + "klmnopqrst".repeat(4).slice(0, length - at);
        const bytes = Buffer.from(`\u4e16${text}\u4e16`);
        assertEquals(utf8At(bytes, 3, bytes.length - 3), text);
      }
    }
  }
  assertEquals(utf8At(Buffer.from("abc"), 1, 1), "");
});

Deno.test("int32At() and uint16At() read big-endian numbers of any sign", () => {
  for (const value of [0, 1, -1, 255, 256, -256, 0x7fff_ffff, -0x8000_0000]) {
    assertEquals(int32At(int32(value), 0), value);
  }
  for (const value of [0, 1, 255, 256, 0x7fff]) assertEquals(uint16At(int16(value), 0), value);
  assertEquals(uint16At(int16(-1), 0), 65_535);
});

Deno.test("RowReader.read() names each value, and keeps the last of several columns with one name", () => {
  const reader = new RowReader([column("a"), column("__proto__"), column("a"), column("constructor")], types);
  const bytes = body("first", "p", "last", null);
  const row = reader.read(bytes, 0, bytes.length, false);
  assertEquals(Object.entries(row), [["a", "last"], ["__proto__", "p"], ["constructor", null]]);
});

Deno.test("RowReader.read() reads each column in the format that it was requested in", () => {
  const INT = 23;
  const reader = new RowReader([column("n", INT), column("t")], types);
  const text = body("258", "x");
  const binary = Buffer.concat([int16(2), int32(4), int32(258), int32(1), Buffer.from("x")]);
  assertEquals(reader.read(text, 0, text.length, false), { n: 258, t: "x" });
  assertEquals(reader.read(binary, 0, binary.length, true), { n: 258, t: "x" });
  const nulls = body(null, "");
  assertEquals(reader.read(nulls, 0, nulls.length, true), { n: null, t: "" });
});

Deno.test("RowReader.read() rejects a row that is cut anywhere, or has a byte too many", () => {
  const reader = new RowReader([column("a"), column("b"), column("c")], types);
  const bytes = body("one", null, "three");
  assertEquals(reader.read(bytes, 0, bytes.length, false), { a: "one", b: null, c: "three" });
  for (let end = 0; end < bytes.length; end++) {
    // The bytes behind the end are another message's.
    assertEquals(assertThrows(() => reader.read(bytes, 0, end, false), ConnectionError).code, "PROTOCOL_ERROR");
  }
  const longer = Buffer.concat([bytes, Buffer.alloc(1)]);
  assertThrows(() => reader.read(longer, 0, longer.length, false), ConnectionError);
  for (const length of [-2, -2_147_483_648, 4, 0x7fff_ffff]) {
    const wrong = Buffer.concat([int16(3), int32(length), bytes.subarray(6)]);
    assertThrows(() => reader.read(wrong, 0, wrong.length, false), ConnectionError);
  }
});

Deno.test("RowReader.read() keeps nothing of the chunk that a row arrived in", () => {
  const BYTEA = 17;
  const reader = new RowReader([column("text"), column("bytes", BYTEA)], types);
  const bytes = Buffer.concat([body("a text of more than sixteen bytes", "\\x0102ff"), Buffer.alloc(60_000)]);
  const row = reader.read(bytes, 0, bytes.length - 60_000, false);
  bytes.fill(0x58);
  assertEquals(row, { text: "a text of more than sixteen bytes", bytes: Buffer.from([1, 2, 255]) });
});
