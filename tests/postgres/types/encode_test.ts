import { assertEquals, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import { PostgresInterval } from "../../../shared/postgres/types/interval.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import { builtinOid } from "../../../shared/postgres/types/names.ts";
import { kindOf, ValueError } from "../../../shared/postgres/types/value_error.ts";
import { show } from "./type_server.ts";

const registry = new TypeRegistry();

function codec(type: string) {
  const found = registry.codecOf(builtinOid(type) ?? 0);
  if (!found) throw new Error(`no type ${type}`);
  return found;
}

const shared = new SharedArrayBuffer(2);
new Uint8Array(shared).set([7, 8]);
const cycle: Record<string, unknown> = {};
cycle.self = [cycle];

class Money {
  readonly amount = 5;
}
class Secret {
  readonly #amount = 5;
  amount(): number {
    return this.#amount;
  }
}

/** A value of a class of Temporal, for runtimes without it. */
function temporal(kind: string, text: string): object {
  return { [Symbol.toStringTag]: `Temporal.${kind}`, toString: () => text };
}

const SENT: readonly (readonly [type: string, value: unknown, sent: string | Uint8Array])[] = [
  ["bool", true, "true"],
  ["bool", "yes", "yes"],
  ["bool", 0, "0"],
  ["int4", -0, "0"],
  ["int4", 5n, "5"],
  ["int4", " 5", " 5"],
  ["int8", 2 ** 53, "9007199254740992"],
  ["int8", 2 ** 62, "4611686018427387904"],
  ["int8", -(2 ** 63), "-9223372036854775808"],
  ["xid8", 2 ** 63 + 2 ** 11, "9223372036854777856"],
  ["int8", "9223372036854775807", "9223372036854775807"],
  ["numeric", -0, "-0"],
  ["numeric", 1e21, "1e+21"],
  ["numeric", NaN, "NaN"],
  ["float8", -Infinity, "-Infinity"],
  ["float8", -0, "-0"],
  ["float8", 9007199254740993n, "9007199254740993"],
  ["text", 1.5, "1.5"],
  ["text", 10n ** 20n, "100000000000000000000"],
  ["text", false, "false"],
  ["text", new Date("2026-08-24T00:00:00Z"), "2026-08-24T00:00:00.000+00:00"],
  ["text", temporal("PlainDate", "2026-08-24"), "2026-08-24"],
  ["varchar", "\u{1f600}", "\u{1f600}"],
  ["bytea", new ArrayBuffer(2), new Uint8Array(2)],
  ["bytea", shared, new Uint8Array([7, 8])],
  ["bytea", new Uint8Array([1, 2, 3, 4]).subarray(1, 3), new Uint8Array([2, 3])],
  ["bytea", new DataView(new Uint8Array([1, 2, 3, 4]).buffer, 2), new Uint8Array([3, 4])],
  ["bytea", new Uint16Array([1]), new Uint8Array(new Uint16Array([1]).buffer)],
  ["bytea", Buffer.from("ab"), new Uint8Array([97, 98])],
  ["bytea", "\\x00", "\\x00"],
  ["json", [], "[]"],
  ["jsonb", [[1, 2]], "[[1,2]]"],
  ["jsonb", [{ a: 1 }], '[{"a":1}]'],
  ["jsonb", ["x"], '["x"]'],
  ["jsonb", [null, undefined], "[null,null]"],
  ["jsonb", '{"a":1}', '{"a":1}'],
  ["jsonb", { a: undefined, b: new Date(0) }, '{"b":"1970-01-01T00:00:00.000Z"}'],
  ["jsonb", new Money(), '{"amount":5}'],
  ["jsonb", new URL("http://localhost/"), '"http://localhost/"'],
  ["jsonb", Object.create(null), "{}"],
  ["jsonb", true, "true"],
  ["jsonb", { a: "\\u0000" }, '{"a":"\\\\u0000"}'],
  ["json", { a: "\0" }, '{"a":"\\u0000"}'],
  ["json[]", [[1], { a: '"' }, null], '{[1],"{\\"a\\":\\"\\\\\\"\\"}",NULL}'],
  ["date", new Date("2026-08-24T23:30:00Z"), "2026-08-24T23:30:00.000+00:00"],
  ["timestamp", new Date("-000043-03-15T00:00:00Z"), "0044-03-15T00:00:00.000+00:00 BC"],
  ["timestamp", new Date("0000-01-01T00:00:00Z"), "0001-01-01T00:00:00.000+00:00 BC"],
  ["timestamptz", new Date("+012026-01-01T00:00:00Z"), "12026-01-01T00:00:00.000+00:00"],
  ["timestamptz", Infinity, "infinity"],
  ["date", -Infinity, "-infinity"],
  ["timestamptz", temporal("Instant", "-000043-03-15T00:00:00Z"), "0044-03-15T00:00:00Z BC"],
  ["timestamptz", temporal("Instant", "+012026-01-01T00:00:00.123456789Z"), "12026-01-01T00:00:00.123456789Z"],
  ["date", temporal("PlainDate", "0000-02-29"), "0001-02-29 BC"],
  ["time", temporal("PlainTime", "12:34:56"), "12:34:56"],
  ["time", temporal("PlainDateTime", "2026-08-24T12:34:56"), "12:34:56"],
  ["time", new Date("2026-08-24T12:34:56.789Z"), "12:34:56.789+00:00"],
  [
    "interval",
    new PostgresInterval({ years: 1, months: -2, milliseconds: -0.001 }),
    "1 years -2 months -0.000001 seconds",
  ],
  ["interval", { hours: 1, seconds: 90.5 }, "1 hours 90.5 seconds"],
  ["interval", {}, "0 seconds"],
  ["interval", { days: -1, hours: 1 }, "-1 days +1 hours"],
  [
    "interval",
    {
      ...{ years: -1, months: 0, weeks: -1, days: -1, hours: 0, minutes: 0, seconds: -1 },
      ...{ milliseconds: -500, microseconds: 0, nanoseconds: 0, [Symbol.toStringTag]: "Temporal.Duration" },
    },
    "-1 years -8 days -1.5 seconds",
  ],
  ["point", { x: -0, y: Infinity }, "(-0,Infinity)"],
  ["circle", { x: 1, y: 2, radius: 3 }, "<(1,2),3>"],
  ["point", "(1,2)", "(1,2)"],
  ["circle", "<(1,2),3>", "<(1,2),3>"],
  ["money", 5, "5"],
  ["money", 10n ** 17n, "100000000000000000"],
  ["money", "$1.50", "$1.50"],
  ["interval", { days: undefined, hours: null, minutes: 5 }, "5 minutes"],
  ["regclass", 1259, "1259"],
  ["bit", 1, "1"],
  ["int2vector", [1, 2], "1 2"],
  ["int4[]", [], "{}"],
  ["int4[]", [1, null, undefined, -0], "{1,NULL,NULL,0}"],
  ["int4[]", [[1, 2], [3, null]], "{{1,2},{3,NULL}}"],
  ["int4[]", [[], []], "{}"],
  ["int4[]", [new Int32Array([1, 2]), [3, 4]], "{{1,2},{3,4}}"],
  ["int8[]", new BigInt64Array([1n]), "{1}"],
  ["int4[]", "{1,2}", "{1,2}"],
  [
    "text[]",
    ["a", "", "NULL", "a b", 'q"', "b\\", "c,d", "{", "\u00a0", null],
    '{a,"","NULL","a b","q\\"","b\\\\","c,d","{","\u00a0",NULL}',
  ],
  ["bytea[]", [new Uint8Array([255]), null], '{"\\\\xff",NULL}'],
  ["box[]", ["(1,1),(0,0)", "(2,2),(0,0)"], "{(1,1),(0,0);(2,2),(0,0)}"],
  ["date[]", [new Date(0)], "{1970-01-01T00:00:00.000+00:00}"],
  ["bool[]", [true, false], "{true,false}"],
  ["int4range", { lower: 1, upper: 5 }, "[1,5)"],
  ["int4range", { lower: null, upper: 5, bounds: "(]" }, "(,5]"],
  ["int4range", { bounds: "empty" }, "empty"],
  ["tstzrange", { lower: new Date(0) }, "[1970-01-01T00:00:00.000+00:00,)"],
  ["int4multirange", [{ lower: 1, upper: 2 }, "[5,6)"], "{[1,2),[5,6)}"],
  ["int4multirange", "{[1,2)}", "{[1,2)}"],
  ["int4range[]", [{ lower: 1, upper: 5 }, null], '{"[1,5)",NULL}'],
];

for (const [type, value, sent] of SENT) {
  Deno.test(`encode() sends ${show(value).slice(0, 60)} as ${type}: ${show(sent).slice(0, 60)}`, () => {
    assertEquals(show(codec(type).encode(value)), show(sent));
  });
}

Deno.test("encode() sends typed arrays as elements of arrays of bytea, and of domains over it", () => {
  const image = { oid: 90_001, name: "image", schema: "public", typname: "image", kind: "d", inner: 17 };
  const images = { oid: 90_002, name: "image[]", schema: "public", typname: "_image", kind: "b", inner: 90_001 };
  const other = { delimiter: ",", has_modifier: false, attribute_names: null, attribute_types: null };
  const types = new TypeRegistry();
  types.register([{ ...image, ...other, is_array: false }, { ...images, ...other, is_array: true }]);
  const bytes = new Uint8Array([1, 255]);
  for (const oid of [90_002, 1_001]) {
    const sent = (value: unknown) => types.codecOf(oid)?.encode(value);
    assertEquals(sent([bytes, bytes.buffer, null]), '{"\\\\x01ff","\\\\x01ff",NULL}');
    assertEquals(sent([[bytes], [new DataView(bytes.buffer, 1)]]), '{{"\\\\x01ff"},{"\\\\xff"}}');
  }
});

Deno.test("encode() copies shared bytes, which another thread could change before they are sent", () => {
  for (const value of [shared, new Uint8Array(shared), new DataView(shared)]) {
    const sent = codec("bytea").encode(value) as Uint8Array;
    assertEquals([sent.buffer instanceof ArrayBuffer, [...sent]], [true, [7, 8]]);
  }
});

const REJECTED: readonly (readonly [type: string, value: unknown, given: string])[] = [
  ["bool", 2, "the number 2"],
  ["bool", {}, "an object"],
  ["int2", 32768, "the number 32768"],
  ["int4", 1.5, "the number 1.5"],
  ["int4", 2 ** 31, "the number 2147483648"],
  ["int4", NaN, "the number NaN"],
  ["int4", true, "the boolean true"],
  ["int4", [1], "an array"],
  ["int4", new Date(0), "a Date"],
  ["int8", 2n ** 63n, "the bigint 9223372036854775808"],
  ["int8", 2 ** 63, "the number 9223372036854776000"],
  ["int8", 1e300, "the number 1e+300"],
  ["oid", -1.5, "the number -1.5"],
  ["float4", 1e300, "the number 1e+300"],
  ["float4", 1e-300, "the number 1e-300"],
  ["float8", true, "the boolean true"],
  ["numeric", {}, "an object"],
  ["money", NaN, "the number NaN"],
  ["text", {}, "an object"],
  ["text", ["a"], "an array"],
  ["text", new Map(), "a Map"],
  ["text", () => 1, "a function"],
  ["text", Symbol("secret"), "a symbol"],
  ["text", new Date(NaN), "an invalid Date"],
  ["text", new Uint8Array(1), "a Uint8Array"],
  ["text", Promise.resolve("a"), "a Promise"],
  ["text", "\ud800", "a string with a lone surrogate"],
  ["text", "a\0b", "a string with U+0000"],
  ["text", /x/, "a RegExp"],
  ["text", new Error("secret"), "an Error"],
  ["json", "{}\udc00", "a string with a lone surrogate"],
  ["uuid", 5, "the number 5"],
  ["inet", {}, "an object"],
  ["bytea", [1, 2], "an array"],
  ["bytea", new Blob(["a"]), "a Blob"],
  ["bytea", 5, "the number 5"],
  ["bytea", {}, "an object"],
  ["jsonb", new Map([[1, 2]]), "a Map"],
  ["jsonb", new Set([1]), "a Set"],
  ["jsonb", Promise.resolve(1), "a Promise"],
  ["jsonb", { then: () => {} }, "a function"],
  ["jsonb", /x/, "a RegExp"],
  ["jsonb", new Error("secret"), "an Error"],
  ["jsonb", new Headers({ a: "b" }), "a Headers"],
  ["jsonb", new FormData(), "a FormData"],
  ["jsonb", new URLSearchParams("a=b"), "a URLSearchParams"],
  ["jsonb", new Blob(["a"]), "a Blob"],
  ["jsonb", new Response("a"), "a Response"],
  ["jsonb", () => 1, "a function"],
  ["jsonb", Symbol("a"), "a symbol"],
  ["jsonb", 1n, "the bigint 1"],
  ["jsonb", NaN, "the number NaN"],
  ["jsonb", { a: [Infinity] }, "the number Infinity"],
  ["jsonb", new Date(NaN), "an invalid Date"],
  ["jsonb", { a: new Date(NaN) }, "an invalid Date"],
  ["jsonb", { a: new Map() }, "a Map"],
  ["jsonb", [[[new Set()]]], "a Set"],
  ["jsonb", new Uint8Array(1), "a Uint8Array"],
  ["jsonb", { a: Buffer.from("a") }, "a Buffer"],
  ["jsonb", new ArrayBuffer(1), "an ArrayBuffer"],
  ["jsonb", new Secret(), "a Secret"],
  ["jsonb", { toJSON: () => new Map([[1, 2]]) }, "a Map"],
  ["jsonb", { toJSON: () => undefined }, "an object"],
  ["jsonb", { a: { toJSON: () => 1n } }, "the bigint 1"],
  ["jsonb", cycle, "an object"],
  ["jsonb", { a: "\0" }, "an object"],
  ["jsonb", { a: "\ud800" }, "an object"],
  ["date", new Date(NaN), "an invalid Date"],
  ["date", 1_700_000_000_000, "the number 1700000000000"],
  ["timestamptz", {}, "an object"],
  ["timestamptz", temporal("PlainTime", "12:00"), "an object"],
  ["interval", 5, "the number 5"],
  ["interval", { hour: 5 }, "an object"],
  ["interval", { days: 1.5 }, "the number 1.5"],
  ["interval", new Date(0), "a Date"],
  ["interval", new Map(), "a Map"],
  ["interval", [], "an array"],
  ["point", { x: 1 }, "an object"],
  ["circle", { x: 1, y: 2 }, "an object"],
  ["circle", [1, 2, 3], "an array"],
  ["money", true, "the boolean true"],
  ["regclass", -1, "the number -1"],
  ["regclass", {}, "an object"],
  ["int2vector", [1, 2.5], "the number 2.5"],
  ["int2vector", ["1"], "a string"],
  ["time", 5, "the number 5"],
  ["time", {}, "an object"],
  ["point", [1, 2], "an array"],
  ["int4[]", { 0: 1 }, "an object"],
  ["int4[]", new Set([1]), "a Set"],
  ["int4[]", new ArrayBuffer(4), "an ArrayBuffer"],
  ["int4[]", [1, [2]], "an array"],
  ["int4[]", [[1], 2], "an array"],
  ["int4[]", [[1, 2], [3]], "an array"],
  ["int4[]", [[1], null], "an array"],
  ["int4[]", [[[[[[[1]]]]]]], "an array"],
  ["int4[]", [1.5], "the number 1.5"],
  ["text[]", [{}], "an object"],
  ["text[]", ["\ud800"], "a string with a lone surrogate"],
  ["bytea[]", new Uint8Array(2), "the number 0"],
  ["int4range", [1, 2], "an array"],
  ["int4range", { lower: 1, upper: 2, bounds: "[" }, "an object"],
  ["int4range", { lower: 1, upper: 2, mask: 6 }, "an object"],
  ["int4range", { lower: 1, uper: 2 }, "an object"],
  ["int2vector", [1, undefined, 2], "undefined"],
  ["oidvector", [null], "null"],
  ["int4range", { lower: 1.5 }, "the number 1.5"],
  ["int4multirange", { lower: 1, upper: 2 }, "an object"],
];

for (const [type, value, given] of REJECTED) {
  Deno.test(`encode() rejects ${given} as ${type} (${kindOf(value)})`, () => {
    const error = assertThrows(() => codec(type).encode(value), ValueError) as ValueError;
    assertEquals(error.given, given);
    assertEquals(/secret/.test(error.message), false);
  });
}

Deno.test("kindOf() names the class of an object, and reads nothing else of it", () => {
  const unreadable = new Proxy({}, {
    get() {
      throw new Error("secret");
    },
  });
  assertEquals(kindOf(unreadable), "an object");
  assertEquals(kindOf({ constructor: { name: "two words" } }), "an object");
  assertEquals([new Money(), new Map(), new ArrayBuffer(1)].map(kindOf), ["a Money", "a Map", "an ArrayBuffer"]);
});
