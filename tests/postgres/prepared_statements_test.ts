import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { PostgresError, StatementError } from "../../shared/postgres/mod.ts";
import { countedConnection, TestDatabase, thrownBy } from "./support.ts";

const PREPARED = "select count(*)::int as n from pg_prepared_statements";

Deno.test("manager.query() on prepared statements", async (t) => {
  await using database = await TestDatabase.start();
  const admin = database.manager();
  const one = () => database.manager({ maxConnections: 1 });

  await t.step("transaction() describes FETCH, EXECUTE, EXPLAIN, SHOW and CALL at each run", async () => {
    const manager = one();
    const fetch = (cursor: string) =>
      manager.transaction(async (tx) => {
        await tx.query(`declare c cursor for ${cursor}`);
        return (await tx.query("fetch 10 from c")).rows;
      });
    assertEquals(await fetch("select 1 as id, 'a' as name"), [{ id: 1, name: "a" }]);
    assertEquals(await fetch("select 'b' as name, 2 as id"), [{ name: "b", id: 2 }]);
    assertEquals(await fetch("select now() is null as gone"), [{ gone: false }]);
    await using connection = await manager.lease();
    const execute = async (statement: string) => {
      await connection.query(`prepare mine as ${statement}`);
      const { rows } = await connection.query("execute mine");
      await connection.query("deallocate mine");
      return rows;
    };
    assertEquals(await execute("select 1 as id, 'a' as name"), [{ id: 1, name: "a" }]);
    assertEquals(await execute("select 'b' as name, 2::int8 as id"), [{ name: "b", id: "2" }]);
    const procedure = (types: string, body: string) =>
      connection.query(`create or replace procedure give(${types}) language plpgsql as $$ begin ${body}; end $$`);
    await procedure("out a int", "a := 1");
    assertEquals((await connection.query("call give(null)")).rows, [{ a: 1 }]);
    await connection.query("drop procedure give");
    await procedure("out b text", "b := 'x'");
    assertEquals((await connection.query("call give(null)")).rows, [{ b: "x" }]);
  });

  await t.step("query() works after its enum, domain or composite was dropped and created again", async () => {
    const manager = one();
    const kinds = {
      enum: ["type kind as enum ('a', 'b')", "type kind", "a"],
      domain: ["domain kind as text check (value <> '')", "domain kind", "a"],
      composite: ["type kind as (n int, s text)", "type kind", { n: 1, s: "a" }],
      range: ["type kind as range (subtype = int4)", "type kind", "[1,3)"],
    } as const;
    for (const [kind, [create, drop, value]] of Object.entries(kinds)) {
      let expected: unknown[] | undefined;
      for (let round = 0; round < 3; round++) {
        await admin.query(`create ${create}`);
        for (let time = 0; time < 2; time++) {
          const { rows } = await manager.query("select $1::kind as k, array[$1::kind] as a", [value]);
          expected ??= rows;
          assertEquals(rows, expected, kind);
        }
        await admin.query(`drop ${drop}`);
      }
    }
  });

  await t.step("query() stores the same as a new connection after ALTER COLUMN TYPE", async () => {
    const manager = one();
    const instant = new Date("2026-08-24T21:34:56.789Z");
    const uuid = "5f0c2a9e-58d6-4b3c-9a39-6f0e6a6e8b5a";
    const cases: [from: string, to: string, values: readonly unknown[]][] = [
      ["int", "bigint", [5, "7", 9_007_199_254_740_991]],
      ["int", "text", [5, "7", "x"]],
      ["int", "numeric", [5, "7.25", 1.5]],
      ["int", "double precision", [5, 1.5]],
      ["smallint", "int", [5, 70_000]],
      ["uuid", "text", [uuid, uuid.toUpperCase(), "none"]],
      ["date", "timestamptz", [instant, "2026-08-24T21:34:56Z", "2026-08-24 23:59+02"]],
      ["date", "timestamp", [instant, "2026-08-24 21:34:56"]],
      ["date", "text", [instant]],
      ["timestamptz", "date", [instant]],
      ["timestamptz", "text", [instant]],
      ["timestamp(0)", "timestamp", [instant]],
      ["real", "double precision", [1.1, 0.1 + 0.2, "1.23456789012345"]],
      ["numeric(5,1)", "numeric", [1.25, "12.3456"]],
      ["varchar(2)", "text", ["ab", "long enough"]],
      ["char(3)", "text", ["a", "a  "]],
      ["boolean", "text", [true, "t", "yes"]],
      ["text", "jsonb", ['{"a":1}', '"x"']],
      ["json", "jsonb", [{ b: 1, a: 2 }, '{"a": 1, "a": 2}', []]],
      ["int[]", "bigint[]", [[1, 2], []]],
      ["int[]", "text[]", [[1, 2], ["x"]]],
      ["bytea", "text", ["abc"]],
      ["interval", "text", ["1 day", "26 hours"]],
      ["inet", "text", ["10.0.0.1", "10.0.0.1/32"]],
      ["date[]", "timestamptz[]", [[instant], [[instant, null]], []]],
      ["timestamp[]", "date[]", [[instant]]],
      ["real[]", "double precision[]", [[1.1, 0.1 + 0.2], new Float32Array([0.1])]],
      ["double precision[]", "text[]", [[1e21, 0.5]]],
      ["numeric(10,2)[]", "numeric[]", [["1.505"], [1.505]]],
      ["uuid[]", "text[]", [[uuid.toUpperCase()]]],
      ["inet[]", "text[]", [["10.0.0.1"]]],
      ["jsonb[]", "json[]", [[{ b: 1, a: 2 }]]],
    ];
    // The oldest supported runtime has no Temporal.
    if (typeof Temporal !== "undefined") {
      const zoned = Temporal.ZonedDateTime.from("2026-08-24T23:30:15.5+09:00[Asia/Tokyo]");
      const moment = Temporal.Instant.from("2026-08-24T21:34:56.789Z");
      cases.push(["date", "timestamptz", [moment, zoned]], ["timestamp", "timestamptz", [zoned]]);
      cases.push(["date[]", "timestamp[]", [[Temporal.PlainDateTime.from("2026-08-24T23:30:15.5")]]]);
    }
    for (const [index, [from, to, values]] of cases.entries()) {
      const table = `altered_${index}`;
      // Without RETURNING: the server would notice the column.
      const insert = `insert into ${table} (v) values ($1)`;
      const stored = async () => {
        const { rows } = await admin.query(`select v, pg_typeof(v)::text as type from ${table}`, [], {
          prepare: false,
        });
        await admin.query(`truncate ${table}`);
        return rows;
      };
      const attempt = async (run: () => Promise<unknown>) => {
        try {
          await run();
          return await stored();
        } catch (error) {
          assert(error instanceof PostgresError || error instanceof StatementError, `${error}`);
          return error.code;
        }
      };
      for (const value of values) {
        await admin.query(`create table ${table} (v ${from})`);
        for (let time = 0; time < 3; time++) await attempt(() => manager.query(insert, [value]));
        await admin.query(`alter table ${table} alter column v type ${to} using v::text::${to}`).catch(() =>
          admin.query(`truncate ${table}`).then(() =>
            admin.query(`alter table ${table} alter column v type ${to} using null`)
          )
        );
        const got = [
          await attempt(() => manager.query(insert, [value])),
          await attempt(() => manager.query(insert, [value])),
        ];
        const fresh = one();
        const expected = await attempt(() => fresh.query(insert, [value]));
        await fresh.shutdown();
        assertEquals(got, [expected, expected], `${from} to ${to}: ${value}`);
        await admin.query(`drop table ${table}`);
      }
    }
  });

  await t.step(
    "transaction() works under another search_path for each tenant, and beside temporary tables",
    async () => {
      const manager = one();
      await admin.query("create schema one");
      await admin.query("create schema two");
      await admin.query("create table one.doc (id int, body text)");
      await admin.query("create table two.doc (body text, id text, extra int)");
      await admin.query("create table doc (id bigint)");
      await admin.query("insert into one.doc values (7, 'of one')");
      await admin.query("insert into two.doc values ('of two', '7', 3)");
      await admin.query("insert into doc values (7)");
      const find = "select * from doc where id = $1";
      const expected = {
        one: [{ id: 7, body: "of one" }],
        two: [{ body: "of two", id: "7", extra: 3 }],
        none: [{ id: "7" }],
      };
      const enter = {
        one: [["set local search_path = one"], ["select set_config('search_path', $1, true)", ["one"]]],
        two: [["SET LOCAL search_path TO two, public"], ["select set_config('search_path', 'two', true)"]],
        none: [["select 1"], ["select 2"]],
      } as const;
      for (let round = 0; round < 4; round++) {
        for (const tenant of ["one", "two", "none"] as const) {
          const [text, values] = enter[tenant][round % 2] ?? ["select 3"];
          const rows = await manager.transaction(async (tx) => {
            await tx.query(text, values);
            return (await tx.query(find, [7])).rows;
          });
          assertEquals(rows, expected[tenant], `${tenant}, round ${round}`);
          const [, listed] = await manager.transaction([{ query: text, values }, { query: find, values: ["7"] }]);
          assertEquals(listed?.rows, expected[tenant], `${tenant}, round ${round}`);
        }
      }
      for (let round = 0; round < 2; round++) {
        const rows = await manager.transaction(async (tx) => {
          const before = (await tx.query(find, [7])).rows;
          await tx.query("create temp table doc (id text, kind text) on commit drop");
          await tx.query("insert into doc values ('7', 'temporary')");
          return [before, (await tx.query(find, ["7"])).rows, (await tx.query(find, ["7"])).rows];
        });
        const temporary = [{ id: "7", kind: "temporary" }];
        assertEquals(rows, [expected.none, temporary, temporary]);
      }
      // A savepoint takes the path back.
      const undone = await manager.transaction(async (tx) => {
        await tx.transaction(async (nested) => {
          await nested.query("set local search_path = one");
          assertEquals((await nested.query(find, [7])).rows, expected.one);
          throw new RangeError("undone");
        }).catch(() => {});
        return (await tx.query(find, [7])).rows;
      });
      assertEquals(undone, expected.none);
      // A function changes the path where no text shows it.
      await admin.query(
        "create function enter(path text) returns void language sql as $$ select set_config('search_path', path, true) $$",
      );
      for (const tenant of ["one", "two"] as const) {
        const outcome = await manager.transaction(async (tx) => {
          await tx.query("select enter($1)", [tenant]);
          return (await tx.query(find, [7])).rows;
        }, { retries: 2 });
        assertEquals(outcome, tenant === "one" ? expected.one : outcome);
      }
    },
  );

  await t.step("transaction({ retries }) succeeds after the schema changed inside it", async () => {
    const manager = one();
    await admin.query("create table shape (a int)");
    await admin.query("insert into shape values (1)");
    await manager.query("select * from shape");
    let attempts = 0;
    const rows = await manager.transaction(async (tx) => {
      await tx.query("select 1");
      if (attempts++ === 0) await admin.query("alter table shape add column b int default 2");
      return (await tx.query("select * from shape")).rows;
    }, { retries: 2 });
    assertEquals([rows, attempts], [[{ a: 1, b: 2 }], 2]);
    const error = await thrownBy(() =>
      manager.transaction(async (tx) => {
        await tx.query("select 1");
        await admin.query("alter table shape drop column b");
        await tx.query("select * from shape");
      }), PostgresError);
    assertEquals(error.code, "0A000");
    assertStringIncludes(error.hint ?? "", "run the transaction again");
  });

  await t.step("query() sees tables and functions that the same manager defines", async () => {
    const manager = database.manager({ maxConnections: 1, options: "-c search_path=first,public" });
    await admin.query("create schema first");
    await admin.query("create table public.masked (v text default 'public')");
    await admin.query("insert into public.masked default values");
    const read = async () => (await manager.query("select v from masked")).rows;
    assertEquals([await read(), await read()], [[{ v: "public" }], [{ v: "public" }]]);
    await manager.query("create table first.masked (v text)");
    assertEquals(await read(), []);
  });

  await t.step("query() bounds the statements that stay prepared, in number and size", async () => {
    const manager = database.manager({ maxConnections: 1, maxPreparedStatements: 20 });
    await manager.transaction(Array.from({ length: 3_000 }, (_, n) => ({ query: `select ${n} as n` })));
    const count = async () => (await manager.query<{ n: number }>(PREPARED)).rows[0]?.n ?? NaN;
    await count();
    assert(await count() <= 21, `${await count()} are prepared`);
    for (let n = 0; n < 3; n++) await manager.query(`select ${n} as n -- ${"x".repeat(100_000)}`);
    const { rows } = await manager.query("select max(length(statement)) as longest from pg_prepared_statements");
    assert(Number(rows[0]?.["longest"]) < 100_000);
    const large = database.manager({ maxConnections: 1, maxPreparedStatements: 10_000 });
    for (let n = 0; n < 150; n++) await large.query(`select ${n} as n -- ${"x".repeat(9_900)}`);
    const { rows: [total] } = await large.query(
      "select sum(length(statement))::int as total from pg_prepared_statements",
    );
    assert(Number(total?.["total"]) <= 1_100_000, `${total?.["total"]} characters`);
  });

  await t.step("query({ prepare: false }) and prepare: false prepare nothing, and plan for the values", async () => {
    const manager = one();
    await admin.query("create table job as select n as id, 0 as state from generate_series(1, 20000) n");
    await admin.query("insert into job select n, 1 from generate_series(20001, 20010) n");
    await admin.query("create index on job (state)");
    await admin.query("analyze job");
    const count = async (each: typeof manager) =>
      (await each.query<{ n: number }>(PREPARED, [], { prepare: false })).rows[0]?.n;
    for (let time = 0; time < 7; time++) {
      assertEquals((await manager.query("select $1::int as n", [time], { prepare: false })).rows, [{ n: time }]);
    }
    await manager.transaction([{ query: "select $1::int as m", values: [1], prepare: false }]);
    await manager.transaction((tx) => tx.query("select $1::int as k", [1], { prepare: false }));
    const texts = await manager.query("select statement from pg_prepared_statements", [], { prepare: false });
    assertEquals(texts.rows.filter((row) => String(row["statement"]).includes("$1")), []);
    const never = database.manager({ maxConnections: 1, prepare: false });
    await never.query("select $1::int as n", [1]);
    assertEquals(await count(never), 0);
  });

  await t.step("query({ paramTypes }) and described statements take one round trip", async () => {
    await using counted = countedConnection(database, "superuser");
    const { manager } = counted;
    await manager.query("select 1");
    const trips = async (work: () => Promise<unknown>) => {
      counted.reset();
      await work();
      return counted.turns();
    };
    assertEquals(await trips(() => manager.query("select $1::text as first", ["x"])), 1);
    assertEquals(await trips(() => manager.query("select $1::int as a", [1])), 2);
    assertEquals(await trips(() => manager.query("select $1::int as a", [2])), 1);
    assertEquals(await trips(() => manager.query("select $1::int as b", [1], { paramTypes: ["int4"] })), 1);
    assertEquals(await trips(() => manager.query("select $1::int as c", [1], { prepare: false })), 2);
    assertEquals(await trips(() => manager.query("select $1::int as c", [2], { prepare: false })), 1);
    const long = `select $1::int as d -- ${"x".repeat(20_000)}`;
    assertEquals([await trips(() => manager.query(long, [1])), await trips(() => manager.query(long, [2]))], [2, 1]);
  });

  await t.step("query() runs a prepared statement with objects, and parses it again for a Date", async () => {
    const manager = one();
    await admin.query("create table kept (v jsonb, at timestamptz)");
    const insert = "insert into kept (v, at) values ($1, $2)";
    const runs = async () => {
      const { rows } = await manager.query<{ runs: number }>(
        "select (generic_plans + custom_plans)::int as runs from pg_prepared_statements where statement = $1",
        [insert],
      );
      return rows[0]?.runs;
    };
    await manager.query(insert, [{ a: 1 }, null]);
    const before = await runs();
    for (const value of [{ a: [2] }, [1, "x"], { deep: { b: null } }]) await manager.query(insert, [value, null]);
    assertEquals(await runs(), (before ?? NaN) + 3);
    await manager.query(insert, [{ a: 3 }, new Date()]);
    assertEquals(await runs(), (before ?? NaN) + 3);
  });

  await t.step("query() rejects a wrong number of values with StatementError", async () => {
    const manager = one();
    for (const values of [["1"], [1], [1, 2, 3], []]) {
      for (let time = 0; time < 2; time++) {
        const error = await thrownBy(() => manager.query("select $1::int + $2::int as n", values), StatementError);
        assertStringIncludes(error.message, "2 parameters");
        assertEquals([error.code, error.http.status], ["STATEMENT_INVALID", 500]);
      }
    }
    assertEquals((await manager.query("select $1::int + $2::int as n", [1, 2])).rows, [{ n: 3 }]);
  });
});
