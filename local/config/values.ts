/**
 * The values of `config.toml`, checked against {@linkcode SETTINGS}.
 *
 * @module
 */
import { StackError } from "../stack_error.ts";
import { findSetting, isSection, type SettingKind } from "./settings.ts";
import { isTable, type TomlTable } from "./toml.ts";

/** The settings of a document, by path. */
export class Settings {
  readonly #table: TomlTable;
  readonly #path: string;

  /**
   * @param table The document.
   * @param path The path of the file, for error messages.
   */
  constructor(table: TomlTable, path: string) {
    this.#table = table;
    this.#path = path;
  }

  /** Returns the value at `path`, such as `auth.email.otp_length`; `undefined` if it is missing. */
  raw(path: string): unknown {
    let value: unknown = this.#table;
    for (const key of path.split(".")) value = isTable(value) ? value[key] : undefined;
    return value;
  }

  /**
   * Returns the table at `path`; an empty one if it is missing.
   *
   * @throws {StackError} `CONFIG_INVALID` if it is something else.
   */
  table(path: string): TomlTable {
    const value = this.raw(path) ?? {};
    if (!isTable(value)) throw this.#error(path, `must be a table, for example [${path}]`);
    return value;
  }

  /**
   * Returns the value at `path`, or the one that it has by default. Text that reads as a boolean is one, because
   * `env(NAME)` gives text.
   *
   * @throws {StackError} `CONFIG_INVALID` if it has another type.
   */
  boolean(path: string): boolean {
    return this.#value(path, "boolean", (value) => typeof value === "boolean") as boolean;
  }

  /**
   * Returns the value at `path`, or the one that it has by default.
   *
   * @throws {StackError} `CONFIG_INVALID` if it is not an integer of at least 0.
   */
  integer(path: string): number {
    return this.#value(path, "integer", Number.isSafeInteger) as number;
  }

  /**
   * Returns the value at `path`, or the one that it has by default.
   *
   * @throws {StackError} `CONFIG_INVALID` if it has another type.
   */
  string(path: string): string {
    return this.#value(path, "string", (value) => typeof value === "string") as string;
  }

  /**
   * Returns the value at `path`, or the one that it has by default.
   *
   * @throws {StackError} `CONFIG_INVALID` if it has another type.
   */
  strings(path: string): readonly string[] {
    return this.#value(path, "strings", Array.isArray) as readonly string[];
  }

  #value(path: string, kind: SettingKind, valid: (value: unknown) => boolean): unknown {
    const value = this.raw(path);
    if (value === undefined) return findSetting(path.split("."))?.fallback;
    const converted = convert(value, kind);
    if (!valid(converted)) throw this.#error(path, `must be ${EXPECTED[kind]}, but is ${JSON.stringify(value)}`);
    return converted;
  }

  #error(path: string, detail: string): StackError {
    return new StackError("CONFIG_INVALID", `${this.#path}: ${path} ${detail}: fix the file, then start again.`);
  }

  /**
   * Checks every setting of the document.
   *
   * @returns A line for each group of settings that have no effect, with the reason, and one for those that are unknown.
   * @throws {StackError} `CONFIG_INVALID` for a value of another type.
   */
  check(): string[] {
    const ignored = new Map<string, string[]>();
    const unknown: string[] = [];
    const visit = (table: TomlTable, path: readonly string[]) => {
      const off = isOff(table);
      for (const [key, value] of Object.entries(table)) {
        const here = [...path, key];
        const name = here.join(".");
        const setting = findSetting(here);
        if (setting === undefined && isTable(value)) {
          visit(value, here);
        } else if (setting === undefined) {
          if (isSection(here)) this.table(name);
          unknown.push(name);
        } else {
          const converted = convert(value, setting.kind);
          if (!hasKind(converted, setting.kind)) {
            throw this.#error(name, `must be ${EXPECTED[setting.kind]}, but is ${JSON.stringify(value)}`);
          }
          if (setting.ignored === undefined || off) continue;
          if (JSON.stringify(converted) === JSON.stringify(setting.fallback)) continue;
          ignored.set(setting.ignored, [...ignored.get(setting.ignored) ?? [], name]);
        }
      }
    };
    visit(this.#table, []);
    return [
      ...[...ignored].map(([reason, names]) =>
        `supabase/config.toml: ${names.join(", ")} ${names.length === 1 ? "has" : "have"} no effect: ${reason}.`
      ),
      ...(unknown.length === 0 ? [] : [
        `supabase/config.toml: ${unknown.join(", ")} ${unknown.length === 1 ? "is" : "are"} not known to the ` +
        "Supabase CLI, and ignored: check the spelling.",
      ]),
    ];
  }
}

const EXPECTED: Readonly<Record<SettingKind, string>> = {
  boolean: "true or false",
  integer: "an integer of at least 0",
  string: "text in quotes",
  strings: "a list of texts in quotes",
  any: "anything",
};

/** Converts text, which `env(NAME)` gives, to the type of a setting. */
function convert(value: unknown, kind: SettingKind): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value !== "string") return kind === "string" && typeof value === "number" ? String(value) : value;
  if (kind === "boolean" && /^(true|false)$/i.test(value)) return value.toLowerCase() === "true";
  if (kind === "integer" && /^\d+$/.test(value)) return Number(value);
  if (kind === "strings") return value === "" ? [] : value.split(",");
  return value;
}

function hasKind(value: unknown, kind: SettingKind): boolean {
  switch (kind) {
    case "boolean":
      return typeof value === "boolean";
    case "integer":
      return Number.isSafeInteger(value) && Number(value) >= 0;
    case "string":
      return typeof value === "string";
    case "strings":
      return Array.isArray(value) && value.every((item) => typeof item === "string");
    case "any":
      return true;
  }
}

/** Returns whether the feature of a table is off: its other settings are not used then. */
function isOff(table: TomlTable): boolean {
  return table.enabled === false || table.enabled === "false";
}
