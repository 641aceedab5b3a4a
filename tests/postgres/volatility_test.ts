import { assertEquals } from "@std/assert";
import type { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { PipelineSharing } from "../../shared/postgres/query/shared_query.ts";
import { Volatility } from "../../shared/postgres/query/volatility.ts";
import type { Statement } from "../../shared/postgres/wire/query_result.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";
import { open, rows } from "./opened_connection.ts";
import { TestDatabase } from "./support.ts";

Deno.test("Volatility.check() asks nothing about names in escapes, and does not take their statement for a read", async () => {
  for (const text of ['select * from U&"d\\0061ta"', 'select "a""b"() from t']) {
    let asked = 0;
    const schema = { version: 1 };
    const start = () => {
      asked++;
      return { results: Promise.resolve([]) };
    };
    const connection = { schema, start } as unknown as BackendConnection;
    const volatility = new Volatility(new FakeClock());
    volatility.check(connection, text);
    await settle();
    assertEquals([asked, volatility.onlyReads(connection.schema, text)], [0, false]);

    volatility.check(connection, "select n from t");
    await settle();
    assertEquals(asked, 1);
  }
});

Deno.test("Volatility keeps nothing of a long text, and asks nothing about it", async () => {
  const asked: unknown[] = [];
  const connection = {
    schema: { version: 1 },
    start: ([, { values }]: [Statement, { values: unknown[] }]) => {
      asked.push(String(values[1]).length);
      return { results: Promise.resolve([{ rows: [] }, { rows: [{ reads: true }] }]) };
    },
  } as unknown as BackendConnection;
  const volatility = new Volatility(new FakeClock());
  for (const [length, reads] of [[10_000, true], [10_001, false]] as const) {
    const text = "select 1 --".padEnd(length, "x");
    assertEquals(volatility.isDue(connection.schema, text), reads);
    await volatility.check(connection, text);
    assertEquals(volatility.onlyReads(connection.schema, text), reads);
  }
  assertEquals(asked, [10_000]);
});

Deno.test("Volatility.check() has its statement planned without compilation, and leaves the setting as it was", async () => {
  await using database = await TestDatabase.start();
  await using opened = await open(database);
  const { connection } = opened;
  const jit: Statement = { text: "select current_setting('jit') as jit", unprepared: true };
  await connection.run([{ text: "set jit = on" }]);
  let inside: unknown;
  const observed = {
    schema: connection.schema,
    start: (statements: readonly Statement[]) => {
      const { results } = connection.start([...statements, jit]);
      return { results: results.then((all) => (inside = all.at(-1)?.rows, all.slice(0, -1))) };
    },
  } as unknown as BackendConnection;
  const volatility = new Volatility(new FakeClock());
  await volatility.check(observed, "select 1 as n");
  assertEquals(volatility.onlyReads(connection.schema, "select 1 as n"), true);
  assertEquals(inside, [{ jit: "off" }]);
  assertEquals(await rows(connection, jit.text), [{ jit: "on" }]);
});

Deno.test("PipelineSharing.onlyReads() asks about texts that come again alone, and about few at once", async () => {
  let leases = 0;
  const leasing = Promise.withResolvers<never>();
  const lease = () => {
    leases++;
    return leasing.promise;
  };
  const sharing = new PipelineSharing({ lease } as never, { clock: new FakeClock() } as never);
  for (let text = 0; text < 500; text++) assertEquals(sharing.onlyReads(`select ${text}`), false);
  assertEquals(leases, 0);
  for (let text = 0; text < 500; text++) sharing.onlyReads(`select ${text}`);
  assertEquals(leases, 2);
  leasing.reject(new Error("away"));
  await settle();
  sharing.onlyReads("select 7");
  assertEquals(leases, 3);
  for (let round = 0; round < 3; round++) sharing.onlyReads("select 1 --".padEnd(10_001, "x"));
  assertEquals(leases, 3);
});
