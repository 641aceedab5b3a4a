/**
 * `numeric`: exact decimals, read as strings.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import { inputText } from "./text.ts";
import { int32At, uint16At } from "../wire/bytes.ts";
import { numberText } from "./numbers.ts";
import { checkSize, valueError } from "./value_error.ts";

const NEGATIVE = 0x4000;
const NAN = 0xc000;
const INFINITE = 0xd000;
const MINUS_INFINITE = 0xf000;

/**
 * Reads the binary form: groups of four decimal digits, the power of 10,000 of the first, the sign, and the number of
 * decimals to show.
 */
function decodeBinary(bytes: Uint8Array, start: number, end: number): string {
  const groups = uint16At(bytes, start);
  checkSize(start, end, 8 + 2 * groups);
  const sign = uint16At(bytes, start + 4);
  if (sign === NAN) return "NaN";
  if (sign === INFINITE) return "Infinity";
  if (sign === MINUS_INFINITE) return "-Infinity";
  // Sign extension of the 16 bits.
  const weight = int32At(bytes, start) << 16 >> 16;
  const scale = uint16At(bytes, start + 6);
  const group = (index: number) => index >= 0 && index < groups ? uint16At(bytes, start + 8 + 2 * index) : 0;
  let text = sign === NEGATIVE ? "-" : "";
  text += weight < 0 ? "0" : String(group(0));
  for (let index = 1; index <= weight; index++) text += String(group(index)).padStart(4, "0");
  if (scale === 0) return text;
  let decimals = "";
  for (let index = weight + 1; decimals.length < scale; index++) decimals += String(group(index)).padStart(4, "0");
  return `${text}.${decimals.slice(0, scale)}`;
}

/** `numeric`. */
export const numeric: ValueFormat = {
  decodeText: (text) => text,
  decodeBinary,
  encode(value) {
    if (typeof value === "number") return numberText(value);
    if (typeof value === "bigint") return value.toString();
    if (typeof value === "string") return inputText(value);
    throw valueError(value, "expected a number, bigint or string");
  },
  // A cast to an integer rounds fractions; a cast to text drops zeros in front, and signs.
  survivesRetyping: (value) =>
    typeof value === "bigint" || Number.isSafeInteger(value) && !Object.is(value, -0) ||
    typeof value === "string" && /^(0|-?[1-9]\d*)$/.test(value),
};
