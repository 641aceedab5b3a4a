import { assertEquals } from "@std/assert";
import {
  controlsTransaction,
  copiesOverConnection,
  firstWords,
  outlivesTransaction,
} from "../../shared/postgres/wire/statement_text.ts";

Deno.test("the first words of a statement are found behind blanks and comments", () => {
  const texts: Record<string, string[]> = {
    "select 1": ["SELECT"],
    "": [],
    "  ;;\n\t commit": ["COMMIT"],
    "-- begin\ncommit work": ["COMMIT", "WORK"],
    "--\rrollback to x": ["ROLLBACK", "TO", "X"],
    "/* a /* nested */ commit */ rollback": ["ROLLBACK"],
    "/**/commit/**/and/* x */chain": ["COMMIT", "AND", "CHAIN"],
    "/* never closed commit": [],
    "(select 1)": [],
    '"commit"': [],
  };
  for (const [text, words] of Object.entries(texts)) assertEquals(firstWords(text, 3), words, text);
});

Deno.test("what begins or ends a transaction is told from what does not", () => {
  const ends = [
    "begin",
    "BEGIN ISOLATION LEVEL SERIALIZABLE",
    "start transaction",
    "commit",
    "Commit;",
    "end",
    "; -- x\n end work",
    "abort",
    "rollback",
    "rollback and chain",
    "rollback work",
    "prepare transaction 'x'",
    "prepare/* */transaction 'x'",
  ];
  for (const text of ends) assertEquals(controlsTransaction(text), true, text);
  const others = [
    "select 'commit'",
    "savepoint a",
    "release a",
    "rollback to a",
    "rollback work to savepoint a",
    "rollback /* x */ transaction to a",
    "prepare statement as select 1",
    "rollback prepared 'x'",
    "commit prepared 'x'",
    "do $$ begin commit; end $$",
    "set transaction read only",
    "",
  ];
  for (const text of others) assertEquals(controlsTransaction(text), false, text);
});

Deno.test("a COPY whose data go over the connection is told from one of files", () => {
  const over = ["copy t from stdin", "COPY t (a)\nFROM STDIN with (format csv)", "/**/copy (select 1) to stdout"];
  for (const text of over) assertEquals(copiesOverConnection(text), true, text);
  const others = ["copy t from '/tmp/stdin'", "copy \"stdin\" to program 'cat > stdout'", "select 'copy from stdin'"];
  for (const text of others) assertEquals(copiesOverConnection(text), false, text);
});

Deno.test("what outlives its transaction is told from what does not, as far as the text shows it", () => {
  const outlives = [
    "set work_mem = '8MB'",
    "SET SESSION work_mem = '8MB'",
    "/* x */ set role anon",
    "set session characteristics as transaction read only",
    "select set_config('a.b', 'x', false)",
    "select set_config('a.b', $1, FALSE), 1",
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_lock_shared(1, 2)",
    "do $$ begin perform pg_advisory_lock(1); end $$",
    "listen x",
    "prepare p as select 1",
    "deallocate all",
    "discard all",
    "load 'x'",
    "declare c cursor with hold for select 1",
    "create temp table t (n int)",
    "create local temporary view v as select 1",
    "select 1 as n into temp t",
  ];
  for (const text of outlives) assertEquals(outlivesTransaction(text), true, text);
  const others = [
    "set local work_mem = '8MB'",
    "set transaction read only",
    "set constraints all deferred",
    "reset work_mem",
    "unlisten *",
    "notify x",
    "select set_config('a.b', 'x', true)",
    "select pg_advisory_xact_lock(1), pg_advisory_unlock(1)",
    "declare c cursor for select 1",
    "create temp table t (n int) on commit drop",
    "create table temporary_one (n int)",
    "create function f() returns void language plpgsql as $$ begin perform pg_advisory_lock(1); end $$",
    "update t set n = 1",
  ];
  for (const text of others) assertEquals(outlivesTransaction(text), false, text);
});
