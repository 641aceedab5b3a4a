/**
 * The names of operations, which come from a fixed list: a text may hold values.
 *
 * @module
 */

/** The commands of PostgreSQL whose names spans carry. */
const COMMANDS: ReadonlySet<string> = new Set([
  ..."SELECT INSERT UPDATE DELETE MERGE VALUES TABLE WITH CALL DO EXPLAIN COPY FETCH DECLARE CLOSE MOVE".split(" "),
  ..."CREATE ALTER DROP TRUNCATE COMMENT GRANT REVOKE REINDEX VACUUM ANALYZE CLUSTER REFRESH LOCK".split(" "),
  ..."SET RESET SHOW DISCARD LISTEN UNLISTEN NOTIFY PREPARE EXECUTE DEALLOCATE".split(" "),
]);

/** The text that may precede a command: space, comments and brackets. A nested comment ends the search. */
const BEFORE = /^(?:[\s(;]|--[^\n]*(?:\n|$)|\/\*[^*]*\*+(?:[^/*][^*]*\*+)*\/)*/;

/** The longest text before a command that is read, in characters. */
const MAX_BEFORE = 2_000;

function commandOf(text: unknown): string {
  if (typeof text !== "string") return "OTHER";
  const start = text.slice(0, MAX_BEFORE);
  const [word = ""] = /^[a-z]{1,10}\b/i.exec(start.slice(BEFORE.exec(start)?.[0].length ?? 0)) ?? [];
  const command = word.toUpperCase();
  return COMMANDS.has(command) ? command : "OTHER";
}

/** Returns the name of an operation, such as `SELECT`, `BATCH INSERT` or `TRANSACTION`. */
export function operationOf({ kind, texts }: {
  readonly kind: "statement" | "list" | "transaction";
  readonly texts: readonly string[];
}): string {
  if (kind === "transaction") return "TRANSACTION";
  const [first = "OTHER", ...others] = new Set(texts.map(commandOf));
  // Source: OpenTelemetry, semantic conventions of database spans, "db.operation.name".
  if (kind === "list" && texts.length > 1) return others.length === 0 ? `BATCH ${first}` : "BATCH";
  return first;
}

/** Returns the name of the span of an operation. */
export function summaryOf(operation: string): string {
  return operation === "OTHER" ? "postgresql" : operation;
}
