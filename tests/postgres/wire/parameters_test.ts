import { assertEquals, assertThrows } from "@std/assert";
import { StatementError } from "../../../shared/postgres/mod.ts";
import { compositeOf } from "../../../shared/postgres/types/composite.ts";
import { builtinOid } from "../../../shared/postgres/types/names.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import {
  areEncodable,
  type Codecs,
  encodeValues,
  INFERRED,
  needsType,
  oidsOf,
  surviveRetyping,
  typesToDeclare,
  wrongCount,
} from "../../../shared/postgres/wire/parameters.ts";

const registry = new TypeRegistry();
const oid = (type: string) => builtinOid(type) ?? 0;
const [INT4, TEXT, JSONB, DATE] = ["int4", "text", "jsonb", "date"].map(oid) as [number, number, number, number];
const UNKNOWN = 99_999;
const COMPOSITE = 88_888;

/** The built-in types, and a composite. */
const codecs: Codecs = {
  codecOf(wanted) {
    const text = registry.codecOf(TEXT);
    if (wanted !== COMPOSITE || !text) return registry.codecOf(wanted);
    return {
      ...text,
      ...compositeOf([{ name: "a", codec: text }]),
      oid: COMPOSITE,
      name: "pair",
      composites: [COMPOSITE],
    };
  },
};

Deno.test("oidsOf() returns the oids of names and oids, and rejects others by their numbers", () => {
  assertEquals(oidsOf(["int4", undefined, null as unknown as undefined, 0, 25, 0xffff_ffff, "text[]"]), [
    INT4,
    INFERRED,
    INFERRED,
    0,
    25,
    4_294_967_295,
    oid("text[]"),
  ]);
  for (const type of ["mood", -1, 1.5, 0x1_0000_0000]) {
    assertThrows(() => oidsOf(["int4", type]), StatementError, "The type of $2 in paramTypes");
  }
});

Deno.test("needsType() is false for strings and nulls only", () => {
  assertEquals(["a", "", null, undefined, 0, false, {}, [], new Date(0)].map(needsType), [
    false,
    false,
    false,
    false,
    true,
    true,
    true,
    true,
    true,
  ]);
});

Deno.test("areEncodable() is true when the types of all values that need one are known", () => {
  assertEquals(areEncodable(["a", null], undefined, codecs), true);
  assertEquals(areEncodable([5], undefined, codecs), false);
  assertEquals(areEncodable(["a", 5], [INFERRED, INT4], codecs), true);
  assertEquals(areEncodable([5, 5], [INT4, INFERRED], codecs), false);
  assertEquals(areEncodable([5, 5], [INT4], codecs), false);
  assertEquals(areEncodable([{}], [UNKNOWN], codecs), false);
  assertEquals(areEncodable([{}], [COMPOSITE], codecs), false);
});

Deno.test("surviveRetyping() is true for values whose text other types read right, or not at all", () => {
  const survive = (value: unknown, type: number) => surviveRetyping([value], [type], codecs);
  assertEquals([survive(null, UNKNOWN), survive(undefined, COMPOSITE)], [true, true]);
  assertEquals([survive("x", TEXT), survive("x", UNKNOWN), survive("x", COMPOSITE)], [true, false, false]);
  assertEquals(survive({ a: 1 }, JSONB), true);
  const point = oid("point");
  // The text of an object means nothing to other types; a string may.
  assertEquals([survive({ x: 1, y: 2 }, point), survive("(1,2)", point)], [true, false]);
  assertEquals([survive([1], oid("int4range[]")), survive(new Date(0), oid("timetz"))], [false, false]);
  // An instant is what other types of date and time read; a duration is not.
  const temporal = (kind: string) => ({ [Symbol.toStringTag]: `Temporal.${kind}`, toString: () => "x" });
  const timetz = oid("timetz");
  assertEquals(
    ["Instant", "PlainDate", "ZonedDateTime", "Duration"].map((kind) => survive(temporal(kind), timetz)),
    [false, false, false, true],
  );
  assertEquals(surviveRetyping(["x", "(1,2)"], [TEXT, point], codecs), false);
  assertEquals(surviveRetyping(["x", "(1,2)"], [TEXT], codecs), true);
});

Deno.test("typesToDeclare() declares what survives, and leaves the rest to be inferred", () => {
  assertEquals(typesToDeclare([5], undefined, codecs), undefined);
  assertEquals(typesToDeclare(["a", null], [INT4, INT4], codecs), undefined);
  assertEquals(typesToDeclare(["a", { a: 1 }], [TEXT, JSONB], codecs), [INFERRED, JSONB]);
  assertEquals(typesToDeclare([{ a: 1 }], [UNKNOWN], codecs), undefined);
});

Deno.test("wrongCount() counts in singular and plural", () => {
  assertEquals(wrongCount(1, 2).message.split(":")[0], "The statement has 1 parameter, but 2 values were given");
  assertEquals(wrongCount(2, 1).message.split(":")[0], "The statement has 2 parameters, but 1 value was given");
  assertEquals(wrongCount(0, 0).message.split(":")[0], "The statement has 0 parameters, but 0 values were given");
});

Deno.test("encodeValues() encodes each value as its type, and names the one that it cannot send", () => {
  assertEquals(encodeValues(["a", null, undefined, 5], [TEXT, INT4, INT4, TEXT].slice(0, 3).concat(INT4), codecs), [
    "a",
    null,
    null,
    registry.codecOf(INT4)?.encode(5) ?? "",
  ]);
  assertEquals(encodeValues(["a"], undefined, codecs), ["a"]);
  assertThrows(() => encodeValues(["a"], [TEXT, TEXT], codecs), StatementError, "2 parameters, but 1 value was given");
  assertThrows(() => encodeValues(["a", {}], [TEXT, DATE], codecs), StatementError, "Cannot send $2 as date: ");
  assertThrows(() => encodeValues([5], undefined, codecs), StatementError, "its type is unknown (oid not given)");
  assertThrows(() => encodeValues([5], [UNKNOWN], codecs), StatementError, `its type is unknown (oid ${UNKNOWN})`);
  assertThrows(() => encodeValues(["x", "\0"], undefined, codecs), StatementError, "Cannot send $2: ");
});
