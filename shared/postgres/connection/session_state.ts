/**
 * Which statements may leave something on a connection.
 *
 * @module
 */

/** Statements that change rows or transactions, not the session. */
const HARMLESS = /^\s*(select|insert|update|delete|merge|values|table|with)\b/i;

/** What can outlive a transaction even in these, by the names of what does it. */
const LEAVES_STATE = /set_config|advisory|into\s+(local\s+|global\s+)?temp|setseed|dblink/i;

/**
 * Whether a statement may leave a setting, a lock, a channel, a cursor or a
 * temporary table behind. It judges by the text: what a function does inside is
 * not seen. Work for callers does not rely on it.
 */
export function mayLeaveState(text: string): boolean {
  return !HARMLESS.test(text) || LEAVES_STATE.test(text);
}

/** Statements that return rows. */
const READS = /^\s*(select|values|table|with)\b/i;

/** What makes one of these write, or wait for others. */
const WRITES = /\b(insert|update|delete|merge|into|share|nextval|setval)\b/i;

/**
 * Whether a statement only reads and waits for nobody. It judges by the text:
 * what a function does inside is not seen.
 */
export function onlyReads(text: string): boolean {
  return READS.test(text) && !WRITES.test(text) && !LEAVES_STATE.test(text);
}
