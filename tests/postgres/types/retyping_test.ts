import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { SCALARS } from "./arbitraries.ts";
import { show, TypeServer } from "./type_server.ts";

/** Reads a text as one type, then as another: what the server does with a parameter of a type that a column had. */
const READER = `
  CREATE FUNCTION read_as(value text, VARIADIC types text[]) RETURNS text LANGUAGE plpgsql AS $$
  DECLARE
    expression text := quote_literal(value);
    type text;
    result text;
  BEGIN
    FOREACH type IN ARRAY types LOOP expression := format('(%s)::%s', expression, type); END LOOP;
    EXECUTE 'SELECT (' || expression || ')::text' INTO result;
    RETURN result;
  EXCEPTION WHEN OTHERS THEN
    RETURN 'error';
  END $$;
  SET timezone = 'Asia/Kolkata';
`;

/** The types that a value of a type is cast to in an assignment. */
const TARGETS = `
  SELECT format_type(casttarget, NULL) AS target FROM pg_cast
  WHERE castsource = $1 AND castcontext IN ('a', 'i') AND castsource <> casttarget
    -- A negative integer becomes an oid that nothing has.
    AND NOT (casttarget::regtype::text LIKE 'reg%' AND castsource IN (20, 21, 23))
  UNION SELECT unnest(ARRAY['text', 'character varying', 'bpchar'])
`;

const VALUES = 40;

/** Texts that only some types read, in forms that the server does not print. */
const STRINGS = fc.oneof(
  fc.constantFrom(
    ..." 42 |042|+42|-0|0|1e3|1_000|0x1f|1.50|1.5|-7|9999999999|NaN|infinity|t|yes|TRUE|true|false".split("|"),
    ..."2026-08-24|2026-8-24|24 Aug 2026|2026-08-24 23:30:00|2026-08-24 23:30:00+00|2026-08-24T23:30:00Z".split("|"),
    ..."04:05:06|4:05|04:05:06.50|04:05:06+02|1 day|P1D|10.0.0.1|10.0.0.1/8|10.0.0.0/8|B101|101|x1f".split("|"),
    ..."550e8400-e29b-41d4-a716-446655440000|550E8400-E29B-41D4-A716-446655440000|{1,2}|[1,2]|(1,2)".split("|"),
    ...'{"a":1}|{"b":1, "a":2}|"x"|null|a  |  a|pg_class|so so|<a/>|$1.50'.split("|"),
  ),
  fc.string(),
);

Deno.test("survivesRetyping() is true only of values that mean the same under every type a column may get", async (t) => {
  await using server = await TypeServer.start();
  await server.query(READER);
  let survivors = 0;
  for (const item of SCALARS) {
    if (item.type === "bytea") continue;
    await t.step(item.type, async () => {
      const codec = await server.codec(item.type);
      const type = codec.name === "bit" ? 'pg_catalog."bit"' : codec.name === "character" ? "bpchar" : codec.name;
      const { rows } = await server.query(TARGETS, [String(codec.oid)]);
      const targets = rows.map(({ target }) => target as string).filter((target) => target !== type);
      const values = fc.sample(fc.oneof(item.values, STRINGS), { seed: 7, numRuns: VALUES })
        .filter((value) => typeof value !== "string" || !/[\0\ud800-\udfff]/.test(value))
        .filter((value) => codec.survivesRetyping(value));
      for (const value of values) {
        const sent = codec.encode(value) as string;
        for (const target of targets) {
          const { rows: [row] } = await server.query("SELECT read_as($1, $2, $3) AS before, read_as($1, $3) AS after", [
            sent,
            type,
            target === "bit" ? 'pg_catalog."bit"' : target === "character" ? "bpchar" : target,
          ]);
          // A value that neither the old nor the new type reads gives no wrong data.
          if (row?.before !== "error") {
            assertEquals(row?.before, row?.after, `${show(value)} as ${type}, then ${target}`);
          }
          survivors++;
        }
      }
    });
  }
  assert(survivors > 500, `only ${survivors} values were compared`);
});

Deno.test("survivesRetyping() is true of the usual values, which then run on the prepared statement", async () => {
  await using server = await TypeServer.start();
  const usual: [type: string, value: unknown][] = [
    ["integer", 42],
    ["bigint", "12345678901234567890"],
    ["bigint", 5n],
    ["smallint", -1],
    ["numeric", 12],
    ["numeric", "12345678901234567890"],
    ["double precision", 3],
    ["boolean", true],
    ["text", "hello"],
    ["character varying", "hello "],
    ["uuid", "550e8400-e29b-41d4-a716-446655440000"],
    ["date", "2026-08-24"],
    ["timestamp", "2026-08-24 12:00:00"],
    ["json", { a: 1 }],
    ["jsonb", 42],
    ["mood", "sad"],
    ["bytea", new Uint8Array(3)],
    ["integer[]", [1, null, 2]],
    ["integer[]", new Int32Array(2)],
    ["text[]", ["a", "b c"]],
    ["positive", 4],
  ];
  for (const [type, value] of usual) {
    assert((await server.codec(type)).survivesRetyping(value), `${type}: ${show(value)}`);
  }
  const changed: [type: string, value: unknown][] = [
    ["integer", " 42"],
    ["integer", "042"],
    ["numeric", "1.50"],
    ["numeric", 1.5],
    ["real", 1.5],
    ["double precision", 0.1],
    ["double precision", 1e15],
    ["date", new Date()],
    ["timestamp", new Date()],
    ["timestamptz", new Date()],
    ["timestamptz", "2026-08-24 12:00:00+00"],
    ["interval", { days: 1 }],
    ["uuid", "550E8400-E29B-41D4-A716-446655440000"],
    ["jsonb", { a: 1 }],
    ["inet", "10.0.0.1"],
    ["bpchar", "a "],
    ["int4range", { lower: 1, upper: 2, bounds: "[)" }],
    ["pair", { a: 1 }],
    ["cents", "1.505"],
    ["integer[]", ["1", " 2"]],
    ["date[]", [new Date()]],
    ["oid", 4294967295],
  ];
  for (const [type, value] of changed) {
    assert(!(await server.codec(type)).survivesRetyping(value), `${type}: ${show(value)}`);
  }
});
