import { Buffer } from "node:buffer";
import { runInNewContext } from "node:vm";
import { assertEquals, assertNotStrictEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { type PostgresPool, StatementError } from "../../shared/postgres/mod.ts";
import { bytea } from "../../shared/postgres/types/bytes.ts";
import { jsonb } from "../../shared/postgres/types/json.ts";
import { timestamptz } from "../../shared/postgres/types/time.ts";
import { captureValues } from "../../shared/postgres/wire/captured_values.ts";
import { claimsOf, TestDatabase } from "./support.ts";

Deno.test("captureValues() copies arrays, objects, dates and bytes at any depth, and keeps their classes", () => {
  class Money {
    constructor(public cents: number) {}
    toJSON(): unknown {
      return { cents: this.cents };
    }
  }
  const bytes = new Uint8Array([1, 2, 3, 4]);
  const list = [1, [2, { a: [3] }]];
  const date = new Date(5);
  const money = new Money(7);
  const words = new Uint16Array([1, 2]);
  const view = new DataView(bytes.buffer, 1, 2);
  const buffer = Buffer.from("abc");
  const captured = captureValues([
    list,
    date,
    bytes.subarray(1, 3),
    money,
    words,
    view,
    buffer,
    bytes.buffer,
    "x",
    null,
  ]);
  (list[1] as unknown[])[0] = "changed";
  (list[1] as [unknown, { a: number[] }])[1].a.push(9);
  date.setTime(0);
  bytes.fill(9);
  buffer.fill(0);
  words[0] = 9;
  money.cents = 0;
  assertEquals(captured[0], [1, [2, { a: [3] }]]);
  assertEquals(captured[1], new Date(5));
  assertEquals([...captured[2] as Uint8Array], [2, 3]);
  assertEquals(JSON.stringify(captured[3]), '{"cents":7}');
  assertEquals(captured[3] instanceof Money, true);
  assertEquals([...captured[4] as Uint16Array], [1, 2]);
  const copied = captured[5] as DataView;
  assertEquals([copied.byteLength, copied.getUint8(0), copied.getUint8(1)], [2, 2, 3]);
  assertEquals(new TextDecoder().decode(captured[6] as Uint8Array), "abc");
  assertEquals([...new Uint8Array(captured[7] as ArrayBuffer)], [1, 2, 3, 4]);
  assertEquals(captured.slice(8), ["x", null]);
});

Deno.test("captureValues() calls each toJSON once, at once, with its key, and keeps its result", () => {
  class Tags extends Array<string> {
    toJSON(): unknown {
      return { tags: [...this] };
    }
  }
  class Day extends Date {
    override toJSON(): string {
      return super.toISOString().slice(0, 10);
    }
  }
  class Self {
    n = 1;
    toJSON(): this {
      return this;
    }
  }
  const tags = Tags.from(["a"]) as Tags;
  const day = new Day("2026-08-24T12:00:00Z");
  const url = new URL("https://example.com/");
  const self = new Self();
  let calls = 0;
  const keyed = {
    toJSON(key: string): string {
      calls++;
      return `at ${key}`;
    },
  };
  const getter = Object.defineProperty({}, "n", { enumerable: true, get: () => ++calls });
  const value = { tags, day, url, self, keyed, list: [keyed], getter };
  const expected = JSON.stringify(value);
  calls = 0;
  const [captured] = captureValues([value]);
  tags.push("b");
  day.setTime(0);
  url.pathname = "/changed";
  self.n = 2;
  assertEquals([JSON.stringify(captured), calls], [expected, 3]);
  assertEquals(JSON.stringify(captured), expected);
  // A value of a statement is a root, as that of `JSON.stringify`: its key is empty.
  assertEquals(captureValues([keyed, 1]).map((root) => JSON.stringify(root)), [JSON.stringify(keyed), "1"]);
});

Deno.test("captureValues() copies own properties as data, whatever their names and the prototype", () => {
  let reads = 0;
  class WithSetter {
    list = [1];
    get total(): number {
      throw new Error("read through the prototype");
    }
    set total(_value: number) {
      throw new Error("set through the prototype");
    }
  }
  const shadowed = Object.defineProperty(new WithSetter(), "total", { value: [3], enumerable: true, writable: true });
  const named = JSON.parse('{"__proto__":{"a":[1]},"constructor":1,"b":null}');
  const bare = Object.assign(Object.create(null), { a: [1] });
  const computed = {
    get now() {
      return [++reads];
    },
  };
  const captured = captureValues([shadowed, named, bare, computed]) as Record<string, unknown>[];
  (shadowed.total as unknown as number[]).push(4);
  named["__proto__"].a.push(2);
  bare.a.push(2);
  const json = captured.map((value) => JSON.stringify(value));
  assertEquals(json, [
    '{"list":[1],"total":[3]}',
    '{"__proto__":{"a":[1]},"constructor":1,"b":null}',
    '{"a":[1]}',
    '{"now":[1]}',
  ]);
  assertEquals(captured.map((value) => Object.getPrototypeOf(value)), [
    WithSetter.prototype,
    Object.prototype,
    null,
    Object.prototype,
  ]);
  assertEquals(reads, 1);
});

Deno.test("captureValues() turns objects of another realm into those that the codecs know", () => {
  const foreign: unknown[] = runInNewContext(`[
    new Date(5), new Date(NaN), new Uint8Array([1, 2]).buffer, new Uint8Array([3]), {}, { a: [new Date(7)] }, [1],
    new Map(), /x/, new Error("x"),
  ]`);
  const captured = [...captureValues(foreign)];
  assertEquals(captured.slice(0, 2).map((date) => date instanceof Date), [true, true]);
  assertEquals(timestamptz.encode(captured[0]), "1970-01-01T00:00:00.005+00:00");
  assertThrows(() => timestamptz.encode(captured[1]), TypeError, "an invalid Date");
  assertEquals([...bytea.encode(captured[2]) as Uint8Array], [1, 2]);
  assertEquals([...bytea.encode(captured[3]) as Uint8Array], [3]);
  assertEquals(captured.slice(4, 7).map((value) => jsonb.encode(value)), [
    "{}",
    '{"a":["1970-01-01T00:00:00.007Z"]}',
    "[1]",
  ]);
  for (const value of captured.slice(7)) assertThrows(() => jsonb.encode(value), TypeError);
  const tagged = {
    at: 1,
    get [Symbol.toStringTag]() {
      return "Date";
    },
  };
  class Tagged {
    at = 1;
    readonly [Symbol.toStringTag] = "Date";
  }
  assertEquals(captureValues([tagged, new Tagged()]).map((value) => JSON.stringify(value)), ['{"at":1}', '{"at":1}']);
});

Deno.test("captureValues() does not copy again what it has copied", () => {
  const captured = captureValues([{ a: 1 }]);
  assertStrictEquals(captureValues(captured), captured);
});

Deno.test("captureValues() copies the array of values itself, and keeps what no type accepts for the codec to reject", () => {
  const values = [1];
  assertNotStrictEquals(captureValues(values), values);
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  const others = [new Map(), new Set(), /x/, () => 1, Symbol("x"), Promise.resolve(), new Error("x")];
  const captured = captureValues([...others, cycle]);
  others.forEach((other, index) => assertStrictEquals(captured[index], other));
  const boxed = [Object("x"), Object(1), Object(false), Object(1n)];
  captureValues(boxed).forEach((value, index) => assertStrictEquals(value, boxed[index]));
  let deep: unknown = [];
  for (let level = 0; level < 5_000; level++) deep = [deep];
  assertThrows(() => captureValues([deep]), StatementError, "deeper");
});

Deno.test("manager.query(), transaction() and tx.query() send values as they were when they were called", async (t) => {
  await using database = await TestDatabase.start();
  const manager = database.manager({ maxConnections: 1 });
  await manager.query("create table kept (n int, list int[], j jsonb, b bytea, at timestamptz)");
  await manager.query("grant all on kept to authenticated");
  const insert = "insert into kept values ($1, $2, $3, $4, $5)";
  const row = [0, [0, 0], { deep: [{ n: 0 }] }, new Uint8Array([0]), new Date(0)] as [
    number,
    number[],
    { deep: { n: number }[] },
    Uint8Array,
    Date,
  ];
  const fill = (n: number) => {
    row[0] = n;
    row[1][1] = n;
    (row[2].deep[0] as { n: number }).n = n;
    row[3][0] = n;
    row[4].setTime(n * 1_000);
  };
  const expected = [1, 2, 3].map((n) => ({
    n,
    list: [0, n],
    j: { deep: [{ n }] },
    b: Buffer.from([n]),
    at: new Date(n * 1_000),
  }));
  const check = async (name: string, run: () => Promise<unknown>[]) => {
    await t.step(name, async () => {
      await manager.query("truncate kept");
      const running: Promise<unknown>[] = [];
      for (const each of run()) running.push(each);
      fill(9);
      await Promise.all(running);
      assertEquals((await manager.query("select * from kept order by n")).rows, expected);
    });
  };
  const each = (work: () => Promise<unknown>) => () =>
    [1, 2, 3].map((n) => {
      fill(n);
      return work();
    });
  const caller: PostgresPool = database.manager({ maxConnections: 1 }, "authenticator").as(claimsOf("a"));
  for (const when of ["at the first run", "later"]) {
    await check(`query() ${when}`, each(() => manager.query(insert, row)));
    await check(`query() of a caller ${when}`, each(() => caller.query(insert, row)));
    await check(`transaction() of a list ${when}`, each(() => manager.transaction([{ query: insert, values: row }])));
    await check(`executeQueryWithRetry() ${when}`, each(() => manager.executeQueryWithRetry(insert, row)));
    await check(
      `executeTransactionWithRetry() ${when}`,
      each(() => manager.executeTransactionWithRetry([{ query: insert, values: row }])),
    );
    await check(`query() of a lease ${when}`, () => {
      const work = async () => {
        await using connection = await manager.lease();
        await Promise.all(each(() => connection.query(insert, row))());
      };
      return [work()];
    });
    await check(`tx.query() ${when}`, () => [
      manager.transaction(async (tx) => {
        const running = each(() => tx.query(insert, row))();
        fill(9);
        await Promise.all(running);
      }),
    ]);
  }
});
