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
