import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { StatementError } from "../../shared/postgres/mod.ts";
import {
  outlivesTransactionError,
  traitsOf,
  transactionControlError,
} from "../../shared/postgres/wire/statement_traits.ts";

Deno.test("traitsOf() skips blanks and comments in front of a statement, and between its words", () => {
  const controls: Record<string, boolean> = {
    "": false,
    "  ;;\n\t commit": true,
    "-- begin\ncommit work": true,
    "-- select\rrollback": true,
    "rollback/**/transaction/* x */to a": false,
    "/* a /* nested */ select */ rollback": true,
    "/**/commit/**/and/* x */chain": true,
    "/* never closed commit": false,
    "(commit)": false,
    '"commit"': false,
  };
  for (const [text, expected] of Object.entries(controls)) {
    assertEquals(traitsOf(text).controlsTransaction, expected, text);
  }
});

Deno.test("traitsOf().controlsTransaction is true for statements that begin or end a transaction only", () => {
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
  for (const text of ends) assertEquals(traitsOf(text).controlsTransaction, true, text);
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
  for (const text of others) assertEquals(traitsOf(text).controlsTransaction, false, text);
});

Deno.test("traitsOf().copies is true for a COPY over the connection, not for one of files", () => {
  const over = ["copy t from stdin", "COPY t (a)\nFROM STDIN with (format csv)", "/**/copy (select 1) to stdout"];
  for (const text of over) assertEquals(traitsOf(text).copies, true, text);
  const others = ["copy t from '/tmp/stdin'", "copy \"stdin\" to program 'cat > stdout'", "select 'copy from stdin'"];
  for (const text of others) assertEquals(traitsOf(text).copies, false, text);
});

Deno.test("traitsOf().listens is true for LISTEN alone", () => {
  for (const text of ["listen x", '/* x */ LISTEN "X"']) assertEquals(traitsOf(text).listens, true, text);
  for (const text of ["unlisten *", "notify x", "select pg_notify('x', 'listen')"]) {
    assertEquals(traitsOf(text).listens, false, text);
  }
});

Deno.test("traitsOf().outlivesTransaction is true for state of the session only", () => {
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
    // The text leaves a doubt: it counts as outliving.
    "select set_config('a.b', $1, $2)",
    "select set_config('a.b', lower('X'), false)",
    "select set_config('a.b', 'x', 'f')",
    "select set_config('a.b', 'x', true), set_config('a.c', 'x', is_local := $1)",
    "select set_config('a.b', lower(upper(trim('x'))), true)",
    "select setseed(0.5)",
    "select dblink_connect('a', 'dbname=x')",
    "create or replace temp view v as select 1",
    "create table pg_temp.t (n int)",
    "create function \"pg_temp\" . f() returns int language sql as 'select 1'",
    "select 1 as n into pg_temp.t",
    "update pg_settings set setting = '1MB' where name = 'work_mem'",
    "UPDATE pg_catalog.pg_settings SET setting = $2 WHERE name = $1",
    "select \"set_config\"('a.b', 'x', false), \"pg_advisory_lock\" (1)",
    "do $$ begin set work_mem = '1MB'; end $$",
    "do $$ begin if true then listen x; end if; end $$",
    "do $$ begin create temp table t (n int); end $$",
  ];
  for (const text of outlives) assertEquals(traitsOf(text).outlivesTransaction, true, text);
  const others = [
    "set local work_mem = '8MB'",
    "set transaction read only",
    "set constraints all deferred",
    "reset work_mem",
    "unlisten *",
    "notify x",
    "select set_config('a.b', 'x', true)",
    "select set_config('a.b', lower('x, false)'), is_local => true)",
    "select * from dblink('dbname=x', 'select 1') as t(n int)",
    "select pg_advisory_xact_lock(1), pg_advisory_unlock(1)",
    "declare c cursor for select 1",
    "create temp table t (n int) on commit drop",
    "create table temporary_one (n int)",
    "create table temp (n int)",
    "create table t (pg_temp int)",
    "create table t (n int default length('pg_temp.'))",
    "select * from pg_settings for update",
    "do $$ begin update t set n = 1; set local work_mem = '1MB'; end $$",
    "do $$ begin create temp table t (n int) on commit drop; perform 1; end $$",
    "create function f() returns void language plpgsql as $$ begin perform pg_advisory_lock(1); end $$",
    "update t set n = 1",
  ];
  for (const text of others) assertEquals(traitsOf(text).outlivesTransaction, false, text);
});

