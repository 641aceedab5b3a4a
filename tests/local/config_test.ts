import { assertEquals, assertThrows } from "@std/assert";
import { StackFault } from "../../local/fault.ts";
import { parseFunctions } from "../../local/functions/config.ts";
import { concerned } from "../../local/functions/watcher.ts";

Deno.test("functions are read as the Supabase CLI reads them", () => {
  const toml = `
    project_id = "x"
    [functions.b]
    entrypoint = "../functions/b/main.ts"
    import_map = "../import_map.json"
    [functions.a]
    verify_jwt = false
    [functions.off]
    enabled = false
  `;
  assertEquals(parseFunctions(toml, "/p q/supabase"), [
    { name: "a", entrypoint: "/p q/supabase/functions/a/index.ts", importMap: undefined },
    { name: "b", entrypoint: "/p q/functions/b/main.ts", importMap: "/p q/import_map.json" },
  ]);
  assertEquals(parseFunctions("", "/p"), []);
});

Deno.test("what is wrong in the file is one line that names it", () => {
  const cases: [string, string][] = [
    ["[functions.a", "correct the file"],
    ["[functions.a]\nentrypoint = 1", "functions.a.entrypoint must be a path"],
    ['functions = "a"', "functions must be tables"],
    ["[functions]\na = 1", "functions.a must be a table"],
    ['[functions."../x"]', '"../x" cannot name a function'],
  ];
  for (const [toml, expected] of cases) {
    const fault = assertThrows(() => parseFunctions(toml, "/p"), StackFault, expected);
    assertEquals([fault.code, fault.message.includes("\n")], ["CONFIG_INVALID", false]);
  }
});

Deno.test("a change concerns the function whose folder it is in, or all", () => {
  const configs = ["a", "b"].map((name) => ({
    name,
    entrypoint: `/p/functions/${name}/index.ts`,
    importMap: undefined,
  }));
  assertEquals(concerned("/p/functions/a/lib/x.ts", configs), ["a"]);
  assertEquals(concerned("/p/functions/ab/x.ts", configs), ["a", "b"]);
  assertEquals(concerned("/p/shared/pool/mod.ts", configs), ["a", "b"]);
  assertEquals(concerned("/p/import_map.json", configs), ["a", "b"]);
  assertEquals(concerned("/p/functions/a/.index.ts.swp", configs), []);
});
