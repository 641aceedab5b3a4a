/**
 * The syntax of `config.toml`.
 *
 * @module
 */
import { parse, TomlError } from "smol-toml";
import { messageOf } from "../../shared/resilience/mod.ts";
import { StackError } from "../stack_error.ts";

/** A table of a TOML document. */
export type TomlTable = Readonly<Record<string, unknown>>;

/** Returns whether `value` is a table. */
export function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/**
 * Parses a TOML document.
 *
 * @param path The path for error messages.
 * @throws {StackError} `CONFIG_INVALID`, with the path, the line and the reason.
 */
export function parseToml(text: string, path: string): TomlTable {
  try {
    // The mark that some editors put at the start of a file is not TOML.
    return parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    const line = error instanceof TomlError ? `:${error.line}` : "";
    const reason = (messageOf(error).split("\n")[0] ?? "").replace(/^Invalid TOML document: /, "");
    throw new StackError("CONFIG_INVALID", `${path}${line}: ${reason}: fix the file, then start again.`, {
      cause: error,
    });
  }
}
