import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { StackError } from "../../local/stack_error.ts";
import { functionWarnings, readFunctions } from "../../local/functions/config.ts";
import { packageImports, resolutionFlags } from "../../local/functions/import_map.ts";
import { affectedFunctions, readAtStart } from "../../local/functions/watcher.ts";
import { projectAt } from "../../local/project.ts";
import { createProject } from "./fixture.ts";
import { type Files, writeProject } from "./serve.ts";

async function functionsOf(files: Files) {
  await using project = await writeProject(files);
  const { functions, disabled, warnings } = await readFunctions(projectAt(project.root));
  const short = (path: string | undefined) => path?.replace(`${project.root}/`, "");
  return {
    functions: functions.map((config) => ({
      ...config,
      entrypoint: short(config.entrypoint),
      importMap: short(config.importMap),
      staticFiles: config.staticFiles.map(short),
    })),
    disabled,
    warnings,
  };
}

Deno.test("readFunctions() reads config.toml as the Supabase CLI does", async () => {
  const { functions, disabled } = await functionsOf({
    "supabase/config.toml": `
      project_id = "x"
      [functions.b]
      entrypoint = "../functions/b/main.ts"
      import_map = "../import_map.json"
      [functions.a]
      verify_jwt = false
      static_files = ["./functions/a/*.html"]
      [functions.a.env]
      MODE = "test"
      NEVER = "env(LOCAL_STACK_TEST_UNSET)"
      [functions.off]
      enabled = false
    `,
    "supabase/functions/a/index.ts": "",
  });
  const defaults = { staticFiles: [], env: {}, registered: true };
  assertEquals(functions, [
    {
      ...defaults,
      name: "a",
      entrypoint: "supabase/functions/a/index.ts",
      importMap: undefined,
      importMapSource: "none",
      verifyJwt: false,
      staticFiles: ["supabase/functions/a/*.html"],
      env: { MODE: "test" },
    },
    {
      ...defaults,
      name: "b",
      entrypoint: "functions/b/main.ts",
      importMap: "import_map.json",
      importMapSource: "config.toml",
      verifyJwt: true,
    },
  ]);
  assertEquals(disabled, ["off"]);
  assertEquals((await functionsOf({ "README.md": "" })).functions, []);
});

Deno.test("readFunctions() finds folders without a table, with the defaults of the CLI, and skips the others", async () => {
  const { functions, warnings } = await functionsOf({
    "supabase/functions/hello/index.ts": "",
    "supabase/functions/hello-2/index.mjs": "",
    "supabase/functions/_shared/index.ts": "",
    "supabase/functions/.hidden/index.ts": "",
    "supabase/functions/2fa/index.ts": "",
    "supabase/functions/lib/helper.ts": "",
    "functions/web/index.ts": "",
    "functions/_app/index.ts": "",
  });
  assertEquals(functions.map(({ name, verifyJwt, registered }) => [name, verifyJwt, registered]), [
    ["hello", true, false],
    ["hello-2", true, false],
  ]);
  assertEquals(warnings.length, 3, warnings.join("\n"));
  assertStringIncludes(warnings[0] ?? "", "hello-2/index.mjs is served, but the Supabase CLI looks for index.ts");
  assertStringIncludes(warnings[1] ?? "", "supabase/functions/2fa is neither served nor deployed");
  assertStringIncludes(warnings[2] ?? "", "functions/web is not a function of the project");
});

Deno.test("readFunctions() finds the import map of a function in the order of the CLI", async () => {
  const own = "supabase/functions/a";
  const module = { [`${own}/index.ts`]: "", "supabase/functions/b/index.ts": "" };
  const cases: [Files, string | undefined, string][] = [
    [{}, undefined, "none"],
    [{ "supabase/functions/deno.json": "{}" }, "supabase/functions/deno.json", "workspace"],
    [{ [`${own}/package.json`]: "{}", "supabase/functions/deno.json": "{}" }, `${own}/package.json`, "package.json"],
    [
      { "supabase/functions/import_map.json": "{}", [`${own}/package.json`]: "{}" },
      "supabase/functions/import_map.json",
      "functions",
    ],
    [
      { [`${own}/import_map.json`]: "{}", "supabase/functions/import_map.json": "{}" },
      `${own}/import_map.json`,
      "function",
    ],
    [{ [`${own}/deno.jsonc`]: "{}", [`${own}/import_map.json`]: "{}" }, `${own}/deno.jsonc`, "function"],
    [{ [`${own}/deno.json`]: "{}", [`${own}/deno.jsonc`]: "{}" }, `${own}/deno.json`, "function"],
    [
      { [`${own}/deno.json`]: "{}", "supabase/config.toml": `[functions.a]\nimport_map = "./map.json"` },
      "supabase/map.json",
      "config.toml",
    ],
    // The folder of another module.
    [
      {
        "lib/deno.json": "{}",
        "lib/main.ts": "",
        "supabase/config.toml": `[functions.a]\nentrypoint = "../lib/main.ts"`,
      },
      "lib/deno.json",
      "function",
    ],
  ];
  for (const [files, importMap, source] of cases) {
    const { functions } = await functionsOf({ ...module, ...files });
    assertEquals([functions[0]?.importMap, functions[0]?.importMapSource], [importMap, source]);
  }
});

