import { assertEquals, assertThrows } from "@std/assert";
import { StatementError } from "../../../shared/postgres/mod.ts";
import { Batch, type BatchSession } from "../../../shared/postgres/wire/batch.ts";
import { MessageWriter } from "../../../shared/postgres/wire/message_writer.ts";
import { NameResolution } from "../../../shared/postgres/wire/name_resolution.ts";
import { SchemaCache } from "../../../shared/postgres/wire/schema_cache.ts";
import { StatementCache } from "../../../shared/postgres/wire/statement_cache.ts";

const BEGIN = { text: "BEGIN", unprepared: true };
const AS_ANON = { text: "select set_config('role', $1, true)", values: ["anon"], namespace: "anon" };

function sessionWith(names: NameResolution): BatchSession {
  return {
    statements: new StatementCache(),
    names,
    schema: new SchemaCache(),
    hasIsoDates: true,
    definesSchema: false,
    inFlight: 0,
    resume: () => {},
    loadTypes: () => Promise.resolve(),
  };
}

Deno.test("Batch.send() that throws leaves the names as they were: a later statement is not taken for the caller's", () => {
  const names = new NameResolution();
  const out = new MessageWriter();
  const rejected = { text: "select $1", values: ["\ud800"], paramTypes: ["text"] };
  const batch = new Batch([BEGIN, AS_ANON, rejected], sessionWith(names), true);
  assertThrows(() => batch.send(out, true), StatementError);
  assertEquals([out.isEmpty, names.inTransaction, names.current.key], [true, false, ""]);
});

Deno.test("NameResolution.settle() follows the server: a BEGIN that never ran, and COMMIT AND CHAIN", () => {
  const names = new NameResolution();
  names.note(BEGIN);
  names.note(AS_ANON);
  names.endRequest();
  assertEquals([names.inTransaction, names.current.key], [true, "/anon"]);
  names.settle(true);
  assertEquals(names.current.key, "/anon");
  // A cancel request has hit BEGIN.
  names.settle(false);
  assertEquals([names.inTransaction, names.current.key], [false, ""]);

  names.note(BEGIN);
  names.note({ text: "COMMIT AND CHAIN" });
  names.endRequest();
  names.settle(true);
  names.note({ text: "SET LOCAL search_path TO other" });
  names.endRequest();
  assertEquals([names.inTransaction, names.current.key === ""], [true, false]);
});
