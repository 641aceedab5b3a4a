/**
 * Captures the values of a statement when it is passed to `query`: what their holder changes while the statement waits
 * must not change what is sent.
 *
 * @module
 */
import { StatementError } from "../errors/statement_error.ts";

/** The deepest nesting of arrays and objects: the stack of the runtime ends not far behind it. */
const MAX_DEPTH = 2_000;

/** Tags of objects that no type accepts, whatever realm they are of. */
const KEPT: ReadonlySet<string> = new Set(["Map", "Set", "WeakMap", "WeakSet", "RegExp", "Error", "Promise"]);

/** Objects whose content cannot change, or that no type accepts: they are kept as they are. */
function isImmutable(value: object, tag: string): boolean {
  if (tag.startsWith("Temporal.") || KEPT.has(tag)) return true;
  return value instanceof Map || value instanceof Set || value instanceof WeakMap || value instanceof WeakSet ||
    value instanceof RegExp || value instanceof Error || value instanceof Promise || value instanceof Blob ||
    value instanceof FormData || value instanceof Headers || value instanceof String || value instanceof Number ||
    value instanceof Boolean || value instanceof BigInt;
}

/** The arrays that {@linkcode captureValues} returned: what was captured once is not copied again. */
const captured = new WeakSet<readonly unknown[]>();

/** Copies the bytes of a view, and keeps its class: which bytes it shows does not depend on its buffer any more. */
function copyView(view: ArrayBufferView): ArrayBufferView {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
  const { constructor } = view as unknown as { constructor: unknown };
  if (view instanceof DataView) return new DataView(bytes.buffer);
  if (constructor === Uint8Array || !(view instanceof Uint8Array)) {
    const create = constructor as new (buffer: ArrayBuffer) => ArrayBufferView;
    return new create(bytes.buffer);
  }
  // A Buffer, or another class of bytes: a type that accepts it accepts its bytes.
  return bytes;
}

/**
 * Adds the `toJSON` of an object to its copy. It is called now, since private fields are not copied.
 *
 * @param key The key that the object has in the one around it, which `JSON.stringify` passes as a string.
 */
function copyJson<T extends object>(object: object, copy: T, key: string | number, seen: object[]): T {
  const { toJSON } = object as { readonly toJSON?: unknown };
  if (typeof toJSON !== "function") return copy;
  const json: unknown = toJSON.call(object, String(key));
  const value = json === object ? copy : copyOf(json, key, seen);
  Object.defineProperty(copy, "toJSON", { value: () => value, configurable: true });
  return copy;
}

function copyDate(date: Date, key: string | number, seen: object[]): Date {
  const copy = new Date(date.getTime());
  return date.toJSON === Date.prototype.toJSON ? copy : copyJson(date, copy, key, seen);
}

/** Copies of objects of another realm, by their tag; `undefined` for those that only have the tag. */
const FOREIGN = new Map<string, (value: object) => object | undefined>([
  ["Date", (value) => attempt(() => new Date(Date.prototype.getTime.call(value)))],
  ["ArrayBuffer", (value) => attempt(() => copyBytes(ArrayBuffer.prototype.slice.call(value, 0)))],
  ["SharedArrayBuffer", (value) => attempt(() => copyBytes(SharedArrayBuffer.prototype.slice.call(value, 0)))],
]);

function copyBytes(buffer: ArrayBufferLike): ArrayBuffer {
  return new Uint8Array(new Uint8Array(buffer)).buffer;
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/**
 * Copies an object that is neither plain nor an array of the language; `undefined` for those of other classes. What is
 * of another realm (`node:vm`, and test runners that use it) becomes an object of this one, which the codecs know.
 */
function copyBuiltin(value: object, key: string | number, seen: object[]): object | undefined {
  if (value instanceof Date) return copyDate(value, key, seen);
  if (value instanceof ArrayBuffer) return value.slice(0);
  if (typeof SharedArrayBuffer === "function" && value instanceof SharedArrayBuffer) return copyBytes(value);
  if (ArrayBuffer.isView(value)) return copyView(value);
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  const foreign = FOREIGN.get(tag)?.(value);
  if (foreign) return tag === "Date" ? copyJson(value, foreign, key, seen) : foreign;
  return isImmutable(value, tag) ? value : undefined;
}

/** Returns whether a prototype is the `Object.prototype` of this or another realm. */
function isPlain(prototype: object | null): boolean {
  return prototype === Object.prototype ||
    (prototype !== null && Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf"));
}

function copyOf(value: unknown, key: string | number, seen: object[]): unknown {
  if (typeof value !== "object" || value === null) return value;
  const prototype: object | null = Object.getPrototypeOf(value);
  // To ask for each class takes longer than to copy a plain object.
  if (prototype !== Object.prototype && prototype !== Array.prototype) {
    const copy = copyBuiltin(value, key, seen);
    if (copy) return copy;
  }
  // The codec rejects a cycle by name.
  if (seen.includes(value)) return value;
  if (seen.length >= MAX_DEPTH) throw new StatementError(`A value is nested deeper than ${MAX_DEPTH} levels`);
  seen.push(value);
  try {
    const copy = Array.isArray(value) ? copyArray(value, seen) : copyObject(value, prototype, seen);
    return copyJson(value, copy, key, seen);
  } finally {
    seen.pop();
  }
}

function copyArray(array: readonly unknown[], seen: object[]): unknown[] {
  const copy: unknown[] = new Array(array.length);
  for (let index = 0; index < array.length; index++) {
    const item: unknown = array[index];
    copy[index] = typeof item === "object" && item !== null ? copyOf(item, index, seen) : item;
  }
  return copy;
}

function copyObject(object: object, prototype: object | null, seen: object[]): object {
  // Spreading defines properties, and calls no setter. In a literal, `__proto__` is the prototype.
  const copy: Record<string, unknown> = isPlain(prototype) ? { ...object } : { __proto__: prototype, ...object };
  for (const name of Object.keys(copy)) {
    const value = copy[name];
    if (typeof value === "object" && value !== null) copy[name] = copyOf(value, name, seen);
  }
  return copy;
}

/** Returns whether nothing of the values can change. */
function arePrimitive(values: readonly unknown[]): boolean {
  for (const value of values) if (typeof value === "object" && value !== null) return false;
  return true;
}

/**
 * Returns a copy of the values that its giver cannot change: of the array, of arrays and objects in it at any depth, of
 * dates and of bytes. Every way to run a statement calls it before it waits for anything.
 *
 * @throws {StatementError} when a value is nested too deeply.
 */
export function captureValues(values: readonly unknown[]): readonly unknown[] {
  // It is rejected when it is sent.
  if (!Array.isArray(values)) return values;
  if (arePrimitive(values)) return values.slice();
  if (captured.has(values)) return values;
  // A value is the root of what it is encoded as: the key of its `toJSON` is empty.
  const copy = values.map((value: unknown) => copyOf(value, "", []));
  captured.add(copy);
  return copy;
}
