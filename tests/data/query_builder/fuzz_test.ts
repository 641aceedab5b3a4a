/**
 * Nothing that a user sends becomes SQL: each statement of the query builder, read by the parser of PostgreSQL, has the
 * clauses that were asked for, with the names as they were given, and nothing else.
 */
import { assert, assertEquals } from "@std/assert";
import { PgParser } from "@supabase/pg-parser";
import fc from "fast-check";
import {
  createQueryBuilder,
  InvalidCursorError,
  InvalidQueryError,
  type QuerySource,
  WHERE_OPERATORS,
  WhereMissingError,
} from "../../../shared/data/mod.ts";
import type { QueryResult } from "../../../shared/postgres/mod.ts";
import { recorder } from "./recorder.ts";

const RUNS = { numRuns: Number(Deno.env.get("FUZZ_RUNS") ?? 200), seed: 20_261_128 };

/** The query builder as a user without types has it. */
interface Loose {
  from(table: unknown): Loose;
  select(...columns: unknown[]): Loose;
  join(table: unknown, left: unknown, right: unknown): Loose;
  leftJoin(table: unknown, left: unknown, right: unknown): Loose;
  where(...args: unknown[]): Loose;
  whereAny(conditions: unknown): Loose;
  orderBy(column: unknown, direction?: unknown): Loose;
  limit(rows: unknown): Loose;
  offset(rows: unknown): Loose;
  all(): Loose;
  get(): Promise<unknown>;
  first(): Promise<unknown>;
  count(): Promise<unknown>;
  paginate(options?: unknown): Promise<unknown>;
  insert(row: unknown): Promise<unknown>;
  update(values: unknown): Promise<unknown>;
  delete(): Promise<unknown>;
}

const looseBuilder = (source: QuerySource) => createQueryBuilder(source) as unknown as Loose;

const parser = new PgParser();

/** Keys whose values are names. */
const NAMES: ReadonlySet<string> = new Set(["sval", "relname", "schemaname", "name", "aliasname"]);

/** A statement as the parser reads it: its tree without names and positions, and the names in their order. */
async function parse(sql: string): Promise<{ readonly shape: string; readonly names: string[] }> {
  const { tree, error } = await parser.parse(sql);
  if (!tree) throw new Error(`The parser rejects ${JSON.stringify(sql)}: ${error}`);
  const names: string[] = [];
  const shape = JSON.stringify(tree, (key, value) => {
    if (/location$|^stmt_len$|^version$/.test(key)) return undefined;
    if (typeof value !== "string" || !NAMES.has(key) || value === "") return value;
    names.push(value);
    return "?";
  });
  assertEquals(tree.stmts?.length, 1, sql);
  return { shape, names };
}

const HOSTILE = [
  '"',
  '""',
  "'",
  ";",
  "; drop table users; --",
  '"; drop table users; --',
  '" or "1"="1',
  "--",
  "/*",
  "*/",
  "/* x */",
  "*",
  "$1",
  "$$",
  "\\",
  "\\'",
  "E'\\''",
  "id as x",
  "id desc",
  "id, (select 1)",
  "count(*)",
  "a->>'b'",
  'U&"\\0061"',
  "select",
  "NULL",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  " ",
  "\n",
  "\t",
  "\u0001",
  "\u00a0",
  "\u2028",
  "\u202e",
  "\ufeff",
  "\u{1f600}",
  "\uff02",
  "\u02bc",
  "k\u0301",
  "x".repeat(63),
];

/** A part of a name that Postgres can have. */
const part = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }),
  fc.tuple(fc.constantFrom(...HOSTILE), fc.constantFrom(...HOSTILE)).map(([one, two]) => one + two),
).map((text) => text.replaceAll(".", "_").replaceAll("\0", "_"))
  .filter((text) => text.isWellFormed() && new TextEncoder().encode(text).length <= 63);

const columnParts = fc.array(part, { minLength: 1, maxLength: 3 });
const tableParts = fc.array(part, { minLength: 1, maxLength: 2 });

const value = fc.oneof(
  fc.constantFrom<unknown>(
    { $gt: 1 },
    { "=": "1 or 1=1" },
    { toOperationNode: "x" },
    { kind: "RawNode", sqlFragments: ["1"], parameters: [] },
    [1, 2],
    ["a", "b); drop table users"],
    "1; drop table users",
    "' or '1'='1",
    NaN,
    -0,
    Infinity,
    10n ** 30n,
    new Date(0),
    new Date(NaN),
    new Uint8Array([0, 255]),
    "\0",
  ),
  fc.anything({ withBigInt: true, withDate: true, withNullPrototype: true }).filter((any) =>
    any !== undefined && any !== null
  ),
);

