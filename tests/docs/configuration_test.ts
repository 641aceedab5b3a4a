/** Compares the tables of options in the documents with the defaults in the code. */
import { assert, assertEquals } from "@std/assert";
import { DEFAULT_POOL_CONFIG } from "../../shared/pool/config.ts";
import { PRESETS } from "../../shared/mod.ts";
import { DEFAULT_POSTGRES_CONFIG, POSTGRES_PRESETS } from "../../shared/postgres/config/options.ts";
import { poolVariables } from "../../shared/supabase/environment.ts";
import { DEFAULT_SUPABASE_POOL_CONFIG } from "../../shared/supabase/config.ts";
import { ROOT } from "./documents.ts";

/** The rows of the tables below a heading, as cells without backticks. */
function rowsBelow(text: string, heading: string): string[][] {
  const [, section = ""] = text.split(new RegExp(`^## ${heading}$`, "m"));
  const [own = ""] = section.split(/^## /m);
  return own.split("\n").filter((line) => line.startsWith("| ")).map((line) =>
    line.slice(1, -1).split("|").map((cell) => cell.trim().replaceAll("`", ""))
  );
}

/** A default as the documents write it. */
function written(value: unknown): string {
  if (typeof value === "number") return Number.isFinite(value) ? value.toLocaleString("en") : String(value);
  if (typeof value === "boolean") return value ? "on" : "off";
  return Array.isArray(value) ? value.join(",") || "none" : String(value);
}

const read = (path: string) => Deno.readTextFile(new URL(path, ROOT));

Deno.test("docs/configuration.md has each option of the client pool with its default", async () => {
  const rows = rowsBelow(await read("docs/configuration.md"), "Options");
  const defaults = new Map(rows.map(([option = "", ...cells]) => [option, cells.at(-2) ?? ""]));
  const wrong: string[] = [];
  for (const [option, value] of Object.entries(DEFAULT_SUPABASE_POOL_CONFIG)) {
    const found = defaults.get(option);
    if (found === undefined) wrong.push(`${option} is missing`);
    else if (!["function", "undefined"].includes(typeof value) && option !== "headers" && found !== written(value)) {
      wrong.push(`${option}: ${found}, not ${written(value)}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("docs/configuration.md has each option of the pool core with its default", async () => {
  const rows = rowsBelow(await read("docs/configuration.md"), "Options");
  const defaults = new Map(rows.map(([option = "", ...cells]) => [option, cells.at(-2) ?? ""]));
  for (const [option, value] of Object.entries(DEFAULT_POOL_CONFIG)) {
    assertEquals(defaults.get(option), written(value), option);
  }
});

Deno.test("docs/configuration.md has each POOL_ variable, and no other", async () => {
  const rows = rowsBelow(await read("docs/configuration.md"), "Options");
  const variables = rows.map(([, variable = ""]) => variable).filter((variable) => variable.startsWith("POOL_"));
  assertEquals(variables.toSorted(), poolVariables().toSorted());
});

Deno.test("docs/configuration.md has the presets", async () => {
  const [head = [], , ...rows] = rowsBelow(await read("docs/configuration.md"), "Presets");
  assertEquals(rows.map(([name]) => name), Object.keys(PRESETS));
  for (const [name = "", ...cells] of rows) {
    const preset: Readonly<Record<string, unknown>> = PRESETS[name as keyof typeof PRESETS];
    const expected = head.slice(1).map((option) =>
      written(preset[option] ?? Reflect.get(DEFAULT_SUPABASE_POOL_CONFIG, option))
    );
    assertEquals(cells, expected, name);
  }
});

Deno.test("docs/postgres.md has the defaults of direct Postgres", async () => {
  const text = await read("docs/postgres.md");
  let checked = 0;
  for (const [option = "", , value = ""] of rowsBelow(text, "Configuration")) {
    const actual = Reflect.get(DEFAULT_POSTGRES_CONFIG, option);
    if (typeof actual !== "number") continue;
    assertEquals(value, written(actual), option);
    checked++;
  }
  assert(checked >= 8, `only ${checked} defaults found`);
  for (const [, option = "", value = ""] of text.matchAll(/`((?:cancel|max)\w+)`\s+\(([\d,]+)\)/g)) {
    assertEquals(value, written(Reflect.get(DEFAULT_POSTGRES_CONFIG, option)), option);
  }
  for (const [name, { maxConnections }] of Object.entries(POSTGRES_PRESETS)) {
    assert(text.includes(`\`${name}\` (${maxConnections})`), name);
  }
});

Deno.test("docs/operations.md has each event of a pool, and no other", async () => {
  const [, events = ""] = (await read("shared/pool/events.ts")).split("export interface PoolEvents {");
  const names = Array.from(events.split(/^}/m)[0]?.matchAll(/^ {2}(\w+):/gm) ?? [], ([, name]) => name);
  const [head, , ...rows] = rowsBelow(await read("docs/operations.md"), "Statistics and events");
  assertEquals([head?.[0], rows.map(([name]) => name)], ["event", names]);
});
