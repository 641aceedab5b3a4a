/**
 * Changes the schema at random while statements run, and compares each result with that of a new connection.
 * `PROPERTY_SEED` (a number, or `random`) and `PROPERTY_SCALE` are those of `tests/pool/properties`: 20 takes a minute.
 */
import { assert, assertEquals } from "@std/assert";
import { PostgresConnectionManager, type PostgresPool, type QueryResult } from "../../shared/postgres/mod.ts";
import { readOptions } from "../pool/properties/group.ts";
import { TestDatabase } from "./support.ts";

const CHANGES = 60;
const WORKERS = 4;

/** Errors that a transaction may fail with once, where the schema changed since its statements were prepared. */
const MAY_FAIL_ONCE = /^(0A000|XX000|42...|22...|26000|25P02|TRANSACTION_ROLLED_BACK)$/;

/** Returns a generator of numbers from 0 to 1 (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const TYPES = [
  "int",
  "bigint",
  "smallint",
  "numeric",
  "numeric(6,2)",
  "real",
  "double precision",
  "text",
  "varchar(8)",
  "date",
  "timestamp",
  "timestamptz",
  "uuid",
  "boolean",
  "jsonb",
  "json",
  "int[]",
  "text[]",
  "interval",
  "mood",
  "pair",
];

const VALUES: readonly unknown[] = [
  0,
  7,
  -1.5,
  70_000,
  3_000_000_000,
  12345678901234567890n,
  "7",
  "07.50",
  "x",
  true,
  new Date("2026-08-24T21:34:56.789Z"),
  "2026-08-24 23:59:59+02",
  "5F0C2A9E-58D6-4B3C-9A39-6F0E6A6E8B5A",
  [],
  [1, 2],
  ["a", null],
  { a: 1, b: "x" },
  { c: 1 },
  {},
  new Uint8Array([1, 0, 255]),
  "sad",
  null,
];

/** A statement or transaction, on the pool under test and on a new connection. */
interface Probe {
  readonly what: string;
  readonly value: unknown;
  /** True if it runs in a transaction, which may fail where the schema changed. */
  readonly inTransaction: boolean;
  run(pool: PostgresPool): Promise<unknown>;
}

const rowsOf = ({ rows, fields }: QueryResult) => ({ rows, columns: fields.map(({ name }) => name) });

function createProbe(random: () => number): Probe {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const table = pick(["t0", "t1", "t2"]);
  const value = pick(VALUES);
  const label = pick(["sad", "new"]);
  const type = pick(["int", "text"]);
  const write = `insert into ${table} (v) values ($1) returning v, pg_typeof(v)::text as type`;
  const undone = (pool: PostgresPool, before: readonly string[], text: string, values: unknown[]) =>
    pool.transaction(async (tx) => {
      for (const each of before) await tx.query(each);
      const result = await tx.query(text, values);
      await tx.rollback();
      return rowsOf(result);
    });
  const probes: (() => Omit<Probe, "what" | "value"> & { readonly text: string })[] = [
    () => ({
      text: `select * from ${table}`,
      inTransaction: false,
      run: async (pool) => rowsOf(await pool.query(`select * from ${table} order by id`)),
    }),
    () => ({
      text: `write into ${table}`,
      inTransaction: true,
      run: (pool) =>
        pool.transaction(async (tx) => {
          await tx.query(`insert into ${table} (v) values ($1)`, [value]);
          const result = await tx.query(`select * from ${table} where id is null`);
          await tx.rollback();
          return rowsOf(result);
        }),
    }),
    () => ({ text: write, inTransaction: true, run: (pool) => undone(pool, [], write, [value]) }),
    () => ({
      text: `where v = $1 of ${table}`,
      inTransaction: false,
      run: async (pool) => rowsOf(await pool.query(`select id from ${table} where v = $1 order by id`, [value])),
    }),
    () => ({
      text: "mood",
      inTransaction: false,
      run: async (pool) => rowsOf(await pool.query("select $1::mood as m, array[$1::mood] as l", [label])),
    }),
    () => ({
      text: "pair",
      inTransaction: false,
      run: async (pool) => rowsOf(await pool.query("select p, array[p] as l from (select $1::pair as p) s", [value])),
    }),
    () => ({
      text: "row of pair",
      inTransaction: false,
      run: async (pool) => rowsOf(await pool.query("select row(1, '2')::pair as p, array[row(3, '4')::pair] as l")),
    }),
    () => ({
      text: "f($1)",
      inTransaction: false,
      run: async (pool) => rowsOf(await pool.query("select * from f($1)", [value])),
    }),
    () => {
      const tenant = pick(["one", "two"]);
      return {
        text: `doc of ${tenant}`,
        inTransaction: true,
        run: (pool) =>
          undone(pool, [`set local search_path = ${tenant}, public`], "select * from doc where id = $1", [value]),
      };
    },
    () => {
      const create = `create temp table ${table} (id ${pick(["int", "text"])}, v ${pick(TYPES)}) on commit drop`;
      return {
        text: `temporary ${table}`,
        inTransaction: true,
        run: (pool) => undone(pool, [create], `insert into ${table} (v) values ($1) returning *`, [value]),
      };
    },
    () => ({
      text: `list on ${table}`,
      inTransaction: true,
      run: async (pool) => {
        const list = [{ query: `select * from ${table} order by id` }, {
          query: "select * from f($1)",
          values: [value],
        }];
        return (await pool.transaction(list)).map(rowsOf);
      },
    }),
    () => ({
      text: "unprepared",
      inTransaction: false,
      run: async (pool) =>
        rowsOf(
          await pool.query(`select v, $1::${type} as p from ${table} order by id`, [value], {
            prepare: false,
          }),
        ),
    }),
  ];
  const { text, ...probe } = pick(probes)();
  return { ...probe, value, what: `${text} with ${typeof value} ${String(value)}` };
}

