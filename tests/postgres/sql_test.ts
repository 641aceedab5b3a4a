import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  OutsideTransactionError,
  PostgresError,
  QueryTimeoutError,
  sql,
  StatementError,
  TransactionEndedError,
} from "../../shared/postgres/mod.ts";
import { claimsOf, TestDatabase, thrownBy } from "./support.ts";

Deno.test("sql puts values into parameters, and fragments into the text", () => {
  const { query, values } = sql`select ${1}, ${"a'b"} from t where ${sql`x = ${2} and ${sql`y`} = ${[3]}`} limit ${4}`;
  assertEquals(query, "select $1, $2 from t where x = $3 and y = $4 limit $5");
  assertEquals(values, [1, "a'b", 2, [3], 4]);
  assertEquals(sql``.query, "");
  assertEquals(sql`${sql``}${sql`a`}${sql`b`}`.query, "ab");
  // The second time from the texts that are known.
  const again = () => sql`select ${1}`.query;
  assertEquals([again(), again()], ["select $1", "select $1"]);
});

Deno.test("sql keeps a parameter apart from what is next to it", () => {
  assertEquals(sql`select ${1}0, a${2}, ${3}${4}`.query, "select $1 0, a $2, $3 $4");
  assertEquals(sql`select ${1}::int4`.query, "select $1::int4");
});

Deno.test("sql.identifier() quotes names", () => {
  assertEquals(sql`select ${sql.identifier("a")}`.query, 'select "a"');
  assertEquals(sql.identifier("public", 'we"ird; drop').query, '"public"."we""ird; drop"');
  for (const names of [[], [""], ["a", ""], ["a\0b"], ["x".repeat(64)], ["\u00e9".repeat(32)], [5], [null]]) {
    assertThrows(() => sql.identifier(...names as string[]), StatementError, "sql.identifier takes");
  }
});

Deno.test("sql.join() joins values and fragments", () => {
  const { query, values } = sql`select * from t where id in (${sql.join([1, 2])}) and ${
    sql.join([sql`a = ${3}`, sql`b = ${4}`], sql` and `)
  }`;
  assertEquals(query, "select * from t where id in ($1, $2) and a = $3 and b = $4");
  assertEquals(values, [1, 2, 3, 4]);
  assertThrows(() => sql.join([]), StatementError, "at least one element");
  assertThrows(() => sql.join("ab" as never), StatementError, "takes an array");
  assertThrows(() => sql.join([1, 2], " or " as never), StatementError, "must be a template");
});

Deno.test("sql rejects what is not a template", () => {
  const call = sql as unknown as (...args: unknown[]) => unknown;
  for (const args of [[], ["select 1"], [["select 1"]], [["select 1", ""], 1], [undefined], [{ raw: ["select 1"] }]]) {
    assertThrows(() => call(...args), StatementError, "sql is the tag of a template");
  }
  const parts = Object.assign(["select ", ""], { raw: ["select ", ""] });
  assertThrows(() => call(parts), StatementError, "sql is the tag of a template");
  assertThrows(() => sql`select '\u'`, StatementError, "escape sequence");
});

Deno.test("sql rejects values that were not awaited, and expressions of Kysely", () => {
  assertThrows(() => sql`select ${Promise.resolve(1)}`, StatementError, "Value 1 of the template is a promise");
  const expression = { toOperationNode: () => ({}) };
  assertThrows(() => sql`select ${sql`a`}, ${expression}`, StatementError, "is an expression of Kysely");
});

Deno.test("sql takes nothing that a request can send for a fragment", () => {
  const values = [{ query: "drop table t", values: [] }, JSON.parse('{"#strings":["x"]}'), '"; drop table t'];
  for (const value of values) assertEquals(sql`select ${value}`.query, "select $1");
});

Deno.test("sql cannot run a fragment of the plain tag", async () => {
  const error = await thrownBy(async () => await sql`select 1`, StatementError);
  assertEquals(error.message.split(":")[0], "Cannot run a fragment of the plain sql tag");
});

Deno.test("sql: no value becomes part of the text", () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.string(), fc.anything())), (given) => {
    const values = given.map((value) => typeof value === "object" && value !== null ? [value] : value);
    const { query, values: sent } = sql`select ${sql.join([0, ...values])}`;
    assertEquals(query, `select ${[0, ...values].map((_, index) => `$${index + 1}`).join(", ")}`);
    assertEquals(sent.length, values.length + 1);
  }));
});

