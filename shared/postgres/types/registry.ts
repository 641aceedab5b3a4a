/**
 * The types of one database, and their codecs.
 *
 * @module
 */
import { arrayOf } from "./array.ts";
import { BOX, BUILTIN_RANGES, BUILTIN_TYPES } from "./builtin.ts";
import type { TypeRow } from "./catalog.ts";
import { type Codec, NONE, TypeCodec, type ValueFormat } from "./codec.ts";
import { compositeOf } from "./composite.ts";
import { builtinOid } from "./names.ts";
import { multirangeOf, rangeOf } from "./range.ts";
import { enumeration, opaque, other } from "./text_like.ts";
import { inputText } from "./text.ts";
import { valueError } from "./value_error.ts";

/** The reading and sending of one type, in place of the built-in way. */
export interface TypeOverride {
  /** Reads the server's text of a value. Default: as without the override. */
  readonly decode?: (text: string) => unknown;
  /** Returns the text that the type is sent as. It is not called for null and undefined. Default: as without the override. */
  readonly encode?: (value: unknown) => string;
}

/** Overrides by the name of a type (`int8`, `bigint`, `public.mood`) or by its oid. */
export type TypeOverrides = Readonly<Record<string, TypeOverride>>;

/** Builds a codec with the codecs of the types inside. */
type Builder = (registry: TypeRegistry) => Codec;

let builders: Map<number, Builder> | undefined;

function arrayBuilder(oid: number, element: number, delimiter?: string): Builder {
  return (registry) => {
    const codec = registry.codecOrText(element);
    return new TypeCodec(oid, `${codec.name}[]`, arrayOf(codec, delimiter), codec.composites);
  };
}

/** Lists the built-in types by oid. They are built when they are first met. */
function builtinBuilders(): Map<number, Builder> {
  const all = new Map<number, Builder>();
  for (const { oid, name, array, format } of BUILTIN_TYPES) {
    all.set(oid, () => new TypeCodec(oid, name, format));
    if (array !== 0) all.set(array, arrayBuilder(array, oid, oid === BOX ? ";" : ","));
  }
  for (const { oid, name, array, bound, multirange } of BUILTIN_RANGES) {
    all.set(oid, (registry) => new TypeCodec(oid, name, rangeOf(registry.codecOrText(bound))));
    all.set(array, arrayBuilder(array, oid));
    const build: Builder = (registry) => {
      const range = registry.codecOrText(oid);
      return new TypeCodec(multirange.oid, multirange.name, multirangeOf(range, registry.codecOrText(bound)));
    };
    all.set(multirange.oid, build);
    all.set(multirange.array, arrayBuilder(multirange.array, multirange.oid));
  }
  return all;
}

/** The types of a database beyond the built-in ones. */
class UserTypes {
  readonly rows = new Map<number, TypeRow>();
  /** Grows when codecs that were built must be built again. */
  version = 0;

  /** Adds types; returns true if one that was known has changed. */
  add(rows: Iterable<TypeRow>): boolean {
    let changed = false;
    for (const row of rows) {
      const known = this.rows.get(row.oid);
      if (known && JSON.stringify(known) !== JSON.stringify(row)) changed = true;
      this.rows.set(row.oid, row);
    }
    if (changed) this.version++;
    return changed;
  }
}

function formatOf(override: TypeOverride, format: ValueFormat): ValueFormat {
  const { decode, encode } = override;
  return {
    ...format,
    ...(decode && { decodeText: (text) => decode(text), decodeBinary: undefined }),
    ...(encode && {
      encode(value) {
        const text: unknown = encode(value);
        if (typeof text !== "string") throw valueError(text, "an encode function of types must return a string");
        return inputText(text);
      },
      survivesRetyping: () => false,
    }),
  };
}

/**
 * The types of one database. Built-in types are known at once, others once {@linkcode register}ed.
 *
 * @example
 * ```ts
 * const registry = new TypeRegistry({ int8: { decode: BigInt } });
 * registry.codecOf(1016)?.decodeText("{1,2}"); // [1n, 2n]
 * ```
 */
export class TypeRegistry {
  readonly #types: UserTypes;
  readonly #overrides: TypeOverrides;
  readonly #byOid = new Map<number, TypeOverride>();
  readonly #codecs = new Map<number, Codec>();
  readonly #views = new WeakMap<TypeOverrides, TypeRegistry>();
  #version = 0;

