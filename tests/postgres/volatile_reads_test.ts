/** Reads that write: by a function, a view, an operator, an aggregate or a policy. */
import { assert, assertEquals, assertInstanceOf, assertStringIncludes } from "@std/assert";
import { AcquireTimeoutError } from "../../shared/pool/mod.ts";
import { type PostgresConnectionManager, QueryTimeoutError } from "../../shared/postgres/mod.ts";
import { until } from "../support/until.ts";
import { countedConnection, TestDatabase, thrownBy } from "./support.ts";

/** Makes a statement known as a quick one on the only connection of a manager, and what it calls known. */
async function learn(manager: PostgresConnectionManager, text: string): Promise<void> {
  for (let time = 0; time < 20; time++) await manager.query(text);
}

Deno.test("manager.query() sends nothing that may write behind others", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const setup = [
    "create sequence s",
    "create table task (n int)",
    "create table gate (n int)",
    "insert into gate values (0)",
    `create function pop() returns int language plpgsql as $$ declare popped int;
     begin delete from task where n = (select min(n) from task) returning n into popped; return popped; end $$`,
    `create function "Pop it"() returns int language sql as $$ select pop() $$`,
    "create function pop_of(gate) returns int language sql as $$ select pop() $$",
    "create view popping as select pop() as n",
    "create view over_popping as select n from popping",
    "create function compares(int, int) returns boolean language plpgsql as $$ begin perform pop(); return true; end $$",
    "create operator ~~~> (leftarg = int, rightarg = int, function = compares)",
    "create view with_operator as select n ~~~> 1 as x from gate",
    "create function steps(int, int) returns int language plpgsql as $$ begin perform pop(); return 1; end $$",
    "create aggregate popped (int) (sfunc = steps, stype = int, initcond = '0')",
    "create table guarded (n int)",
    "insert into guarded values (1)",
    "create policy p on guarded using (pop() is not null or true)",
    "alter table guarded enable row level security",
    "create type wrapped as (n int)",
    "create function unwrap(int) returns wrapped language plpgsql as $$ begin perform pop(); return row(1); end $$",
    "create cast (int as wrapped) with function unwrap(int)",
    `create function "\u00c9crire"() returns int language sql as $$ select pop() $$`,
    `create function "\u{1f680}pop"() returns int language sql as $$ select pop() $$`,
    `create function "${"long".repeat(20)}"() returns int language sql as $$ select pop() $$`,
    "create function defaults(n bigint default nextval('s')) returns bigint immutable language sql as $$ select n $$",
    "create function over_defaults() returns bigint stable language sql as $$ select defaults() $$",
    "create function atomic() returns bigint stable language sql begin atomic select defaults(); end",
    "create function body() returns int stable language plpgsql as $$ begin return Pop(); end $$",
    "create view over_body as select body() as n",
    "create domain checked as int check (compares(value, 1))",
    "create domain over_checked as checked",
    "create type holds_checked as (n over_checked)",
    "create function stays(int) returns int language sql stable as $$ select $1 $$",
  ];
  for (const text of setup) await admin.query(text);
  const held = "select touch()";
  await admin.query(
    "create function touch() returns void language plpgsql as $$ begin update gate set n = n + 1; end $$",
  );

  const reads = {
    "a function": "select * from pop()",
    "a function of another schema's name": "select public . pop ( )",
    "a quoted function": `select "Pop it"() as n`,
    "a function in functional notation": "select g.pop_of from gate g",
    "a view": "select * from popping",
    "a view over a view": "select * from over_popping",
    "an operator": "select n ~~~> 1 as x from gate",
    "a view with an operator": "select * from with_operator",
    "an aggregate": "select popped(n) from gate",
    "a policy": "select * from guarded",
    "a cast": "select (n::wrapped).n from gate",
    "a function between strings of one quotation mark": `select '"' || pop()::text || '"' as n`,
    "a function in a comment's quotation marks": `select 1 as n, /* " */ pop() as x /* " */`,
    "a quoted function behind one quotation mark": `select '"' as q, "Pop it"() as n`,
    "a function whose capital is not ASCII": "select \u00c9CRIRE() as n",
    "a function whose name begins with a symbol": "select \u{1f680}Pop() as n",
    "a function with a name that is cut": `select ${"long".repeat(20)}() as n`,
    "a default of a parameter": "select defaults() as n",
    "a default of a parameter in a stable function": "select over_defaults() as n",
    "the parsed body of a stable function": "select atomic() as n",
    "the body of a stable function": "select body() as n",
    "the body of a stable function in a view": "select n from over_body",
    "the check of a domain": "select 5::checked as n",
    "the check of a domain below another one": "select 5::over_checked as n",
    "the check of a domain in a composite type": "select ('(5)'::holds_checked).n as n",
    "nextval by another name": `select U&"\\006e\\0065xtval"('s') as n`,
  };
  for (const [what, text] of Object.entries(reads)) {
    await t.step(`query() of ${what} is not sent once its caller has left`, async () => {
      const manager = database.manager({ maxConnections: 1 });
      await learn(manager, held);
      await learn(manager, text);
      await admin.query("truncate task");
      await admin.query("insert into task select generate_series(1, 10)");
      const called = (await admin.query("select last_value from s")).rows;
      await admin.transaction(async (tx) => {
        await tx.query("select from gate for update");
        const before = manager.query(held);
        await thrownBy(() => manager.query(text, [], { timeoutMs: 5_000, acquireTimeoutMs: 50 }), Error);
        await tx.commit();
        await before;
      });
      await manager.query("select 1");
      assertEquals((await admin.query("select count(*)::int as n from task")).rows, [{ n: 10 }]);
      assertEquals((await admin.query("select last_value from s")).rows, called);
      await manager.shutdown();
    });
  }

  await t.step("query() of plain selects still shares a connection", async () => {
    const texts = [
      "select n, upper('x') as u, now() as at, n + 1 as m, coalesce(n, 2) as c, stays(n) as s from gate where n >= 0",
      "select count(*), max(relname) from pg_class where relkind = 'r' and oid < 5000",
      "with x as (select n from gate) select jsonb_build_object('n', n) as j from x order by n limit 5",
    ];
    for (const text of texts) {
      await using counted = countedConnection(database, "superuser");
      const { manager } = counted;
      await learn(manager, text);
      const holder = await manager.lease();
      const waiting = Array.from({ length: 12 }, () => manager.query(text));
      counted.reset();
      holder.release();
      await Promise.all(waiting);
      assert(counted.turns() < 6, `${counted.turns()} round trips for ${text}`);
    }
  });

  await t.step("query() that timed out behind others does not say that it was canceled", async () => {
    const manager = database.manager({ maxConnections: 1 });
    const waitBehind = () =>
      admin.transaction(async (tx) => {
        await tx.query("select from gate for update");
        const before = manager.query(held);
        const options = { timeoutMs: 30, acquireTimeoutMs: 500 };
        const error = await thrownBy(() => manager.query("select 5 as n", [], options), Error);
        await tx.commit();
        await before;
        return error;
      });
    let error: Error;
    let attempts = 0;
    do {
      // On a busy machine they may have been slow: then none is sent behind another.
      await learn(manager, held);
      await learn(manager, "select 5 as n");
      error = await waitBehind();
    } while (error instanceof AcquireTimeoutError && ++attempts < 20);
    assertInstanceOf(error, QueryTimeoutError);
    assertStringIncludes(error.message, "waited behind other statements");
    assert(!error.message.includes("was canceled"));
  });

  await t.step("onlyReads() knows operators that words stand for", async () => {
    const manager = database.manager();
    const text = "select n in (1, 2) as n from gate";
    await until("it is known", () => manager.onlyReads(text));
    await manager.shutdown();
    await admin.query("create type label as (n int)");
    await admin.query("create function same(label, label) returns boolean language sql as $$ select pop() is null $$");
    await admin.query("create operator = (leftarg = label, rightarg = label, function = same)");
    await admin.query("create table labels (l label)");
    const fresh = database.manager();
    for (const text of ["select l in (l) as n from labels", "select nullif(l, l) as n from labels"]) {
      for (let round = 0; round < 3; round++) {
        assertEquals([fresh.onlyReads(text), fresh.onlyReads(text)], [false, false], text);
        await fresh.query("select 1");
        await until("it was asked", () => fresh.getStats().activeConnections === 0);
      }
    }
    await fresh.shutdown();
  });
});
