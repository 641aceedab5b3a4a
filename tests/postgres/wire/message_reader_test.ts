import { assertEquals, assertGreaterOrEqual, assertLess, assertThrows } from "@std/assert";
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

/** Counts the bytes that buffers reserve, until disposed. */
function countReserved(): Disposable & { readonly bytes: number } {
  const { alloc, allocUnsafe, allocUnsafeSlow } = Buffer;
  let bytes = 0;
  const counted = <Rest extends unknown[], Result>(allocate: (size: number, ...rest: Rest) => Result) =>
  (
    size: number,
    ...rest: Rest
  ) => {
    bytes += size;
    return allocate.call(Buffer, size, ...rest);
  };
  Object.assign(Buffer, {
    alloc: counted(alloc),
    allocUnsafe: counted(allocUnsafe),
    allocUnsafeSlow: counted(allocUnsafeSlow),
  });
  return {
    get bytes() {
      return bytes;
    },
    [Symbol.dispose]: () => void Object.assign(Buffer, { alloc, allocUnsafe, allocUnsafeSlow }),
  };
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

Deno.test("MessageReader reserves memory linear in a long message, however small its chunks", () => {
  const total = 32 * 1_048_576;
  const { reader, seen } = reading();
  const chunk = Buffer.alloc(512, "x");
  reader.push(Buffer.concat([Buffer.from("D"), int32(total + 4)]));
  using reserved = countReserved();
  for (let sent = 0; sent < total; sent += chunk.length) reader.push(chunk);
  assertEquals(seen[0]?.[1].length, total);
  // Copies go to reserved memory only. Copying all that has arrived for each chunk would reserve a terabyte.
  assertGreaterOrEqual(reserved.bytes, total);
  assertLess(reserved.bytes, 1.5 * total);
});

Deno.test("MessageReader skips a notice of any length without memory for it", () => {
  const { reader, seen } = reading();
  const [header, chunk] = [Buffer.concat([Buffer.from("N"), int32(1_000_000_004)]), Buffer.alloc(10_000_000)];
  using reserved = countReserved();
  reader.push(header);
  for (let left = 100; left > 0; left--) reader.push(chunk);
  assertEquals(reserved.bytes, 0);
  // The header of the next one arrives in parts.
  for (const byte of header) reader.push(chunk.subarray(0, 1).fill(byte));
  chunk.fill(0, 0, 1);
  for (let left = 100; left > 0; left--) reader.push(chunk);
  assertLess(reserved.bytes, 10_000);
  reader.push(reply.ready());
  assertEquals(seen, [["Z", "I"]]);
});

Deno.test("MessageReader reserves no memory for a message that is only announced", () => {
  const beginning = Buffer.concat([Buffer.from("D"), int32(99_000_000), Buffer.alloc(20_000)]);
  const { reader } = reading();
  using reserved = countReserved();
  reader.push(beginning);
  assertGreaterOrEqual(reserved.bytes, 20_000);
  assertLess(reserved.bytes, 50_000);
  reader.close();
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
