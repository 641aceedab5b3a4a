/**
 * Values of each type, and what the server is expected to return for them.
 *
 * @module
 */
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { PostgresInterval } from "../../../shared/postgres/types/interval.ts";
import { SERVER_MAJOR } from "../server_version.ts";

/** The values of a type. */
export interface TypeCase {
  /** The name of the type. */
  readonly type: string;
  readonly values: fc.Arbitrary<unknown>;
  /** The result for a value; `unchecked` where only the way back to the server can be compared. Default: the value. */
  readonly expected?: ((value: unknown) => unknown) | "unchecked";
}

/** Any Unicode text that Postgres stores, with the characters that have a meaning in arrays and composites. */
export const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "binary" }).map((value) => value.replaceAll("\0", "")),
  fc.string({ unit: fc.constantFrom(..."\"\\{}()[],;NULnul \t\n'\u00e9\ufeff") }),
  fc.constantFrom("", "NULL", "null", " ", "\ufeff", "\\", '"', "{}", "()", "\u{1f600}"),
);

const float = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, Number.MAX_VALUE, 1e15, 1e21, 1e-7, 123456789.125),
  fc.integer(),
);

const LEAST_INT8 = -(2n ** 63n);
const MOST_INT8 = 2n ** 63n - 1n;
const int8 = fc.oneof(
  fc.bigInt({ min: LEAST_INT8, max: MOST_INT8 }),
  fc.constantFrom(LEAST_INT8, MOST_INT8, 0n, -1n, 2n ** 53n, -(2n ** 53n), 2n ** 32n, 4294967295n),
  fc.maxSafeInteger(),
);

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 40n), max: 10n ** 40n }), fc.nat({ max: 30 }))
  .map(([digits, scale]) => {
    const sign = digits < 0n ? "-" : "";
    const all = String(digits < 0n ? -digits : digits).padStart(scale + 1, "0");
    return scale === 0 ? `${sign}${all}` : `${sign}${all.slice(0, -scale)}.${all.slice(-scale)}`;
  })
  // The server has no negative zero.
  .map((value) => /^-[0.]+$/.test(value) ? value.slice(1) : value);

/** The dates that both a Date and the type can hold: Postgres begins in 4714 BC. */
const FIRST = Date.UTC(-4712, 0, 1);
const LAST = 8_640_000_000_000_000;
const instant = fc.oneof(
  fc.date({ min: new Date(FIRST), max: new Date(LAST), noInvalidDate: true }),
  fc.date({ min: new Date("-000100-01-01"), max: new Date("0101-01-01"), noInvalidDate: true }),
  fc.date({ min: new Date("1880-01-01"), max: new Date("2100-01-01"), noInvalidDate: true }),
  fc.constantFrom(new Date(0), new Date(-1), new Date("0000-02-29"), new Date("+010000-01-01"), new Date(LAST)),
  fc.constantFrom(Infinity, -Infinity),
);

const DAY_MS = 86_400_000;

function dayOf(value: unknown): unknown {
  return value instanceof Date ? new Date(Math.floor(value.getTime() / DAY_MS) * DAY_MS) : value;
}

const json: fc.Arbitrary<unknown> = fc
  .jsonValue({ maxDepth: 3, stringUnit: "binary" })
  // A string is JSON text itself, and null is SQL NULL.
  .filter((value) => typeof value !== "string" && value !== null && !JSON.stringify(value).includes("\\u0000"));

/** A zero of any sign is 0 in JSON. */
function throughJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** jsonb sorts the keys. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const length = (key: string) => new TextEncoder().encode(key).length;
  const compare = (a: string, b: string) => length(a) - length(b) || Buffer.compare(Buffer.from(a), Buffer.from(b));
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => compare(a, b)).map(([key, part]) => [key, sorted(part)]),
  );
}

function small(most: number): fc.Arbitrary<number> {
  return fc.integer({ min: -most, max: most });
}

