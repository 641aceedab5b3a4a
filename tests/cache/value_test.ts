import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { CacheValueError, LayeredCache } from "../../shared/cache/mod.ts";
import { decodeEnvelope, encodeEnvelope } from "../../shared/cache/envelope.ts";
import { copyValue, encodeValue, freezeValue, reviveValue } from "../../shared/cache/value.ts";

const revive = (text: string) => reviveValue(JSON.parse(text), text.length);
const roundTrip = (value: unknown) => revive(encodeValue(freezeValue("key", value))).value;

/** Compares as `Object.is` does at the leaves: `-0` is not 0. */
function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b) && Object.getPrototypeOf(a) !== null) return false;
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (a instanceof Uint8Array && b instanceof Uint8Array) return a.length === b.length && a.every((x, i) => x === b[i]);
  if (a instanceof Map && b instanceof Map) return same([...a], [...b]);
  if (a instanceof Set && b instanceof Set) return same([...a], [...b]);
  const [keys, others] = [Object.keys(a), Object.keys(b)];
  return keys.length === others.length &&
    keys.every((key) => Object.hasOwn(b, key) && same(Reflect.get(a, key), Reflect.get(b, key)));
}

const leaf = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.double(),
  fc.constantFrom(undefined, null, true, false, NaN, -0, 0, Infinity, -Infinity, "\ud800", ""),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array(),
);
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof({ depthSize: "small" }, leaf, tie("array"), tie("record"), tie("map"), tie("set")),
  array: fc.array(tie("value"), { maxLength: 5 }),
  record: fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("$", "v", "toJSON", "constructor")), tie("value"), {
    maxKeys: 5,
  }).map((record) => ({ ...record })),
  map: fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 3 }).map((entries) => new Map(entries)),
  set: fc.array(tie("value"), { maxLength: 3 }).map((members) => new Set(members)),
}));

Deno.test("freezeValue(), encodeValue() and reviveValue() return what they were given, for every kind of value", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      if (hasProto(value)) return;
      assert(same(value, freezeValue("key", value).value));
      assert(same(value, roundTrip(value)));
      assert(same(value, copyValue(freezeValue("key", value).value)));
      const times = { freshUntil: 1, staleUntil: 2, graceUntil: 3 };
      const entry = decodeEnvelope(encodeEnvelope(times, [["t", "s"]], freezeValue("key", value)));
      assert(entry && same(value, entry.value));
      assertEquals([entry.freshUntil, entry.staleUntil, entry.graceUntil, entry.stamps], [1, 2, 3, [["t", "s"]]]);
    }),
    { numRuns: 300 },
  );
});

function hasProto(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof Map || value instanceof Set) return [...value].some(hasProto);
  if (Object.hasOwn(value, "__proto__")) return true;
  return Object.values(value).some(hasProto);
}

Deno.test("reviveValue() rejects what encodeValue() has not written, and pollutes no prototype", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      try {
        revive(JSON.stringify(json));
      } catch (error) {
        assert(error instanceof TypeError || error instanceof DOMException, String(error));
      }
    }),
    { numRuns: 300 },
  );
  for (
    const text of ['{"__proto__":{"x":1}}', '{"a":[{"__proto__":1}]}', '{"$":"map","v":[[1]]}', '{"$":"set","v":1}']
  ) {
    assertThrows(() => revive(text), TypeError);
  }
  assertEquals(({} as Record<string, unknown>).x, undefined);
});

class Author {
  name = "Ada";
}

Deno.test("freezeValue() rejects what would not come back, naming the part", () => {
  const cycle: unknown[] = [];
  cycle.push({ cycle });
  const deep = Array.from({ length: 200 }).reduce<unknown>((inner) => [inner], 1);
  const cases: readonly (readonly [value: unknown, path: string, reason: string])[] = [
    [{ author: new Author() }, "$.author", "it is an instance of Author"],
    [[1, () => {}], "$[1]", "it is a function"],
    [{ a: { b: Symbol("s") } }, "$.a.b", "it is a symbol"],
    [cycle, "$", "contains itself"],
    [deep, "$", "nested more than 100 levels"],
    [/x/, "$", "it is an instance of RegExp"],
    [new Error("x"), "$", "it is an instance of Error"],
    [new Uint16Array(1), "$", "it is an instance of Uint16Array"],
    [Promise.resolve(1), "$", "it is an instance of Promise"],
    [new (class extends Date {})(), "$", "it is an instance of a class"],
    [Object.assign([1], { extra: 1 }), "$", "members that have names"],
    [new Array(2), "$", "it has a hole at 0"],
    [JSON.parse('{"__proto__":1}'), "$", "it has a member __proto__"],
    [{ [Symbol("s")]: 1 }, "$", "a member with a symbol"],
    [10n ** 5_000n, "$", "it has 5001 digits"],
    [new Map([["a", new WeakMap()]]), "$.value 0", "it is an instance of WeakMap"],
    [{ at: Object.assign(new Date(0), { zone: "UTC" }) }, "$.at", "it is a Date with members"],
    [Object.assign(new Map(), { a: 1 }), "$", "it is a Map with members"],
    [Object.assign(new Set(), { [Symbol("s")]: 1 }), "$", "it is a Set with members"],
  ];
  for (const [value, path, reason] of cases) {
    const error = assertThrows(() => freezeValue("user:1", value), CacheValueError);
    assertEquals(error.code, "CACHE_VALUE_INVALID");
    assert(error.path.startsWith(path), `${error.path} instead of ${path}`);
    assert(error.message.includes(reason), error.message);
  }
});

