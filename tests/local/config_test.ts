import { assertEquals, assertThrows } from "@std/assert";
import { StackError } from "../../local/stack_error.ts";
import { parseFunctions } from "../../local/functions/config.ts";
import { unregisteredWarnings } from "../../local/functions/unregistered_functions.ts";
import { affectedFunctions, readAtStart } from "../../local/functions/watcher.ts";
import { projectAt } from "../../local/project.ts";
import { createProject } from "./fixture.ts";

Deno.test("parseFunctions() reads config.toml as the Supabase CLI does", () => {
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

Deno.test("parseFunctions() reports an invalid file in one line", () => {
  const cases: [string, string][] = [
    ["[functions.a", "fix the file"],
    ["[functions.a]\nentrypoint = 1", "functions.a.entrypoint must be a path"],
    ['functions = "a"', "functions must be tables"],
    ["[functions]\na = 1", "functions.a must be a table"],
    ['[functions."../x"]', '"../x" is not a valid function name'],
  ];
  for (const [toml, expected] of cases) {
    const error = assertThrows(() => parseFunctions(toml, "/p"), StackError, expected);
    assertEquals([error.code, error.message.includes("\n")], ["CONFIG_INVALID", false]);
  }
});

Deno.test("affectedFunctions() returns the function whose folder a change is in, or all of them", () => {
  const configs = ["a", "b"].map((name) => ({
    name,
    entrypoint: `/p/functions/${name}/index.ts`,
    importMap: undefined,
  }));
  assertEquals(affectedFunctions("/p/functions/a/lib/x.ts", configs, "/p/supabase"), ["a"]);
  assertEquals(affectedFunctions("/p/functions/ab/x.ts", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(affectedFunctions("/p/shared/pool/mod.ts", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(affectedFunctions("/p/import_map.json", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(affectedFunctions("/p/functions/a/.index.ts.swp", configs, "/p/supabase"), []);
  assertEquals(affectedFunctions("/p/supabase/functions/.env", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(affectedFunctions("/p/supabase/.temp/state.json", configs, "/p/supabase"), []);
});

Deno.test("readAtStart() returns the paths of files that are read only at the start", () => {
  const project = { root: "/p", supabase: "/p/supabase" };
  const read = (path: string) => readAtStart(path, project);
  assertEquals(read("/p/supabase/config.toml"), "supabase/config.toml");
  assertEquals(read("/p/supabase/migrations/2026_a.sql"), "supabase/migrations/2026_a.sql");
  for (const path of ["migrations/notes.md", "migrations/.2026_a.sql.swp", "functions/a/config.toml", "seed.sql"]) {
    assertEquals(read(`/p/supabase/${path}`), undefined, path);
  }
});

Deno.test("unregisteredWarnings() names folders with a module and without a table in config.toml", async () => {
  await using fixture = await createProject();
  const warnings = () => unregisteredWarnings(projectAt(fixture.root));
  assertEquals(await warnings(), []);
  await fixture.write("functions/notes/index.ts", "");
  await fixture.write("functions/_shared/index.ts", "");
  await fixture.write("functions/library/helper.ts", "");
  await fixture.write("supabase/functions/old/index.js", "");
  const line = (path: string, name: string) =>
    `${path} is not served, because it is not in supabase/config.toml: add [functions.${name}], then start again.`;
  assertEquals(await warnings(), [line("functions/notes", "notes"), line("supabase/functions/old", "old")]);
  await fixture.write(
    "supabase/config.toml",
    `[functions.probe]\n[functions.health]\n[functions.old]\nenabled = false\n[functions.n]\nentrypoint = "../functions/notes/index.ts"`,
  );
  assertEquals(await warnings(), []);
});
