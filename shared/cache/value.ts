/**
 * Values: frozen copies of them, and their text in Redis.
 *
 * JSON carries plain data. The rest is `{ "$": kind, "v": value }`: `undefined`, bigint, `NaN`, `-0`, infinite
 * numbers, `Date`, `Uint8Array`, `Map`, `Set`, and objects that have a member `$` themselves.
 *
 * @module
 */
import { CacheValueError } from "./errors.ts";

/** The maximum depth of a value. */
const MAX_DEPTH = 100;

/**
 * The maximum number of parts of a value. What several parts share is copied for each: a value of 40 levels, each of
 * which refers to the next one twice, would have a million times a million.
 */
const MAX_PARTS = 1_000_000;

/** The maximum number of digits of a bigint: reading more takes time that grows with their square. */
const MAX_BIGINT_DIGITS = 4_096;

/** The approximate size of an object or array without its members, in bytes. */
export const OBJECT_BYTES = 48;

/** The approximate size of a reference, and of what is no larger: `null`, booleans, small numbers. */
const SLOT_BYTES = 8;

/** The approximate size of a text without its characters, in bytes. */
const TEXT_BYTES = 16;

/** The approximate size of a member of an object without its name and its value, in bytes. */
const MEMBER_BYTES = 16;

/** The number of members above which an object has a table of its own, and its approximate size for each, in bytes. */
const MANY_MEMBERS = 128;
const TABLE_BYTES = 96;

/** The approximate size of an entry of a `Map` or `Set` without its content, in bytes. */
const ENTRY_BYTES = 32;

/** The member that marks what JSON lacks. */
const MARK = "$";

/** A value that a later change by the caller does not change. */
export interface FrozenValue {
  /** A deep copy. Objects and arrays are frozen. */
  readonly value: unknown;
  /** True if it contains a `Date`, bytes, a `Map` or a `Set`, which cannot be frozen: each reader gets a copy. */
  readonly isCopied: boolean;
  /** The approximate size in memory, in bytes. */
  readonly bytes: number;
  /** True if JSON alone carries it. */
  readonly isPlain: boolean;
}

/** A part that cannot be cached: `at` is completed on the way out. */
class Unfit {
  readonly at: string[] = [];
  constructor(readonly reason: string) {}
}

/** Copies a value and freezes the copy. */
class Freezer {
  isCopied = false;
  isPlain = true;
  bytes = 16;
  #parts = 0;

  freeze(value: unknown, depth: number): unknown {
    switch (typeof value) {
      case "string":
        this.bytes += TEXT_BYTES + value.length * 2;
        return value;
      case "boolean":
        return value;
      case "number":
        if (!Number.isFinite(value) || Object.is(value, -0)) this.isPlain = false;
        this.bytes += SLOT_BYTES;
        return value;
      case "undefined":
        this.isPlain = false;
        return value;
      case "bigint":
        return this.#bigint(value);
      case "object":
        return value === null ? null : this.#object(value, depth);
      default:
        throw new Unfit(`it is a ${typeof value}; cache plain data`);
    }
  }

