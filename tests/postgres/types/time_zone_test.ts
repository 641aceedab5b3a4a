import { assert, assertEquals, assertRejects } from "@std/assert";
import { denoArgs } from "../../support/deno_process.ts";
import { PostgresInterval } from "../../../shared/postgres/types/interval.ts";
import { DecodeError } from "../../../shared/postgres/types/value_error.ts";
import { show, TypeServer } from "./type_server.ts";

const SCRIPT = new URL("./time_zone_script.ts", import.meta.url);

async function linesUnder(zone: string, url: string): Promise<string[]> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...denoArgs(), SCRIPT.pathname, url],
    env: { TZ: zone, NO_COLOR: "1" },
    stderr: "inherit",
  }).output();
  assert(success);
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

Deno.test("codecs give the same values in every time zone of the process, and those of pg in UTC", async (t) => {
  await using server = await TypeServer.start();
  const utc = await linesUnder("UTC", server.url);
  const ours = utc.filter((line) => !line.startsWith("pg "));
  for (const line of utc.filter((line) => line.startsWith("pg "))) {
    const [, expression = "", value = ""] = /^pg (.*): (.*)$/s.exec(line.replace(/: (?=[^:]*$)/, ": ")) ?? [];
    const own = ours.find((own) => own.startsWith(`${line.slice(3).split(": ")[0]}: `));
    assert(own?.includes(line.slice(3)), `pg: ${expression} ${value}, codecs: ${own}`);
  }
  for (const zone of ["Asia/Shanghai", "America/New_York", "Pacific/Apia"]) {
    await t.step(zone, async () => assertEquals(await linesUnder(zone, server.url), ours));
  }
});

Deno.test("codecs read intervals alike under every IntervalStyle", async (t) => {
  await using server = await TypeServer.start();
  const intervals: [string, PostgresInterval][] = [
    ["0", new PostgresInterval()],
    ["1 year 2 mons", new PostgresInterval({ years: 1, months: 2 })],
    ["-14 mons", new PostgresInterval({ years: -1, months: -2 })],
    ["3 days", new PostgresInterval({ days: 3 })],
    ["-3 days", new PostgresInterval({ days: -3 })],
    ["4:05:06.7", new PostgresInterval({ hours: 4, minutes: 5, seconds: 6, milliseconds: 700 })],
    ["-4:05:06.000007", new PostgresInterval({ hours: -4, minutes: -5, seconds: -6, milliseconds: -0.007 })],
    ["-0.5 s", new PostgresInterval({ milliseconds: -500 })],
    ["-3 days -4:05:06", new PostgresInterval({ days: -3, hours: -4, minutes: -5, seconds: -6 })],
    ["3 days -4:05:06", new PostgresInterval({ days: 3, hours: -4, minutes: -5, seconds: -6 })],
    ["-3 days +4:05:06", new PostgresInterval({ days: -3, hours: 4, minutes: 5, seconds: 6 })],
    ["1 year -2 mons 3 days -0.25 s", new PostgresInterval({ months: 10, days: 3, milliseconds: -250 })],
    [
      "-1 year -2 mons -3 days -4:05:06.5",
      new PostgresInterval({
        years: -1,
        months: -2,
        days: -3,
        hours: -4,
        minutes: -5,
        seconds: -6,
        milliseconds: -500,
      }),
    ],
    [
      "-1 year -2 mons +3 days +4:05:06.5",
      new PostgresInterval({ years: -1, months: -2, days: 3, hours: 4, minutes: 5, seconds: 6, milliseconds: 500 }),
    ],
    ["1 mon 1 day 00:00:01", new PostgresInterval({ months: 1, days: 1, seconds: 1 })],
    ["100000:00:00", new PostgresInterval({ hours: 100000 })],
    ["1 year 5 s", new PostgresInterval({ years: 1, seconds: 5 })],
    ["-1 year +1 day", new PostgresInterval({ years: -1, days: 1 })],
  ];
  for (const style of ["postgres", "postgres_verbose", "iso_8601", "sql_standard"]) {
    await t.step(style, async () => {
      await server.query(`SET IntervalStyle = ${style}`);
      for (const [text, parts] of intervals) {
        const found = await server.evaluate(`'${text}'::interval`);
        assertEquals(show(found.value), show(parts), `${text} is ${found.text}`);
        assertEquals(show(found.binaryValue), show(parts), `${text} in binary`);
        // What is sent means the same under each style.
        const [back] = await server.roundTrip(found.codec, [parts]);
        assertEquals(back?.text, found.text);
      }
    });
  }
});