Deno.test("traitsOf().mayLeaveState is false only for statements on rows without a hint of state", () => {
  const harmless = [
    "select 1",
    "  \n SELECT * from t",
    "insert into t values ($1)",
    "update settings set advice = 1",
    "select temp from t where temporary",
    "with x as (select 1) delete from t",
    "values (1)",
  ];
  for (const text of harmless) assertEquals(traitsOf(text).mayLeaveState, false, text);
  const leaving = [
    "set work_mem = '1MB'",
    "reset role",
    "begin",
    "listen c",
    "create temp table t (n int)",
    "do $$ begin end $$",
    "call p()",
    "prepare s as select 1",
    "declare c cursor with hold for select 1",
    "discard all",
    "select set_config('a', 'b', false)",
    "select set_config('a', 'b', true)",
    "select pg_advisory_lock(1)",
    "select pg_try_advisory_lock(1)",
    "select pg_advisory_unlock(1)",
    "select dblink('dbname=x', 'select 1')",
    "select 1 into temp t",
    "select 1 into temporary table t",
    "select 1 as n into pg_temp.t",
    "update pg_settings set setting = '1MB' where name = 'work_mem'",
    "select U&\"set\\005fconfig\"('a.b', 'x', false)",
    "-- a comment\nset a = b",
    "/* select */ set a = b",
    "/* x */ select 1",
    ";select 1",
    "(select 1)",
    "",
  ];
  for (const text of leaving) assertEquals(traitsOf(text).mayLeaveState, true, text);
});

Deno.test("traitsOf().mayLeaveState is true wherever outlivesTransaction is", () => {
  const openings = ["select ", "with x as (select 1) select ", "insert into t select ", "/* x */ select ", "explain "];
  const calls = [
    "set_config('a', 'b', false)",
    "set_config($1, $2, $3)",
    "pg_advisory_lock(1)",
    "pg_try_advisory_lock_shared(1)",
    "setseed(1)",
    "dblink_connect('a')",
    "1 into temp t",
    "1 into local temporary t",
  ];
  for (const text of openings.flatMap((opening) => calls.map((call) => opening + call))) {
    const { mayLeaveState, outlivesTransaction, onlyReads } = traitsOf(text);
    assertEquals({ mayLeaveState, outlivesTransaction, onlyReads }, {
      mayLeaveState: true,
      outlivesTransaction: true,
      onlyReads: false,
    }, text);
  }
});

Deno.test("traitsOf().onlyReads is true for reads that wait for no other transaction", () => {
  for (const text of ["select 1", "values (1)", "table t", "with x as (select 1) select * from x"]) {
    assertEquals(traitsOf(text).onlyReads, true, text);
  }
  const others = [
    "insert into t values (1)",
    "with x as (delete from t returning *) select * from x",
    "select * from t for update",
    "select * from t for share",
    "select 1 into t",
    "select nextval('s')",
    "select set_config('a', 'b', true)",
    "select schema_to_xml('public', true, true, '')",
    "select table_to_xml_and_xmlschema($1, true, true, '')",
    "-- x\nselect 1",
  ];
  for (const text of others) assertEquals(traitsOf(text).onlyReads, false, text);
});

Deno.test("traitsOf() throws StatementError for what is not a text, and for NUL characters", () => {
  for (const text of [undefined, null, 1, {}, ["select 1"], "select '\0'"]) {
    assertThrows(() => traitsOf(text), StatementError);
  }
});

Deno.test("traitsOf() caches the traits of recent texts, and never more than 1,000", () => {
  const first = traitsOf("select 'cached'");
  assertStrictEquals(traitsOf("select 'cached'"), first);
  for (let n = 0; n < 400; n++) traitsOf(`select ${n}, 'filler'`);
  assertStrictEquals(traitsOf("select 'cached'"), first);
  for (let n = 0; n < 1_001; n++) traitsOf(`select ${n}, 'more filler'`);
  assertEquals(traitsOf("select 'cached'") === first, false);
  const long = `select '${"x".repeat(10_000)}'`;
  assertEquals(traitsOf(long) === traitsOf(long), false);
});

Deno.test("outlivesTransactionError() and transactionControlError() say what to use instead", () => {
  assertEquals(
    outlivesTransactionError().message,
    "Cannot change the session behind a pooler in transaction mode: use SET LOCAL, set_config(\u2026, true), " +
      "pg_advisory_xact_lock and ON COMMIT DROP, or connect without the pooler",
  );
  assertEquals(
    transactionControlError().message,
    "Transaction control is not allowed here: use transaction() and its tx, or lease() a connection",
  );
});
