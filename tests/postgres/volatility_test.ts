import { assertEquals } from "@std/assert";
import type { BackendConnection } from "../../shared/postgres/connection/backend_connection.ts";
import { Volatility } from "../../shared/postgres/query/volatility.ts";
import { FakeClock, settle } from "../support/fake_clock.ts";

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
    start: ([{ values }]: [{ values: unknown[] }]) => {
      asked.push(String(values[1]).length);
      return { results: Promise.resolve([{ rows: [{ reads: true }] }]) };
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