Deno.test("codecs read dates in binary under every DateStyle, and reject their text by name instead of guessing", async (t) => {
  await using server = await TypeServer.start();
  const dates = ["'2026-08-04'::date", "'2026-08-04 12:34:56.7'::timestamp", "'2026-08-04 12:34:56.7'::timestamptz"];
  const expected = [Date.UTC(2026, 7, 4), Date.UTC(2026, 7, 4, 12, 34, 56, 700), Date.UTC(2026, 7, 4, 12, 34, 56, 700)];
  for (const style of ["German", "SQL, DMY", "SQL, MDY", "Postgres, DMY", "Postgres, MDY"]) {
    await t.step(style, async () => {
      for (const [index, expression] of dates.entries()) {
        await server.query("SET DateStyle = 'ISO, MDY'");
        const { codec, bytes, value } = await server.evaluate(expression);
        assertEquals(value, new Date(expected[index] ?? NaN));
        await server.query(`SET DateStyle = '${style}'`);
        await assertRejects(() => server.evaluate(expression), DecodeError, "leave DateStyle at ISO");
        await assertRejects(() => server.evaluate(`ARRAY[${expression}]`), DecodeError, "leave DateStyle at ISO");
        assert(bytes);
        assertEquals(codec.decodeBinary?.(bytes, 3, bytes.length - 3), value);
        // A Date is sent in a form that no style changes.
        const { rows } = await server.query(`SELECT ($1::${codec.name} = ${expression})::text AS same`, [
          codec.encode(value),
        ]);
        assertEquals(rows, [{ same: "true" }]);
      }
    });
  }
  for (const style of ["ISO, DMY", "ISO, YMD", "SQL, YMD"]) {
    await t.step(`${style}: what is sent`, async () => {
      await server.query(`SET DateStyle = '${style}'`);
      const instants = [
        "2026-08-04T01:02:03.004Z",
        "0050-01-02T00:00:00Z",
        "-000043-03-15T00:00:00Z",
        "+012026-08-04T00:00:00Z",
      ];
      for (const type of ["date", "timestamp without time zone", "timestamp with time zone"]) {
        const codec = await server.codec(type);
        for (const instant of instants) {
          const { rows } = await server.query(`SELECT extract(epoch FROM $1::${type})::float8 AS seconds`, [
            codec.encode(new Date(instant)),
          ]);
          const day = type === "date" ? 86_400 : 0.001;
          assertEquals(
            Number(rows[0]?.seconds),
            Math.floor(Date.parse(instant) / 1000 / day) * day || 0,
            `${instant} as ${type}`,
          );
        }
      }
    });
  }
});

Deno.test("codecs read instants alike under every TimeZone of the session, at the turn of years, in old times, BC", async (t) => {
  await using server = await TypeServer.start();
  const instants = [
    "2024-12-31T20:00:00Z",
    "2025-01-01T00:30:00.000Z",
    "2024-02-29T23:59:59.999Z",
    "9999-12-31T20:00:00Z",
    "+010000-01-01T03:04:05.123Z",
    "0000-12-31T23:00:00Z",
    "0001-01-01T00:30:00Z",
    "0000-02-29T12:00:00Z",
    "-000001-12-31T22:00:00Z",
    "0099-12-31T23:00:00Z",
    "1800-06-01T12:00:00Z",
    "1892-07-04T00:00:00Z",
    "2011-12-30T12:00:00Z",
  ];
  for (
    const zone of [
      "Asia/Tokyo",
      "Asia/Shanghai",
      "America/New_York",
      "Asia/Kathmandu",
      "Pacific/Apia",
      "Africa/Monrovia",
    ]
  ) {
    await t.step(zone, async () => {
      await server.query(`SET timezone = '${zone}'`);
      const codec = await server.codec("timestamptz");
      const array = await server.codec("timestamptz[]");
      const dates = instants.map((instant) => new Date(instant));
      for (const { value, binaryValue, text } of await server.roundTrip(array, [dates])) {
        assertEquals(show(value), show(dates), `${text}`);
        assertEquals(show(binaryValue), show(dates));
      }
      const found = await server.roundTrip(codec, [...dates, Infinity, "294276-12-31 23:59:59.999999+00"]);
      assertEquals(found.map(({ value }) => show(value)), found.map(({ binaryValue }) => show(binaryValue)));
      assertEquals(found.at(-1)?.value, "294276-12-31 23:59:59.999999+00");
    });
  }
});