/** A value that an operator takes. */
function valueFor(operator: string): fc.Arbitrary<unknown> {
  if (operator.endsWith("in")) return fc.array(value, { maxLength: 3 });
  if (operator === "is" || operator === "is not") return fc.constantFrom(null, true, false);
  return value;
}

const condition = fc.tuple(columnParts, fc.constantFrom(...WHERE_OPERATORS)).chain(([column, operator]) =>
  valueFor(operator).map((compared) => ({ column, operator, compared }))
);

const query = fc.record({
  table: tableParts,
  selected: fc.array(fc.record({ column: columnParts, alias: fc.option(part) }), { maxLength: 3 }),
  joins: fc.array(fc.record({ left: fc.boolean(), table: tableParts, one: columnParts, two: columnParts }), {
    maxLength: 2,
  }),
  conditions: fc.array(condition, { maxLength: 4 }),
  any: fc.array(condition, { maxLength: 3 }),
  orders: fc.array(fc.tuple(columnParts, fc.constantFrom("asc", "desc", "ASC", "DESC")), { maxLength: 3 }),
  limit: fc.option(fc.nat()),
  offset: fc.option(fc.nat()),
  row: fc.uniqueArray(fc.tuple(part, value), { minLength: 1, maxLength: 4, selector: ([name]) => name }),
  action: fc.constantFrom("get", "first", "count", "paginate", "insert", "update", "delete"),
});

type Query = typeof query extends fc.Arbitrary<infer T> ? T : never;

/** Runs a query, with its names as they are or replaced. */
async function run(asked: Query, rename: (name: string) => string) {
  const { source, sent } = recorder();
  const name = (parts: readonly string[]) => parts.map(rename).join(".");
  const row = () => Object.fromEntries(asked.row.map(([column, of]) => [rename(column), of]));
  let built = looseBuilder(source).from(name(asked.table));
  for (const { column, operator, compared } of asked.conditions) built = built.where(name(column), operator, compared);
  if (asked.any.length > 0) {
    built = built.whereAny(asked.any.map(({ column, operator, compared }) => [name(column), operator, compared]));
  }
  if (asked.action === "update") await built.all().update(row());
  else if (asked.action === "delete") await built.all().delete();
  else if (asked.action === "insert") await looseBuilder(source).from(name(asked.table)).insert(row());
  else {
    for (const { column, alias } of asked.selected) {
      built = built.select(alias === null ? name(column) : Object.fromEntries([[rename(alias), name(column)]]));
    }
    for (const { left, table, one, two } of asked.joins) {
      built = built[left ? "leftJoin" : "join"](name(table), name(one), name(two));
    }
    for (const [column, direction] of asked.orders) built = built.orderBy(name(column), direction);
    if (asked.action === "paginate") await built.paginate({ key: "key" });
    else {
      if (asked.limit !== null) built = built.limit(asked.limit);
      if (asked.offset !== null) built = built.offset(asked.offset);
      await built[asked.action]();
    }
  }
  assertEquals(sent.length, 1);
  const [[text, values]] = sent as [[string, readonly unknown[]]];
  return { ...await parse(text), text, values };
}

