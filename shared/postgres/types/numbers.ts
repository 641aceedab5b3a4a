/**
 * Booleans, integers and floating-point numbers.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import { int32At } from "../wire/bytes.ts";
import { inputText } from "./text.ts";
import { checkSize, valueError } from "./value_error.ts";

const LOWER_T = 116;

/** `boolean`. */
export const bool: ValueFormat = {
  decodeText: (text) => text.charCodeAt(0) === LOWER_T,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 1);
    return bytes[start] === 1;
  },
  encode(value) {
    if (typeof value === "boolean") return value ? "true" : "false";
    if (typeof value === "string") return inputText(value);
    if (value === 0 || value === 1) return value ? "1" : "0";
    throw valueError(value, "expected a boolean");
  },
  // A text column reads `true`, as the cast from boolean gives.
  survivesRetyping: (value) => typeof value === "boolean" || value === "true" || value === "false",
};

/** The text of an integer as the server prints it: under a text type any other text would change. */
const CANONICAL_INTEGER = /^(0|-?[1-9]\d*)$/;

function survives(value: unknown): boolean {
  return typeof value !== "string" || CANONICAL_INTEGER.test(value);
}

function readInt16(bytes: Uint8Array, start: number, end: number): number {
  checkSize(start, end, 2);
  return ((bytes[start] as number) << 24 >> 16) | (bytes[start + 1] as number);
}

function readInt32(bytes: Uint8Array, start: number, end: number): number {
  checkSize(start, end, 4);
  return int32At(bytes, start);
}

function readUint32(bytes: Uint8Array, start: number, end: number): number {
  return readInt32(bytes, start, end) >>> 0;
}

/** Reads an unsigned 32-bit integer. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return int32At(bytes, at) >>> 0;
}

const TWO_TO_32 = 4_294_967_296;

/** Reads a 64-bit integer as a bigint. */
export function readBigInt64(bytes: Uint8Array, start: number): bigint {
  return BigInt(int32At(bytes, start)) * 4_294_967_296n + BigInt(uint32At(bytes, start + 4));
}

function readInt64Text(bytes: Uint8Array, start: number, end: number): string {
  checkSize(start, end, 8);
  const high = int32At(bytes, start);
  // Below 2^53 a number is exact.
  return high >= -2_097_152 && high < 2_097_152
    ? String(high * TWO_TO_32 + uint32At(bytes, start + 4))
    : readBigInt64(bytes, start).toString();
}

function readUint64Text(bytes: Uint8Array, start: number, end: number): string {
  checkSize(start, end, 8);
  return BigInt.asUintN(64, readBigInt64(bytes, start)).toString();
}

/** Encodes an integer from `least` to `most`. */
function encodeInteger(value: unknown, least: bigint, most: bigint): string {
  if (typeof value === "number") {
    if (!Number.isInteger(value)) throw valueError(value, "expected an integer");
    if (value < Number(least) || value > Number(most)) throw valueError(value, `expected ${least} to ${most}`);
    if (Number.isSafeInteger(value)) return String(value);
    // The text of a larger number has zeros in place of its last digits. `Number(most)` may be rounded up.
    const exact = BigInt(value);
    if (exact <= most) return exact.toString();
    throw valueError(value, `expected ${least} to ${most}`);
  }
  if (typeof value === "bigint") {
    if (value < least || value > most) throw valueError(value, `expected ${least} to ${most}`);
    return value.toString();
  }
  if (typeof value === "string") return inputText(value);
  throw valueError(value, "expected an integer as a number, bigint or string");
}

function small(
  least: number,
  most: number,
  decodeBinary: (bytes: Uint8Array, start: number, end: number) => unknown,
): ValueFormat {
  return {
    decodeText: (text) => +text,
    decodeBinary,
    encode(value) {
      // `-0` has the text 0.
      if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return String(value);
      return encodeInteger(value, BigInt(least), BigInt(most));
    },
    survivesRetyping: survives,
  };
}

