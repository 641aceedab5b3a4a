/**
 * Tracks what names stand for on one connection: the same text means other tables and types under another search path,
 * as another role, and beside temporary tables.
 *
 * @module
 */
import type { Statement } from "./query_result.ts";
import { traitsOf } from "./statement_traits.ts";

/** The meaning of names at one point of what is sent. */
export interface Names {
  /** Two statements of one text under the same key refer to the same tables and types, unless these were changed. */
  readonly key: string;
  /** True if the key is met again: under another one nothing is worth preparing. */
  readonly lasting: boolean;
  /** The types of parameters under a key that does not last, by text. */
  readonly described: Map<string, readonly number[]> | undefined;
  /** The version of the schema that these were described for. */
  version?: number;
}

/** The state of a {@linkcode NameResolution}. */
export interface NamesMark {
  readonly session: Names;
  readonly transaction: Names | undefined;
  readonly open: boolean;
  readonly failed: boolean;
}

/** Names as a connection begins. */
const AT_LOGIN: Names = Object.freeze({ key: "", lasting: true, described: undefined });

/** The number of keys whose path is kept. */
const MAX_PATHS = 1_000;

let keys = 0;

/** Names under a key that is never met again. */
function unique(): Names {
  return { key: `#${++keys}`, lasting: false, described: new Map() };
}

/**
 * The names of a connection, in the order in which statements are sent. What cannot be judged by text and values gets a
 * key that is never met again.
 */
export class NameResolution {
  #session: Names = AT_LOGIN;
  /** Set in the open transaction; `undefined` for nothing. */
  #transaction: Names | undefined = undefined;
  #open = false;
  #failed = false;
  /** The search path as the server reports it (since PostgreSQL 18), and what it was under each key. */
  #reported: string | undefined = undefined;
  readonly #paths = new Map<string, string>();
  #checked: { readonly key: string; readonly path: string } | undefined = undefined;

  /** The names in effect for the next statement to send. */
  get current(): Names {
    return this.#transaction ?? this.#session;
  }

  /** True if a transaction is open behind what was sent. */
  get inTransaction(): boolean {
    return this.#open;
  }

  /** True if the open transaction must be rolled back: its COMMIT is sent as ROLLBACK. */
  get hasFailed(): boolean {
    return this.#failed;
  }

  /** Notes that the open transaction must be rolled back, for a reason that the server does not know. */
  fail(): void {
    this.#failed = true;
  }

  /** Returns the state, for {@linkcode rewind}. */
  mark(): NamesMark {
    return { session: this.#session, transaction: this.#transaction, open: this.#open, failed: this.#failed };
  }

  /** Forgets what was noted since `mark`, because it is not sent. */
  rewind({ session, transaction, open, failed }: NamesMark): void {
    this.#session = session;
    this.#transaction = transaction;
    this.#open = open;
    this.#failed = failed;
  }

  /**
   * Compares with the server when nothing is in flight: BEGIN may have failed, or COMMIT AND CHAIN begun the next
   * transaction.
   *
   * @param open Whether a transaction is open at the server.
   */
  settle(open: boolean): void {
    if (open === this.#open) return;
    this.#open = open;
    this.#failed = false;
    this.#transaction = open ? unique() : undefined;
  }

  /** Notes the effect of a statement that is about to be sent. */
  note(statement: Statement): void {
    const { text, namespace } = statement;
    if (namespace !== undefined) {
      this.#transaction = this.#within(namespace);
      return;
    }
    const { renames, boundary } = traitsOf(text);
    if (boundary === "begin") this.#open = true;
    else if (boundary === "end") {
      this.#open = this.#failed = false;
      this.#transaction = undefined;
    } else if (boundary === "savepoint" && this.#transaction) this.#transaction = unique(); // what it undoes is not tracked
    if (renames === undefined) return;
    if (renames === "session") {
      this.#session = unique();
      this.#transaction = undefined;
    } else this.#transaction = this.#within(`${text}\n${JSON.stringify(statement.values ?? [])}`);
  }

  /** Notes the search path that the server reports. */
  report(path: string): void {
    this.#reported = path;
  }

  /**
   * Compares the path that the server reports with the one that was expected: a function may have changed it.
   *
   * @param key The key of the names in effect behind what was answered.
   */
  check(key: string): void {
    const path = this.#reported;
    if (path === undefined || (this.#checked?.key === key && this.#checked.path === path)) return;
    const expected = this.#paths.get(key);
    if (expected === undefined) {
      if (this.#paths.size >= MAX_PATHS) this.#paths.clear();
      this.#paths.set(key, path);
    } else if (expected !== path) {
      if (this.#transaction?.key === key) this.#transaction = unique();
      else if (this.#session.key === key) this.#session = unique();
      return;
    }
    this.#checked = { key, path };
  }

  /** Notes that a Sync is about to be sent: where no transaction is open, it ends what held for one. */
  endRequest(): void {
    if (!this.#open) this.#transaction = undefined;
  }

  /** Notes that a rollback is about to be sent. */
  rollBack(): void {
    this.#open = this.#failed = false;
    this.#transaction = undefined;
  }

  /** Notes that the session is about to be as at login. */
  reset(): void {
    this.#session = AT_LOGIN;
    this.rollBack();
  }

  #within(key: string): Names {
    const { current } = this;
    return current.lasting ? { key: `${current.key}/${key}`, lasting: true, described: undefined } : unique();
  }
}
