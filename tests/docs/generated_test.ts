import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { renderArchitecture } from "../../docs/generate/architecture.ts";
import { renderFigures } from "../../docs/generate/figures.ts";
import { readFolders, readImports } from "../../docs/generate/imports.ts";
import { outdated } from "../../docs/generate/main.ts";

Deno.test("outdated() returns no document: run `deno task docs` when it does", async () => {
  assertEquals(await outdated(), []);
});

Deno.test("readImports() finds the imports that a request needs, and none that lead up", async () => {
  const imports = (await readImports()).map(({ from, to }) => `${from} ${to}`);
  for (const one of ["functions http", "http services", "http supabase", "supabase pool", "pool resilience"]) {
    assertEquals(imports.includes(one), true, one);
  }
  for (const one of imports) {
    assertEquals(/^(pool|resilience|environment) (http|services|supabase)$/.test(one), false, one);
  }
});

Deno.test("renderArchitecture() names every folder of shared/", async () => {
  const svg = await renderArchitecture();
  for (const { name } of await readFolders()) assertStringIncludes(svg, `${name}/</text>`);
});

Deno.test("renderFigures() finds every figure of its tables in the stored results", async () => {
  for (const path of ["README.md", "docs/performance.md", "docs/postgres.md"]) {
    const tables = (await renderFigures(path)).matchAll(/<!-- figures:([\w-]+) -->\n([^]*?)<!-- \/figures -->/g);
    for (const { 1: name, 2: table = "" } of tables) {
      const rows = table.trim().split("\n").slice(2);
      assert(rows.length >= 1 && rows.some((row) => /\| [\d,.]+ +\|/.test(row)), `${name} has no figures`);
      // A candidate that was not measured in a case has a dash there; one that was measured nowhere has dashes only.
      for (const row of rows) assert(/\d/.test(row.split("|").slice(2).join("")), `${name}: ${row}`);
    }
  }
});
