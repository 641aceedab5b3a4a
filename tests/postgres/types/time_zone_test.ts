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
      await server.query("SET DateStyle = 'ISO, DMY'");
      assertEquals((await server.evaluate("'2026-08-04'::date")).value, new Date(expected[0] ?? NaN));
    });
  }
});
