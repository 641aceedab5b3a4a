/**
 * `point` and `circle`. The other geometric types are strings.
 *
 * @module
 */
import type { ValueFormat } from "./codec.ts";
import { numberText, readFloat64 } from "./numbers.ts";
import { inputText } from "./text.ts";
import { checkSize, valueError } from "./value_error.ts";

/** A point of the plane. */
export interface Point {
  /** Its x coordinate. */
  x: number;
  /** Its y coordinate. */
  y: number;
}

/** A circle. */
export interface Circle extends Point {
  /** Its radius. */
  radius: number;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** `point`, read as `{ x, y }`. */
export const point: ValueFormat = {
  decodeText(text): Point {
    const comma = text.indexOf(",");
    return { x: +text.slice(1, comma), y: +text.slice(comma + 1, -1) };
  },
  decodeBinary(bytes, start, end): Point {
    checkSize(start, end, 16);
    return { x: readFloat64(bytes, start), y: readFloat64(bytes, start + 8) };
  },
  encode(value) {
    if (typeof value === "string") return inputText(value);
    if (!isObject(value) || typeof value.x !== "number" || typeof value.y !== "number") {
      throw valueError(value, "expected { x, y } or a string");
    }
    return `(${numberText(value.x)},${numberText(value.y)})`;
  },
  survivesRetyping: () => false,
};

/** `circle`, read as `{ x, y, radius }`. */
export const circle: ValueFormat = {
  decodeText(text): Circle {
    const end = text.indexOf(")");
    const comma = text.indexOf(",");
    return { x: +text.slice(2, comma), y: +text.slice(comma + 1, end), radius: +text.slice(end + 2, -1) };
  },
  decodeBinary(bytes, start, end): Circle {
    checkSize(start, end, 24);
    return {
      x: readFloat64(bytes, start),
      y: readFloat64(bytes, start + 8),
      radius: readFloat64(bytes, start + 16),
    };
  },
  encode(value) {
    if (typeof value === "string") return inputText(value);
    if (!isObject(value) || typeof value.radius !== "number") {
      throw valueError(value, "expected { x, y, radius } or a string");
    }
    return `<${point.encode(value)},${numberText(value.radius)}>`;
  },
  survivesRetyping: () => false,
};
