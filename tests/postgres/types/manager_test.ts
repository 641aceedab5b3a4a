import { assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { PostgresInterval, StatementError } from "../../../shared/postgres/mod.ts";
import { TestDatabase } from "../support.ts";
import { CASES, expectation, valuesOf } from "./arbitraries.ts";
import { SCHEMA, show } from "./type_server.ts";

/** Runs a script of several statements. */
function script(text: string): string {
  return `DO $script$ BEGIN EXECUTE $all$${text}$all$; END $script$`;
}

/** Names of types that stand for another type in SQL. */
function inSql(type: string): string {
  return type.replace(/^bit(?=$|\[)/, 'pg_catalog."bit"').replace(/^character(?=$|\[)/, "bpchar");
}

const { PROPERTY_SCALE = "1", PROPERTY_SEED = "20260824" } = Deno.env.toObject();
const seed = PROPERTY_SEED === "random" ? Math.trunc(Math.random() * 2 ** 31) : Number(PROPERTY_SEED);
const RUNS = Math.max(1, Math.round(4 * Number(PROPERTY_SCALE)));

Deno.test(`query() gives values of every type back as the server understood them (seed ${seed})`, async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1, options: "-c timezone=UTC" });
  await manager.query(script(SCHEMA));
  const { rows: [{ version } = { version: 0 }] } = await manager.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS version",
  );
  for (const item of CASES) {
    await t.step(item.type, async () => {
      const expected = expectation(item);
      if (!expected) return;
      const property = fc.asyncProperty(valuesOf(item, version), async (given) => {
        const text = `SELECT $1::${inSql(item.type)} AS value`;
        const { rows: [row] } = await manager.query<{ value: unknown }>(text, [given]);
        const wanted = given === null || given === undefined ? null : expected(given);
        assertEquals(show(row?.value), show(wanted));
        const { rows: [back] } = await manager.query<{ value: unknown }>(text, [row?.value]);
        assertEquals(show(back?.value), show(wanted), "sent back");
      });
      await fc.assert(property, { seed, numRuns: RUNS, endOnFailure: true });
    });
  }
});

Deno.test("query() stores what its columns hold: JSON, arrays, bytes, dates, composites", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1 });
  await manager.query(script(SCHEMA));
  await manager.query(
    "CREATE TABLE t (id serial, j jsonb, k json, x bytea, d date, ts timestamp, m mood[], p pair[], n numeric[], r int4range)",
  );
  const insert = async (column: string, value: unknown) => {
    const { rows: [row] } = await manager.query<{ value: unknown }>(
      `INSERT INTO t (${column}) VALUES ($1) RETURNING ${column} AS value`,
      [value],
    );
    return row?.value;
  };
  for (const value of [[], {}, [[1, 2]], [{ a: 1 }], ["x"], [null], 5, true, { a: { b: [] } }]) {
    assertEquals(await insert("j", value), value);
    assertEquals(await insert("k", value), value);
  }
  assertEquals(await insert("x", new Uint8Array([0, 255]).buffer), Buffer.from([0, 255]));
  assertEquals(await insert("x", new Uint8Array([1, 2, 3]).subarray(1, 2)), Buffer.from([2]));
  const late = new Date("2026-08-24T23:30:00Z");
  assertEquals(await insert("d", late), new Date("2026-08-24"));
  assertEquals(await insert("ts", late), late);
  assertEquals(await insert("m", ["sad", null, "ha,ppy"]), ["sad", null, "ha,ppy"]);
  assertEquals(await insert("p", [{ a: 1, "B b": 'x"' }, null]), [{ a: 1, "B b": 'x"' }, null]);
  assertEquals(await insert("n", ["12345678901234567890.123", 1.5]), ["12345678901234567890.123", "1.5"]);
  assertEquals(await insert("r", { lower: 1, upper: 3, bounds: "[]" }), { lower: 1, upper: 4, bounds: "[)" });

  const rejected: [column: string, value: unknown, message: string][] = [
    ["j", new Map([["secret", 1]]), "$1 as jsonb: a Map"],
    ["k", new Set(), "$1 as json: a Set"],
    ["j", { a: [() => 1] }, "$1 as jsonb: a function"],
    ["j", Promise.resolve(1), "$1 as jsonb: a Promise"],
    ["x", new Blob(["secret"]), "$1 as bytea: a Blob"],
    ["x", [1, 2], "$1 as bytea: an array"],
    ["d", new Date(NaN), "$1 as date: an invalid Date"],
    ["m", [Symbol("secret")], "$1 as mood[]: a symbol"],
    ["p", [{ secret: 1 }], "$1 as pair[]: an object"],
    ["d", "\ud800secret", "$1"],
    ["id", 1.5, "$1 as integer: the number 1.5"],
  ];
  for (const [column, value, message] of rejected) {
    const error = await assertRejects(() => insert(column, value), StatementError);
    assertEquals(
      [error.message.includes(message), error.message.includes("secret\ufffd")],
      [true, false],
      error.message,
    );
  }
  const { rows: [{ count } = { count: 0 }] } = await manager.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM t WHERE d IS NULL AND j = '{}'",
  );
  assertEquals(count, 1, "nothing but the object without members is stored as {}");
});

Deno.test("query() reads dates and intervals right whatever the styles of the role and the session", async () => {
  await using database = await TestDatabase.start();
  const admin = database.manager({ maxConnections: 1 });
  await admin.query("ALTER DATABASE postgres SET DateStyle = 'German'");
  await admin.query("ALTER DATABASE postgres SET IntervalStyle = 'sql_standard'");
  const manager = database.manager({ maxConnections: 1, options: "-c DateStyle=SQL,DMY" });
  const text =
    "SELECT '2026-08-04'::date AS d, '1 day 02:00'::interval AS i, ARRAY['2026-08-04 10:00+00'::timestamptz] AS ts";
  const expected = {
    d: new Date("2026-08-04"),
    i: new PostgresInterval({ days: 1, hours: 2 }),
    ts: [new Date("2026-08-04T10:00:00Z")],
  };
  for (let run = 0; run < 3; run++) assertEquals(show((await manager.query(text)).rows[0]), show(expected));
  await using lease = await manager.lease();
  await lease.query("SET DateStyle = 'Postgres, DMY'");
  // In binary no style takes part.
  for (const more of ["", " -- new"]) assertEquals(show((await lease.query(text + more)).rows[0]), show(expected));
});

Deno.test("types of a manager and of a query change how values are read and sent", async () => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1, types: { int8: { decode: BigInt } } });
  const text = "SELECT 5::int8 AS one, ARRAY[1, NULL]::int8[] AS many, int8range(1, 3) AS range";
  for (let run = 0; run < 3; run++) {
    assertEquals((await manager.query(text)).rows, [
      { one: 5n, many: [1n, null], range: { lower: 1n, upper: 3n, bounds: "[)" } },
    ]);
    const types = {
      bigint: { decode: (digits: string) => `n${digits}` },
      jsonb: { encode: (value: unknown) => `[${value}]` },
    };
    assertEquals((await manager.query("SELECT 5::int8 AS one, $1::jsonb AS j", [7], { types })).rows, [
      { one: "n5", j: [7] },
    ]);
  }
});
