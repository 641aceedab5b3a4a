/** Tests codecs without a server: what is sent, what is read from text, and what survives another type of its column. */
import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../shared/postgres/mod.ts";
import type { Codec } from "../../../shared/postgres/types/codec.ts";
import { compositeOf } from "../../../shared/postgres/types/composite.ts";
import { builtinOid } from "../../../shared/postgres/types/names.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import { ValueError } from "../../../shared/postgres/types/value_error.ts";

const registry = new TypeRegistry();

function codecOf(type: string): Codec {
  const codec = registry.codecOf(builtinOid(type) ?? 0);
  if (!codec) throw new Error(`no codec for ${type}`);
  return codec;
}

const range = (bounds: string, lower: unknown, upper: unknown) => ({ lower, upper, bounds });

const BOTH_WAYS: readonly (readonly [type: string, value: unknown, text: string])[] = [
  ["point", { x: 1.5, y: -2 }, "(1.5,-2)"],
  ["circle", { x: 1, y: 2, radius: 3.5 }, "<(1,2),3.5>"],
  ["int4range", range("[)", 1, 5), "[1,5)"],
  ["int4range", range("(]", null, 5), "(,5]"],
  ["int4range", range("()", null, null), "(,)"],
  ["int4range", range("empty", null, null), "empty"],
  ["numrange", range("[]", "1.5", "2.5"), "[1.5,2.5]"],
  ["int4multirange", [range("[)", 1, 2), range("[)", 4, 6)], "{[1,2),[4,6)}"],
  ["int4multirange", [], "{}"],
  ["int4[]", [1, null, -3], "{1,NULL,-3}"],
  ["int4[]", [[1, 2], [3, 4]], "{{1,2},{3,4}}"],
  ["int4[]", [], "{}"],
  [
    "text[]",
    ["a", "", "null", "NULL", "a b", "a,b", 'a"b', "a\\b", "{a}", "nullable"],
    '{a,"","null","NULL","a b","a,b","a\\"b","a\\\\b","{a}",nullable}',
  ],
  ["jsonb", { a: ["x", 1, true, null, { b: "y" }] }, '{"a":["x",1,true,null,{"b":"y"}]}'],
];

for (const [type, value, text] of BOTH_WAYS) {
  Deno.test(`the codec of ${type} sends and reads ${text}`, () => {
    assertEquals(codecOf(type).encode(value), text);
    assertEquals(codecOf(type).decodeText(text), value);
    assertEquals(codecOf(type).encode(text), text);
  });
}

for (
  const [type, value, reason] of [
    ["point", { x: 1 }, "expected { x, y } or a string"],
    ["point", { x: "1", y: 2 }, "expected { x, y } or a string"],
    ["point", { x: 1, y: "2" }, "expected { x, y } or a string"],
    ["point", null, "expected { x, y } or a string"],
    ["circle", { x: 1, y: 2, radius: "3" }, "expected { x, y, radius } or a string"],
    ["circle", 5, "expected { x, y, radius } or a string"],
    ["int4range", [1, 5], "expected { lower, upper, bounds } or a string"],
    ["int4range", { lower: 1, step: 2 }, 'a range is { lower, upper, bounds }, without "step"'],
    ["int4range", range("[[", 1, 5), "its bounds must be [], [), (], () or empty"],
    ["int4[]", [[1], 2], "nested arrays must have one depth"],
    ["int4[]", [1, [2]], "nested arrays must have one depth"],
    ["int4[]", [[1], [2, 3]], "nested arrays must have one length"],
    ["int4[]", { 0: 1 }, "expected an array"],
    ["jsonb", [NaN], "it has no form in JSON"],
    ["jsonb", 5n, "it has no form in JSON; pass a number or a string"],
    ["jsonb", [() => 1], "it has no form in JSON"],
    ["jsonb", [new Date(NaN)], "it is not an instant"],
    ["jsonb", [new Map()], "it has no form in JSON"],
  ] as const
) {
  Deno.test(`the codec of ${type} rejects ${Deno.inspect(value)}: ${reason}`, () => {
    const error = assertThrows(() => codecOf(type).encode(value), ValueError);
    assertEquals(error.reason, reason);
  });
}

Deno.test("the codec of jsonb sends a string as the JSON text that it is", () => {
  assertEquals(codecOf("jsonb").encode('"x"'), '"x"');
  assertEquals(codecOf("jsonb").encode("[1]"), "[1]");
  assertThrows(() => codecOf("jsonb").decodeText("{"), DecodeError, "its text is malformed");
});

