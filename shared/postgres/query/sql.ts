/**
 * SQL as a template: its values are parameters by construction, and never part of the text.
 *
 * @module
 */
import { StatementError } from "../errors/statement_error.ts";
import { type QueryResult, type ResultRows, type Row, toRows } from "../wire/query_result.ts";
import type { QueryOptions } from "./query_options.ts";

/** The longest name of a table or column, in bytes. The server cuts longer ones off (PostgreSQL, "Identifiers"). */
const MAX_NAME_BYTES = 63;

/** The text around the values of a fragment: one element more than there are values. */
let stringsOf: (fragment: SqlFragment) => readonly string[];

/** Runs the statement of a template. */
export type RunSql<Options> = (text: string, values: readonly unknown[], options?: Options) => Promise<QueryResult>;

/**
 * A part of a statement, created by a template or by a helper of {@linkcode sql}. Inside another template it becomes part
 * of its text; anything else becomes a parameter.
 */
export class SqlFragment {
  /** The values of `$1`, `$2` and so on. */
  readonly values: readonly unknown[];

  readonly #strings: readonly string[];
  #text: string | undefined = undefined;

  static {
    stringsOf = (fragment) => fragment.#strings;
  }

  /** Creates a fragment. Use the tag {@linkcode sql} instead: it checks its arguments. */
  constructor(strings: readonly string[], values: readonly unknown[]) {
    this.#strings = strings;
    this.values = values;
  }

  /** The text, with `$1`, `$2` and so on for the values. With {@linkcode values} it is one statement of a list. */
  get query(): string {
    return this.#text ??= textOf(this.#strings);
  }

  /** Returns whether `value` is a fragment. Nothing that a request sends can be one. */
  static is(value: unknown): value is SqlFragment {
    return typeof value === "object" && value !== null && #strings in value;
  }
}

/**
 * A statement as a template. Awaiting it runs it, once, and resolves to its rows: an array, with `rowCount` and what else
 * the server reported. Until then nothing is sent.
 *
 * @typeParam R The rows.
 */
