import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  createQueryBuilder,
  InvalidQueryError,
  QueryBuilder,
  type QuerySource,
  sql,
  WhereMissingError,
} from "../../../shared/data/mod.ts";
import { type QueryResult, sql as postgresSql } from "../../../shared/postgres/mod.ts";
import { recorder } from "./recorder.ts";

interface Tables {
  users: { id: number; name: string; email: string; active: boolean; created_at: Date; updated_at: Date | null };
  profiles: { user_id: number; bio: string };
}

Deno.test("TableQuery is immutable: a base that is used twice gives independent statements", async () => {
  const { source, sent } = recorder();
  const base = createQueryBuilder(source).from("posts").where("active", "=", true);
  await Promise.all([
    base.where("id", "=", 1).get(),
    base.orderBy("id", "DESC").limit(5).get(),
    base.select("name").get(),
    base.delete(),
    base.get(),
  ]);
  assertEquals(sent, [
    ['select * from "posts" where "active" = $1 and "id" = $2', [true, 1]],
    ['select * from "posts" where "active" = $1 order by "id" desc limit $2', [true, 5]],
    ['select "name" from "posts" where "active" = $1', [true]],
    ['delete from "posts" where "active" = $1', [true]],
    ['select * from "posts" where "active" = $1', [true]],
  ]);
});

Deno.test("TableQuery.update() and delete() without where() are rejected before anything is sent, unless all() asks for it", async () => {
  const { source, sent } = recorder();
  const posts = createQueryBuilder(source).from("posts");
  for (const call of [() => posts.delete(), () => posts.update({ name: "x" })]) {
    const error = await assertRejects(call, WhereMissingError);
    assertEquals(error.code, "WHERE_MISSING");
  }
  assertEquals(sent, []);
  await posts.all().update({ name: "x" });
  await posts.all().delete();
  assertEquals(sent, [['update "posts" set "name" = $1', ["x"]], ['delete from "posts"', []]]);
});

Deno.test("TableQuery rejects parts that a statement would ignore", async () => {
  const { source, sent } = recorder();
  const posts = createQueryBuilder(source).from("posts").where("id", "=", 1);
  for (
    const query of [
      posts.limit(1),
      posts.offset(1),
      posts.orderBy("id"),
      posts.select("id"),
      posts.join("users", "a", "b"),
    ]
  ) {
    await assertRejects(() => query.delete(), InvalidQueryError);
    await assertRejects(() => query.update({ name: "x" }), InvalidQueryError);
    await assertRejects(() => query.insert({ name: "x" }), InvalidQueryError);
  }
  await assertRejects(() => posts.insert({ name: "x" }), InvalidQueryError);
  await assertRejects(() => posts.update({ name: undefined }), InvalidQueryError);
  await assertRejects(() => posts.update({}), InvalidQueryError);
  assertEquals(sent, []);
});

Deno.test("TableQuery.where() rejects values that would change its meaning, with a stable code", () => {
  const posts = createQueryBuilder(recorder().source).from("posts");
  const calls: readonly (() => unknown)[] = [
    () => posts.where("id", "=", undefined),
    () => posts.where("id", "=", null),
    () => posts.where("id", "!=", null),
    () => posts.where("id", "in", "1, 2"),
    () => posts.where("id", "in", [1, null]),
    () => posts.where("id", "is", "null or true"),
    () => posts.where("id", "= 1 or 1 =" as "=", 1),
    () => posts.where("id", "constructor" as "=", 1),
    () => posts.where("id", "=", () => 1),
    () => posts.where("id", "=", Symbol("x")),
    () => (posts.where as (...args: unknown[]) => unknown).call(posts, "id = 1"),
    () => (posts.where as (...args: unknown[]) => unknown).call(posts, "id", 1),
    () => posts.where({ toOperationNode: "x" } as never),
    () => posts.orderBy("id", "desc; drop table posts" as "desc"),
    () => posts.limit("1" as unknown as number),
    () => posts.limit(-1),
    () => posts.offset(Infinity),
    () => posts.whereAny([]),
    () => posts.whereAny("x" as never),
  ];
  for (const call of calls) assertEquals(assertThrows(call, InvalidQueryError).code, "QUERY_INVALID");
});

Deno.test("TableQuery.select() without a column is rejected: it would read all of them", () => {
  const posts = createQueryBuilder(recorder().source).from("posts");
  const allowed = ["id", "name"];
  const wanted = ["password"].filter((column) => allowed.includes(column));
  assertThrows(() => posts.select(...wanted), InvalidQueryError, "Cannot select no column");
  for (const nameless of [{}, sql`upper(name)`]) {
    assertThrows(() => posts.select("id", nameless as never), InvalidQueryError, "an object without names");
  }
});

