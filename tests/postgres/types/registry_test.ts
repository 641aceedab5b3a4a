import { assert, assertEquals, assertThrows } from "@std/assert";
import { builtinOid } from "../../../shared/postgres/types/names.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import { DecodeError, ValueError } from "../../../shared/postgres/types/value_error.ts";
import { TypeServer } from "./type_server.ts";

Deno.test("builtinOid() knows the names of the server, of SQL, and those of arrays", () => {
  const names: Record<string, number | undefined> = {
    "int4": 23,
    "integer": 23,
    " INT ": 23,
    "int4[]": 1007,
    "integer []": 1007,
    "integer[3][]": 1007,
    "numeric(10,2)": 1700,
    "numeric( 10 , -2 )[]": 1231,
    "varchar(5)": 1043,
    "character varying(5)[]": 1015,
    "char": 1042,
    '"char"': 18,
    '"char"[]': 1002,
    "bit(3)": 1560,
    "timestamp(3) with time zone": 1184,
    "timestamp  without time zone": 1114,
    "double precision[]": 1022,
    "pg_catalog.int8": 20,
    "int4range": 3904,
    "int4range[]": 3905,
    "datemultirange[]": 6155,
    "record": 2249,
    "unknown[]": undefined,
    "mood": undefined,
    "public.int4": undefined,
    "": undefined,
  };
  for (const [name, oid] of Object.entries(names)) assertEquals(builtinOid(name), oid, name);
});

Deno.test("TypeRegistry knows every base, range and multirange type of pg_catalog, its array and its names", async () => {
  await using server = await TypeServer.start();
  const { rows } = await server.query(`
    SELECT t.oid, t.typname AS name, t.typarray AS array, format_type(t.oid, NULL) AS printed
    FROM pg_type t
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typcategory NOT IN ('A', 'Z')
      -- Of category S in version 14, of Z since.
      AND t.typname NOT IN ('pg_node_tree', 'pg_ndistinct', 'pg_dependencies', 'pg_mcv_list', 'pg_brin_bloom_summary', 'pg_brin_minmax_multi_summary')
  `);
  assert(rows.length > 70);
  for (const { oid, name, array, printed } of rows) {
    const codec = server.registry.codecOf(Number(oid));
    assertEquals(codec?.name, printed, `${name}`);
    if (array !== "0") assertEquals(server.registry.codecOf(Number(array))?.name, `${printed}[]`);
    assertEquals(builtinOid(`${name}` === "char" ? '"char"' : `${name}`), Number(oid), `${name}`);
    assertEquals(builtinOid(`${printed}`), Number(oid), `${printed}`);
  }
  // Types of category Z are the server's own; they are text.
  assertEquals((await server.codec("pg_mcv_list")).decodeText("x"), "x");
});

Deno.test("CATALOG_QUERY loads all that a type contains at once, as any role, under any search_path", async () => {
  await using server = await TypeServer.start();
  const { registry } = server;
  const { rows } = await server.query("SELECT 'everything[]'::regtype::oid AS oid, 'int4[]'::regtype::oid AS known");
  const oid = Number(rows[0]?.oid);
  assertEquals(registry.codecOf(oid), undefined);
  await server.query(`
    CREATE ROLE reader;
    CREATE SCHEMA evil;
    CREATE TABLE evil.pg_type (oid oid);
    CREATE FUNCTION evil.never(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT false';
    CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.never);
    GRANT USAGE ON SCHEMA evil TO reader;
    SET search_path = evil, pg_catalog;
    SET ROLE reader
  `);
  registry.register(await server.rowsOf([oid]));
  const codec = registry.codecOf(oid);
  assertEquals(codec?.name, "public.everything[]");
  assertEquals(codec?.composites.length, 2);
  assertEquals(codec?.encode([{ p: { a: 1 } }]), '{"(,,,,,,,\\"(1,)\\",,,,,,,,,,)"}');
});

Deno.test("CATALOG_QUERY returns no row for a type that does not exist, and the registry passes its text on", async () => {
  await using server = await TypeServer.start();
  assertEquals(await server.rowsOf([4_000_000_000]), []);
  const codec = server.registry.codecOrText(4_000_000_000);
  assertEquals([codec.name, codec.binary, codec.decodeText("(1)"), codec.encode("a")], [
    "type 4000000000",
    false,
    "(1)",
    "a",
  ]);
});