Deno.test("LayeredCache.set() copies and freezes: neither the caller's changes nor a reader's reach others", async () => {
  using cache = new LayeredCache();
  const value = { rows: [{ id: 1 }], at: new Date(0), bytes: new Uint8Array([1]), tags: new Map([["a", 1]]) };
  await cache.set("key", value, 60);
  value.rows.push({ id: 2 });
  value.at.setTime(5);
  value.bytes[0] = 9;
  const read = await cache.get<typeof value>("key");
  assert(read);
  assertEquals(read, { rows: [{ id: 1 }], at: new Date(0), bytes: new Uint8Array([1]), tags: new Map([["a", 1]]) });
  assertThrows(() => read.rows.push({ id: 3 }), TypeError);
  assertThrows(() => Reflect.set(read, "rows", []) || fail(), TypeError);
  // What cannot be frozen is each reader's own.
  read.at.setTime(7);
  read.bytes[0] = 7;
  read.tags.clear();
  assertEquals((await cache.get<typeof value>("key"))?.at, new Date(0));
  assertEquals((await cache.get<typeof value>("key"))?.bytes, new Uint8Array([1]));
  assertEquals((await cache.get<typeof value>("key"))?.tags.size, 1);
  // The promise of a hit is not a way to others either.
  await cache.set("plain", { a: 1 }, 60);
  assertEquals(Reflect.set(cache.get("plain"), "then", 1), false);
  assertEquals(await cache.get("plain"), { a: 1 });
});

function fail(): never {
  throw new TypeError("It is frozen");
}

Deno.test("freezeValue() rejects what has too many parts at once, however few objects it shares", () => {
  let shared: unknown = {};
  for (let level = 0; level < 60; level++) shared = { left: shared, right: shared };
  assertThrows(() => freezeValue("k", shared), CacheValueError, "more than 1000000 objects and arrays");
});

Deno.test("freezeValue() rejects members that are not enumerable", () => {
  const value = Object.defineProperty({ a: 1 }, "b", { value: 2, enumerable: false });
  assertThrows(() => freezeValue("k", [value]), CacheValueError, "at $[0]: it has a member that is not enumerable");
});

Deno.test("reviveValue() rejects a mark whose value is of another kind", () => {
  for (
    const [kind, v] of [["bigint", 1], ["number", "1"], ["date", "now"], ["bytes", 1], ["set", {}], ["map", {}], [
      "x",
      1,
    ]]
  ) {
    assertThrows(() => revive(JSON.stringify({ "$": kind, v })), TypeError);
  }
});

Deno.test("freezeValue() passes on what a getter throws", () => {
  const value = {
    get a(): never {
      throw new RangeError("of the getter");
    },
  };
  assertThrows(() => freezeValue("k", value), RangeError, "of the getter");
});

Deno.test("decodeEnvelope() reads rows as it reads other values, and rejects what is nearly one", () => {
  const times = { freshUntil: 11, staleUntil: 12, graceUntil: 13 };
  const rows = fc.dictionary(
    fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("$", "v", "__proto_", "[", "{")),
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.double(),
      fc.boolean(),
      fc.constantFrom(null, "__proto__", "{", "]", '"', "\\", "$", "\ud800", {}, []),
    ),
  ).map((row) => ({ ...row }));
  fc.assert(fc.property(rows, (row) => {
    const entry = decodeEnvelope(encodeEnvelope(times, [], freezeValue("k", row)));
    assert(entry && same(row, entry.value) && Object.isFrozen(entry.value));
    assertEquals([entry.freshUntil, entry.staleUntil, entry.graceUntil, entry.stamps, entry.isCopied], [
      11,
      12,
      13,
      [],
      false,
    ]);
  }));
  const near = [
    '{"a":1',
    '{"a":1}}',
    '{"a":1},2',
    '{"a":1}]',
    "{a:1}",
    '{"a":1,}',
    '{"__proto__":1}',
    '{"\\u005f_proto__":1}',
  ];
  for (const json of near) assertEquals(decodeEnvelope(`[1,11,12,13,0,${json}]`), undefined, json);
  for (const head of ["[1,11,12,13,0", "[1,11,12,-13,0,", "[1,11,12,0,", "[2,11,12,13,0,", "[1,11,12,1.5,0,"]) {
    assertEquals(decodeEnvelope(`${head}{"a":1}]`), undefined, head);
  }
  for (const end of ["", " ", "}", "]]"]) assertEquals(decodeEnvelope(`[1,11,12,13,0,{"a":1}${end}`), undefined);
  // As JSON allows.
  assertEquals(decodeEnvelope('[1,11,12,13,0,{ "a" : 1 }]')?.value, { a: 1 });
});

Deno.test("reviveValue() rejects what freezeValue() would: readers of a value with a Date get a copy", () => {
  const date = { at: { "$": "date", v: 0 } };
  const foreign = [
    { ...date, digits: { "$": "bigint", v: "9".repeat(4_097) } },
    { ...date, digits: { "$": "bigint", v: `-${"9".repeat(4_096)}` } },
    { ...date, many: Array.from({ length: 1_000_001 }, () => []) },
  ];
  for (const json of foreign) assertThrows(() => revive(JSON.stringify(json)), TypeError);
  const digits = `-${"9".repeat(4_095)}`;
  const { value } = revive(JSON.stringify({ ...date, digits: { "$": "bigint", v: digits } }));
  assertEquals(copyValue(value), { at: new Date(0), digits: BigInt(digits) });
});
