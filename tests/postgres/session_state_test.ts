import { assertEquals } from "@std/assert";
import { mayLeaveState } from "../../shared/postgres/connection/session_state.ts";

const HARMLESS = [
  "select 1",
  "  \n SELECT * from t",
  "insert into t values ($1)",
  "update settings set advice = 1",
  "with x as (select 1) delete from t",
  "values (1)",
];

const LEAVING = [
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
  "select pg_advisory_lock(1)",
  "select pg_try_advisory_lock(1)",
  "select 1 into temp t",
  "select 1 into temporary table t",
  "-- a comment\nset a = b",
  "/* select */ set a = b",
  "(select 1)",
  "",
];

for (const text of HARMLESS) {
  Deno.test(`leaves nothing: ${JSON.stringify(text)}`, () => assertEquals(mayLeaveState(text), false));
}
for (const text of LEAVING) {
  Deno.test(`may leave something: ${JSON.stringify(text)}`, () => assertEquals(mayLeaveState(text), true));
}
