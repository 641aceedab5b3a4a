import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { createQueryBuilder, InvalidQueryError, Repository } from "../../../shared/data/mod.ts";
import type { PostgresPool, PostgresQueries } from "../../../shared/postgres/mod.ts";
import { recorder } from "./recorder.ts";

Deno.test("TableQuery.compile() returns the statement that get() runs, and sends nothing", () => {
  const { source, sent } = recorder();
  const { sql, parameters } = createQueryBuilder(source).from("posts").select("*").where("id", "=", 1).compile();
  assertEquals([sql, parameters, sent], ['select * from "posts" where "id" = $1', [1], []]);
});

Deno.test("TableQuery names what it rejects: names with too many dots, objects as names, rows without values", async () => {
  const posts = createQueryBuilder(recorder().source).from("posts");
  assertThrows(() => posts.orderBy("a.b.c.d"), InvalidQueryError, "too many dots");
  assertThrows(() => createQueryBuilder(recorder().source).from("a.b.c"), InvalidQueryError, "too many dots");
  assertThrows(() => posts.orderBy({} as never), InvalidQueryError, "Cannot use an object as a column");
  assertThrows(() => posts.orderBy([] as never), InvalidQueryError, "Cannot use an array as a column");
  assertThrows(() => posts.orderBy(7 as never), InvalidQueryError, "Cannot use 7 as a column");
  await assertRejects(() => posts.insert([{}, {}]), InvalidQueryError, "without a value in any of them");
});

Deno.test("Repository.queries runs the SQL of a subclass on its source", async () => {
  const { source, sent } = recorder();
  class Posts extends Repository<Record<"posts", { id: number }>, "posts"> {
    run(): Promise<unknown> {
      const queries: PostgresQueries = this.queries;
      return queries.query("select 1", []);
    }
  }
  const pool = { ...source, currentTransaction: () => undefined } as unknown as PostgresPool;
  await new Posts(pool, "posts").run();
  assertEquals(sent, [["select 1", []]]);
});
