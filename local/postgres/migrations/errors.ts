/**
 * Errors of SQL files: the file, the line, the statement, and what Postgres says.
 *
 * @module
 */
import postgres from "postgres";
import { messageOf } from "../../../shared/resilience/mod.ts";
import { StackError } from "../../stack_error.ts";
import type { SqlFile } from "./files.ts";
import { skipComments, type Statement } from "./split.ts";

/** The advice to create the database again. */
export const RESET_HINT = "run with --reset to create the database again";

const EXCERPT = 160;

/** Returns what follows from an error besides the hint of Postgres. */
function adviceOf(code: string, message: string, text: string): string | undefined {
  const statement = text.slice(skipComments(text));
  if (statement.startsWith("\\")) {
    return "Lines that begin with a backslash are commands of psql, not SQL: remove the line.";
  }
  const type = /^type "([^".]+)" does not exist$/.exec(message)?.[1];
  if (code === "42704" && type !== undefined) {
    return `The type may be in a schema that is not in the search path: write extensions.${type}, or create its extension.`;
  }
  const schema = /^(?:schema|relation|type) "(cron|net|pgmq|pgsodium|graphql)[".]/.exec(message)?.[1];
  if (schema !== undefined) {
    const extension = { cron: "pg_cron", net: "pg_net", graphql: "pg_graphql" }[schema] ?? schema;
    return `The schema belongs to an extension: add create extension if not exists ${extension}.`;
  }
  if (/^must be owner of (table|function|schema) /.test(message) && /\b(auth|storage|realtime)\b/.test(text)) {
    return "The table belongs to a service. A hosted project refuses this statement as well.";
  }
  return undefined;
}

/** The state of a file whose statement failed. */
export interface Failure {
  /** The file. */
  readonly file: SqlFile;
  /** The statement. */
  readonly statement: Statement;
  /** The error. */
  readonly error: unknown;
  /** The number of statements that stay applied. */
  readonly applied: number;
}

/** Creates the error for a statement that failed, in one line. */
export function statementError({ file, statement, error, applied }: Failure): StackError {
  const failed = error instanceof postgres.PostgresError ? error : undefined;
  const start = skipComments(statement.text);
  const position = failed?.position ? Number(failed.position) - 1 : start;
  const line = file.text.slice(0, statement.offset + position).split("\n").length;
  const excerpt = statement.text.slice(start).replaceAll(/\s+/g, " ");
  const shown = excerpt.length > EXCERPT ? `${excerpt.slice(0, EXCERPT)} …` : excerpt;
  const message = failed?.message ?? messageOf(error);
  const notes = [
    failed?.detail === undefined ? undefined : `Detail: ${failed.detail}`,
    failed?.where === undefined ? undefined : `In: ${failed.where.split("\n")[0]}`,
    failed?.hint === undefined ? undefined : `Hint: ${failed.hint}`,
    adviceOf(failed?.code ?? "", message, statement.text),
    applied === 0
      ? "The file was not applied: fix it, then start again."
      : `The file was applied in part: its first ${applied} statements are committed. Fix the rest, then start again ` +
        `to continue there, or ${RESET_HINT}.`,
  ];
  const code = failed === undefined ? "" : ` (SQLSTATE ${failed.code})`;
  return new StackError(
    "MIGRATION_FAILED",
    `${file.path}, line ${line}: ${message}${code}, in: ${shown}. ${
      notes.filter((note) => note !== undefined).map((note) => note.replace(/(?<![.:!?])$/, ".")).join(" ")
    }`,
    { cause: error },
  );
}