/** Returns a change of the schema, as statements of one transaction. */
function createChange(random: () => number): string[] {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const table = pick(["t0", "t1", "t2"]);
  const type = pick(TYPES);
  const tenant = pick(["one", "two"]);
  const labels = random() < 0.5 ? "'sad', 'ok'" : "'new', 'sad'";
  const attributes = pick(["a int, b text", "b text, a int", "a text, c int", "a int, b text, c int"]);
  return pick([
    [`alter table ${table} alter column v type ${type} using null`],
    [`alter table ${table} alter column v type text using v::text`],
    [`alter table ${table} add column if not exists extra ${type}`],
    [`alter table ${table} drop column if exists extra`],
    [
      `drop table ${table}`,
      `create table ${table} (v ${type}, id int)`,
      `insert into ${table} values (null, 1), (null, 2)`,
    ],
    ["drop type mood cascade", `create type mood as enum (${labels})`, ...restore()],
    ["drop type pair cascade", `create type pair as (${attributes})`, ...restore()],
    ["do $$ begin alter type pair rename attribute a to d; exception when others then null; end $$"],
    ["do $$ begin alter type pair rename attribute d to a; exception when others then null; end $$"],
    [
      "drop function f",
      `create function f(x ${pick(["int", "text", "numeric", "timestamptz"])}) returns table (${
        pick(["r", "s"])
      } text) ` +
      "language sql as $$ select x::text $$",
    ],
    [`drop table ${tenant}.doc`, `create table ${tenant}.doc (id ${pick(["int", "text", "numeric"])}, body ${type})`],
  ]);
}

/** Columns that a dropped type took with it. */
function restore(): string[] {
  return ["t0", "t1", "t2"].map((table) => `alter table ${table} add column if not exists v text`).concat(
    ["one", "two"].map((tenant) => `alter table ${tenant}.doc add column if not exists body text`),
  );
}

async function outcomeOf(work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (error) {
    assert(error instanceof Error);
    return { code: (error as Error & { readonly code?: string }).code ?? error.stack };
  }
}

Deno.test("PostgresConnectionManager gives what a new connection gives, while the schema changes at random", async () => {
  const { seed, scale } = readOptions();
  console.log(`schema changes: seed ${seed}`);
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const setup = [
    "create type mood as enum ('sad', 'ok')",
    "create type pair as (a int, b text)",
    "create schema one",
    "create schema two",
    "create table one.doc (id int, body text)",
    "create table two.doc (body text, id text)",
    "create table t0 (id int, v int)",
    "create table t1 (id int, v date)",
    "create table t2 (id int, v jsonb)",
    "create function f(x int) returns table (r text) language sql as $$ select x::text $$",
    "grant usage on schema one, two to public",
    ...["one", "two", "public"].flatMap((schema) => [
      `alter default privileges in schema ${schema} grant all on tables to anon`,
      `grant all on all tables in schema ${schema} to anon`,
    ]),
  ];
  for (const text of setup) await admin.query(text);
  const manager = database.manager({ maxConnections: 3 });
  const login = database.manager({ maxConnections: 2 }, "authenticator");
  let version = 0;
  let compared = 0;
  let done = false;

  const compare = async (random: () => number): Promise<void> => {
    const probe = createProbe(random);
    const asCaller = random() < 0.3;
    const poolOf = (each: PostgresConnectionManager, caller: PostgresConnectionManager): PostgresPool =>
      asCaller ? caller.as("anonymous") : each;
    const before = version;
    let got = await outcomeOf(() => probe.run(poolOf(manager, login)));
    const code = (got as { readonly code?: string }).code;
    const again = probe.inTransaction && code !== undefined && MAY_FAIL_ONCE.test(code);
    if (again) got = await outcomeOf(() => probe.run(poolOf(manager, login)));
    const fresh = new PostgresConnectionManager({
      ...database.options(asCaller ? "authenticator" : "superuser"),
      maxConnections: 1,
      minConnections: 0,
      healthCheckIntervalMs: 0,
    });
    try {
      const expected = await outcomeOf(() => probe.run(asCaller ? fresh.as("anonymous") : fresh));
      // Odd while a change is under way.
      if (version !== before || before % 2 === 1) return;
      compared++;
      // A structure that is cast to text as the server casts it, where a new connection rejects it.
      const isStructure = typeof probe.value === "object" &&
        (expected as { readonly code?: string }).code === "STATEMENT_INVALID";
      if (isStructure && (got as { readonly code?: string }).code === undefined) return;
      assertEquals(got, expected, `seed ${seed}: ${probe.what}${asCaller ? " as a caller" : ""}`);
    } finally {
      await fresh.shutdown(0);
    }
  };

  const workers = Array.from({ length: WORKERS }, async (_, index) => {
    const random = randomOf(seed + 1 + index);
    while (!done) await compare(random);
  });
  const failed = Promise.all(workers).finally(() => done = true);
  const random = randomOf(seed);
  for (let change = 0; change < CHANGES * scale && !done; change++) {
    const statements = createChange(random);
    version++;
    await admin.transaction(statements.map((query) => ({ query })), { retries: 10 }).catch((error) => {
      // A change that does not fit the schema as it is.
      if (!/^(42|2B|22|0A|23)/.test(String(error.code))) throw error;
    });
    version++;
    // Some changes follow at once; behind others, results are compared.
    const enough = compared + (random() < 0.3 ? 0 : WORKERS);
    for (let waits = 0; compared < enough && waits < 100 && !done; waits++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  done = true;
  await failed;
  assert(compared >= CHANGES * scale / 2, `only ${compared} results were compared`);
});