Deno.test("register() reports a composite whose attributes have changed, and codecs follow it", async () => {
  await using server = await TypeServer.start();
  const codec = await server.codec("pair[]");
  const [composite] = codec.composites;
  assert(composite !== undefined);
  assertEquals(server.registry.register(await server.rowsOf([composite])), false);
  assertEquals(server.registry.codecOf(codec.oid), codec);

  await server.query("ALTER TYPE pair RENAME ATTRIBUTE a TO first");
  assertEquals(server.registry.register(await server.rowsOf([composite])), true);
  assertEquals((await server.evaluate("ARRAY[ROW(1, 'x')::pair]")).value, [{ first: 1, "B b": "x" }]);

  await server.query("ALTER TYPE pair ADD ATTRIBUTE third text CASCADE");
  const stale = server.registry.codecOf(composite);
  assertThrows(() => stale?.decodeText("(1,x,y)"), DecodeError, "attributes have changed");
  assertEquals(server.registry.register(await server.rowsOf([composite])), true);
  const { value, binaryValue } = await server.evaluate("ROW(1, 'x', 'y')::pair");
  assertEquals(value, { first: 1, "B b": "x", third: "y" });
  assertEquals(binaryValue, value);
});

Deno.test("overrides of TypeRegistry apply by name and oid, inside arrays, ranges, domains and composites", async () => {
  await using server = await TypeServer.start();
  for (const type of ["mood", "everything", "positives", '"Other"."Mood"']) await server.codec(type);
  const upper = {
    decode: (text: string) => text.toUpperCase(),
    encode: (value: unknown) => String(value).toLowerCase(),
  };
  const view = server.registry.with({
    bigint: { decode: BigInt },
    "1700": { decode: Number, encode: (value) => `${Number(value) * 2}` },
    "public.mood": upper,
    '"Other"."Mood"': upper,
    positive: { decode: (text) => ({ positive: Number(text) }) },
  });
  const codecOf = (name: string) => {
    const oid = builtinOid(name);
    const found = oid === undefined ? undefined : view.codecOf(oid);
    assert(found, name);
    return found;
  };
  assertEquals(codecOf("int8[]").decodeText("{1,NULL}"), [1n, null]);
  assertEquals([codecOf("int8[]").binary, codecOf("int4[]").binary, server.registry.codecOf(1016)?.binary], [
    false,
    true,
    true,
  ]);
  assertEquals(codecOf("int8multirange").decodeText("{[1,3)}"), [{ lower: 1n, upper: 3n, bounds: "[)" }]);
  assertEquals(codecOf("int8").encode(5n), "5");
  assertEquals(codecOf("numeric").encode("1.5"), "3");
  assertEquals(codecOf("numeric").survivesRetyping(5), false);
  assertEquals(codecOf("numrange").encode({ lower: 1, upper: 2 }), "[2,4)");
  const everything = view.codecOf((await server.codec("everything")).oid);
  const read = everything?.decodeText('(1,2,,3.10,,,sad,,,,,4,"{5}",,,,,)') as Record<string, unknown>;
  assertEquals([read.b, read.n, read.m, read.dom, read.doms], [2n, 3.1, "SAD", { positive: 4 }, [{ positive: 5 }]]);
  assertEquals(view.codecOf((await server.codec('"Other"."Mood"')).oid)?.decodeText("x"), "X");
  assertEquals(view.codecOf((await server.codec("mood")).oid)?.encode("SAD"), "sad");
  // The registry without them, and its further views, are as before.
  assertEquals(server.registry.codecOf(20)?.decodeText("1"), "1");
  const further = view.with({ numeric: { decode: (text) => `n${text}` } });
  assertEquals([further.codecOf(1700)?.decodeText("1"), further.codecOf(20)?.decodeText("1")], ["n1", 1n]);
  assertEquals(view.with(undefined), view);
});

Deno.test("with() returns one view for one object of overrides", () => {
  const registry = new TypeRegistry();
  const overrides = { int8: { decode: BigInt } };
  assertEquals(registry.with(overrides), registry.with(overrides));
});

Deno.test("TypeRegistry rejects an override that is not an object of functions, and text that encode() does not return", () => {
  for (const override of [null, 5, { decode: 5 }, { encode: "x" }, { decode: null }]) {
    assertThrows(() => new TypeRegistry({ int8: override as never }), TypeError, 'types["int8"] must be an object');
  }
  const registry = new TypeRegistry({ int8: { encode: () => 5 as never }, text: { encode: () => "\0" } });
  assertThrows(() => registry.codecOf(20)?.encode(1), ValueError, "must return a string");
  assertThrows(() => registry.codecOf(25)?.encode(1), ValueError, "U+0000");
});
