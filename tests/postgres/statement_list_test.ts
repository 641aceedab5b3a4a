import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../shared/pool/mod.ts";
import { StatementError } from "../../shared/postgres/mod.ts";
import {
  captureList,
  type ListedStatement,
  parseStatementList,
  statementOf,
  timeoutOf,
} from "../../shared/postgres/query/query_options.ts";

const asList = (value: unknown) => value as readonly ListedStatement[];

Deno.test("captureList() copies the values of each statement, and leaves what is no list or statement to be rejected", () => {
  const values = [{ a: 1 }, [2]];
  const entry = { query: "SELECT $1, $2", values, prepare: false };
  const list = captureList([entry, { query: "SELECT 1" }, asList(null), asList(5)] as unknown as ListedStatement[]);
  Object.assign(values[0] ?? {}, { a: 7 });
  values.push([3]);
  assertEquals(list[0], { query: "SELECT $1, $2", values: [{ a: 1 }, [2]], prepare: false });
  assertEquals(list.slice(1), [{ query: "SELECT 1" }, null, 5] as unknown as ListedStatement[]);
  for (const other of [undefined, null, "SELECT 1", { query: "SELECT 1" }]) {
    assertStrictEquals(captureList(asList(other)), asList(other));
  }
});

Deno.test("parseStatementList() returns the statements of a list, and names the one that is none", () => {
  assertEquals(parseStatementList([{ query: "SELECT 1" }, { query: "SELECT $1", values: [2], prepare: false }]), [
    { text: "SELECT 1", values: [] },
    { text: "SELECT $1", values: [2], unprepared: true, paramTypes: undefined, types: undefined },
  ]);
  assertEquals(parseStatementList([]), []);
  for (const list of ["SELECT 1", undefined, { query: "SELECT 1" }]) {
    assertThrows(() => parseStatementList(asList(list)), StatementError, "takes a function, or a list of statements");
  }
  for (const entry of [null, undefined, "SELECT 1", { query: 5 }]) {
    assertThrows(
      () => parseStatementList(asList([{ query: "SELECT 1" }, entry])),
      StatementError,
      "Statement 1 of the list",
    );
  }
  // A hole is no statement.
  assertThrows(() => parseStatementList(asList(new Array(1))), StatementError, "Statement 0 of the list");
});

Deno.test("statementOf() takes each option, and rejects invalid ones by name", () => {
  const paramTypes = ["int4"];
  const statement = statementOf("SELECT $1", [1], { prepare: true, paramTypes, types: {} });
  paramTypes.push("text");
  assertEquals(statement, { text: "SELECT $1", values: [1], unprepared: false, paramTypes: ["int4"], types: {} });
  assertEquals(statementOf("SELECT 1", [], { types: {} }).unprepared, false);
  for (
    const [options, message] of [
      [{ prepare: "no" }, "prepare must be true or false"],
      [{ paramTypes: "int4" }, "paramTypes must be an array"],
      [{ types: "int8" }, "types must be an object"],
      [{ types: null }, "types must be an object"],
    ] as const
  ) {
    assertThrows(() => statementOf("SELECT 1", [], options as unknown as ListedStatement), StatementError, message);
  }
});

Deno.test("timeoutOf() returns a number above 0, the default without one, and rejects the rest", () => {
  assertEquals([timeoutOf(undefined, 7), timeoutOf(0.5, 7), timeoutOf(Infinity, 7)], [7, 0.5, Infinity]);
  for (const value of [0, -1, NaN, "5", null]) {
    assertThrows(() => timeoutOf(value as number, 7), ConfigError, `is ${value}, must be a number of ms above 0`);
  }
});
