/**
 * Runs the statements of a file as the Supabase CLI does: in one transaction, unless the file controls transactions
 * itself or has statements that cannot run in one.
 *
 * @module
 */
import postgres, { type Sql } from "postgres";
import { statementError } from "./errors.ts";
import type { SqlFile } from "./files.ts";
import { isPrivileged, kindOf } from "./kinds.ts";
import { mayBeSpatialIndex, mayNameMissingFunction, rewriteStatement } from "./rewrite.ts";
import { hasRows, splitStatements, type Statement, withoutComments } from "./split.ts";

/** An error of a statement that is refused before it reaches Postgres. */
class RefusedError extends Error {
  override name = "RefusedError";
}

/** Sends a statement. The simple protocol takes any, also one that the splitter left whole. */
async function send(sql: Sql, text: string): Promise<void> {
  await sql.unsafe(text).simple();
}

/** Runs a statement with the rights that the hosted platform gives `postgres` for it, within the current transaction. */
async function sendPrivileged(sql: Sql, text: string): Promise<void> {
  const [row] = await sql<{ role: string }[]>`select current_setting('role') as role`;
  const role = row?.role ?? "none";
  await send(
    sql,
    "set session authorization default; alter role postgres superuser; set session authorization postgres",
  );
  if (role !== "none") await sql`select set_config('role', ${role}, false)`;
  await send(sql, text);
  await send(
    sql,
    "set session authorization default; alter role postgres nosuperuser; set session authorization postgres",
  );
  if (role !== "none") await sql`select set_config('role', ${role}, false)`;
}

/** A function or type of an extension is missing in its stand-in. */
const MISSING = /^(function|type) .* does not exist/;
/** The types of the stand-in of `postgis` have no classes of operators. */
const SPATIAL_INDEX = /^data type (extensions\.|public\.)?(geometry|geography) has no default operator class/;

/** Runs a statement, and does nothing if that fails with a message like `message`. */
async function sendUnless(sql: Sql, text: string, message: RegExp): Promise<void> {
  await send(sql, "savepoint stand_in");
  try {
    await send(sql, text);
    await send(sql, "release savepoint stand_in");
  } catch (error) {
    if (!(error instanceof postgres.PostgresError) || !message.test(error.message)) throw error;
    await send(sql, "rollback to savepoint stand_in; release savepoint stand_in");
  }
}

/** Runs a statement that is not about rows, with the rights and the changes that it needs. */
async function sendDefinition(sql: Sql, text: string): Promise<void> {
  const rewritten = rewriteStatement(text);
  if (isPrivileged(text)) await sendPrivileged(sql, rewritten);
  else if (mayNameMissingFunction(text)) await sendUnless(sql, rewritten, MISSING);
  else if (mayBeSpatialIndex(text)) await sendUnless(sql, rewritten, SPATIAL_INDEX);
  else await send(sql, rewritten);
}

/** The most statements, and characters of them, that are sent without waiting for results. */
const MAX_STATEMENTS = 100;
const MAX_LENGTH = 1_000_000;

/** Returns the statements about rows from `from` that may be sent together: seeds have many, and each is short. */
function rowStatements(statements: readonly Statement[], from: number): string[] {
  const texts: string[] = [];
  let length = 0;
  for (let index = from; index < statements.length && texts.length < MAX_STATEMENTS && length < MAX_LENGTH; index++) {
    const text = statements[index]?.text ?? "";
    if (!hasRows(text)) break;
    texts.push(text);
    length += text.length;
  }
  return texts;
}

/** A file to run. */
export interface Run {
  /** The file. */
  readonly file: SqlFile;
  /** Its statements, from {@linkcode splitStatements}. */
  readonly statements: readonly Statement[];
  /** The number of statements that an earlier run has committed. */
  readonly from: number;
  /** Records, in the current transaction, that the file was applied. */
  readonly record: (sql: Sql) => Promise<unknown>;
}

/**
 * Runs a file and records it. What is committed before the end is recorded as well, so that a later run continues after
 * it: a failure never leaves statements behind that the next start would execute again.
 *
 * @param sql The only connection of a superuser, with the session authorization of `postgres`.
 * @throws {StackError} `MIGRATION_FAILED`.
 */
export async function runFile(sql: Sql, { file, statements, from, record }: Run): Promise<void> {
  let committed = from;
  let inBlock = false;
  const recordProgress = (count: number) =>
    sql`insert into supabase_migrations.applied_in_part (path, statements)
      values (${file.path}, ${statements.slice(0, count).map(({ text }) => text)})
      on conflict (path) do update set statements = excluded.statements`;
  const commit = async (count: number) => {
    // The file may have become another role.
    await send(sql, "set local session authorization postgres");
    await recordProgress(count);
    await send(sql, "commit");
    committed = count;
  };

  await send(sql, "set session authorization postgres; reset all; begin");
  let index = from;
  try {
    for (; index < statements.length; index++) {
      const text = statements[index]?.text ?? "";
      switch (kindOf(text)) {
        case "begin":
          // A transaction has begun already.
          inBlock = true;
          break;
        case "commit":
          await commit(index + 1);
          await send(sql, "begin");
          inBlock = false;
          break;
        case "rollback":
          await send(sql, "rollback; begin");
          inBlock = false;
          break;
        case "savepoint":
          if (!inBlock) {
            throw new RefusedError(
              "SAVEPOINT can only be used in transaction blocks: add BEGIN and COMMIT, which the Supabase CLI needs too",
            );
          }
          await send(sql, text);
          break;
        case "session":
          // The session is that of a superuser: what only resets the user on a hosted project would give its rights.
          if (!/\breset\b|\bauthorization\s+(default|['"]?postgres['"]?)$/i.test(withoutComments(text).trim())) {
            throw new RefusedError("permission denied to set session authorization");
          }
          await send(sql, "set session authorization postgres");
          break;
        case "copy":
          throw new RefusedError("COPY … FROM STDIN needs psql, which sends the rows: write INSERT statements instead");
        case "outside":
          if (index > committed) await commit(index);
          else await send(sql, "commit");
          await send(sql, text);
          await recordProgress(index + 1);
          committed = index + 1;
          await send(sql, "begin");
          break;
        case "plain":
          if (hasRows(text)) {
            const texts = rowStatements(statements, index);
            const results = await Promise.allSettled(texts.map((each) => send(sql, rewriteStatement(each))));
            const failed = results.findIndex(({ status }) => status === "rejected");
            index += failed < 0 ? texts.length - 1 : failed;
            const result = results[failed];
            // Those after it fail, too: the transaction is aborted.
            if (result?.status === "rejected") throw result.reason;
            break;
          }
          await sendDefinition(sql, text);
          break;
      }
    }
    // Settings and roles of a file must not affect the record of it, nor later files.
    await send(sql, "set local session authorization default; set local session authorization postgres; reset all");
    await sql`delete from supabase_migrations.applied_in_part where path = ${file.path}`;
    await record(sql);
    await send(sql, "commit");
  } catch (error) {
    await send(sql, "rollback").catch(() => {});
    const statement = statements[Math.min(index, statements.length - 1)] ?? { text: "", offset: 0 };
    throw statementError({ file, statement, error, applied: committed });
  }
}

export { splitStatements };
