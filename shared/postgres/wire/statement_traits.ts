/**
 * Traits of statements, which must be known before they are sent.
 *
 * @module
 */
import { StatementError } from "../errors/statement_error.ts";

/**
 * Traits of a statement, read from its text alone: what a function does inside cannot be seen. Where the text leaves a
 * doubt, the safer answer is taken.
 */
export interface StatementTraits {
  /** Begins or ends a transaction. Savepoints do neither. */
  readonly controlsTransaction: boolean;
  /** Is a COPY whose data travel over the connection. */
  readonly copies: boolean;
  /** Asks for notifications, which nothing would deliver. */
  readonly listens: boolean;
  /** May leave a setting, lock, channel, cursor or temporary table on the connection, so that it must be reset. */
  readonly mayLeaveState: boolean;
  /**
   * Leaves something in its session, or takes something from it, that does not end with the transaction. Every such
   * statement also {@linkcode mayLeaveState}.
   */
  readonly outlivesTransaction: boolean;
  /** Only reads, and waits for no other transaction. */
  readonly onlyReads: boolean;
  /**
   * The columns of a prepared statement with that text. `guarded`: when they change, the server refuses to run it.
   * `vary`: it does not, for FETCH, EXECUTE, EXPLAIN, SHOW, CALL and the like, whose columns depend on what else was run.
   */
  readonly columns: "guarded" | "vary" | "none";
  /**
   * Its effect on what names in later statements stand for: they may stand for other tables, types and functions until
   * the transaction ends, or until the connection is reset. `undefined` for none.
   */
  readonly renames: Renaming | undefined;
  /** Begins or ends a transaction, or returns to a savepoint. */
  readonly boundary: "begin" | "end" | "savepoint" | undefined;
  /** Defines, changes or drops tables, types or functions that other sessions use, too. */
  readonly definesSchema: boolean;
}

/** See {@linkcode StatementTraits.renames}. */
export type Renaming =
  /** A setting that ends with its transaction, and whose effect text and values tell. */
  | "transaction"
  /** Anything else. */
  | "session";

/** Characters that may precede a statement; a semicolon alone is an empty statement. */
const BLANK = /(?:[\s;]|--[^\r\n]*)+/y;
const WORD = /[a-z_]+/iy;

/** Returns where a comment that begins at `from` ends. Comments nest (PostgreSQL, "Comments"). */
function endOfComment(text: string, from: number): number {
  const mark = /\/\*|\*\//g;
  mark.lastIndex = from;
  let depth = 0;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    depth += found[0] === "/*" ? 1 : -1;
    if (depth === 0) return mark.lastIndex;
  }
  return text.length;
}

/** Returns where the blanks and comments that begin at `from` end. */
function skipBlanks(text: string, from: number): number {
  for (let at = from;;) {
    BLANK.lastIndex = at;
    if (BLANK.test(text)) at = BLANK.lastIndex;
    else if (text.startsWith("/*", at)) at = endOfComment(text, at);
    else return at;
  }
}

/** Returns the first words of a statement, in upper case: at most `max`, and none behind the first other token. */
function firstWords(text: string, max: number): string[] {
  const words: string[] = [];
  for (let at = 0; words.length < max; at = WORD.lastIndex) {
    WORD.lastIndex = skipBlanks(text, at);
    const [word] = WORD.exec(text) ?? [];
    if (word === undefined) break;
    words.push(word.toUpperCase());
  }
  return words;
}

/** Statements that change rows, and nothing of the session unless one of {@linkcode STATE} is in them. */
const ON_ROWS: ReadonlySet<string> = new Set([
  "SELECT",
  "INSERT",
  "UPDATE",
  "DELETE",
  "MERGE",
  "VALUES",
  "TABLE",
  "WITH",
]);
const READS: ReadonlySet<string> = new Set(["SELECT", "VALUES", "TABLE", "WITH"]);

/**
 * Words that make one of {@linkcode READS} write, or wait for other transactions, and stable functions that read what their
 * values name, such as a view that writes.
 */
const WRITES = /\b(insert|update|delete|merge|into|share|nextval|setval|(table|schema|database)_to_xml\w*)\b/i;

/**
 * Anything in the text that hints at state beyond the transaction: a broad look, since a reset costs little. A name in
 * `U&"..."` may be spelled with escapes.
 */
const STATE = /set_config|pg_settings|advisory|into\s+(local\s+|global\s+)?temp|pg_temp|setseed|dblink|u&"/i;

/** Statements in which a function call can leave state. */
const CALLS: ReadonlySet<string> = new Set([...ON_ROWS, "CALL", "DO", "EXPLAIN"]);