export class SqlQuery<R extends object = Row, Options = QueryOptions> extends SqlFragment
  implements PromiseLike<ResultRows<R>> {
  readonly #run: RunSql<Options> | undefined;
  #result: Promise<ResultRows<R>> | undefined = undefined;

  /** Creates a statement. Use `sql` of a pool instead. */
  constructor(strings: readonly string[], values: readonly unknown[], run: RunSql<Options> | undefined) {
    super(strings, values);
    this.#run = run;
  }

  /**
   * Runs the statement, each time it is called.
   *
   * @throws what `query` of the pool or the transaction throws.
   */
  async execute(options?: Options): Promise<ResultRows<R>> {
    if (!this.#run) {
      throw new StatementError(
        "Cannot run a fragment of the plain sql tag: use it inside pool.sql`...` or tx.sql`...`",
      );
    }
    return toRows(await this.#run(this.query, this.values, options) as QueryResult<R>);
  }

  /** Runs the statement and returns its first row; `undefined` if there is none. */
  async first(options?: Options): Promise<R | undefined> {
    return (await this.execute(options))[0];
  }

  /** Runs the statement when it is first awaited; every `await` receives the same result. */
  then<A = ResultRows<R>, B = never>(
    onFulfilled?: ((rows: ResultRows<R>) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return (this.#result ??= this.execute()).then(onFulfilled, onRejected);
  }
}

/** The helpers of {@linkcode sql}. */
export interface SqlHelpers {
  /**
   * Quotes the name of a table or a column: `sql.identifier("public", "notes")` is `"public"."notes"`.
   *
   * @throws {StatementError} when a name is empty, is longer than 63 bytes, or contains NUL.
   */
  identifier(...names: readonly string[]): SqlFragment;
  /**
   * Joins fragments and values, for a list of unknown length.
   *
   * @param separator Default: a comma.
   * @throws {StatementError} when the list is empty, or the separator is not a fragment.
   */
  join(parts: readonly unknown[], separator?: SqlFragment): SqlFragment;
}

/**
 * A tag for statements as templates.
 *
 * @example Values, a condition and a name
 * ```ts
 * const pool = PostgresConnectionManager.fromEnv();
 * const [ids, onlyNew, column] = [[1, 2], true, "name"];
 * const sql = pool.sql;
 * const rows = await sql`
 *   SELECT ${sql.identifier(column)} FROM notes
 *   WHERE id = any(${ids}) ${onlyNew ? sql`AND created_at > now() - interval '1 day'` : sql``}`;
 * console.log(rows.length, rows[0]);
 * ```
 */
export interface SqlTag<Options = QueryOptions> extends SqlHelpers {
  /**
   * Creates a statement, which runs when it is awaited. A value in `${}` becomes a parameter: an array for
   * `= any(${ids})`, an object for `jsonb`. A fragment becomes part of the text.
   *
   * @throws {StatementError} when it is not used as the tag of a template, or a value is a promise.
   */
  <R extends object = Row>(strings: TemplateStringsArray, ...values: readonly unknown[]): SqlQuery<R, Options>;
}

/** Texts of templates that no fragment is part of, by their strings. */
const texts = new WeakMap<readonly string[], string>();

/** Matches characters that a parameter, such as `$1`, would become part of. */
const WORD = /[\w$\u0080-\uffff]/;

function textOf(strings: readonly string[]): string {
  const known = texts.get(strings);
  if (known !== undefined) return known;
  let text = strings[0] ?? "";
  for (let at = 1; at < strings.length; at++) {
    const next = strings[at] ?? "";
    // `${id}0` must not become $10, and `a${id}` not the name a$1.
    text += `${WORD.test(text.at(-1) ?? "") ? " " : ""}$${at}${WORD.test(next[0] ?? "") ? " " : ""}${next}`;
  }
  texts.set(strings, text);
  return text;
}

function checkTemplate(strings: TemplateStringsArray, values: readonly unknown[]): void {
  if (Array.isArray(strings) && Array.isArray(strings.raw) && strings.length === values.length + 1) {
    if (strings.every((text) => typeof text === "string")) return;
    throw new StatementError("Cannot read the template: it contains an escape sequence that is not valid");
  }
  throw new StatementError("sql is the tag of a template: write sql`select ${id}`, without parentheses");
}

function checkValue(value: unknown, at: number): void {
  if (typeof value !== "object" || value === null) return;
  if (typeof Reflect.get(value, "then") === "function") {
    throw new StatementError(`Value ${at} of the template is a promise: await it first`);
  }
  if (typeof Reflect.get(value, "toOperationNode") === "function") {
    throw new StatementError(`Value ${at} of the template is an expression of Kysely: use its sql tag for the whole`);
  }
}

/** Returns the text and the values of a template, into which fragments are merged. */
function flatten(
  strings: readonly string[],
  parts: readonly unknown[],
): readonly [strings: readonly string[], values: readonly unknown[]] {
  if (!parts.some(SqlFragment.is)) {
    parts.forEach((part, index) => checkValue(part, index + 1));
    return [strings, parts];
  }
  const values: unknown[] = [];
  const merged: string[] = [strings[0] ?? ""];
  for (const [index, part] of parts.entries()) {
    const after = strings[index + 1] ?? "";
    if (SqlFragment.is(part)) {
      const [first = "", ...rest] = stringsOf(part);
      merged.push(`${merged.pop()}${first}`);
      for (const value of part.values) values.push(value);
      for (const text of rest) merged.push(text);
      merged.push(`${merged.pop()}${after}`);
    } else {
      checkValue(part, index + 1);
      values.push(part);
      merged.push(after);
    }
  }
  return [merged, values];
}

function quoted(name: unknown): string {
  if (typeof name !== "string" || name === "" || name.includes("\0")) {
    throw new StatementError("sql.identifier takes names: strings that are neither empty nor contain NUL");
  }
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
    throw new StatementError(`sql.identifier takes names of at most ${MAX_NAME_BYTES} bytes: the server cuts them off`);
  }
  return `"${name.replaceAll('"', '""')}"`;
}

function identifier(...names: readonly string[]): SqlFragment {
  if (names.length === 0) throw new StatementError("sql.identifier takes at least one name");
  return new SqlFragment([names.map(quoted).join(".")], []);
}

const COMMA = new SqlFragment([", "], []);

function join(parts: readonly unknown[], separator: SqlFragment = COMMA): SqlFragment {
  if (!Array.isArray(parts) || parts.length === 0) {
    throw new StatementError("sql.join takes an array with at least one element; for any number use = any(${values})");
  }
  if (!SqlFragment.is(separator)) throw new StatementError("The separator of sql.join must be a template: sql` and `");
  const all = parts.flatMap((part, index) => index === 0 ? [part] : [separator, part]);
  return new SqlFragment(...flatten(Array<string>(all.length + 1).fill(""), all));
}

/** Creates a tag whose statements are run by `run`. */
export function createSql<Options = QueryOptions>(run?: RunSql<Options>): SqlTag<Options> {
  const tag = <R extends object = Row>(strings: TemplateStringsArray, ...values: readonly unknown[]) => {
    checkTemplate(strings, values);
    return new SqlQuery<R, Options>(...flatten(strings, values), run);
  };
  return Object.assign(tag, { identifier, join });
}

/**
 * The tag for fragments that are shared by several statements. What it creates is part of a statement and cannot run: a
 * pool, a transaction and a connection have a tag of their own.
 *
 * @example Columns that several statements select
 * ```ts
 * const COLUMNS = sql`id, name`;
 * const pool = PostgresConnectionManager.fromEnv();
 * console.log(await pool.sql`SELECT ${COLUMNS} FROM budgets WHERE id = ${"b1"}`.first());
 * ```
 */
export const sql: SqlTag<never> = createSql<never>();
