import { assertEquals, assertThrows } from "@std/assert";
import { DecodeError } from "../../../shared/postgres/mod.ts";
import {
  dateFromDays,
  instantFromMicros,
  instantText,
  parseDay,
  parseInstant,
  parseTimestamp,
} from "../../../shared/postgres/types/instant.ts";

/** Returns what a reader returned: an instant in the ISO format, or what else it is. */
const shown = (value: unknown) => value instanceof Date ? value.toISOString() : value;

for (
  const [text, iso] of [
    ["2026-01-31 12:34:56+00", "2026-01-31T12:34:56.000Z"],
    ["2026-01-31 12:34:56.7+00", "2026-01-31T12:34:56.700Z"],
    ["2026-01-31 12:34:56.789012+02", "2026-01-31T10:34:56.789Z"],
    ["2026-01-31 12:34:56.789012-11", "2026-01-31T23:34:56.789Z"],
    ["2026-01-31 12:34:56.0199+05:30", "2026-01-31T07:04:56.019Z"],
    ["1890-01-31 12:34:56-00:17:30", "1890-01-31T12:52:26.000Z"],
    ["0099-12-31 23:59:59.9999+00", "0099-12-31T23:59:59.999Z"],
    ["12026-01-31 12:34:56.5+01", "+012026-01-31T11:34:56.500Z"],
    ["0044-03-15 12:00:00.1234+00 BC", "-000043-03-15T12:00:00.123Z"],
    ["0001-01-01 00:00:00+00 BC", "0000-01-01T00:00:00.000Z"],
  ] as const
) {
  Deno.test(`parseInstant() reads ${text}`, () => assertEquals(shown(parseInstant(text)), iso));
}

for (
  const [text, iso] of [
    ["2026-01-31 12:34:56", "2026-01-31T12:34:56.000Z"],
    ["2026-01-31 12:34:56.7", "2026-01-31T12:34:56.700Z"],
    ["2026-01-31 12:34:56.789999", "2026-01-31T12:34:56.789Z"],
    ["0099-12-31 23:59:59.9999", "0099-12-31T23:59:59.999Z"],
    ["12026-01-31 12:34:56.12345", "+012026-01-31T12:34:56.123Z"],
    ["0044-03-15 12:00:00 BC", "-000043-03-15T12:00:00.000Z"],
  ] as const
) {
  Deno.test(`parseTimestamp() reads ${text}`, () => assertEquals(shown(parseTimestamp(text)), iso));
}

Deno.test("parseDay() reads days of every form, infinities, and days beyond Date's range as text", () => {
  assertEquals(shown(parseDay("2026-01-31")), "2026-01-31T00:00:00.000Z");
  assertEquals(shown(parseDay("0099-12-31")), "0099-12-31T00:00:00.000Z");
  assertEquals(shown(parseDay("12026-01-31")), "+012026-01-31T00:00:00.000Z");
  assertEquals(shown(parseDay("0044-03-15 BC")), "-000043-03-15T00:00:00.000Z");
  assertEquals(shown(parseDay("275760-09-13")), "+275760-09-13T00:00:00.000Z");
  assertEquals(parseDay("275760-09-14"), "275760-09-14");
  assertEquals([parseDay("infinity"), parseDay("-infinity")], [Infinity, -Infinity]);
});

Deno.test("parseInstant() and parseTimestamp() return times beyond Date's range as the server prints them in UTC", () => {
  assertEquals(shown(parseInstant("275760-09-13 00:00:00+00")), "+275760-09-13T00:00:00.000Z");
  assertEquals(parseInstant("275760-09-13 00:00:00.001+00"), "275760-09-13 00:00:00.001+00");
  assertEquals(parseInstant("275760-09-13 01:00:00.000001-02:30"), "275760-09-13 03:30:00.000001+00");
  assertEquals(parseTimestamp("294276-12-31 23:59:59.9"), "294276-12-31 23:59:59.9");
  assertEquals([parseInstant("infinity"), parseTimestamp("-infinity")], [Infinity, -Infinity]);
});

for (
  const text of ["31/01/2026 12:34:56", "Sat Jan 31 12:34:56 2026", "2026-01-31T12:34:56", "2026-01-31 12:34:56,5", ""]
) {
  Deno.test(`parseInstant(), parseTimestamp() and parseDay() reject ${JSON.stringify(text)}`, () => {
    for (const read of [parseInstant, parseTimestamp, parseDay]) {
      assertThrows(() => read(text), DecodeError, "leave DateStyle at ISO");
    }
  });
}

Deno.test("instantFromMicros() keeps the milliseconds of all microseconds, and texts beyond Date's range", () => {
  const parts = (micros: bigint): [high: number, low: number] => [
    Number(micros >> 32n),
    Number(micros & 0xffff_ffffn),
  ];
  const read = (micros: bigint) => shown(instantFromMicros(...parts(micros), "+00"));
  assertEquals(read(0n), "2000-01-01T00:00:00.000Z");
  assertEquals(read(-1n), "1999-12-31T23:59:59.999Z");
  assertEquals(read(1_999n), "2000-01-01T00:00:00.001Z");
  // The sum is not exact in a number: compared with integers.
  for (const micros of [2n ** 53n + 1n, 2n ** 62n + 1_999n, -(2n ** 53n) - 1n, -(2n ** 57n) - 999n]) {
    const ms = (micros - (micros % 1000n + 1000n) % 1000n) / 1000n + 946_684_800_000n;
    assertEquals(read(micros), new Date(Number(ms)).toISOString(), `${micros}`);
  }
  assertEquals(instantFromMicros(2_147_483_647, 4_294_967_295, ""), Infinity);
  assertEquals(instantFromMicros(-2_147_483_648, 0, ""), -Infinity);
});

Deno.test("dateFromDays() reads days since 2000, infinities, and days beyond Date's range as text", () => {
  assertEquals(shown(dateFromDays(0)), "2000-01-01T00:00:00.000Z");
  assertEquals(shown(dateFromDays(-730_119)), "0001-01-01T00:00:00.000Z");
  assertEquals(dateFromDays(2_147_483_647), Infinity);
  assertEquals(dateFromDays(-2_147_483_648), -Infinity);
  assertEquals([shown(dateFromDays(99_989_043)), dateFromDays(99_989_044)], [
    "+275760-09-13T00:00:00.000Z",
    "275760-09-14",
  ]);
});

Deno.test("instantText() is read as the same instant by every type of date and time", () => {
  const text = (iso: string) => instantText(new Date(iso));
  assertEquals(text("2026-01-31T12:34:56.789Z"), "2026-01-31T12:34:56.789+00:00");
  assertEquals(text("+012026-01-31T12:34:56.789Z"), "12026-01-31T12:34:56.789+00:00");
  assertEquals(text("0000-01-31T12:34:56.789Z"), "0001-01-31T12:34:56.789+00:00 BC");
  assertEquals(text("-000043-03-15T00:00:00Z"), "0044-03-15T00:00:00.000+00:00 BC");
  assertThrows(() => instantText(new Date(NaN)), Error, "not an instant");
});