/** A `set_config` whose last argument is not plainly `true`: it may hold for the session. */
const SESSION_SETTING =
  /\bset_config"?\s*\((?!(?:[^()']|'[^']*'|\((?:[^()']|'[^']*')*\))*,\s*(?:is_local\s*(?:=>|:=)\s*)?true\s*\))/i;
const SESSION_CALL = /\bpg_(try_)?advisory_lock(_shared)?"?\s*\(|\bsetseed"?\s*\(|\bdblink_connect(_u)?"?\s*\(/i;
/** An UPDATE of this view is a `set_config` (PostgreSQL, "pg_settings"). */
const SETTINGS_VIEW = /\bupdate\s+(only\s+)?("?pg_catalog"?\s*\.\s*)?"?pg_settings\b/i;
const INTO_TEMPORARY = /\binto\s+((local\s+|global\s+)?temp(orary)?\s|(table\s+)?"?pg_temp"?\s*\.)/i;
/** Objects in the session's schema for temporary ones, which live as long as it does. */
const IN_PG_TEMP = /"?\bpg_temp"?\s*\./i;
const ON_COMMIT_DROP = /\bon\s+commit\s+drop\b/i;
/** Statements in the body of a DO that last as long as the session. */
const SESSION_BODY = /(?:\b(?:begin|then|else|loop)\b|;)\s*(?:listen\s|set\s+(?!local\b|transaction\b|constraints\b))/i;
const CREATES_TEMPORARY = /\bcreate\s+(?:or\s+replace\s+)?(?:(?:local|global)\s+)?temp(?:orary)?\s/i;

/** Returns whether a statement in the body of a DO lasts as long as the session. */
function hasSessionBody(text: string): boolean {
  return SESSION_BODY.test(text) ||
    text.split(";").some((statement) => CREATES_TEMPORARY.test(statement) && !ON_COMMIT_DROP.test(statement));
}

/** Words behind `SET` that make the setting end with the transaction. */
const TRANSACTION_SETTINGS: ReadonlySet<string> = new Set(["LOCAL", "TRANSACTION", "CONSTRAINTS"]);

/** Statements that act on the whole session, or drop what others have prepared in it. */
const OF_SESSION: ReadonlySet<string> = new Set(["LISTEN", "PREPARE", "DEALLOCATE", "DISCARD", "LOAD"]);

const TRANSACTION_CONTROL: ReadonlySet<string> = new Set(["BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT"]);
/** Statements without columns that are sent often. */
const NO_COLUMNS: ReadonlySet<string> = new Set([...TRANSACTION_CONTROL, "SAVEPOINT", "RELEASE", "SET"]);
const NOISE: ReadonlySet<string> = new Set(["WORK", "TRANSACTION"]);

/** No function and no procedure can control a transaction inside one (PostgreSQL, "Transaction Management"). */
function controlsTransaction([first = "", second = "", third]: readonly string[]): boolean {
  if (first === "PREPARE") return second === "TRANSACTION";
  // COMMIT PREPARED and ROLLBACK PREPARED end another transaction, and are refused inside one.
  if (second === "PREPARED") return false;
  if (first === "ROLLBACK" && (NOISE.has(second) ? third : second) === "TO") return false;
  return TRANSACTION_CONTROL.has(first);
}

function boundaryOf(words: readonly string[]): StatementTraits["boundary"] {
  const [first = ""] = words;
  if (!controlsTransaction(words)) return first === "ROLLBACK" && words.includes("TO") ? "savepoint" : undefined;
  return first === "BEGIN" || first === "START" ? "begin" : "end";
}

function outlivesTransaction(text: string, words: readonly string[]): boolean {
  const [first = "", second = ""] = words;
  if (first === "SET") return !TRANSACTION_SETTINGS.has(second);
  if (first === "DECLARE") return /\bwith\s+hold\b/i.test(text);
  if (first === "CREATE") return isTemporary(text, words) && !ON_COMMIT_DROP.test(text);
  if (!CALLS.has(first)) return OF_SESSION.has(first);
  if (first === "DO" && hasSessionBody(text)) return true;
  return SESSION_SETTING.test(text) || SESSION_CALL.test(text) || SETTINGS_VIEW.test(text) ||
    INTO_TEMPORARY.test(text);
}

/** `SET LOCAL search_path` to names and strings. */
const LOCAL_PATH = /^\s*set\s+local\s+search_path\s*(?:=|\bto\b)[\w\s"',$.-]*;?\s*$/i;

/** `set_config('search_path', ..., true)` of a string or a parameter, alone. */
const CONFIG_PATH =
  /^\s*select\s+(?:pg_catalog\s*\.\s*)?set_config\s*\(\s*'search_path'\s*,\s*(?:'[^']*'|\$1)\s*,\s*true\s*\)\s*(?:as\s+\w+\s*)?;?\s*$/i;

/** A `set_config` of a setting that names may depend on, or that is computed. */
const CONFIG_OF_NAMES = /set_config\s*\(\s*(?!'(?!search_path'|role'|session_authorization')[\w.]+'\s*,)/i;

/** Statements that run others, which their text need not show. */
const RUNS_OTHERS: ReadonlySet<string> = new Set(["DO", "CALL", "EXECUTE"]);

const DEFINES: ReadonlySet<string> = new Set(["CREATE", "ALTER", "DROP", "IMPORT", "REASSIGN", "SECURITY"]);
const SETTINGS_OF_NAMES = /search_path|\bschema\b|\brole\b|\bauthorization\b/i;

/** Judges {@linkcode StatementTraits.renames}, from the text alone: what a function does inside cannot be seen. */
function renamesBehind(text: string, words: readonly string[]): Renaming | undefined {
  const [first = ""] = words;
  if (LOCAL_PATH.test(text) || CONFIG_PATH.test(text)) return "transaction";
  if (first === "SHOW") return undefined;
  if (first === "SET") return SETTINGS_OF_NAMES.test(text) ? "session" : undefined;
  if (first === "RESET" || first === "DISCARD" || RUNS_OTHERS.has(first)) return "session";
  if (first === "CREATE" && isTemporary(text, words)) return "session";
  if (CONFIG_OF_NAMES.test(text) || SETTINGS_VIEW.test(text) || INTO_TEMPORARY.test(text)) return "session";
  return /search_path|\bpg_temp\b/i.test(text) ? "session" : undefined;
}

const TEMPORARY = /^CREATE( OR REPLACE)?( LOCAL| GLOBAL)? TEMP(ORARY)?\b/;

/** Returns whether a CREATE is of something temporary: by its words, or by the schema of its name. */
function isTemporary(text: string, words: readonly string[]): boolean {
  if (TEMPORARY.test(words.join(" "))) return true;
  const opens = text.indexOf("(");
  return IN_PG_TEMP.test(opens < 0 ? text : text.slice(0, opens));
}

function readTraits(text: string): StatementTraits {
  const words = firstWords(text, 5);
  const [first = ""] = words;
  // Behind a comment or semicolon the statement counts as doubtful.
  const onRows = ON_ROWS.has(first) && /^\s*[a-z]/i.test(text) && !STATE.test(text);
  return Object.freeze({
    controlsTransaction: controlsTransaction(words),
    copies: first === "COPY" && /\b(stdin|stdout)\b/i.test(text.replace(/'[^']*'|"[^"]*"/g, "")),
    listens: first === "LISTEN",
    mayLeaveState: !onRows,
    outlivesTransaction: outlivesTransaction(text, words),
    onlyReads: onRows && READS.has(first) && !WRITES.test(text),
    columns: ON_ROWS.has(first) ? "guarded" : NO_COLUMNS.has(first) ? "none" : "vary",
    renames: renamesBehind(text, words),
    boundary: boundaryOf(words),
    definesSchema: DEFINES.has(first) && !(first === "CREATE" && isTemporary(text, words)),
  });
}

/** The number of texts in one generation of the cache; there are two. */
const GENERATION = 500;

/** Longer texts are mostly built for one use and are read each time, in characters. */
const MAX_CACHED_LENGTH = 10_000;

let recent = new Map<string, StatementTraits>();
let older = new Map<string, StatementTraits>();

/**
 * Returns the traits of a statement. They are computed once per text and cached, for the 500 to 1,000 texts used last.
 *
 * @throws {StatementError} when `text` is not a string, or holds a NUL character.
 */
export function traitsOf(text: unknown): StatementTraits {
  const cached = recent.get(text as string);
  if (cached) return cached;
  if (typeof text !== "string" || text.includes("\0")) {
    throw new StatementError("A statement must be a string without NUL characters; pass its values as an array");
  }
  const traits = older.get(text) ?? readTraits(text);
  if (text.length > MAX_CACHED_LENGTH) return traits;
  if (recent.size >= GENERATION) {
    older = recent;
    recent = new Map();
  }
  recent.set(text, traits);
  return traits;
}

/**
 * Creates the error of a statement that controls transactions, where it runs in a transaction of the library or as one
 * of its own: what follows a transaction's end would run outside it, and not as its caller.
 */
export function transactionControlError(): StatementError {
  return new StatementError(
    "Transaction control is not allowed here: use transaction() and its tx, or lease() a connection",
  );
}

/**
 * Creates the error of a statement that outlives its transaction, where it runs behind a pooler in transaction mode: the
 * next client of the server's connection would meet what it left.
 */
export function outlivesTransactionError(): StatementError {
  return new StatementError(
    "Cannot change the session behind a pooler in transaction mode: use SET LOCAL, set_config(\u2026, true), " +
      "pg_advisory_xact_lock and ON COMMIT DROP, or connect without the pooler",
  );
}