/** Parts of one sign and without carry, so that the server keeps them. */
const interval = fc.oneof(
  fc.tuple(
    small(1000),
    small(11),
    small(10_000),
    fc.constantFrom(1, -1),
    fc.nat(30_000),
    fc.nat(59),
    fc.nat(59),
    fc.nat(999_999),
  )
    .filter(([years, months]) => years === 0 || months === 0 || (years < 0) === (months < 0))
    .map(([years, months, days, sign, hours, minutes, seconds, micros]) =>
      new PostgresInterval({
        years,
        months,
        days,
        hours: sign * hours,
        minutes: sign * minutes,
        seconds: sign * seconds,
        milliseconds: sign * micros / 1000,
      })
    ),
  // Infinite intervals came with version 17.
  ...(SERVER_MAJOR >= 17 ? [fc.constantFrom(Infinity, -Infinity)] : []),
);

const bytes = fc.uint8Array({ maxLength: 40 });
/** The same bytes as every kind of buffer. */
const buffer = fc.oneof(
  bytes,
  bytes.map((value) => Buffer.from(value)),
  bytes.map((value) => value.slice().buffer),
  bytes.map((value) => {
    const shared = new SharedArrayBuffer(value.length);
    new Uint8Array(shared).set(value);
    return shared;
  }),
  bytes.map((value) => new DataView(new Uint8Array([1, ...value, 2]).buffer, 1, value.length)),
  fc.float32Array({ maxLength: 5 }),
  fc.bigInt64Array({ maxLength: 5 }),
);

function bytesOf(value: unknown): Uint8Array {
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return new Uint8Array(value as ArrayBuffer);
}

const time = fc.tuple(fc.nat(86_399), fc.nat(999_999)).map(([seconds, micros]) => {
  const clock = new Date(seconds * 1000).toISOString().slice(11, 19);
  return micros === 0 ? clock : `${clock}.${String(micros).padStart(6, "0").replace(/0+$/, "")}`;
});

const finite = fc.double({ noNaN: true, noDefaultInfinity: true });
const point = fc.record({ x: float, y: float }, { noNullPrototype: true });
const uuid = fc.uuid();
const label = fc.constantFrom("sad", "so so", "NULL", 'a"b\\c', "ha,ppy");

