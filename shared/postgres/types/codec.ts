/**
 * Codecs: how the values of one type are sent and read.
 *
 * @module
 */

/** An encoded parameter: text, binary, or SQL NULL. */
export type EncodedValue = string | Uint8Array | null;

/** The way the values of a type are sent and read, whatever the type is called. */
export interface ValueFormat {
  /** Reads the server's text of a value. */
  readonly decodeText: (text: string) => unknown;
  /** Reads the server's binary form, which lies from `start` to `end`. `undefined`: the type is read as text only. */
  readonly decodeBinary: ((bytes: Uint8Array, start: number, end: number) => unknown) | undefined;
  /**
   * Encodes a value other than null and undefined.
   *
   * @throws {ValueError} if the type cannot hold it.
   */
  readonly encode: (value: unknown) => string | Uint8Array;
  /**
   * Returns true if what {@linkcode encode} sends means the same under every type that a column of this type may be
   * altered to. The server keeps the types of a prepared statement's parameters, and casts them without a word.
   */
  readonly survivesRetyping: (value: unknown) => boolean;
  /** Its JavaScript values are arrays themselves, so that nested arrays are not dimensions. Default: false. */
  readonly isList?: boolean;
  /** Its text is that of an array. Default: false. */
  readonly isArray?: boolean;
  /** Its JavaScript values are bytes, so that a typed array is an element and not a dimension. Default: false. */
  readonly isBytes?: boolean;
}

/** The values of one type: how they are sent and read. */
export interface Codec extends ValueFormat {
  /** The oid of the type. */
  readonly oid: number;
  /** The type as the server prints it, e.g. `integer` or `mood[]`. */
  readonly name: string;
  /** True if results may be requested in binary: reading it is exact for the type and all it contains. */
  readonly binary: boolean;
  /** The composites in it, by oid, at any depth: their attributes can change while the oid stays. */
  readonly composites: readonly number[];
}

/** No composites. */
export const NONE: readonly number[] = Object.freeze([]);

/** A codec. All have one shape, so that a loop over columns stays fast. */
export class TypeCodec implements Codec {
  readonly oid: number;
  readonly name: string;
  readonly binary: boolean;
  readonly decodeText: (text: string) => unknown;
  readonly decodeBinary: ((bytes: Uint8Array, start: number, end: number) => unknown) | undefined;
  readonly encode: (value: unknown) => string | Uint8Array;
  readonly survivesRetyping: (value: unknown) => boolean;
  readonly isList: boolean;
  readonly isArray: boolean;
  readonly isBytes: boolean;
  readonly composites: readonly number[];

  constructor(oid: number, name: string, format: ValueFormat, composites: readonly number[] = NONE) {
    this.oid = oid;
    this.name = name;
    this.binary = format.decodeBinary !== undefined;
    this.decodeText = format.decodeText;
    this.decodeBinary = format.decodeBinary;
    this.encode = format.encode;
    this.survivesRetyping = format.survivesRetyping;
    this.isList = format.isList ?? false;
    this.isArray = format.isArray ?? false;
    this.isBytes = format.isBytes ?? false;
    this.composites = composites;
  }
}
