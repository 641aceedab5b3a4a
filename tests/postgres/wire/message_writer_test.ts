import { assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { StatementError } from "../../../shared/postgres/mod.ts";
import { unsendable } from "../../../shared/postgres/types/text.ts";
import { MessageWriter } from "../../../shared/postgres/wire/message_writer.ts";
import { int16, int32, message } from "./fake_server.ts";

/** Returns what a writer encodes. */
function encoded(write: (writer: MessageWriter) => void): Buffer {
  const writer = new MessageWriter();
  write(writer);
  return writer.take();
}

Deno.test("MessageWriter encodes each message as the protocol defines it", () => {
  assertEquals(encoded((out) => out.parse("s1", "select 1")), message("P", "s1\0select 1\0", int16(0)));
  assertEquals(
    encoded((out) => out.parse("", "select $1, $2", [23, 0])),
    message("P", "\0select $1, $2\0", int16(2), int32(23), int32(0)),
  );
  assertEquals(encoded((out) => out.describePortal()), message("D", "P\0"));
  assertEquals(encoded((out) => out.describeStatement("s1")), message("D", "Ss1\0"));
  assertEquals(encoded((out) => out.execute()), message("E", "\0", int32(0)));
  assertEquals(encoded((out) => out.closeStatement("s1")), message("C", "Ss1\0"));
  assertEquals(encoded((out) => out.flush()), message("H"));
  assertEquals(encoded((out) => out.sync()), message("S"));
  assertEquals(encoded((out) => out.query("select 1; select 2")), message("Q", "select 1; select 2\0"));
});

Deno.test("MessageWriter.bind() gives each value and each column a format of its own", () => {
  assertEquals(encoded((out) => out.bind("s1", [])), message("B", "\0s1\0", int16(0), int16(0), int16(0)));
  assertEquals(
    encoded((out) => out.bind("", ["a", null, "\u00fc"])),
    message("B", "\0\0", int16(0), int16(3), int32(1), "a", int32(-1), int32(2), "\u00fc", int16(0)),
  );
  assertEquals(
    encoded((out) => out.bind("", ["a", Uint8Array.of(0, 255), null, new Uint8Array()], [1, 0])),
    message(
      "B",
      "\0\0",
      ...[int16(4), int16(0), int16(1), int16(0), int16(1)],
      ...[int16(4), int32(1), "a", int32(2), Uint8Array.of(0, 255), int32(-1), int32(0)],
      ...[int16(2), int16(1), int16(0)],
    ),
  );
  // A view of a part of a buffer.
  const view = new Uint8Array(new Uint8Array([1, 2, 3, 4]).buffer, 1, 2);
  assertEquals(
    encoded((out) => out.bind("", [view])),
    message("B", "\0\0", int16(1), int16(1), int16(1), int32(2), Uint8Array.of(2, 3), int16(0)),
  );
});

Deno.test("MessageWriter encodes texts of any length and any characters", () => {
  for (const length of [0, 1, 7, 31, 32, 33, 1_000, 4_096, 4_097, 20_000, 300_000]) {
    for (const unit of ["a", "\u00fc", "\u4e16", "\ud83d\udc4b", "aaaaaaa\u00e9"]) {
      const text = unit.repeat(Math.ceil(length / unit.length));
      const bytes = encoded((out) => out.bind("", [text, text]));
      const value = Buffer.from(text);
      assertEquals(
        bytes.equals(
          message("B", "\0\0", int16(0), int16(2), int32(value.length), value, int32(value.length), value, int16(0)),
        ),
        true,
        `${length} times ${unit}`,
      );
    }
  }
});

Deno.test("MessageWriter.take() returns bytes that later messages do not change", () => {
  const writer = new MessageWriter();
  writer.query("first");
  const first = writer.take();
  writer.query("other");
  assertEquals(first, message("Q", "first\0"));
  assertEquals(writer.take(), message("Q", "other\0"));
  assertEquals([writer.isEmpty, writer.take().length], [true, 0]);
  const long = "x".repeat(100_000);
  writer.query(long);
  const taken = writer.take();
  writer.query("y".repeat(100_000));
  assertEquals(taken.equals(message("Q", `${long}\0`)), true);
});

Deno.test("MessageWriter.rewind() removes messages and the responses they ask for", () => {
  const writer = new MessageWriter();
  writer.query("kept");
  const mark = writer.mark();
  writer.parse("", "removed");
  writer.sync();
  writer.rewind(mark);
  assertEquals([writer.take(), writer.expected.end], [message("Q", "kept\0"), 1]);
});

Deno.test("MessageWriter rejects U+0000 in a statement, which would end it there", () => {
  const writer = new MessageWriter();
  assertThrows(() => writer.parse("", "select 1\0"), StatementError, "U+0000");
  assertThrows(() => writer.query("select 1\0"), StatementError, "U+0000");
});

Deno.test("unsendable() names what UTF-8 or Postgres cannot hold", () => {
  for (const text of ["", "a", "\u00fc\u4e16", "\ud83d\udc4b", "\uffff"]) assertEquals(unsendable(text), undefined);
  for (const text of ["\ud83d", "\udc4b", "a\ud83d", "\udc4b\ud83d", "\ud83d a"]) {
    assertEquals(unsendable(text)?.given.includes("surrogate"), true, JSON.stringify(text));
  }
  assertEquals(unsendable("a\0b")?.given.includes("U+0000"), true);
});