/** The scalars. */
export const SCALARS: readonly TypeCase[] = [
  { type: "boolean", values: fc.boolean() },
  { type: "smallint", values: fc.integer({ min: -32_768, max: 32_767 }) },
  { type: "integer", values: fc.integer() },
  { type: "bigint", values: int8, expected: String },
  { type: "oid", values: fc.nat({ max: 4_294_967_295 }) },
  { type: "xid", values: fc.nat({ max: 4_294_967_295 }), expected: String },
  { type: "xid8", values: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), expected: String },
  {
    type: "real",
    values: float.filter((value) =>
      !Number.isFinite(value) || value === 0 || Number.isFinite(Math.fround(value)) && Math.fround(value) !== 0
    ),
    // The digits are the server's.
    expected: "unchecked",
  },
  { type: "double precision", values: float },
  { type: "numeric", values: fc.oneof(decimal, fc.constantFrom("NaN", "Infinity", "-Infinity")) },
  { type: "numeric", values: fc.oneof(int8, fc.integer()), expected: String },
  { type: "numeric", values: fc.oneof(finite), expected: "unchecked" },
  { type: "text", values: text },
  { type: "text", values: fc.oneof(float, int8, fc.boolean()), expected: String },
  { type: "character varying", values: text },
  { type: "character", values: text },
  { type: "name", values: text.filter((value) => Buffer.byteLength(value) < 64) },
  { type: '"char"', values: fc.string({ minLength: 1, maxLength: 1 }).filter((value) => /^[!-~]$/.test(value)) },
  { type: "bytea", values: buffer, expected: (value) => Buffer.from(bytesOf(value)) },
  { type: "uuid", values: uuid },
  { type: "date", values: instant, expected: dayOf },
  { type: "timestamp without time zone", values: instant },
  { type: "timestamp with time zone", values: instant },
  { type: "time without time zone", values: time },
  {
    type: "time with time zone",
    values: fc.tuple(time, small(15), fc.nat(59)).map(([clock, hours, minutes]) =>
      `${clock}${hours < 0 ? "-" : "+"}${String(Math.abs(hours)).padStart(2, "0")}` +
      (minutes === 0 ? "" : `:${String(minutes).padStart(2, "0")}`)
    ),
  },
  { type: "interval", values: interval },
  { type: "json", values: json, expected: throughJson },
  { type: "jsonb", values: json, expected: (value) => sorted(throughJson(value)) },
  { type: "xml", values: fc.string().map((value) => `<a>${value.replace(/[^\w ]/g, "")}</a>`) },
  { type: "inet", values: fc.ipV4() },
  { type: "inet", values: fc.ipV6(), expected: "unchecked" },
  { type: "cidr", values: fc.ipV4().map((value) => `${value}/32`) },
  { type: "macaddr", values: fc.nat(255).map((value) => `08:00:2b:01:02:${value.toString(16).padStart(2, "0")}`) },
  { type: "bit varying", values: fc.string({ unit: fc.constantFrom("0", "1") }) },
  { type: "bit", values: fc.string({ unit: fc.constantFrom("0", "1") }) },
  { type: "money", values: fc.integer(), expected: "unchecked" },
  { type: "point", values: point },
  {
    type: "circle",
    values: fc.record({ x: float, y: float, radius: fc.double({ min: 0, noNaN: true }) }, { noNullPrototype: true }),
  },
  { type: "lseg", values: fc.tuple(small(99), small(99)).map(([a, b]) => `[(${a},${b}),(0,1)]`) },
  { type: "box", values: fc.nat(99).map((value) => `(${value + 1},2),(${value},1)`) },
  { type: "path", values: fc.nat(99).map((value) => `((0,0),(1,${value}))`) },
  { type: "polygon", values: fc.nat(99).map((value) => `((0,0),(1,${value}),(2,2))`) },
  { type: "line", values: fc.nat(99).map((value) => `{1,${value},2}`) },
  { type: "tsvector", values: fc.nat(99).map((value) => `'a':${value + 1} 'b''c'`) },
  { type: "tsquery", values: fc.nat(99).map((value) => `'a${value}' & !'b'`) },
  { type: "pg_lsn", values: fc.nat().map((value) => `1/${value.toString(16).toUpperCase()}`) },
  { type: "regtype", values: fc.constantFrom("integer", "text[]", "timestamp with time zone") },
  { type: "regclass", values: fc.constantFrom("pg_class", "item") },
  { type: "jsonpath", values: fc.nat(99).map((value) => `$."a"[${value}]`) },
  {
    type: "int2vector",
    values: fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1 }),
    expected: (value) => (value as number[]).join(" "),
  },
  { type: "mood", values: label },
  { type: "positive", values: fc.integer({ min: 1 }) },
];

/** Dates, Temporal values and typed arrays that have another result than themselves. */
function temporalCases(): TypeCase[] {
  // deno-lint-ignore no-explicit-any -- not every runtime has it
  const Temporal = (globalThis as any).Temporal;
  if (!Temporal) return [];
  // Temporal reaches as far as Date.
  const finiteInstant = instant.filter((value) => value instanceof Date && Math.abs(value.getTime()) < LAST - DAY_MS);
  const ms = finiteInstant.map((value) => (value as Date).getTime());
  const zoned = (time: number) => Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO("UTC");
  const instantOf = (value: unknown) => new Date((value as { epochMilliseconds: number }).epochMilliseconds);
  const wall = (value: unknown) =>
    instantOf((value as { toZonedDateTime(zone: string): unknown }).toZonedDateTime("UTC"));
  return [
    { type: "timestamp with time zone", values: ms.map((time) => zoned(time).toInstant()), expected: instantOf },
    {
      type: "timestamp with time zone",
      values: ms.map((time) => Temporal.Instant.fromEpochMilliseconds(time).toZonedDateTimeISO("Asia/Kolkata")),
      expected: instantOf,
    },
    { type: "timestamp without time zone", values: ms.map((time) => zoned(time).toPlainDateTime()), expected: wall },
    { type: "date", values: ms.map((time) => zoned(time).toPlainDate()), expected: (value) => wall(value) },
    { type: "time without time zone", values: ms.map((time) => zoned(time).toPlainTime()), expected: "unchecked" },
    {
      type: "interval",
      values: fc.record({ days: fc.nat(99), hours: fc.nat(23), milliseconds: fc.nat(999), weeks: fc.nat(3) }, {
        noNullPrototype: true,
      })
        .map((parts) => Temporal.Duration.from(parts)),
      expected: (value) => {
        const { weeks, days, hours, milliseconds } = value as Record<
          "weeks" | "days" | "hours" | "milliseconds",
          number
        >;
        return new PostgresInterval({ days: weeks * 7 + days, hours, milliseconds });
      },
    },
  ];
}