  #bigint(value: bigint): bigint {
    const digits = value.toString().length;
    if (digits > MAX_BIGINT_DIGITS) throw new Unfit(`it has ${digits} digits; cache at most ${MAX_BIGINT_DIGITS}`);
    this.isPlain = false;
    this.bytes += 16 + digits / 2;
    return value;
  }

  #object(value: object, depth: number): unknown {
    if (depth >= MAX_DEPTH) throw new Unfit(`it is nested more than ${MAX_DEPTH} levels deep, or contains itself`);
    if (++this.#parts > MAX_PARTS) {
      throw new Unfit(`it has more than ${MAX_PARTS} objects and arrays; cache parts of it`);
    }
    this.bytes += OBJECT_BYTES;
    const prototype: unknown = Object.getPrototypeOf(value);
    if (Array.isArray(value) && prototype === Array.prototype) return this.#array(value, depth);
    if (prototype === Object.prototype || prototype === null) return this.#record(value, depth);
    this.isPlain = false;
    this.isCopied = true;
    if (value instanceof Uint8Array && prototype === Uint8Array.prototype) {
      this.bytes += OBJECT_BYTES * 2 + value.byteLength;
      return value.slice();
    }
    return this.#collection(value, prototype, depth);
  }

  /** Copies a `Date`, a `Map` or a `Set`. */
  #collection(value: object, prototype: unknown, depth: number): unknown {
    if (value instanceof Date && prototype === Date.prototype) {
      checkMembers(value);
      this.bytes += OBJECT_BYTES;
      return new Date(value.getTime());
    }
    if (value instanceof Map && prototype === Map.prototype) {
      checkMembers(value);
      this.bytes += OBJECT_BYTES + ENTRY_BYTES * value.size;
      const entries = [...value].map(([key, member], index) =>
        [this.#member(key, depth, `key ${index}`), this.#member(member, depth, `value ${index}`)] as const
      );
      return new Map(entries);
    }
    if (value instanceof Set && prototype === Set.prototype) {
      checkMembers(value);
      this.bytes += OBJECT_BYTES + ENTRY_BYTES * value.size;
      return new Set([...value].map((member, index) => this.#member(member, depth, `member ${index}`)));
    }
    throw new Unfit(`it is an instance of ${nameOfClass(value)}; cache its plain data`);
  }

  #array(value: readonly unknown[], depth: number): unknown {
    this.bytes += value.length * SLOT_BYTES;
    const copy: unknown[] = [];
    for (let index = 0; index < value.length; index++) {
      const member = value[index];
      if (member === undefined && !(index in value)) throw new Unfit(`it has a hole at ${index}; fill it`);
      copy.push(typeof member === "string" ? this.freeze(member, depth) : this.#member(member, depth, index));
    }
    if (Reflect.ownKeys(value).length !== value.length + 1) {
      throw new Unfit("it is an array with members that have names; cache an object");
    }
    return Object.freeze(copy);
  }

  #record(value: object, depth: number): unknown {
    const copy: Record<string, unknown> = {};
    const keys = Object.keys(value);
    if (Object.getOwnPropertyNames(value).length !== keys.length) {
      throw new Unfit("it has a member that is not enumerable; cache plain data");
    }
    if (keys.length > MANY_MEMBERS) this.bytes += keys.length * TABLE_BYTES;
    for (const key of keys) {
      if (key === "__proto__") throw new Unfit("it has a member __proto__; remove it");
      if (key === MARK) this.isPlain = false;
      this.bytes += MEMBER_BYTES + key.length;
      copy[key] = this.#member(Reflect.get(value, key), depth, key);
    }
    if (Object.getOwnPropertySymbols(value).length > 0) throw new Unfit("it has a member with a symbol; remove it");
    return Object.freeze(copy);
  }

  #member(value: unknown, depth: number, at: string | number): unknown {
    if (typeof value === "string") {
      this.bytes += TEXT_BYTES + value.length * 2;
      return value;
    }
    try {
      return this.freeze(value, depth + 1);
    } catch (error) {
      if (error instanceof Unfit) error.at.unshift(typeof at === "number" ? `[${at}]` : `.${at}`);
      throw error;
    }
  }
}

/** Throws if a `Date`, a `Map` or a `Set` has members of its own: a copy would lack them. */
function checkMembers(value: object): void {
  if (Reflect.ownKeys(value).length === 0) return;
  throw new Unfit(`it is a ${nameOfClass(value)} with members that have names; cache an object`);
}

function nameOfClass(value: object): string {
  const { constructor } = value;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "a class";
}

/**
 * Copies `value` and freezes the copy.
 *
 * @param key The key, for the error.
 * @throws {CacheValueError} if it would not survive a round trip through Redis, naming the part.
 */
export function freezeValue(key: string, value: unknown): FrozenValue {
  const freezer = new Freezer();
  try {
    const frozen = freezer.freeze(value, 0);
    const { isCopied, isPlain, bytes } = freezer;
    return { value: frozen, isCopied, isPlain, bytes: Math.ceil(bytes) };
  } catch (error) {
    if (error instanceof Unfit) throw new CacheValueError(key, `$${error.at.join("").slice(0, 200)}`, error.reason);
    throw error;
  }
}

/** Returns a copy of a frozen value whose parts that cannot be frozen are the reader's own. */
export function copyValue(value: unknown): unknown {
  return new Freezer().freeze(value, 0);
}

/** Returns the JSON text of a frozen value. */
export function encodeValue({ value, isPlain }: FrozenValue): string {
  return JSON.stringify(isPlain ? value : toJson(value));
}

function toJson(value: unknown): unknown {
  switch (typeof value) {
    case "undefined":
      return { [MARK]: "undefined" };
    case "bigint":
      return { [MARK]: "bigint", v: value.toString() };
    case "number":
      if (Object.is(value, -0)) return { [MARK]: "number", v: "-0" };
      return Number.isFinite(value) ? value : { [MARK]: "number", v: String(value) };
    case "object":
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Date) {
    const time = value.getTime();
    return { [MARK]: "date", v: Number.isNaN(time) ? null : time };
  }
  if (value instanceof Uint8Array) return { [MARK]: "bytes", v: toBase64(value) };
  if (value instanceof Map) {
    return { [MARK]: "map", v: [...value].map(([key, member]) => [toJson(key), toJson(member)]) };
  }
  if (value instanceof Set) return { [MARK]: "set", v: [...value].map(toJson) };
  const entries = Object.entries(value).map(([key, member]) => [key, toJson(member)] as const);
  return MARK in value ? { [MARK]: "object", v: entries } : Object.fromEntries(entries);
}

