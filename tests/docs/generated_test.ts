import { assertEquals, assertStringIncludes } from "@std/assert";
import { renderArchitecture } from "../../docs/generate/architecture.ts";
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
