/**
 * Encodes the values of a statement as the types of its parameters.
 *
 * @module
 */
import { messageOf } from "../../resilience/mod.ts";
import { StatementError } from "../errors/statement_error.ts";
import type { Codec, EncodedValue } from "../types/codec.ts";
import { builtinOid } from "../types/names.ts";
import type { TypeRegistry } from "../types/registry.ts";
import { temporalKind } from "../types/temporal.ts";
import { unsendable } from "../types/text.ts";
import { ValueError } from "../types/value_error.ts";
import type { ParamType } from "./query_result.ts";

/** Finds the codec of a type. */
export type Codecs = Pick<TypeRegistry, "codecOf">;

/** The oid of a parameter whose type the server infers. */
export const INFERRED = 0;

/** The largest oid. */
const MAX_OID = 0xffff_ffff;

/**
 * Returns the oids of declared types; {@linkcode INFERRED} for those that are not declared.
 *
 * @throws {StatementError} when a name is not that of a built-in type.
 */
export function oidsOf(types: readonly ParamType[]): readonly number[] {
  return types.map((type, index) => {
    if (type === undefined || type === null) return INFERRED;
    const oid = typeof type === "string" ? builtinOid(type) : type;
    if (Number.isInteger(oid) && oid !== undefined && oid >= 0 && oid <= MAX_OID) return oid;
    throw new StatementError(
      `The type of $${
        index + 1
      } in paramTypes must be the name of a built-in type, such as "int4[]", or the oid of any: ` +
        "select 'mood'::regtype::oid",
    );
  });
}

/** Returns whether the type of its parameter must be known to send a value: strings are text that the server reads. */
export function needsType(value: unknown): boolean {
  return typeof value !== "string" && value !== null && value !== undefined;
}

/** Returns whether every value can be sent with what is known of the types of the parameters. */
export function areEncodable(values: readonly unknown[], oids: readonly number[] | undefined, codecs: Codecs): boolean {
  for (let index = 0; index < values.length; index++) {
    if (!needsType(values[index])) continue;
    const oid = oids?.[index];
    if (oid === undefined || oid === INFERRED) return false;
    const codec = codecs.codecOf(oid);
    // The attributes of a composite can change.
    if (codec === undefined || codec.composites.length > 0) return false;
  }
  return true;
}

/**
 * Returns whether a value is sent as a type that its parameter had earlier, even if a column was altered since: the
 * server casts it without a word then.
 */
function keepsType(codec: Codec, value: unknown): boolean {
  if (codec.survivesRetyping(value)) return true;
  // The text of other objects, JSON included, means nothing to most other types, and something else to the rest. That of
  // an instant or an array is what they read.
  return typeof value === "object" && !codec.isArray && !(value instanceof Date) && !isInstant(value);
}

function isInstant(value: unknown): boolean {
  const kind = temporalKind(value);
  return kind !== undefined && kind !== "Duration";
}

/** Returns whether all values {@linkcode keepsType}, so that a statement that was prepared earlier can run. */
export function surviveRetyping(values: readonly unknown[], oids: readonly number[], codecs: Codecs): boolean {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (value === null || value === undefined) continue;
    const oid = oids[index];
    if (oid === undefined) continue;
    const codec = codecs.codecOf(oid);
    if (codec === undefined || codec.composites.length > 0 || !keepsType(codec, value)) return false;
  }
  return true;
}

/**
 * Returns the remembered types of parameters to declare; `undefined` for none. If a type has changed, the server then
 * rejects the statement, where it might read the text of the value in another way. What does not {@linkcode keepsType}
 * is left to be inferred: it is sent in a text that other types read right, and that the server must not cast.
 */
export function typesToDeclare(
  values: readonly unknown[],
  oids: readonly number[] | undefined,
  codecs: Codecs,
): readonly number[] | undefined {
  if (!oids) return undefined;
  const declared = oids.map((oid, index) => {
    const value = values[index];
    const codec = needsType(value) ? codecs.codecOf(oid) : undefined;
    return codec && keepsType(codec, value) ? oid : INFERRED;
  });
  return declared.some((oid) => oid !== INFERRED) ? declared : undefined;
}

/**
 * Returns the error of a wrong number of values.
 *
 * @param expected The number of parameters.
 */
export function wrongCount(expected: number, given: number): StatementError {
  const parameters = `${expected} parameter${expected === 1 ? "" : "s"}`;
  const values = given === 1 ? "1 value was" : `${given} values were`;
  return new StatementError(
    `The statement has ${parameters}, but ${values} given: pass one value for each of $1, $2 and so on`,
  );
}

/**
 * Encodes values.
 *
 * @param oids The types of the parameters, as far as they are known.
 * @throws {StatementError} when a value cannot be sent as its type, or the number of values is wrong.
 */
export function encodeValues(
  values: readonly unknown[],
  oids: readonly number[] | undefined,
  codecs: Codecs,
): EncodedValue[] {
  if (oids && oids.length !== values.length) throw wrongCount(oids.length, values.length);
  const encoded: EncodedValue[] = [];
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    const oid = oids?.[index];
    encoded.push(value === null || value === undefined ? null : encodeValue(value, index, oid, codecs));
  }
  return encoded;
}

function encodeValue(value: unknown, index: number, oid: number | undefined, codecs: Codecs): EncodedValue {
  const codec = oid === undefined || oid === INFERRED ? undefined : codecs.codecOf(oid);
  if (codec) {
    try {
      return codec.encode(value);
    } catch (error) {
      throw new StatementError(`Cannot send $${index + 1} as ${codec.name}: ${reasonOf(error)}`);
    }
  }
  if (typeof value !== "string") {
    throw new StatementError(`Cannot send $${index + 1}: its type is unknown (oid ${oid ?? "not given"})`);
  }
  const fault = unsendable(value);
  if (fault) throw new StatementError(`Cannot send $${index + 1}: ${reasonOf(fault)}`);
  return value;
}

function reasonOf(error: unknown): string {
  return error instanceof ValueError ? `${error.given} was given: ${error.reason}` : messageOf(error);
}
