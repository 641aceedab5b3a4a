/**
 * A source of statements that sends none.
 *
 * @module
 */
import type { QuerySource } from "../../../shared/data/mod.ts";
import type { QueryResult } from "../../../shared/postgres/mod.ts";

/** Notes the statements that a builder sends, and sends none. */
export function recorder(): { readonly source: QuerySource; readonly sent: (readonly [string, readonly unknown[]])[] } {
  const sent: [string, readonly unknown[]][] = [];
  const result: QueryResult = { rows: [], rowCount: 0, command: "SELECT", fields: [] };
  return { source: { query: (text, values) => (sent.push([text, values]), Promise.resolve(result)) }, sent };
}
