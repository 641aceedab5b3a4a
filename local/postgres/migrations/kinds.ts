/**
 * The kinds of statements that a migration must treat apart.
 *
 * @module
 */
import { hasRows, withoutComments } from "./split.ts";

/**
 * `begin`, `commit`, `rollback` and `savepoint` control transactions; `outside` cannot run in one; `copy` needs a client
 * that sends rows; `session` sets the user of the session; `plain` is everything else.
 */
export type StatementKind = "begin" | "commit" | "rollback" | "savepoint" | "outside" | "copy" | "session" | "plain";

/** A statement has a kind if it matches all of the patterns. */
const KINDS: readonly [StatementKind, ...RegExp[]][] = [
  ["begin", /^(begin|start\s+transaction)\b/],
  ["commit", /^(commit|end)\b(?!\s+prepared)/],
  ["savepoint", /^(savepoint|release|rollback\s+(work\s+|transaction\s+)?to)\b/],
  ["rollback", /^(rollback|abort)\b(?!\s+prepared)/],
  ["copy", /^copy\b/, /\bfrom\s+stdin\b/],
  ["session", /^(reset|set(\s+(session|local))?)\s+session\s+authorization\b/],
  ["outside", /^create\s+(unique\s+)?index\s+concurrently\b/],
  ["outside", /^drop\s+index\s+concurrently\b/],
  ["outside", /^reindex\b/, /\b(concurrently|database|system|schema)\b/],
  ["outside", /^alter\s+table\b/, /\bdetach\s+partition\b/, /\bconcurrently\b/],
  ["outside", /^(vacuum|cluster)\b/],
  ["outside", /^alter\s+system\b/],
  ["outside", /^(create|drop)\s+(database|tablespace|subscription)\b/],
  ["outside", /^alter\s+database\b/, /\bset\s+tablespace\b/],
  ["outside", /^alter\s+subscription\b/, /\brefresh\s+publication\b/],
  // A block that ends transactions itself.
  ["outside", /^do\b/, /\b(commit|rollback)\s*;/],
];

/** Returns the kind of a statement. */
export function kindOf(text: string): StatementKind {
  if (hasRows(text)) return "plain";
  const statement = withoutComments(text).trim().toLowerCase();
  return KINDS.find(([, ...patterns]) => patterns.every((pattern) => pattern.test(statement)))?.[0] ?? "plain";
}

const SERVICE_TABLE = /\bon\s+(only\s+)?"?(auth|storage|realtime)"?\s*\./;

/*
 * The hosted platform lets `postgres`, which is not a superuser, execute these. A statement is one of them if it matches
 * all of the patterns of a line.
 */
const PRIVILEGED: readonly (readonly RegExp[])[] = [
  [/\b(create|alter|drop)\s+event\s+trigger\b/],
  [/\b(create|alter)\s+publication\b/, /\b(all\s+tables|tables\s+in\s+schema)\b/],
  // `postgres` does not own the tables of services.
  [/\b(create|alter|drop)\s+policy\b/, SERVICE_TABLE],
  [/\bdrop\s+trigger\b/, SERVICE_TABLE],
  [/\balter\s+(role|user)\s+"?(anon|authenticated|authenticator|service_role)"?\s/, /\b(set|reset)\b/],
  [/\bcreate\s+foreign\s+data\s+wrapper\b/],
  [/\bcomment\s+on\s+extension\b/],
  [/\b(alter|drop)\s+extension\b/],
];

/** Returns whether the hosted platform raises the rights of `postgres` for a statement, or for a part of a block. */
export function isPrivileged(text: string): boolean {
  if (hasRows(text)) return false;
  const statement = withoutComments(text).trim().toLowerCase();
  const block = /^(do|create\s+(or\s+replace\s+)?(function|procedure))\b/.exec(statement);
  // A function runs later, with the rights that its caller has then.
  if (block && block[1] !== "do") return false;
  return PRIVILEGED.some((patterns) => patterns.every((pattern) => pattern.test(statement)));
}
