import { assertEquals, assertThrows } from "@std/assert";
import { StackFault } from "../../local/fault.ts";
import { parseFunctions } from "../../local/functions/config.ts";
import { unservedFolders } from "../../local/functions/unserved.ts";
import { concerned, readAtStart } from "../../local/functions/watcher.ts";
import { projectAt } from "../../local/project.ts";
import { makeProject } from "./fixture.ts";

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
  assertEquals(concerned("/p/functions/a/lib/x.ts", configs, "/p/supabase"), ["a"]);
  assertEquals(concerned("/p/functions/ab/x.ts", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(concerned("/p/shared/pool/mod.ts", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(concerned("/p/import_map.json", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(concerned("/p/functions/a/.index.ts.swp", configs, "/p/supabase"), []);
  assertEquals(concerned("/p/supabase/functions/.env", configs, "/p/supabase"), ["a", "b"]);
  assertEquals(concerned("/p/supabase/.temp/state.json", configs, "/p/supabase"), []);
});

Deno.test("what is read only at the start is known by its path", () => {
  const project = { root: "/p", supabase: "/p/supabase" };
  const read = (path: string) => readAtStart(path, project);
  assertEquals(read("/p/supabase/config.toml"), "supabase/config.toml");
  assertEquals(read("/p/supabase/migrations/2026_a.sql"), "supabase/migrations/2026_a.sql");
  for (const path of ["migrations/notes.md", "migrations/.2026_a.sql.swp", "functions/a/config.toml", "seed.sql"]) {
    assertEquals(read(`/p/supabase/${path}`), undefined, path);
  }
});

Deno.test("a folder with a function's module and no table in the config is named", async () => {
  await using fixture = await makeProject();
  const unserved = () => unservedFolders(projectAt(fixture.root));
  assertEquals(await unserved(), []);
  await fixture.write("functions/notes/index.ts", "");
  await fixture.write("functions/_shared/index.ts", "");
  await fixture.write("functions/library/helper.ts", "");
  await fixture.write("supabase/functions/old/index.js", "");
  const line = (path: string, name: string) =>
    `${path} is not in supabase/config.toml and is not served: add [functions.${name}] there, then start again.`;
  assertEquals(await unserved(), [line("functions/notes", "notes"), line("supabase/functions/old", "old")]);
  await fixture.write(
    "supabase/config.toml",
    `[functions.probe]\n[functions.health]\n[functions.old]\nenabled = false\n[functions.n]\nentrypoint = "../functions/notes/index.ts"`,
  );
  assertEquals(await unserved(), []);
});