/** Returns the result that the server is expected to return for a value, or `undefined` where it is not known. */
export function expectation({ expected }: TypeCase): ((value: unknown) => unknown) | undefined {
  return expected === "unchecked" ? undefined : expected ?? ((value) => value);
}

function orNull(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 5, arbitrary: values }, { weight: 1, arbitrary: fc.constantFrom(null, undefined) });
}

/** Arrays of up to three dimensions; of a type whose values are arrays, one dimension. */
function arrayCase(item: TypeCase, isList: boolean): TypeCase {
  const element = orNull(item.values);
  const one = fc.array(element, { maxLength: 5 });
  const grid = (lengths: readonly number[]): fc.Arbitrary<unknown> => {
    const [length, ...rest] = lengths;
    if (length === undefined) return element;
    return fc.array(grid(rest), { minLength: length, maxLength: length });
  };
  const more = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 2, maxLength: 3 }).chain(grid);
  const expected = expectation(item);
  const map = (value: unknown): unknown =>
    value === null || value === undefined ? null : Array.isArray(value) && !isList ? value.map(map) : expected?.(value);
  return {
    type: `${item.type}[]`,
    values: isList ? one : fc.oneof(one, more),
    expected: !expected ? "unchecked" : (value) => (value as unknown[]).map(map),
  };
}

const LISTS: ReadonlySet<string> = new Set(["json", "jsonb", "int2vector"]);

const pair = fc.record({ a: orNull(fc.integer()), "B b": orNull(text) }, { noNullPrototype: true });
const pairOf = (value: unknown) => {
  if (value === null || value === undefined) return null;
  const { a, "B b": b } = value as Record<string, unknown>;
  return { a: a ?? null, "B b": b ?? null };
};

/** A composite with one attribute of each kind. */
const everything = fc.record({
  i: orNull(fc.integer()),
  b: orNull(int8),
  t: orNull(text),
  n: orNull(decimal),
  d: orNull(instant),
  ts: orNull(instant),
  m: orNull(label),
  p: orNull(pair),
  ps: orNull(fc.array(orNull(pair), { maxLength: 3 })),
  j: orNull(json),
  x: orNull(bytes),
  dom: orNull(fc.integer({ min: 1 })),
  doms: orNull(fc.array(fc.integer({ min: 1 }), { maxLength: 3 })),
  f: orNull(float),
  u: orNull(uuid),
  flag: orNull(fc.boolean()),
}, { noNullPrototype: true, requiredKeys: ["i"] });

function everythingOf(value: unknown): unknown {
  const given = value as Record<string, unknown>;
  const read = (key: string, change: (part: unknown) => unknown = (part) => part) =>
    given[key] === undefined || given[key] === null ? null : change(given[key]);
  return {
    i: read("i"),
    b: read("b", String),
    t: read("t"),
    n: read("n"),
    d: read("d", dayOf),
    ts: read("ts"),
    m: read("m"),
    p: read("p", pairOf),
    ps: read("ps", (pairs) => (pairs as unknown[]).map(pairOf)),
    j: read("j", (part) => sorted(throughJson(part))),
    x: read("x", (part) => Buffer.from(part as Uint8Array)),
    dom: read("dom"),
    doms: read("doms"),
    r: null,
    iv: null,
    f: read("f"),
    u: read("u"),
    flag: read("flag"),
  };
}

