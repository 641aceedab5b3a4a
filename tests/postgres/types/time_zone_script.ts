/**
 * Reads and sends dates and times, and prints the results. Run under several time zones of the process.
 *
 * Arguments: the URL of a server.
 *
 * @module
 */
// @ts-types="../../../shared/postgres/wire/pg.d.ts"
import pg from "pg";
import { show, TypeServer } from "./type_server.ts";

/** Built-in types, whose values are those of `pg` where the process is in UTC. */
const EXPRESSIONS = [
  "'2026-08-24'::date",
  "'1850-01-01'::date",
  "'0044-03-15 BC'::date",
  "'0050-01-01'::date",
  "'infinity'::date",
  "'2026-03-08 02:30:00'::timestamp",
  "'2026-11-01 01:30:00.123'::timestamp",
  "'1883-11-18 12:00:00'::timestamp",
  "'2026-08-24 12:34:56.789012+00'::timestamptz",
  "'1900-12-31 23:59:59.5+00'::timestamptz",
  "'0044-03-15 01:02:03 BC'::timestamptz",
  "'-infinity'::timestamptz",
  "'04:05:06.789'::time",
  "'04:05:06+08'::timetz",
  "'1 year 2 mons -3 days 04:05:06.789'::interval",
  "ARRAY['2026-08-24'::date, NULL]",
  "ARRAY['2026-08-24 12:00'::timestamp]",
  "ARRAY['2026-08-24 12:00+00'::timestamptz]",
  "true",
  "12345678901234567890.5",
  "9007199254740993::bigint",
  "'{\"a\":[1]}'::jsonb",
  "'\\xdead'::bytea",
  "'(1,2)'::point",
  "'<(1,2),3>'::circle",
  "'NaN'::float8",
  "0.1::real",
  "'x'::text",
  "ARRAY['a', NULL]",
  "ARRAY[1, NULL]",
  "5::oid",
];

const SENT: [type: string, value: unknown][] = [
  ["date", new Date("2026-08-24T23:30:00Z")],
  ["date", new Date("2026-08-24T00:30:00Z")],
  ["date", new Date("1850-01-01T00:00:00Z")],
  ["timestamp without time zone", new Date("2026-03-08T07:30:00Z")],
  ["timestamp without time zone", new Date("1883-11-18T12:00:00Z")],
  ["timestamp with time zone", new Date("1800-01-01T00:00:00.001Z")],
  ["timestamp with time zone", new Date("-000043-03-15T00:00:00Z")],
  ["time without time zone", new Date("2026-08-24T23:30:00Z")],
  ["text", new Date("2026-08-24T23:30:00Z")],
  ["jsonb", { at: new Date("2026-08-24T23:30:00Z") }],
  ["tstzrange", { lower: new Date("2026-08-24T23:30:00Z") }],
];

const [url = ""] = Deno.args;
await using server = await TypeServer.connect(url);
for (const expression of EXPRESSIONS) {
  const { value, binaryValue } = await server.evaluate(expression);
  console.log(`${expression}: ${show(value)} ${show(binaryValue)}`);
}
for (const [type, value] of SENT) {
  const [sent] = await server.roundTrip(await server.codec(type), [value]);
  console.log(`${show(value)} as ${type}: ${sent?.text} ${show(sent?.value)}`);
}
if (Deno.env.get("TZ") === "UTC") {
  const client = new pg.Client(url);
  await client.connect();
  for (const expression of EXPRESSIONS) {
    const { rows: [row] } = await client.query(`SELECT ${expression} AS value`);
    console.log(`pg ${expression}: ${show(row.value)}`);
  }
  await client.end();
}