  /**
   * @param overrides Types that are read or sent in another way, also inside arrays, ranges and composites.
   * @throws {TypeError} if an override is not an object of functions.
   */
  constructor(overrides: TypeOverrides = {}, types: unknown = undefined) {
    this.#types = types instanceof UserTypes ? types : new UserTypes();
    this.#overrides = overrides;
    for (const [key, override] of Object.entries(overrides)) {
      for (const part of ["decode", "encode"] as const) {
        const type = typeof override?.[part];
        if (typeof override !== "object" || override === null || (type !== "function" && type !== "undefined")) {
          throw new TypeError(`types["${key}"] must be an object with decode, encode, or both: functions`);
        }
      }
      const oid = /^\d+$/.test(key) ? Number(key) : builtinOid(key);
      if (oid !== undefined) this.#byOid.set(oid, override);
    }
  }

  /** Returns a registry of the same types with further overrides, such as those of one query. */
  with(overrides: TypeOverrides | undefined): TypeRegistry {
    if (!overrides) return this;
    let view = this.#views.get(overrides);
    if (!view) {
      view = new TypeRegistry({ ...this.#overrides, ...overrides }, this.#types);
      this.#views.set(overrides, view);
    }
    return view;
  }

  /** Returns the codec of a type; `undefined` while it is not known. */
  codecOf(oid: number): Codec | undefined {
    if (this.#version !== this.#types.version) {
      this.#version = this.#types.version;
      this.#codecs.clear();
    }
    const known = this.#codecs.get(oid);
    if (known) return known;
    const built = this.#build(oid);
    if (!built) return undefined;
    const override = this.#overrideOf(oid);
    const codec = override ? new TypeCodec(oid, built.name, formatOf(override, built), built.composites) : built;
    this.#codecs.set(oid, codec);
    return codec;
  }

  /** Returns the codec of a type, or one that passes its text on where the type is not known. */
  codecOrText(oid: number): Codec {
    return this.codecOf(oid) ?? new TypeCodec(oid, `type ${oid}`, other);
  }

  /**
   * Adds the rows of `CATALOG_QUERY`.
   *
   * @returns True if a known type has changed, such as a composite with another attribute: codecs from before are stale.
   */
  register(rows: Iterable<TypeRow>): boolean {
    return this.#types.add(rows);
  }

  #overrideOf(oid: number): TypeOverride | undefined {
    const direct = this.#byOid.get(oid);
    const row = this.#types.rows.get(oid);
    if (direct || !row) return direct;
    const names = [row.name, `${row.schema}.${row.typname}`, row.typname];
    const name = names.find((name) => Object.hasOwn(this.#overrides, name));
    return name === undefined ? undefined : this.#overrides[name];
  }

  #build(oid: number): Codec | undefined {
    builders ??= builtinBuilders();
    const builtin = builders.get(oid);
    if (builtin) return builtin(this);
    const row = this.#types.rows.get(oid);
    return row && this.#buildRow(row);
  }

  #buildRow(row: TypeRow): Codec {
    const { oid, name } = row;
    if (row.kind === "e") return new TypeCodec(oid, name, enumeration);
    if (row.kind === "c") {
      const types = row.attribute_types ?? [];
      const attributes = (row.attribute_names ?? []).map((attribute, index) => ({
        name: attribute,
        codec: this.codecOrText(types[index] ?? 0),
      }));
      const inside = attributes.flatMap(({ codec }) => codec.composites);
      return new TypeCodec(oid, name, compositeOf(attributes), [...new Set([oid, ...inside])]);
    }
    if (row.inner === 0 || (row.kind === "b" && !row.is_array)) {
      return new TypeCodec(oid, name, row.kind === "p" ? opaque : other, NONE);
    }
    const inner = this.codecOrText(row.inner);
    if (row.is_array) return new TypeCodec(oid, name, arrayOf(inner, row.delimiter), inner.composites);
    if (row.kind === "r") return new TypeCodec(oid, name, rangeOf(inner), inner.composites);
    if (row.kind === "d") return new TypeCodec(oid, name, domainOf(inner, row.has_modifier), inner.composites);
    const bound = this.#types.rows.get(row.inner)?.inner ?? 0;
    return new TypeCodec(oid, name, multirangeOf(inner, this.codecOrText(bound)), inner.composites);
  }
}

/** The values of a domain are those of its base; one with a modifier, such as `numeric(5,2)`, may round them. */
function domainOf(base: Codec, hasModifier: boolean): ValueFormat {
  return hasModifier ? { ...base, survivesRetyping: () => false } : base;
}
