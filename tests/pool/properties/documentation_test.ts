import { assert, assertEquals } from "@std/assert";
import { GROUPS } from "./groups.ts";
import { INVARIANTS } from "./invariants.ts";
import { FOLDER, mutate, MUTATIONS } from "./mutations/mod.ts";
import { README, render, split } from "./mutations/table.ts";

/** The cells of a table, whatever their width. */
function cells(table: string): string[][] {
  const lines = table.trim().split("\n").filter((line) => !/^[|\s:-]+$/.test(line));
  return lines.map((line) => line.split("|").map((cell) => cell.trim()));
}

Deno.test("mutate() applies each mutation at exactly one position, and changes the text", async () => {
  for (const mutation of MUTATIONS) {
    const source = await Deno.readTextFile(new URL(mutation.file, FOLDER));
    assert(mutate(source, mutation) !== source, `"${mutation.what}" changes nothing`);
  }
});

Deno.test("MUTATIONS has a mutation for each invariant, with unique descriptions", () => {
  const caught = new Set(MUTATIONS.map(({ caughtBy }) => caughtBy[0]));
  const numbers = Object.keys(INVARIANTS).map(Number);
  assertEquals([...caught].sort((a, b) => a - b), numbers);
  assertEquals(new Set(MUTATIONS.map(({ what }) => what)).size, MUTATIONS.length);
});

Deno.test("the documentation has the table of the mutations as they are", async () => {
  const { table } = split(await Deno.readTextFile(README));
  assertEquals(cells(table), cells(render(MUTATIONS)), "run deno task mutations:pool --table, then deno fmt");
});

Deno.test("the default run does 100,000 operations, and as many as the documentation says", async () => {
  const steps = Object.values(GROUPS).map((group) => group.steps).reduce((sum, steps) => sum + steps, 0);
  assert(steps >= 100_000, `${steps}`);
  const readme = await Deno.readTextFile(README);
  assert(readme.includes(`${steps.toLocaleString("en")} random operations`), `${steps}`);
});