Deno.test("TableQuery rejects fragments as values, with a stable code: JSON would store what is in them", async () => {
  const { source, sent } = recorder();
  const posts = createQueryBuilder(source).from("posts");
  const { identifier } = postgresSql;
  for (const fragment of [sql`now()`, postgresSql`now()`, identifier("now"), sql.ref("a")]) {
    const calls: readonly (() => unknown)[] = [
      () => posts.where("data", "=", fragment),
      () => posts.where("data", "in", [fragment]),
      () => posts.whereAny([["data", "=", fragment]]),
      () => posts.where("id", "=", 1).update({ data: fragment }),
      () => posts.insert({ data: fragment }),
      () => posts.insert([{ data: fragment }, { other: 1 }]),
    ];
    for (const call of calls) {
      const { code } = await assertRejects(async () => await call(), InvalidQueryError, "a fragment of sql as a value");
      assertEquals(code, "QUERY_INVALID");
    }
  }
  await assertRejects(() => posts.insert(Array(2) as never), InvalidQueryError, "Cannot write undefined as a row");
  assertEquals(sent, []);
});

Deno.test("TableQuery keeps the values of conditions as they were given, also if they are changed later", async () => {
  const { source, sent } = recorder();
  const [ids, tags, at] = [[1, 2], { tags: ["a"] }, new Date(0)];
  const posts = createQueryBuilder(source).from("posts").where("id", "in", ids).where("data", "@>", tags)
    .where("at", "<", at);
  ids.push(3);
  tags.tags.push("b");
  at.setTime(1);
  await posts.get();
  assertEquals(sent[0]?.[1], [[1, 2], { tags: ["a"] }, new Date(0)]);
});

Deno.test("TableQuery.insert() rejects an object that would become a row of defaults", async () => {
  const { source, sent } = recorder();
  const posts = createQueryBuilder(source).from("posts");
  const rows = [Promise.resolve({ name: "x" }), new Map([["name", "x"]]), new URLSearchParams("name=x")];
  for (const row of rows) {
    await assertRejects(() => posts.insert(row as never), InvalidQueryError, "await it first");
  }
  assertEquals(sent, []);
  class Post {
    readonly name = "x";
  }
  await posts.insert({ ...new Post() });
  await posts.insert(new Post() as never);
  await posts.insert({});
  assertEquals(sent.map(([text]) => text), [
    'insert into "posts" ("name") values ($1) returning *',
    'insert into "posts" ("name") values ($1) returning *',
    'insert into "posts" default values returning *',
  ]);
});

Deno.test("TableQuery quotes no value in its errors", async () => {
  const posts = createQueryBuilder(recorder().source).from("posts");
  const calls: readonly (() => unknown)[] = [
    () => posts.where("email", "in", "john@example.com"),
    () => posts.where("email", "is", "john@example.com"),
    () => posts.insert("john@example.com" as never),
    () => posts.where("id", "=", 1).update("john@example.com" as never),
  ];
  for (const call of calls) {
    const { message } = await assertRejects(async () => await call(), InvalidQueryError, "a string");
    assert(!message.includes("john"), message);
  }
});

/** Returns a source whose every result has two rows at a position. */
function standingAt(position: Readonly<Record<string, string | null>>) {
  const sent: (readonly [string, readonly unknown[]])[] = [];
  const source: QuerySource = {
    query(text, values) {
      sent.push([text, values]);
      const rows = [{ ...position }, { ...position }];
      return Promise.resolve<QueryResult>({ rows, rowCount: 2, command: "SELECT", fields: [] });
    },
  };
  return { source, sent };
}

Deno.test("TableQuery.paginate() reads its own cursor, however long the values are", async () => {
  const text = "x".repeat(100_000);
  const { source, sent } = standingAt({ "cursor:0": text, "cursor:1": "7" });
  const posts = createQueryBuilder(source).from("posts").orderBy("text");
  const { next } = await posts.paginate({ limit: 1 });
  await posts.paginate({ limit: 1, after: next });
  assertEquals(sent[1]?.[1], [text, text, "7", 2]);
});

Deno.test("TableQuery.paginate() ends behind a key that is null, and does not repeat its row", async () => {
  const { source, sent } = standingAt({ "cursor:0": null });
  const posts = createQueryBuilder(source).from("posts");
  const { next } = await posts.paginate({ limit: 1 });
  await posts.paginate({ limit: 1, after: next });
  assertEquals(
    sent[1]?.[0],
    'select *, cast("id" as text) as "cursor:0" from "posts" where (false) order by "id" asc limit $1',
  );
});

Deno.test("QueryBuilder is typed by its tables", () => {
  const users = new QueryBuilder<Tables>(recorder().source).from("users");
  const typed: Promise<{ id: number; name: string }[]> = users.select("id", "name").get();
  // @ts-expect-error: there is no such column
  users.select("missing");
  // @ts-expect-error: there is no such table
  new QueryBuilder<Tables>(recorder().source).from("missing");
  // @ts-expect-error: the name is a string
  users.where("id", "=", 1).update({ name: 1 }).catch(() => {});
  const joined = users.leftJoin("profiles", "users.id", "user_id").get();
  const bios: Promise<(string | null)[]> = joined.then((rows) => rows.map(({ bio }) => bio));
  assert(typed instanceof Promise && bios instanceof Promise);
});