Deno.test("PostgresPool.sql", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager();
  await manager.query("create table note (id int primary key, text text not null, tags text[], data jsonb)");

  await t.step("runs when it is awaited, once", async () => {
    const statement = manager.sql`insert into note values (${1}, ${"one"}) returning id`;
    assertEquals<unknown>((await manager.sql`select id from note`).rows, []);
    const [first, second] = [await statement, await statement];
    assertEquals([first.rows, first.rowCount], [[{ id: 1 }], 1]);
    assertStrictEquals(first, second);
    const error = await thrownBy(() => statement.execute(), PostgresError);
    assertEquals(error.code, "23505");
  });

  await t.step("resolves to rows with the members of a result; first() to the first row", async () => {
    const { sql } = manager;
    const rows = await sql<{ id: number }>`select id from note`;
    assertEquals<unknown>(rows, [{ id: 1 }]);
    assertEquals([rows.rows, rows.rowCount, rows.command, rows.fields[0]?.name], [[{ id: 1 }], 1, "SELECT", "id"]);
    assertEquals([JSON.stringify(rows), Object.keys(rows)], ['[{"id":1}]', ["0"]]);
    assertEquals<unknown>(await sql<{ id: number }>`select id from note where id = ${1}`.first(), { id: 1 });
    assertEquals<unknown>(await sql`select id from note where id = ${2}`.first(), undefined);
  });

  await t.step("sends arrays, objects, null and dates as their parameters expect them", async () => {
    const { sql } = manager;
    const [ids, tags, data] = [[1, 2, 3], ["a", 'b"', "c,d"], { a: [1, null] }];
    await sql`insert into note values (${2}, ${"it's"}, ${tags}, ${data}), (${3}, ${"x"}, ${null}, ${undefined})`;
    const rows = await sql`select * from note where id = any(${ids}) order by id`;
    assertEquals<unknown>(rows, [
      { id: 1, text: "one", tags: null, data: null },
      { id: 2, text: "it's", tags, data },
      { id: 3, text: "x", tags: null, data: null },
    ]);
    const at = new Date(0);
    assertEquals<unknown>(await sql`select ${at}::timestamptz as at`.first(), { at });
  });

  await t.step("quotes names, and takes any text as a value", async () => {
    const { sql } = manager;
    const hostile = `'; drop table note; --`;
    assertEquals<unknown>(await sql`select ${hostile}::text as text`.first(), { text: hostile });
    const error = await thrownBy(() => sql`select ${sql.identifier(hostile)} from note`.execute(), PostgresError);
    assertEquals(error.code, "42703");
    const column = "text";
    const where = [sql`${sql.identifier(column)} like ${"o%"}`, sql`id < ${2}`];
    const found = sql`select id from note where ${sql.join(where, sql` and `)} order by ${sql.identifier(column)} desc`;
    assertEquals<unknown>(await found, [{ id: 1 }]);
  });

  await t.step("is a statement of a list, in one transaction and one round trip", async () => {
    const { sql } = manager;
    const [, counted] = await manager.transaction([
      sql`update note set text = ${"uno"} where id = ${1}`,
      sql`select count(*)::int as n from note where text = ${"uno"}`,
    ]);
    assertEquals(counted?.rows, [{ n: 1 }]);
    await manager.executeTransactionWithRetry([sql`update note set text = ${"one"} where id = ${1}`]);
  });

  await t.step("runs in a transaction, and on a leased connection", async () => {
    await manager.transaction(async (tx) => {
      await tx.sql`insert into note values (${10}, ${"ten"})`;
      await tx.transaction(async (nested) => {
        await nested.sql`insert into note values (${11}, ${"eleven"})`;
        await nested.rollback();
      });
      await thrownBy(() => manager.sql`select 1`.execute(), OutsideTransactionError);
      assertEquals<unknown>(await tx.sql`select id from note where id > ${9}`, [{ id: 10 }]);
    });
    await using connection = await manager.lease();
    assertEquals<unknown>(await connection.sql`select count(*)::int as n from note where id > ${9}`.first(), { n: 1 });
  });

  await t.step("is rejected after the end of its transaction", async () => {
    const late = await manager.transaction((tx) => ({ statement: tx.sql`select 1` }));
    await thrownBy(async () => await late.statement, TransactionEndedError);
  });

  await t.step("takes the options of query()", async () => {
    await thrownBy(() => manager.sql`select pg_sleep(${10})`.execute({ timeoutMs: 50 }), QueryTimeoutError);
    const aborted = manager.sql`select pg_sleep(${10})`.execute({ signal: AbortSignal.timeout(50) });
    await thrownBy(() => aborted, DOMException);
  });

  await t.step("runs as the caller", async () => {
    const callers = database.manager({}, "authenticator");
    const user = claimsOf("00000000-0000-4000-8000-00000000000a");
    const row = await callers.as(user).sql`select auth.uid() as id, current_user::text as role`.first();
    assertEquals(row, { id: user.claims["sub"], role: "authenticated" });
    assert(callers.as(user).sql !== callers.as(user).sql);
  });
});
