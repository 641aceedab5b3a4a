import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { type BeginOptions, beginStatements, COMMIT } from "../../shared/postgres/transaction/transaction_options.ts";

/** Returns the texts of the statements that begin a transaction. */
const texts = (options: BeginOptions, defaults?: BeginOptions) =>
  beginStatements(options, undefined, defaults).map(({ text }) => text);

Deno.test("beginStatements() writes each mode that is given, and no other", () => {
  assertEquals(texts({}), ["BEGIN"]);
  assertEquals(texts({ isolationLevel: "serializable", readOnly: true, deferrable: true }), [
    "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE",
  ]);
  assertEquals(texts({ isolationLevel: "repeatable read", readOnly: false, deferrable: false }), [
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE",
  ]);
});

Deno.test("beginStatements() takes the defaults of modes that are not given", () => {
  const defaults: BeginOptions = { isolationLevel: "read committed", readOnly: true, deferrable: false };
  assertEquals(texts({}, defaults), ["BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE"]);
  assertEquals(texts({ isolationLevel: "serializable", readOnly: false, deferrable: true }, defaults), [
    "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE DEFERRABLE",
  ]);
});

Deno.test("beginStatements() sets the caller right behind BEGIN, and the limits of the transaction behind that", () => {
  const caller = { text: "SELECT set_config('role', $1, true)", values: ["authenticated"] };
  assertEquals(
    beginStatements({ statementTimeoutMs: 0, idleInTransactionSessionTimeoutMs: 2_147_483_647 }, caller),
    [
      { text: "BEGIN", unprepared: true },
      caller,
      { text: "SELECT set_config('statement_timeout', $1, true)", values: ["0ms"] },
      { text: "SELECT set_config('idle_in_transaction_session_timeout', $1, true)", values: ["2147483647ms"] },
    ],
  );
  assertEquals(COMMIT, { text: "COMMIT", unprepared: true });
});

Deno.test("beginStatements() rejects each invalid option by its name", () => {
  const options = {
    isolationLevel: "chaos",
    readOnly: 1,
    deferrable: "yes",
    statementTimeoutMs: -1,
    idleInTransactionSessionTimeoutMs: 2_147_483_648,
  } as unknown as BeginOptions;
  const error = assertThrows(() => beginStatements(options), ConfigError);
  assertEquals(error.issues.map(({ path, message }) => `${path} ${message}`), [
    "isolationLevel must be one of read committed, repeatable read, serializable",
    "readOnly must be true or false",
    "deferrable must be true or false",
    "statementTimeoutMs is -1, must be a whole number of ms from 0 to 2147483647",
    "idleInTransactionSessionTimeoutMs is 2147483648, must be a whole number of ms from 0 to 2147483647",
  ]);
  assertThrows(() => beginStatements({ statementTimeoutMs: 0.5 }), ConfigError);
  assertThrows(() => beginStatements({}, undefined, { readOnly: "no" } as unknown as BeginOptions), ConfigError);
});
