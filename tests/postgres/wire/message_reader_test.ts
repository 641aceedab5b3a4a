import { assert, assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { ConnectionError, ResultTooLargeError } from "../../../shared/postgres/mod.ts";
import { MessageReader } from "../../../shared/postgres/wire/message_reader.ts";
import { int32, message, reply } from "./fake_server.ts";

/** A reader, and the messages that it has read: type and body. */
function reading(maxValueBytes = 100_000_000): { readonly reader: MessageReader; readonly seen: [string, string][] } {
  const seen: [string, string][] = [];
  const reader = new MessageReader((type, bytes, start, end) => {
    seen.push([String.fromCharCode(type), bytes.toString("latin1", start, end)]);
  });
  if (maxValueBytes > 0) reader.allowValues(maxValueBytes);
  return { reader, seen };
}

Deno.test("MessageReader reads messages from one chunk, from bytes, and from chunks that end in a header", () => {
  const bytes = Buffer.concat([message("1"), message("D", "row"), message("Z", "I"), message("C", "x".repeat(20_000))]);
  const expected = [["1", ""], ["D", "row"], ["Z", "I"], ["C", "x".repeat(20_000)]];
  for (const size of [bytes.length, 1, 2, 3, 4, 5, 6, 7, 11, 4_096]) {
    const { reader, seen } = reading();
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    assertEquals(seen, expected, `chunks of ${size}`);
  }
});

Deno.test("MessageReader takes time linear in a long message, however small its chunks", () => {
  const total = 32 * 1_048_576;
  const { reader, seen } = reading();
  const chunk = Buffer.alloc(512, "x");
  const started = performance.now();
  reader.push(Buffer.concat([Buffer.from("D"), int32(total + 4)]));
  for (let sent = 0; sent < total; sent += chunk.length) reader.push(chunk);
  assertEquals(seen[0]?.[1].length, total);
  // Copying all that has arrived for each chunk would copy a terabyte, in minutes.
  assert(performance.now() - started < 10_000);
});

Deno.test("MessageReader skips a notice of any length without memory for it", () => {
  const { reader, seen } = reading();
  const before = Deno.memoryUsage().rss;
  reader.push(Buffer.concat([Buffer.from("N"), int32(1_000_000_004)]));
  const chunk = Buffer.alloc(10_000_000);
  for (let left = 100; left > 0; left--) reader.push(chunk);
  reader.push(reply.ready());
  assertEquals(seen, [["Z", "I"]]);
  assert(Deno.memoryUsage().rss - before < 200_000_000);
});

Deno.test("MessageReader reserves no memory for a message that is only announced", () => {
  const before = Deno.memoryUsage().external;
  const readers = Array.from({ length: 100 }, () => {
    const { reader } = reading();
    reader.push(Buffer.concat([Buffer.from("D"), int32(99_000_000), Buffer.alloc(20_000)]));
    return reader;
  });
  assert(Deno.memoryUsage().external - before < 100_000_000);
  for (const reader of readers) reader.close();
});

Deno.test("MessageReader.push() throws for what is not a message, and ignores what follows", () => {
  const wrong: Buffer[] = [
    message("?"),
    message("\0"),
    message("X"),
    Buffer.concat([Buffer.from("Z"), int32(3)]),
    Buffer.concat([Buffer.from("Z"), int32(-1)]),
    Buffer.concat([Buffer.from("Z"), int32(-2_147_483_648)]),
    Buffer.concat([Buffer.from("S"), int32(0x7fff_ffff)]),
  ];
  for (const bytes of wrong) {
    for (const split of [bytes.length, 1]) {
      const { reader, seen } = reading();
      const push = () => {
        for (let at = 0; at < bytes.length; at += split) reader.push(bytes.subarray(at, at + split));
      };
      assertEquals(assertThrows(push, ConnectionError).code, "PROTOCOL_ERROR");
      reader.push(reply.ready());
      assertEquals(seen, []);
    }
  }
});

Deno.test("MessageReader.push() throws ResultTooLargeError for a row that is announced as too long", () => {
  const { reader } = reading(1_000);
  reader.push(message("D", "x".repeat(996)));
  assertThrows(() => reader.push(Buffer.concat([Buffer.from("D"), int32(1_001)])), ResultTooLargeError, "1000");
});

Deno.test("MessageReader accepts only short messages before allowValues()", () => {
  const { reader, seen } = reading(0);
  reader.push(message("R", "x".repeat(65_532)));
  assertEquals(seen.length, 1);
  const code = assertThrows(() => reader.push(Buffer.concat([Buffer.from("D"), int32(65_537)])), ConnectionError).code;
  assertEquals(code, "PROTOCOL_ERROR");
});

Deno.test("MessageReader.close() ignores the rest of the chunk that is being read", () => {
  let seen = 0;
  const reader: MessageReader = new MessageReader(() => {
    seen++;
    reader.close();
  });
  reader.push(Buffer.concat([reply.ready(), reply.ready()]));
  reader.push(reply.ready());
  assertEquals(seen, 1);
});