const bound = fc.integer({ min: -1_000_000, max: 1_000_000 });
const EMPTY = { lower: null, upper: null, bounds: "empty" };
const intRange = fc.oneof(
  fc.tuple(orNull(bound), fc.integer({ min: 1, max: 100 }), fc.boolean()).map(([lower, length, open]) => ({
    lower: lower ?? null,
    upper: open ? null : (typeof lower === "number" ? lower : 0) + length,
    bounds: typeof lower === "number" ? "[)" : "()",
  })).map((range) => range.lower === null && range.upper === null ? { ...range, bounds: "()" } : range),
  fc.constant(EMPTY),
);
const textBound = fc.tuple(instant.filter((value) => value instanceof Date), fc.nat(1_000_000_000)).map((
  [lower, length],
) => ({
  lower: new Date(Math.min((lower as Date).getTime(), LAST - 2_000_000_000)),
  upper: new Date(Math.min((lower as Date).getTime(), LAST - 2_000_000_000) + length + 1),
})).chain((range) => fc.constantFrom("[]", "[)", "(]", "()").map((bounds) => ({ ...range, bounds })));

/** Disjoint ranges in order. */
const intRanges = fc.uniqueArray(fc.integer({ min: -1000, max: 1000 }), { maxLength: 4 }).map((starts) =>
  starts.sort((a, b) => a - b).map((start) => ({ lower: start * 10, upper: start * 10 + 5, bounds: "[)" }))
);

/** Composites, ranges, multiranges and domains over them. */
const CONTAINERS: readonly TypeCase[] = [
  { type: "pair", values: pair, expected: pairOf },
  { type: "pair_domain", values: pair, expected: pairOf },
  { type: "everything", values: everything, expected: everythingOf },
  { type: "int4range", values: intRange },
  {
    type: "int8range",
    values: intRange,
    expected: (value) => {
      const { lower, upper, bounds } = value as { lower: number | null; upper: number | null; bounds: string };
      return { lower: lower === null ? null : String(lower), upper: upper === null ? null : String(upper), bounds };
    },
  },
  { type: "tstzrange", values: textBound },
  { type: "tsrange", values: textBound },
  { type: "int4multirange", values: intRanges },
  { type: "positives", values: fc.array(fc.integer({ min: 1 }), { maxLength: 4 }) },
];

const TYPED_ARRAYS: readonly TypeCase[] = [
  { type: "integer[]", values: fc.int32Array({ maxLength: 6 }), expected: (value) => [...value as Int32Array] },
  { type: "smallint[]", values: fc.uint8Array({ maxLength: 6 }), expected: (value) => [...value as Uint8Array] },
  {
    type: "double precision[]",
    values: fc.float64Array({ maxLength: 6 }),
    expected: (value) => [...value as Float64Array],
  },
  {
    type: "bigint[]",
    values: fc.bigInt64Array({ maxLength: 6 }),
    expected: (value) => Array.from(value as BigInt64Array, String),
  },
];

const IN_ARRAYS = CONTAINERS.filter(({ type }) => type !== "everything" && type !== "pair_domain");

/** Every type: scalars, what contains them, and arrays of all. */
export const CASES: readonly TypeCase[] = [
  ...SCALARS,
  ...temporalCases(),
  ...CONTAINERS,
  ...TYPED_ARRAYS,
  ...SCALARS.map((item) => arrayCase(item, LISTS.has(item.type))),
  ...IN_ARRAYS.map((item) => arrayCase(item, item.type === "int4multirange" || item.type === "positives")),
  arrayCase({ type: "everything", values: everything, expected: everythingOf }, false),
];

/** Returns the values of a case that a version of the server has: intervals are infinite since 17. */
export function valuesOf({ type, values }: TypeCase, version: number): fc.Arbitrary<unknown> {
  if (version >= 17 || !type.startsWith("interval")) return values;
  return values.filter((value) => ![value].flat(3).some((item) => item === Infinity || item === -Infinity));
}