/** The largest part of a string that is built at once, in bytes: more would be too many arguments of a call. */
const CHUNK = 8_192;

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(start, start + CHUNK));
  }
  return btoa(text);
}

/**
 * Thrown for JSON that this module has not written.
 *
 * @internal
 */
class ForeignValueError extends TypeError {
  override readonly name = "ForeignValueError";
}

/** Reads and freezes what `JSON.parse` returned, in place. */
class Reviver {
  isCopied = false;
  /** The part of the size in memory that the length of the text does not show, in bytes. */
  bytes = 0;
  #parts = 0;

  revive(value: unknown, depth: number): unknown {
    if (typeof value !== "object" || value === null) return value;
    if (depth >= MAX_DEPTH) throw new ForeignValueError("nested too deeply");
    if (++this.#parts > MAX_PARTS) throw new ForeignValueError("too many objects and arrays");
    this.bytes += OBJECT_BYTES;
    if (Array.isArray(value)) {
      this.bytes += value.length * SLOT_BYTES;
      for (let index = 0; index < value.length; index++) {
        const member: unknown = value[index];
        if (typeof member === "object" && member !== null) value[index] = this.revive(member, depth + 1);
      }
      return Object.freeze(value);
    }
    const record: Record<string, unknown> = value as Record<string, unknown>;
    let members = 0;
    for (const key in record) {
      members++;
      if (key === MARK) return this.#marked(record, depth);
      if (key === "__proto__") throw new ForeignValueError("a member __proto__");
      const member = record[key];
      if (typeof member === "object" && member !== null) record[key] = this.revive(member, depth + 1);
    }
    if (members > MANY_MEMBERS) this.bytes += members * TABLE_BYTES;
    return Object.freeze(record);
  }

  #marked({ [MARK]: kind, v }: Readonly<Record<string, unknown>>, depth: number): unknown {
    switch (kind) {
      case "undefined":
        return undefined;
      case "bigint":
        if (typeof v === "string" && v.length <= MAX_BIGINT_DIGITS && /^-?\d+$/.test(v)) return BigInt(v);
        break;
      case "number":
        if (v === "NaN" || v === "Infinity" || v === "-Infinity" || v === "-0") return Number(v);
        break;
      case "date":
        this.isCopied = true;
        if (v === null || typeof v === "number") return new Date(v ?? NaN);
        break;
      case "bytes":
        this.isCopied = true;
        if (typeof v === "string") return Uint8Array.from(atob(v), (character) => character.charCodeAt(0));
        break;
      case "map":
        this.isCopied = true;
        return new Map(this.#pairs(v, depth));
      case "set":
        this.isCopied = true;
        if (!Array.isArray(v)) break;
        this.bytes += OBJECT_BYTES + ENTRY_BYTES * v.length;
        return new Set(v.map((member) => this.revive(member, depth + 1)));
      case "object":
        return this.#object(v, depth);
    }
    throw new ForeignValueError("an unknown mark");
  }

  #pairs(value: unknown, depth: number): [unknown, unknown][] {
    if (!Array.isArray(value)) throw new ForeignValueError("a map without entries");
    this.bytes += OBJECT_BYTES + ENTRY_BYTES * value.length;
    return value.map((pair) => {
      if (!Array.isArray(pair) || pair.length !== 2) throw new ForeignValueError("an entry that is not a pair");
      return [this.revive(pair[0], depth + 1), this.revive(pair[1], depth + 1)];
    });
  }

  #object(value: unknown, depth: number): unknown {
    const object: Record<string, unknown> = {};
    for (const [key, member] of this.#pairs(value, depth)) {
      if (typeof key !== "string" || key === "__proto__") throw new ForeignValueError("a bad name of a member");
      object[key] = member;
    }
    return Object.freeze(object);
  }
}

/**
 * Reads and freezes a value that `JSON.parse` returned, in place.
 *
 * @param length The length of its text.
 * @throws {TypeError} if {@linkcode encodeValue} has not written it.
 */
export function reviveValue(json: unknown, length: number): Pick<FrozenValue, "value" | "isCopied" | "bytes"> {
  const reviver = new Reviver();
  const value = reviver.revive(json, 0);
  return { value, isCopied: reviver.isCopied, bytes: reviver.bytes + length * 2 };
}