Deno.test("readFunctions() reports an invalid file in one line", async () => {
  const cases: [string, string][] = [
    ["[functions.a", "fix the file"],
    ["[functions.a]\nentrypoint = [1]", "functions.a.entrypoint"],
    ['functions = "a"', "functions must be a table"],
    ["[functions]\na = 1", "functions.a must be a table"],
    ['[functions."../x"]', '"../x" is not a valid function name'],
    ["[functions.a]\nverify_jwt = 'sometimes'", "functions.a.verify_jwt must be true or false"],
  ];
  for (const [toml, expected] of cases) {
    const error = await assertRejects(() => functionsOf({ "supabase/config.toml": toml }), StackError, expected);
    assertEquals([error.code, error.message.includes("\n")], ["CONFIG_INVALID", false]);
  }
});

Deno.test("functionWarnings() names files that configure functions here but are not uploaded", async () => {
  await using project = await writeProject({
    "supabase/functions/a/index.ts": "",
    "supabase/functions/b/index.ts": "",
    "supabase/functions/deno.json": "{}",
  });
  const at = projectAt(project.root);
  const [line = "", ...more] = functionWarnings(at, (await readFunctions(at)).functions);
  assertStringIncludes(line, "supabase/functions/deno.json configures a, b here");
  assertEquals(more, []);
});

Deno.test("resolutionFlags() use the import map of the function and no other configuration", async () => {
  await using project = await writeProject({ "deno.json": "{}", "map.json": "{}", "package.json": "{" });
  const alone = ["--no-lock", "--node-modules-dir=none"];
  const flags = (importMap: string | undefined, importMapSource: "function" | "package.json" | "none") =>
    resolutionFlags({ importMap, importMapSource }, undefined);
  assertEquals(await flags(undefined, "none"), ["--no-config", ...alone]);
  assertEquals(await flags(`${project.root}/deno.json`, "function"), [`--config=${project.root}/deno.json`, ...alone]);
  assertEquals(await flags(`${project.root}/map.json`, "function"), [
    "--no-config",
    `--import-map=${project.root}/map.json`,
    ...alone,
  ]);
  await assertRejects(() => flags(`${project.root}/none.json`, "function"), StackError, "the file does not exist");
  await assertRejects(() => flags(`${project.root}/package.json`, "package.json"), StackError, "package.json: ");
  const imports = packageImports(`{"dependencies":{"zod":"^3.25.0","old":"npm:zod@3.22.4"}}`);
  assertEquals(imports, {
    zod: "npm:zod@^3.25.0",
    "zod/": "npm:/zod@^3.25.0/",
    old: "npm:zod@3.22.4",
    "old/": "npm:/zod@3.22.4/",
  });
});

Deno.test("affectedFunctions() returns the function whose folder a change is in, or all of them", async () => {
  await using project = await writeProject({
    "supabase/config.toml": ["a", "b"].map((name) =>
      `[functions.${name}]\nentrypoint = "../functions/${name}/index.ts"\nstatic_files = ["./${name}.html"]\n`
    ).join(""),
  });
  const at = projectAt(project.root);
  const { functions } = await readFunctions(at);
  const affected = (path: string) => affectedFunctions(`${project.root}/${path}`, functions, at.supabase);
  assertEquals(affected("functions/a/lib/x.ts"), ["a"]);
  assertEquals(affected("functions/ab/x.ts"), ["a", "b"]);
  assertEquals(affected("shared/pool/mod.ts"), ["a", "b"]);
  assertEquals(affected("import_map.json"), ["a", "b"]);
  assertEquals(affected("functions/a/.index.ts.swp"), []);
  assertEquals(affected("supabase/functions/.env"), ["a", "b"]);
  assertEquals(affected("supabase/functions/.env.local"), ["a", "b"]);
  assertEquals(affected(".env.local"), ["a", "b"]);
  assertEquals(affected("supabase/functions/deno.jsonc"), ["a", "b"]);
  assertEquals(affected("supabase/b.html"), ["b"]);
  assertEquals(affected("supabase/.temp/state.json"), []);
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

Deno.test("readFunctions() finds nothing to say about a project whose functions all have tables", async () => {
  await using fixture = await createProject();
  const { functions, warnings } = await readFunctions(projectAt(fixture.root));
  assertEquals([functions.map(({ name }) => name), warnings], [["health", "probe"], []]);
  assert(functions.every(({ registered }) => registered));
});

Deno.test("readFunctions() warns of folders whose names no function can have, except those that begin with _ or .", async () => {
  const names = ["a.b", "1st", "\u00fcber", "a b", "_shared", ".hidden", "good"];
  await using project = await writeProject(
    Object.fromEntries(
      names.map((name) => [`supabase/functions/${name}/index.ts`, "Deno.serve(() => new Response());"]),
    ),
  );
  const { functions, warnings } = await readFunctions(projectAt(project.root));
  assertEquals(functions.map(({ name }) => name), ["good"]);
  assertEquals(
    warnings,
    ["1st", "a b", "a.b", "\u00fcber"].map((name) =>
      `supabase/functions/${name} is neither served nor deployed, because "${name}" is not a valid function name: begin ` +
      "it with a letter, and use letters, digits, - and _ only."
    ),
  );
});