Deno.test("survivesRetyping() is false where another type reads the text otherwise, and true elsewhere", () => {
  const survives = (type: string, ...values: unknown[]) => values.map((value) => codecOf(type).survivesRetyping(value));
  const date = new Date(0);
  assertEquals(survives("text", "a ", date), [true, true]);
  assertEquals(survives("bpchar", "a", "a ", date), [true, false, true]);
  assertEquals(survives("name", "a".repeat(21), "a".repeat(22), date), [true, false, true]);
  assertEquals(survives("point", { x: 1, y: 2 }), [false]);
  assertEquals(survives("int4range", range("[]", 1, 2)), [false]);
  assertEquals(survives("text[]", ["a", null, ["b"]], "{a}"), [true, false]);
  assertEquals(survives("bpchar[]", ["a", ["b "]]), [false]);
});

/** A composite of three attributes. */
const pair = compositeOf([
  { name: "a", codec: codecOf("int4") },
  { name: "B b", codec: codecOf("text") },
  { name: "c", codec: codecOf("int4[]") },
]);

Deno.test("compositeOf() sends and reads fields by their order, quoted where the server would quote them", () => {
  for (
    const [value, text] of [
      [{ a: 1, "B b": "x", c: [1, 2] }, '(1,x,"{1,2}")'],
      [{ a: null, "B b": "", c: null }, '(,"",)'],
      [{ a: null, "B b": 'q"q\\ (,)', c: [] }, '(,"q""q\\\\ (,)",{})'],
    ] as const
  ) {
    assertEquals(pair.encode(value), text);
    assertEquals(pair.decodeText(text), value);
  }
  assertEquals(pair.encode({ c: [7] }), "(,,{7})");
  assertEquals(pair.decodeText('(1,"a\\"b",)'), { a: 1, "B b": 'a"b', c: null });
});

Deno.test("compositeOf() rejects other values and other attributes", () => {
  for (const value of [5, null, [1, "x"], new Map()]) {
    assertEquals(assertThrows(() => pair.encode(value), ValueError).reason, "expected an object of its attributes");
  }
  assertEquals(assertThrows(() => pair.encode({ d: 1 }), ValueError).reason, 'the type has no attribute "d"');
  for (const text of ["(1,x)", "(1,x,{},5)", "()"]) {
    assertThrows(() => pair.decodeText(text), DecodeError, "its attributes have changed");
  }
  for (const text of ["(1,x", '(1,"x']) assertThrows(() => pair.decodeText(text), DecodeError, "malformed");
});

Deno.test("the binary form of a range has the bounds of its flags", () => {
  const { decodeBinary } = codecOf("int4range");
  const bytes = (flags: number, ...bounds: number[]) => {
    const view = new DataView(new ArrayBuffer(1 + 8 * bounds.length));
    view.setUint8(0, flags);
    bounds.forEach((bound, index) => {
      view.setInt32(1 + 8 * index, 4);
      view.setInt32(5 + 8 * index, bound);
    });
    return new Uint8Array(view.buffer);
  };
  const read = (flags: number, ...bounds: number[]) => {
    const all = bytes(flags, ...bounds);
    return decodeBinary?.(all, 0, all.length);
  };
  assertEquals(read(0x01), range("empty", null, null));
  assertEquals(read(0x02, 1, 5), range("[)", 1, 5));
  assertEquals(read(0x04, 1, 5), range("(]", 1, 5));
  assertEquals(read(0x06, 1, 5), range("[]", 1, 5));
  assertEquals(read(0x00, 1, 5), range("()", 1, 5));
  assertEquals(read(0x0a, 5), range("[)", null, 5));
  assertEquals(read(0x12, 1), range("[)", 1, null));
  assertEquals(read(0x18), range("()", null, null));
  assertThrows(() => decodeBinary?.(bytes(0x02, 1), 0, 9 - 1), DecodeError);
});

Deno.test("the codec of tsrange reads bounds in quotes", () => {
  assertEquals(
    codecOf("tsrange").decodeText('["2026-01-31 12:34:56","2026-02-01 00:00:00")'),
    range("[)", new Date("2026-01-31T12:34:56Z"), new Date("2026-02-01T00:00:00Z")),
  );
});
