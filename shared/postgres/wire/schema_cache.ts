/**
 * Knowledge of a database, shared by all connections of a manager.
 *
 * @module
 */
import { type TypeOverrides, TypeRegistry } from "../types/registry.ts";
import type { Names } from "./name_resolution.ts";

/** The number of descriptions. */
const MAX_DESCRIPTIONS = 1_000;

/** The most characters of the texts of all descriptions. */
const MAX_TOTAL_LENGTH = 4_000_000;

/** The number of descriptions in doubt. */
const MAX_DOUBTED = 100;

/** The longest text whose description is kept while it is in doubt, in characters: longer ones are not prepared. */
const MAX_DOUBTED_LENGTH = 10_000;

/** Returns whether types are the same. */
export function sameTypes(one: readonly number[] | undefined, other: readonly number[]): boolean {
  return one?.length === other.length && other.every((oid, index) => oid === one[index]);
}

/** Types, and the types of the parameters of statements. */
export class SchemaCache {
  /** The codecs of the types of the database. */
  readonly types: TypeRegistry;
  /** Incremented when the schema has changed: what was prepared before may be wrong. */
  version = 0;
  /** The types of parameters by key and text, the least recently used first. */
  readonly #described = new Map<string, readonly number[]>();
  /** The descriptions in doubt, the oldest first. */
  readonly #doubted = new Map<string, readonly number[]>();
  #totalLength = 0;

  /** @param overrides Overrides of the ways in which types are sent and read. Default: none. */
  constructor(overrides?: TypeOverrides) {
    this.types = new TypeRegistry(overrides);
  }

  /** Returns the types of the parameters of a text, as they were when it was last described. */
  find(names: Names, text: string): readonly number[] | undefined {
    if (names.described) return names.version === this.version ? names.described.get(text) : undefined;
    const id = `${names.key}\n${text}`;
    const found = this.#described.get(id);
    if (found) {
      this.#described.delete(id);
      this.#described.set(id, found);
    }
    return found;
  }

  /** Keeps the types of the parameters of a text. */
  describe(names: Names, text: string, oids: readonly number[]): void {
    if (names.described) {
      if (names.version !== this.version) names.described.clear();
      names.version = this.version;
      if (names.described.size < MAX_DESCRIPTIONS) names.described.set(text, oids);
      return;
    }
    const id = `${names.key}\n${text}`;
    const before = this.#doubted.get(id);
    if (before) {
      this.#doubted.delete(id);
      if (!sameTypes(before, oids)) this.changed();
    }
    if (!this.#described.delete(id)) this.#totalLength += id.length;
    this.#described.set(id, oids);
    while (this.#described.size > MAX_DESCRIPTIONS || this.#totalLength > MAX_TOTAL_LENGTH) {
      const [oldest] = this.#described.keys();
      if (oldest === undefined) return;
      this.#described.delete(oldest);
      this.#totalLength -= oldest.length;
    }
  }

  /**
   * Forgets the types of the parameters of a text, which an error has put in doubt: it is described again, and only if
   * that differs has the schema changed. Mostly a value was wrong by itself.
   */
  doubt(names: Names, text: string): void {
    if (names.described) return void names.described.delete(text);
    const id = `${names.key}\n${text}`;
    const oids = this.#described.get(id);
    if (!oids) return;
    this.#described.delete(id);
    this.#totalLength -= id.length;
    if (id.length > MAX_DOUBTED_LENGTH) return;
    const [oldest] = this.#doubted.keys();
    if (this.#doubted.size >= MAX_DOUBTED && oldest !== undefined) this.#doubted.delete(oldest);
    this.#doubted.set(id, oids);
  }

  /** Notes that the schema has changed: what was learned about statements may be wrong on every connection. */
  changed(): void {
    this.version++;
    this.#described.clear();
    this.#doubted.clear();
    this.#totalLength = 0;
  }
}
