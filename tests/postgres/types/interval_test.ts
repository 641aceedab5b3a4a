import { assertEquals, assertThrows } from "@std/assert";
import { PostgresInterval } from "../../../shared/postgres/types/interval.ts";
import { TypeRegistry } from "../../../shared/postgres/types/registry.ts";
import { builtinOid } from "../../../shared/postgres/types/names.ts";

const ROWS:
  readonly (readonly [parts: ConstructorParameters<typeof PostgresInterval>[0], postgres: string, iso: string])[] = [
    [{}, "0 seconds", "P0Y0M0DT0H0M0S"],
    [
      { years: 1, months: 2, days: 3, hours: 4, minutes: 5, seconds: 6, milliseconds: 700 },
      "1 years 2 months 3 days 4 hours 5 minutes 6.7 seconds",
      "P1Y2M3DT4H5M6.7S",
    ],
    [{ seconds: 59, milliseconds: 999.999 }, "59.999999 seconds", "P0Y0M0DT0H0M59.999999S"],
    [{ months: -1, seconds: -0.5 }, "-1 months -0.5 seconds", "P0Y-1M0DT0H0M-0.5S"],
  ];

Deno.test("PostgresInterval.toPostgres() and toISOString() show every part, seconds exact to the microsecond", () => {
  for (const [parts, postgres, iso] of ROWS) {
    const interval = new PostgresInterval(parts);
    assertEquals(interval.toPostgres(), postgres);
    assertEquals(interval.toISOString(), iso);
    assertEquals(interval.toISO(), iso);
  }
});

Deno.test("PostgresInterval.toPostgres() is what is sent as a parameter", () => {
  const codec = new TypeRegistry().codecOf(builtinOid("interval") ?? 0);
  for (const [parts, postgres] of ROWS) assertEquals(codec?.encode(new PostgresInterval(parts)), postgres);
});

Deno.test("an interval whose text has no known form is an error, not another interval", () => {
  const codec = new TypeRegistry().codecOf(builtinOid("interval") ?? 0);
  for (const text of ["Pxyz", "P1Q", "1 fortnight", "04:05:06:07"]) {
    assertThrows(
      () => {
        const decoded = codec?.decodeText(text);
        throw new Error(`${JSON.stringify(text)} was read as ${JSON.stringify(decoded)}`);
      },
      Error,
      "Cannot read",
    );
  }
});
