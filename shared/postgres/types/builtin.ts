/**
 * The types that every server has.
 *
 * @module
 */
import { bytea } from "./bytes.ts";
import type { ValueFormat } from "./codec.ts";
import { circle, point } from "./geometry.ts";
import { interval } from "./interval.ts";
import { json, jsonb } from "./json.ts";
import { bool, float4, float8, int2, int4, int8, money, oid, xid, xid8 } from "./numbers.ts";
import { numeric } from "./numeric.ts";
import { bits, bpchar, char, name, opaque, reg, text, uuid, vector, xml } from "./text_like.ts";
import { date, time, timestamp, timestamptz, timetz } from "./time.ts";

/** A type with a format of its own. */
export interface BuiltinType {
  readonly oid: number;
  /** The name in `pg_type`. */
  readonly typname: string;
  /** The name as the server prints it. */
  readonly name: string;
  /** The oid of its array type; 0 for none. */
  readonly array: number;
  readonly format: ValueFormat;
}

/** A built-in range type and its multirange type. */
export interface BuiltinRange {
  readonly oid: number;
  readonly name: string;
  readonly array: number;
  readonly bound: number;
  readonly multirange: { readonly oid: number; readonly name: string; readonly array: number };
}

type Entry = [oid: number, typname: string, name: string, array: number, format: ValueFormat];

const ENTRIES: readonly Entry[] = [
  [16, "bool", "boolean", 1000, bool],
  [17, "bytea", "bytea", 1001, bytea],
  [18, "char", '"char"', 1002, char],
  [19, "name", "name", 1003, name],
  [20, "int8", "bigint", 1016, int8],
  [21, "int2", "smallint", 1005, int2],
  [22, "int2vector", "int2vector", 1006, vector],
  [23, "int4", "integer", 1007, int4],
  [24, "regproc", "regproc", 1008, reg],
  [25, "text", "text", 1009, text],
  [26, "oid", "oid", 1028, oid],
  [27, "tid", "tid", 1010, opaque],
  [28, "xid", "xid", 1011, xid],
  [29, "cid", "cid", 1012, xid],
  [30, "oidvector", "oidvector", 1013, vector],
  [114, "json", "json", 199, json],
  [142, "xml", "xml", 143, xml],
  [194, "pg_node_tree", "pg_node_tree", 0, opaque],
  [600, "point", "point", 1017, point],
  [601, "lseg", "lseg", 1018, opaque],
  [602, "path", "path", 1019, opaque],
  [603, "box", "box", 1020, opaque],
  [604, "polygon", "polygon", 1027, opaque],
  [628, "line", "line", 629, opaque],
  [650, "cidr", "cidr", 651, opaque],
  [700, "float4", "real", 1021, float4],
  [701, "float8", "double precision", 1022, float8],
  [705, "unknown", "unknown", 0, text],
  [718, "circle", "circle", 719, circle],
  [774, "macaddr8", "macaddr8", 775, opaque],
  [790, "money", "money", 791, money],
  [829, "macaddr", "macaddr", 1040, opaque],
  [869, "inet", "inet", 1041, opaque],
  [1033, "aclitem", "aclitem", 1034, opaque],
  [1042, "bpchar", "character", 1014, bpchar],
  [1043, "varchar", "character varying", 1015, text],
  [1082, "date", "date", 1182, date],
  [1083, "time", "time without time zone", 1183, time],
  [1114, "timestamp", "timestamp without time zone", 1115, timestamp],
  [1184, "timestamptz", "timestamp with time zone", 1185, timestamptz],
  [1186, "interval", "interval", 1187, interval],
  [1266, "timetz", "time with time zone", 1270, timetz],
  [1560, "bit", "bit", 1561, bits],
  [1562, "varbit", "bit varying", 1563, bits],
  [1700, "numeric", "numeric", 1231, numeric],
  [1790, "refcursor", "refcursor", 2201, text],
  [2202, "regprocedure", "regprocedure", 2207, reg],
  [2203, "regoper", "regoper", 2208, reg],
  [2204, "regoperator", "regoperator", 2209, reg],
  [2205, "regclass", "regclass", 2210, reg],
  [2206, "regtype", "regtype", 2211, reg],
  // A record's text does not name its fields.
  [2249, "record", "record", 2287, opaque],
  [2275, "cstring", "cstring", 1263, text],
  [2278, "void", "void", 0, { ...opaque, decodeBinary: () => "" }],
  [2950, "uuid", "uuid", 2951, uuid],
  [2970, "txid_snapshot", "txid_snapshot", 2949, opaque],
  [3220, "pg_lsn", "pg_lsn", 3221, opaque],
  [3614, "tsvector", "tsvector", 3643, opaque],
  [3615, "tsquery", "tsquery", 3645, opaque],
  [3642, "gtsvector", "gtsvector", 3644, opaque],
  [3734, "regconfig", "regconfig", 3735, reg],
  [3769, "regdictionary", "regdictionary", 3770, reg],
  [3802, "jsonb", "jsonb", 3807, jsonb],
  [4072, "jsonpath", "jsonpath", 4073, opaque],
  [4089, "regnamespace", "regnamespace", 4090, reg],
  [4096, "regrole", "regrole", 4097, reg],
  [4191, "regcollation", "regcollation", 4192, reg],
  [5038, "pg_snapshot", "pg_snapshot", 5039, opaque],
  [5069, "xid8", "xid8", 271, xid8],
];

/** The base types. */
export const BUILTIN_TYPES: readonly BuiltinType[] = ENTRIES.map(([oid, typname, name, array, format]) => ({
  oid,
  typname,
  name,
  array,
  format,
}));

/** `box`, whose elements are separated by semicolons. */
export const BOX = 603;

/** The range types and their multirange types. */
export const BUILTIN_RANGES: readonly BuiltinRange[] = [
  {
    oid: 3904,
    name: "int4range",
    array: 3905,
    bound: 23,
    multirange: { oid: 4451, name: "int4multirange", array: 6150 },
  },
  {
    oid: 3906,
    name: "numrange",
    array: 3907,
    bound: 1700,
    multirange: { oid: 4532, name: "nummultirange", array: 6151 },
  },
  {
    oid: 3908,
    name: "tsrange",
    array: 3909,
    bound: 1114,
    multirange: { oid: 4533, name: "tsmultirange", array: 6152 },
  },
  {
    oid: 3910,
    name: "tstzrange",
    array: 3911,
    bound: 1184,
    multirange: { oid: 4534, name: "tstzmultirange", array: 6153 },
  },
  {
    oid: 3912,
    name: "daterange",
    array: 3913,
    bound: 1082,
    multirange: { oid: 4535, name: "datemultirange", array: 6155 },
  },
  {
    oid: 3926,
    name: "int8range",
    array: 3927,
    bound: 20,
    multirange: { oid: 4536, name: "int8multirange", array: 6157 },
  },
];

/** Other names of built-in types: those of the SQL standard, and short ones. */
export const ALIASES: Readonly<Record<string, string>> = {
  "bigint": "int8",
  "smallint": "int2",
  "integer": "int4",
  "int": "int4",
  "real": "float4",
  "double precision": "float8",
  "float": "float8",
  "boolean": "bool",
  "decimal": "numeric",
  "dec": "numeric",
  "character varying": "varchar",
  "char varying": "varchar",
  "character": "bpchar",
  "char": "bpchar",
  '"char"': "char",
  "bit varying": "varbit",
  "time without time zone": "time",
  "time with time zone": "timetz",
  "timestamp without time zone": "timestamp",
  "timestamp with time zone": "timestamptz",
};
