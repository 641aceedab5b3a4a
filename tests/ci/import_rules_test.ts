import { assert, assertEquals } from "@std/assert";
import { importViolations, type ModuleImport, parseImports, reachableFrom } from "./import_rules.ts";
import { textFiles } from "./text_files.ts";

const ROOT = new URL("../../", import.meta.url);

async function parseModules(): Promise<ReadonlyMap<string, readonly ModuleImport[]>> {
  const modules = new Map<string, readonly ModuleImport[]>();
  for await (const path of textFiles(ROOT)) {
    if (!/^(shared|functions)\/.*\.ts$/.test(path)) continue;
    modules.set(path, parseImports(path, await Deno.readTextFile(new URL(path, ROOT))));
  }
  return modules;
}

Deno.test("shared/ and functions/ follow the import rules", async () => {
  const modules = await parseModules();
  assert(modules.size > 100, `only ${modules.size} modules found`);
  const violations = [...modules].flatMap(([path, imports]) => importViolations(path, imports));
  assertEquals(violations, []);
});

Deno.test("shared/mod.ts, shared/http/hono.ts and shared/http/fields.ts do not load shared/postgres, shared/data or shared/cache", async () => {
  const modules = await parseModules();
  for (const entry of ["shared/mod.ts", "shared/http/hono.ts", "shared/http/fields.ts"]) {
    const reached = [...reachableFrom(entry, modules)];
    assertEquals(reached.filter((path) => /^shared\/(postgres|data|cache)\//.test(path)), [], entry);
  }
  assert(reachableFrom("shared/http/postgres.ts", modules).has("shared/postgres/mod.ts"));
  const direct = [...reachableFrom("shared/postgres/mod.ts", modules)];
  assertEquals(direct.filter((path) => /^shared\/(data|cache)\//.test(path)), []);
});

// The Supabase CLI reads imports by text, in comments too, and warns of files that do not exist.
Deno.test("no comment of shared/ and functions/ looks like the import of a missing module", async () => {
  const modules = await parseModules();
  const missing: string[] = [];
  for (const path of modules.keys()) {
    const source = await Deno.readTextFile(new URL(path, ROOT));
    for (const [, specifier = ""] of source.matchAll(/\b(?:from|import) ?\(?"(\.{1,2}\/[^"]+)"/g)) {
      const to = new URL(specifier, new URL(path, ROOT)).href.slice(ROOT.href.length);
      if (!modules.has(to)) missing.push(`${path} mentions ${specifier}`);
    }
  }
  assertEquals(missing, []);
});

const VIOLATIONS: readonly (readonly [path: string, source: string, reason: string])[] = [
  ["shared/resilience/retry.ts", `import { x } from "../environment/mod.ts";`, "its layer is not lower"],
  ["shared/cache/lru.ts", `import type { X } from "../pool/mod.ts";`, "its layer is not lower"],
  ["shared/cache/lru.ts", `import { x } from "../observability/mod.ts";`, "its layer is not lower"],
  ["shared/pool/pool.ts", `export { x } from "../supabase/mod.ts";`, "its layer is not lower"],
  ["shared/supabase/pool.ts", `const x = await import("../postgres/mod.ts");`, "its layer is not lower"],
  ["shared/services/x.ts", `type X = import("../http/mod.ts").X;`, "its layer is not lower"],
  ["shared/services/x.ts", `import { x } from "../data/mod.ts";`, "its layer is not lower"],
  ["shared/http/auth/x.ts", `import { x } from "../../pool/lease.ts";`, "import shared/pool/mod.ts"],
  ["shared/mod.ts", `export { x } from "./pool/lease.ts";`, "import shared/pool/mod.ts"],
  ["shared/pool/x.ts", `import { x } from "../mod.ts";`, "importers outside shared/"],
  ["shared/pool/x.ts", `import { x } from "../other/mod.ts";`, "shared/other has no layer"],
  ["shared/other/x.ts", `import { x } from "../pool/mod.ts";`, "shared/other has no layer"],
  ["shared/pool/x.ts", `import { x } from "../../functions/_app/database.ts";`, "nothing outside itself"],
  ["shared/pool/x.ts", `import { x } from "../../tests/support/http.ts";`, "nothing outside itself"],
  ["shared/pool/mod.ts", `export * from "./lease.ts";`, "list the exported names"],
  ["shared/pool/mod.ts", `export * as lease from "./lease.ts";`, "list the exported names"],
  ["functions/a/index.ts", `import { x } from "../../shared/pool/mod.ts";`, "entry points only"],
  ["functions/_app/x.ts", `import type { X } from "../../shared/services/mod.ts";`, "entry points only"],
  ["functions/a/index.ts", `import { x } from "../../local/mod.ts";`, "entry points only"],
  ["functions/a/index.ts", `import { x } from "../b/handler.ts";`, "own folder and functions/_app only"],
  ["functions/_app/x.ts", `import { x } from "../a/handler.ts";`, "own folder and functions/_app only"],
];

for (const [path, source, reason] of VIOLATIONS) {
  Deno.test(`importViolations() rejects ${source} in ${path}`, () => {
    const violations = importViolations(path, parseImports(path, source));
    assertEquals(violations.length, 1, violations.join("\n"));
    assert(violations[0]?.includes(reason), violations[0]);
  });
}

Deno.test("importViolations() accepts lower layers, entry points and packages, and ignores comments and strings", () => {
  const accepted: readonly (readonly [path: string, source: string])[] = [
    ["shared/http/auth/x.ts", `import { x } from "../../pool/mod.ts"; import { y } from "../responses/problem.ts";`],
    ["shared/http/postgres.ts", `export { x } from "../services/pooled_postgres_service.ts";`],
    ["shared/mod.ts", `export { x } from "./http/mod.ts";`],
    ["shared/pool/x.ts", `import { z } from "zod"; export { y } from "./y.ts";`],
    ["shared/pool/x.ts", `// import { x } from "../http/mod.ts";\nconst text = 'import { x } from "../http/mod.ts";';`],
    ["functions/a/handler.ts", `import { x } from "../../shared/http/hono.ts"; import { y } from "../_app/y.ts";`],
    ["tests/a_test.ts", `export * from "../shared/pool/lease.ts";`],
  ];
  for (const [path, source] of accepted) assertEquals(importViolations(path, parseImports(path, source)), [], path);
});

Deno.test("reachableFrom() follows imports of imports, and ends in a cycle", () => {
  const modules = new Map([
    ["a/x.ts", parseImports("a/x.ts", `import "./y.ts"; import "zod";`)],
    ["a/y.ts", parseImports("a/y.ts", `export { z } from "../b/z.ts"; import "./x.ts";`)],
  ]);
  assertEquals([...reachableFrom("a/x.ts", modules)], ["a/x.ts", "a/y.ts", "b/z.ts"]);
});