Deno.test("TableQuery sends one statement with the clauses and the names that were asked for, for hostile names and values", async () => {
  await fc.assert(
    fc.asyncProperty(query, async (asked) => {
      // `table.*` and `*` have a meaning of their own.
      fc.pre(asked.selected.every(({ column, alias }) => alias !== null || column.at(-1) !== "*"));
      const harmless = new Map<string, string>();
      const rename = (name: string) => {
        const known = harmless.get(name) ?? `n${harmless.size}`;
        harmless.set(name, known);
        return known;
      };
      const plain = await run(asked, rename);
      const hostile = await run(asked, (name) => name);
      const given = new Map(Array.from(harmless, ([name, plainName]) => [plainName, name]));
      assertEquals(hostile.shape, plain.shape);
      assertEquals(hostile.names, plain.names.map((name) => given.get(name) ?? name));
      assertEquals(hostile.values, plain.values);
      assertEquals(new Set(hostile.shape.match(/"ParamRef":\{"number":\d+/g)).size, hostile.values.length);
    }),
    RUNS,
  );
});

Deno.test("TableQuery has as many conditions, orders and columns in a statement as were asked for", async () => {
  await fc.assert(
    fc.asyncProperty(query, async (asked) => {
      fc.pre(asked.selected.every(({ column, alias }) => alias !== null || column.at(-1) !== "*"));
      const { text } = await run({ ...asked, action: "get" }, (name) => name);
      const { tree } = await parser.parse(text);
      const select = (tree?.stmts?.[0]?.stmt as unknown as { SelectStmt: Record<string, unknown[]> }).SelectStmt;
      const where = select["whereClause"] as unknown as { BoolExpr?: { boolop: string; args: unknown[] } } | undefined;
      const isAnd = where?.BoolExpr?.boolop === "AND_EXPR";
      const terms = where === undefined ? 0 : isAnd ? where.BoolExpr?.args.length : 1;
      assertEquals(terms, asked.conditions.length + (asked.any.length > 0 ? 1 : 0));
      assertEquals(select["sortClause"]?.length ?? 0, asked.orders.length);
      assertEquals(select["targetList"]?.length, Math.max(asked.selected.length, 1));
      assertEquals(select["fromClause"]?.length, 1);
      assertEquals([select["withClause"], select["havingClause"], select["lockingClause"]], [
        undefined,
        undefined,
        undefined,
      ]);
    }),
    RUNS,
  );
});

/** Input of any kind where a name, an operator, a direction or a number belongs. */
const anything = fc.oneof(
  fc.anything({ withBigInt: true, withDate: true }),
  fc.constantFrom<unknown>(
    ...HOSTILE,
    "",
    "\0",
    "a\0b",
    "\ud800",
    "x".repeat(64),
    "\u{1f600}".repeat(16),
    "a.b.c.d",
    ".",
    "a.",
  ),
  fc.constant({ toString: () => "id" }),
  fc.string(),
);

Deno.test("TableQuery rejects any other name, operator, direction, number and row with a stable code, or means what it says", async () => {
  const calls = fc.record({
    table: fc.oneof(fc.constant<unknown>("users"), anything),
    column: fc.oneof(fc.constant<unknown>("id"), anything),
    operator: fc.oneof(fc.constant<unknown>("="), anything),
    value: fc.oneof(fc.constant<unknown>(1), anything),
    direction: fc.oneof(fc.constant<unknown>("asc"), anything),
    limit: fc.oneof(fc.constant<unknown>(1), anything),
    row: fc.oneof(fc.constant<unknown>({ a: 1 }), anything),
    after: fc.oneof(fc.constant<unknown>(undefined), anything),
    action: fc.constantFrom("get", "paginate", "insert", "update", "delete"),
  });
  await fc.assert(
    fc.asyncProperty(calls, async ({ table, column, operator, value, direction, limit, row, after, action }) => {
      const { source, sent } = recorder();
      try {
        const from = looseBuilder(source).from(table);
        const built = from.where(column, operator, value);
        if (action === "get") await built.orderBy(column, direction).limit(limit).get();
        if (action === "paginate") await built.orderBy(column, direction).paginate({ limit, after });
        if (action === "insert") await from.insert(row);
        if (action === "update") await built.update(row);
        if (action === "delete") await built.delete();
      } catch (error) {
        assert(
          error instanceof InvalidQueryError || error instanceof InvalidCursorError ||
            error instanceof WhereMissingError,
          `${error}`,
        );
        assertEquals(sent, []);
        return;
      }
      for (const [text] of sent) {
        const { shape } = await parse(text);
        assert(!/FuncCall|SubLink|A_Const(?!":\{"(isnull|boolval))|CommonTableExpr|"Drop/.test(shape), text);
      }
    }),
    { ...RUNS, numRuns: 2 * RUNS.numRuns },
  );
});

Deno.test("TableQuery.paginate() reads a page behind any position by the conditions of its query, in parameters", async () => {
  const positions = fc.array(fc.option(fc.oneof(fc.constantFrom(...HOSTILE), fc.string())), {
    minLength: 3,
    maxLength: 3,
  });
  const directions = fc.tuple(fc.constantFrom("asc", "desc"), fc.constantFrom("asc", "desc"));
  await fc.assert(
    fc.asyncProperty(positions, directions, async (position, [first, second]) => {
      const last = Object.fromEntries(position.map((of, at) => [`cursor:${at}`, of]));
      const sent: (readonly [string, readonly unknown[]])[] = [];
      const source: QuerySource = {
        query(text, values) {
          sent.push([text, values]);
          const rows = [{ ...last }, { ...last }];
          return Promise.resolve<QueryResult>({ rows, rowCount: 2, command: "SELECT", fields: [] });
        },
      };
      const built = looseBuilder(source).from("posts").where("owner", "=", "me").orderBy("a", first).orderBy(
        "b",
        second,
      );
      const { next } = await built.paginate({ limit: 1 }) as { next: string };
      await built.paginate({ limit: 1, after: next });
      const [text, values] = sent[1] ?? ["", []];
      const { tree } = await parser.parse(text);
      const where = (tree?.stmts?.[0]?.stmt as unknown as {
        SelectStmt: { whereClause: { BoolExpr: { boolop: string; args: unknown[] } } };
      }).SelectStmt.whereClause.BoolExpr;
      assertEquals([where.boolop, where.args.length, values[0]], ["AND_EXPR", 2, "me"]);
      const known = new Set<unknown>(["me", 2, ...position]);
      assert(values.every((of) => known.has(of)), text);
    }),
    RUNS,
  );
});