/** `smallint`. */
export const int2: ValueFormat = small(-32_768, 32_767, readInt16);
/** `integer`. */
export const int4: ValueFormat = small(-2_147_483_648, 2_147_483_647, readInt32);
/** `oid`: the server also takes the negative numbers that have the same 32 bits, and casts those to an integer. */
export const oid: ValueFormat = {
  ...small(-2_147_483_648, 4_294_967_295, readUint32),
  survivesRetyping: (value) => survives(value) && Number(value) >= 0 && Number(value) < 2_147_483_648,
};

function wide(least: bigint, most: bigint, decodeBinary: ValueFormat["decodeBinary"]): ValueFormat {
  return {
    decodeText: (text) => text,
    decodeBinary,
    encode: (value) => encodeInteger(value, least, most),
    survivesRetyping: survives,
  };
}

/** `bigint`, read as a string: a number could not hold it. */
export const int8: ValueFormat = wide(-(2n ** 63n), 2n ** 63n - 1n, readInt64Text);
/** `xid8`, read as a string. */
export const xid8: ValueFormat = wide(0n, 2n ** 64n - 1n, readUint64Text);
/** `xid` and `cid`, read as strings, as `pg` does. */
export const xid: ValueFormat = wide(
  0n,
  2n ** 32n - 1n,
  (bytes, start, end) => String(readUint32(bytes, start, end)),
);

const scratch = new DataView(new ArrayBuffer(8));

/** Reads a double. */
export function readFloat64(bytes: Uint8Array, start: number): number {
  scratch.setInt32(0, int32At(bytes, start));
  scratch.setInt32(4, int32At(bytes, start + 4));
  return scratch.getFloat64(0);
}

/** Returns the shortest text that reads as the same number. */
export function numberText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/**
 * Returns true for integers that neither lose digits nor gain an exponent on the way to any other type. The server
 * casts a float to numeric with `digits` digits, and rounds fractions when it casts to an integer.
 */
function survivesAsFloat(value: unknown, limit: number): boolean {
  const number = typeof value === "string" && CANONICAL_INTEGER.test(value) ? Number(value) : value;
  if (typeof number === "bigint") return number > -limit && number < limit;
  return Number.isInteger(number) && Math.abs(number as number) < limit && !Object.is(number, -0);
}

/** `double precision`. */
export const float8: ValueFormat = {
  // Number() reads NaN, Infinity and exponents as the server writes them.
  decodeText: (text) => +text,
  decodeBinary(bytes, start, end) {
    checkSize(start, end, 8);
    return readFloat64(bytes, start);
  },
  encode(value) {
    if (typeof value === "number") return numberText(value);
    if (typeof value === "bigint") return value.toString();
    if (typeof value === "string") return inputText(value);
    throw valueError(value, "expected a number");
  },
  survivesRetyping: (value) => survivesAsFloat(value, 1e15),
};

/**
 * `real`, read as text alone: 0.1 is 0.1, not the float next to it, and only the server has the digits at hand.
 */
export const float4: ValueFormat = {
  decodeText: (text) => +text,
  decodeBinary: undefined,
  encode(value) {
    if (typeof value === "number" && Number.isFinite(value) && value !== 0) {
      const float = Math.fround(value);
      if (float === 0 || !Number.isFinite(float)) throw valueError(value, "it is outside the range of real");
    }
    return float8.encode(value);
  },
  survivesRetyping: (value) => survivesAsFloat(value, 1e6),
};

/** `money`: its text depends on the server's `lc_monetary`. */
export const money: ValueFormat = {
  decodeText: (text) => text,
  decodeBinary: undefined,
  encode(value) {
    if (typeof value === "number" && Number.isFinite(value)) return numberText(value);
    if (typeof value === "bigint") return value.toString();
    if (typeof value === "string") return inputText(value);
    throw valueError(value, "expected a finite number or a string such as $1.50");
  },
  survivesRetyping: () => false,
};
